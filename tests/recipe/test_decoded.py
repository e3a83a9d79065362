"""What is decoded: which audio is let in, and what is taken from the jobs."""

import check_audio
import collect_decoded
import numpy as np
import pytest
import soundfile as sf
from trial import table, write_tone

LENGTHS = {"a": 1000, "b.c": 640, "d": 1}


@pytest.fixture
def folder(tmp_path):
    """A set of three utterances, decoded by two jobs."""
    lines = [f"{utt} in/{utt}.wav\n" for utt in LENGTHS]
    (tmp_path / "ref.scp").write_text("".join(lines))
    counts = [f"{utt} {length}\n" for utt, length in LENGTHS.items()]
    (tmp_path / "utt2num_samples").write_text("".join(counts))
    decode(tmp_path, 1, "a")
    decode(tmp_path, 2, "b.c", "d")
    return tmp_path


def decode(folder, job, *utts):
    """As the inference leaves it: audio in whole frames, then the codes."""
    out = folder / f"log/output.{job}"
    for name in ("wav", "codec"):
        (out / name).mkdir(parents=True, exist_ok=True)
    for utt in utts:
        frames = -(-LENGTHS[utt] // 320)
        samples = np.arange(frames * 320, dtype=np.int16)
        sf.write(out / f"wav/{utt}.wav", samples, 24000, "PCM_16")
        np.save(out / f"codec/{utt}.npy", np.zeros((3, 1, frames)))


def collect(folder):
    assert collect_decoded.main([str(folder)]) == 0
    return (folder / "pending").read_text().split()[::2]


def test_audio_is_cut_to_the_input_and_nothing_else_is_changed(folder):
    assert collect(folder) == []
    for utt, path in table(folder / "wav.scp").items():
        samples, rate = sf.read(path, dtype="int16")
        assert rate == 24000
        assert np.array_equal(samples, np.arange(LENGTHS[utt], dtype=np.int16))
    assert list(table(folder / "codec.scp")) == list(LENGTHS)


def test_what_is_not_whole_stays_pending_until_it_is(folder):
    out = folder / "log/output.2"
    (out / "codec/b.c.npy").write_bytes((out / "codec/b.c.npy").read_bytes()[:-1])
    sf.write(out / "wav/d.wav", np.zeros(0, np.int16), 24000)
    assert collect(folder) == ["b.c", "d"]
    assert not (folder / "wav.scp").exists()
    decode(folder, 2, "b.c", "d")
    first = (folder / "wav/a.wav").stat().st_mtime_ns
    assert collect(folder) == []
    assert (folder / "wav/a.wav").stat().st_mtime_ns == first


def test_pickled_codes_are_not_loaded(folder):
    path = folder / "log/output.1/codec/a.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    assert collect(folder) == ["a"]


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text("codec: bscodec\ncodec_conf:\n  sampling_rate: 24000\n")
    return path


def check(config, *lines):
    scp = config.parent / "wav.scp"
    scp.write_text("".join(f"{line}\n" for line in lines))
    return check_audio.main([str(scp), str(config.parent / "out"), "--config", str(config)])


def test_audio_at_the_model_s_rate_is_let_in_with_its_real_length(config, capsys):
    root = config.parent
    write_tone(root / "a.wav", 0.5)
    (root / "broken.wav").write_bytes(b"x")
    assert check(config, f"a {root}/a.wav", f"b {root}/broken.wav", "c gone.wav", "d cat x |") == 0
    assert table(root / "out/utt2num_samples") == {"a": "12000"}
    assert "skipped 3" in capsys.readouterr().out
    reasons = [line.split("\t")[2] for line in (root / "out/skipped.tsv").open()][1:]
    assert [reason.split(":")[0].strip() for reason in reasons] == [
        "unreadable",
        "missing",
        "a command, not a file",
    ]


@pytest.mark.parametrize(("rate", "channels"), [(16000, 1), (48000, 1), (24000, 2)])
def test_one_file_that_would_be_played_wrong_stops_all(config, capsys, rate, channels):
    root = config.parent
    write_tone(root / "a.wav", 0.1)
    write_tone(root / "b.wav", 0.1, rate=rate, channels=channels)
    assert check(config, f"a {root}/a.wav", f"b {root}/b.wav") == 1
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert f"b.wav has {rate} Hz, {channels} channel(s)" in error
    assert not (root / "out/ref.scp").exists()


def test_a_set_without_any_audio_is_an_error(config, capsys):
    assert check(config, "c gone.wav") == 1
    assert "no audio that could be decoded" in capsys.readouterr().err
