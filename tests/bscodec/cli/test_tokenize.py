"""A corpus to shards: the codes, the formats, the lists, what is skipped and what is refused."""

import json
import os
import zipfile
from pathlib import Path
from types import SimpleNamespace

import kaldiio
import numpy as np
import pytest
import soundfile

from espnet2.gan_codec.bscodec.tokens import read_tokens
from espnet2.gan_codec.bscodec.tokens.formats import FORMATS
from espnet2.gan_codec.bscodec.tokens.metadata import TokensError

from ..experiments import assert_one_error, tree, write_audio
from .corpus import audio, write_corpus


@pytest.fixture
def corpus(workplace):
    write_corpus()
    return workplace


@pytest.mark.parametrize("form", ["ark", "npz", "speechlm"])
def test_codes_are_those_of_the_codec_in_every_format(bscodec, corpus, form):
    from espnet2.gan_codec.bscodec import Codec

    result = bscodec(f"tokenize wav.scp -o out --format {form} --shard-size 4 --nj 1")
    assert result.status == 0 and result.err == "" and "hours of audio per hour" in result.out
    codec, tokens = Codec.from_pretrained(), read_tokens("out")
    assert list(tokens) == [f"utt{i}" for i in range(11)] and len(tokens) == 11
    values = set()
    for name, codes in tokens.items():
        encoded = codec.encode(*audio(name), keep_rate=False)
        assert np.array_equal(codes, encoded.codes.T) and codes.dtype == np.int16
        assert np.array_equal(tokens[name], codes) and tokens.encoded(name) == encoded
        values |= set(codes.ravel().tolist())
    assert len(values) > 20  # the model tells sounds apart, so equality means something
    assert "utt99" not in tokens
    with pytest.raises(KeyError):
        tokens["utt99"]


def test_batches_and_streams_give_the_same_codes(bscodec, corpus, monkeypatch):
    from espnet2.gan_codec.bscodec.tokens import coding

    bscodec("tokenize wav.scp -o one --nj 1")
    bscodec("tokenize wav.scp -o batched --nj 1 --batch-seconds 1")
    monkeypatch.setattr(coding, "LONG_SECONDS", 0.3)
    bscodec("tokenize wav.scp -o streamed --nj 1")
    one = read_tokens("one")
    for folder in ("batched", "streamed"):
        other = read_tokens(folder)
        assert all(np.array_equal(one[name], codes) for name, codes in other.items())
        assert len(other) == len(one)


def test_a_band_less_is_a_column_less(bscodec, corpus):
    bscodec("tokenize wav.scp -o all --nj 1")
    bscodec("tokenize wav.scp -o low --nj 1 --bands 1")
    every, low = read_tokens("all"), read_tokens("low")
    assert all(np.array_equal(codes, every[name][:, :1]) for name, codes in low.items())


def test_from_a_shard_back_to_audio(bscodec, corpus):
    bscodec("tokenize wav.scp -o out --nj 1")
    tokens = read_tokens("out")
    tokens.encoded("utt2").save("utt2.bsc")
    bscodec("encode in/utt2.wav -o direct.bsc")
    assert Path("utt2.bsc").read_bytes() == Path("direct.bsc").read_bytes()
    assert bscodec("decode utt2.bsc -o utt2.wav").status == 0
    assert (
        len(soundfile.read("utt2.wav")[0]) == tokens.num_samples("utt2") == len(audio("utt2")[0])
    )


@pytest.mark.parametrize("reader", ["kaldiio", "omniio.kaldi"])
def test_archives_as_either_reader_of_espnet_has_them(bscodec, corpus, reader):
    """kaldiio is what ESPnet up to 202609 reads archives with, omniio what it does since."""
    load_scp = pytest.importorskip(reader, exc_type=ImportError).load_scp
    for form in ("ark", "speechlm"):
        bscodec(f"tokenize wav.scp -o {form} --format {form} --nj 1 --shard-size 3")
    tokens, matrices, vectors = (
        read_tokens("ark"), load_scp("ark/codec.scp"), load_scp("speechlm/codec.scp"),
    )  # fmt: skip
    assert list(matrices) == list(vectors) == list(tokens)
    first, second = tokens.metadata.codebook_sizes
    for name, codes in tokens.items():
        assert matrices[name].dtype == np.float32 and np.array_equal(matrices[name], codes)
        flat = vectors[name]
        assert flat.dtype == np.int32 and np.array_equal(flat[::2], codes[:, 0])
        assert np.array_equal(flat[1::2], codes[:, 1] + first) and flat.max() < first + second


def test_tables_as_espnet_reads_them(bscodec, workplace):
    from espnet2.fileio.read_text import load_num_sequence_text, read_2columns_text
    from espnet2.train.dataset import ESPnetDataset

    for i in range(5):
        write_audio(f"in/a b/utt{i}.wav", 3000 + 777 * i)
    out = "a folder/out"
    assert bscodec(f"tokenize in -o '{out}' --nj 1 --shard-size 3").status == 0
    tokens = read_tokens(out)
    frames, samples = (
        load_num_sequence_text(f"{out}/utt2num_{unit}", "csv_int")
        for unit in ("frames", "samples")
    )
    assert list(frames) == list(samples) == list(tokens)
    assert list(read_2columns_text(f"{out}/codec.scp")) == list(tokens)
    lists = [(f"{out}/wav.scp", "audio", "sound"), (f"{out}/codec.scp", "codec", "kaldi_ark")]
    dataset = ESPnetDataset(lists, preprocess=None)
    for name, codes in tokens.items():
        _, item = dataset[name]
        assert np.array_equal(item["codec"], codes) and frames[name] == [len(codes)]
        assert [len(item["audio"])] == samples[name] == [tokens.num_samples(name)]
    meta = json.loads(Path(f"{out}/meta.json").read_text())
    assert meta["model"] == "bscodec-mini" and meta["utterances"] == 5 and meta["skipped"] == 0
    assert meta["frames"] == sum(map(len, tokens.values())) and meta["bitrate"] > 0


def test_archives_of_version_0_1_0_are_read(tmp_path):
    """They held arrays in NumPy's format, which kaldiio alone knows."""
    metadata = SimpleNamespace(codebook_sizes=(300, 300))
    codes = np.arange(8, dtype=np.int16).reshape(4, 2)
    path = tmp_path / "old.ark"
    with path.open("wb") as file:
        kaldiio.save_ark(file, {"utt": codes}, write_function="numpy")
    with path.open("rb") as file:
        assert np.array_equal(FORMATS["ark"].read(file, len("utt "), metadata), codes)


def test_codes_that_an_archive_cannot_number_are_refused():
    assert FORMATS["ark"].dtype((2**24, 2)) == np.float32
    with pytest.raises(TokensError, match="--format npz"):
        FORMATS["ark"].dtype((2, 2**24 + 1))


def test_npz_shards_are_read_by_numpy(bscodec, corpus):
    bscodec("tokenize wav.scp -o out --format npz --nj 1")
    tokens = read_tokens("out")
    for line in open("out/codec.scp"):
        name, path = line.split()
        with np.load(path, allow_pickle=False) as shard:
            assert np.array_equal(shard[name], tokens[name])
    assert zipfile.ZipFile("out/shards/codes.00001.npz").testzip() is None


def test_what_cannot_be_coded_is_listed_and_the_rest_is_made(bscodec, corpus):
    Path("empty.wav").touch()
    Path("text.wav").write_text("hello")
    soundfile.write("none.wav", np.zeros(0), 24000)
    soundfile.write("nan.wav", np.full(9000, np.nan), 24000, subtype="FLOAT")
    names = ["empty", "text", "none", "nan", "missing"]
    with open("wav.scp", "a") as file:
        file.writelines(f"{name} {name}.wav\n" for name in names)
    result = bscodec("tokenize wav.scp -o out --nj 1 --shard-size 4 --batch-seconds 1")
    assert result.status == 0
    assert "16 utterances" not in result.out and "5 skipped (out/skipped.tsv)" in result.out
    skipped = [line.rstrip("\n").split("\t") for line in open("out/skipped.tsv")]
    assert [entry[0] for entry in skipped] == names
    assert [entry[2] for entry in skipped] == [
        "the file is empty",
        "not readable as audio: Format not recognised",
        "the file holds no audio",
        "sample at 0.000 s is NaN or infinite",
        "No such file or directory",
    ]
    assert len(read_tokens("out")) == 11 and "nan" not in read_tokens("out")


def test_skipped_files_can_be_tried_again(bscodec, corpus):
    os.rename("in/utt3.wav", "away.wav")
    bscodec("tokenize wav.scp -o out --nj 1 --shard-size 4")
    os.rename("away.wav", "in/utt3.wav")
    assert "11 utterances are there already" in bscodec("tokenize wav.scp -o out --nj 1").out
    again = bscodec("tokenize wav.scp -o out --nj 1 --retry-skipped")
    assert "7 utterances are there already\n4 utterances coded" in again.out
    assert "utt3" in read_tokens("out") and Path("out/skipped.tsv").read_text() == ""


def test_when_all_fail_the_status_says_so(bscodec):
    Path("wav.scp").write_text("a a.wav\nb b.wav\n")
    assert bscodec("tokenize wav.scp -o out --nj 1").status == 1


def test_a_job_does_not_fail_for_what_it_skips(bscodec):
    write_audio("c.wav")
    Path("wav.scp").write_text("a a.wav\nb b.wav\nc c.wav\n")
    line = "tokenize wav.scp -o out --nj 1 --shard-size 2"
    first, second = (bscodec(f"{line} --shard {job}/2") for job in (1, 2))
    assert (first.status, second.status, second.notes) == (0, 0, [])
    note = "all utterances of this job were skipped: --merge writes the list of them"
    assert first.notes == [f"bscodec: note: {note}"]
    assert bscodec(f"{line} --merge").status == 0
    Path("wav.scp").write_text("a a.wav\nb b.wav\n")
    assert bscodec(f"{line} --shard 1/1").status == 0
    assert bscodec(f"{line} --merge").status == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "wav.scp: is empty"),
        ("a x.wav\nb\n", "wav.scp: line 2: expected a name and a path"),
        ("a x.wav\nb y.wav\na z.wav\n", "wav.scp: a is there twice, in lines 1 and 3"),
        ("a cat x.wav |\n", "wav.scp: line 1: holds a command: those are run with"),
        ("a x.ark:12\n", "wav.scp: line 1: audio within an archive"),
    ],
)
def test_lists_that_are_not_to_be_used(bscodec, text, message):
    Path("wav.scp").write_text(text)
    assert_one_error(bscodec("tokenize wav.scp -o out --nj 1"), message)
    assert tree("out") == []


def test_commands_run_when_they_are_allowed(bscodec, corpus):
    Path("wav.scp").write_text("a cat in/utt0.wav |\nb echo no >&2; false |\nc in/utt0.wav\n")
    assert bscodec("tokenize wav.scp -o out --nj 1 --allow-commands").status == 0
    tokens = read_tokens("out")
    assert np.array_equal(tokens["a"], tokens["c"])
    assert Path("out/skipped.tsv").read_text().endswith("\tits command fails: no\n")


def test_folders_and_lists_of_paths(bscodec, workplace):
    for name in ("b/x.wav", "a/x y.flac", "z.ogg"):
        write_audio(f"in/{name}")
    assert bscodec("tokenize in -o out --nj 1").status == 0
    assert list(read_tokens("out")) == ["z", "a/x_y", "b/x"]
    Path("files.txt").write_text("./in/z.ogg\nin/a/x y.flac\n")
    assert bscodec("tokenize files.txt -o out2 --nj 1").status == 0
    assert list(read_tokens("out2")) == ["in/z", "in/a/x_y"]
    assert np.array_equal(read_tokens("out2")["in/z"], read_tokens("out")["z"])
    write_audio("in/z.wav")
    assert_one_error(bscodec("tokenize in -o out3 --nj 1"), "z is there twice")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("tokenize wav.scp -o out --shard 3/2", "3/2: expected I/N"),
        ("tokenize wav.scp -o out --nj 0", "0: expected a number above 0"),
        ("tokenize wav.scp -o wav.scp", "a folder is needed"),
    ],
)
def test_command_lines_that_make_no_sense(bscodec, corpus, line, message):
    assert_one_error(bscodec(line), message, status=2)


def test_a_reader_survives_a_move_and_a_pickle(bscodec, corpus):
    import pickle

    bscodec("tokenize wav.scp -o out --nj 1 --shard-size 4")
    tokens = read_tokens("out")
    before = dict(tokens.items())
    os.rename("out", "moved")
    copy = pickle.loads(pickle.dumps(read_tokens("moved")))
    assert all(np.array_equal(copy[name], codes) for name, codes in before.items())
