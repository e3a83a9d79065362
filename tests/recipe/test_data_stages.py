"""Stages 1 to 3 and their parts: folders, formatting, filtering, running again."""

import gzip

import audio_folders
import filter_length
import format_wav_scp
import numpy as np
import pytest
import soundfile as sf
from corpus_sets import CorpusError, read_set
from scp import read_scp
from trial import copy_recipe, run, table, write_tone

CODEC_SH = ("./codec.sh", "--train_set", "tr", "--valid_set", "dv", "--test_sets", "ts",
            "--nj", 2, "--stage", 2, "--stop_stage", 3)  # fmt: skip


@pytest.fixture
def recipe(tmp_path):
    """A recipe with the sets tr (a segmented 44.1 kHz recording), dv and ts."""
    folder = copy_recipe(tmp_path)
    long = folder / "audio/long.wav"
    write_tone(long, 5.0, rate=44100, channels=2)
    write_tone(folder / "audio/dev.wav", 1.0, rate=16000)
    write_tone(folder / "audio/test.flac", 1.5)
    (folder / "audio/broken.wav").write_bytes(b"RIFF" + bytes(99))
    for name in ("tr", "dv", "ts"):
        (folder / "data" / name).mkdir(parents=True)
    data = folder / "data"
    (data / "tr/wav.scp").write_text(
        f"long {long}\nbroken audio/broken.wav\ngone audio/gone.wav\n"
    )
    (data / "tr/segments").write_text(
        "a long 0.5 2.0\nb long 2.0 -1\nc long 4.9 4.95\nd broken 0 1\ne gone 0 1\n"
    )
    (data / "tr/utt2domain").write_text("a speech\nb speech\nc speech\n")
    (data / "dv/wav.scp").write_text("dev cat audio/dev.wav |\n")
    (data / "ts/wav.scp").write_text("test audio/test.flac\n")
    return folder


def test_sets_are_formatted_and_filtered(recipe):
    done = run(recipe, *CODEC_SH)
    raw = recipe / "dump/raw"
    counts = table(raw / "org/tr/utt2num_samples")
    assert counts == {"a": "36000", "b": "72000", "c": "1200"}
    assert table(raw / "tr/utt2num_samples").keys() == {"a", "b"}  # c is too short
    assert table(raw / "tr/utt2domain") == {"a": "speech", "b": "speech"}
    for name in ("tr", "dv", "ts"):
        for path in table(raw / name / "wav.scp").values():
            info = sf.info(path if path.startswith("/") else recipe / path)
            assert (info.samplerate, info.channels, info.subtype) == (24000, 1, "PCM_16")
    assert table(raw / "ts/wav.scp")["test"].endswith("audio/test.flac")  # right already
    samples = sf.read(table(raw / "tr/wav.scp")["a"])[0]
    spectrum = np.abs(np.fft.rfft(samples))
    assert np.argmax(spectrum) == pytest.approx(440 * len(samples) / 24000, abs=1)
    skipped = (raw / "org/tr/skipped.tsv").read_text()
    assert "missing" in skipped and "unreadable" in skipped
    assert "skipped 1: missing" in done.stdout and "1 too short" in done.stdout


def test_running_again_keeps_what_is_finished_and_sees_what_has_changed(recipe):
    run(recipe, *CODEC_SH)
    segments = {path: path.stat().st_mtime_ns for path in recipe.glob("dump/raw/org/*/audio/*/*")}
    again = run(recipe, *CODEC_SH).stdout
    assert again.count("already") == 5

    table_of_segments = recipe / "data/tr/segments"
    table_of_segments.write_text(
        table_of_segments.read_text().replace("a long 0.5 2.0", "a long 0.5 1.5")
    )
    changed = run(recipe, *CODEC_SH).stdout
    assert changed.count("already") == 3
    assert table(recipe / "dump/raw/tr/utt2num_samples")["a"] == "24000"
    now = {path: path.stat().st_mtime_ns for path in recipe.glob("dump/raw/org/*/audio/*/*")}
    assert len(now) == len(segments)  # the old segment is gone, a new one has come
    # and the others were not touched
    assert len(now.items() & segments.items()) == len(segments) - 1


def test_work_that_was_cut_off_is_finished(recipe):
    run(recipe, *CODEC_SH)
    out = recipe / "dump/raw/org/tr"
    expected = (out / "wav.scp").read_text()
    lost = table(out / "wav.scp")["b"]
    for name in (".done", "wav.scp"):
        (out / name).unlink()
    (recipe / lost).unlink()
    run(recipe, *CODEC_SH)
    assert (out / "wav.scp").read_text() == expected
    assert sf.info(lost).frames == 72000


def test_a_folder_that_was_not_made_here_is_not_touched(recipe):
    (recipe / "dump/raw/ts").mkdir(parents=True)
    (recipe / "dump/raw/ts/wav.scp").write_text("mine mine.wav\n")
    done = run(recipe, *CODEC_SH, check=False)
    assert done.returncode != 0
    assert "dump/raw/ts: not made by this recipe" in done.stderr.splitlines()[-1]
    assert (recipe / "dump/raw/ts/wav.scp").read_text() == "mine mine.wav\n"


def test_a_failed_job_names_its_log_and_ends_the_run(recipe):
    (recipe / "data/tr/segments").write_text("a nowhere 0 1\n")
    done = run(recipe, *CODEC_SH, check=False)
    assert done.returncode == 1
    assert "no recording nowhere" in done.stderr
    assert done.stderr.splitlines()[-1].endswith("its log: dump/raw/org/tr/log/format.1.log")


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["--no_such_option", 1], "no option --no_such_option"),
        (["--stage"], "--stage: a value is expected"),
        (["--skip_train", "yes"], "--skip_train yes: expected true or false"),
        (["--nj", "many"], "--nj many: expected a whole number"),
        (["--test_sets", "nothing"], "data/nothing/wav.scp: no such file; stage 1 makes it"),
        (["--fs", "16000"], "24000 Hz only"),
    ],
)
def test_wrong_options_are_told_in_one_line(recipe, words, reason):
    done = run(recipe, *CODEC_SH[:-4], "--stage", 2, "--stop_stage", 2, *words, check=False)
    assert done.returncode != 0
    assert reason in done.stderr.splitlines()[-1]


def test_stages_1_to_3_of_the_mini_recipe(tmp_path):
    folder = copy_recipe(tmp_path)
    run(folder, "./run.sh", "--mini", "true", "--corpus", "clips", "--stop_stage", 3)
    names = {name: table(folder / "dump/raw" / name / "wav.scp") for name in
             ("train_all", "dev_sub", "test_speech", "test_sound", "test_music")}  # fmt: skip
    assert sum(map(len, names.values())) == 12
    assert len({path for scp in names.values() for path in scp.values()}) == 12
    for name, domains in (("train_all", 3), ("dev_sub", 3), ("test_music", 1)):
        assert len({utt.partition("-")[0] for utt in names[name]}) == domains


# ---- The parts by themselves ------------------------------------------------------------------


def test_folders_stay_whole_and_the_seed_decides(tmp_path):
    for speaker in range(8):
        for take in range(3):
            write_tone(tmp_path / f"speech/s{speaker}/t{take}.wav", 0.1)
    (tmp_path / "speech/s0/notes.txt").write_text("no audio")
    (tmp_path / "speech/s1/bad.wav").write_bytes(b"x")

    def split(name, seed):
        argv = ["--speech_dirs", tmp_path / "speech", "--data", tmp_path / name, "--seed", seed,
                "--valid_share", 0.2, "--test_share", 0.2, "--nj", 1]  # fmt: skip
        assert audio_folders.main([*map(str, argv)]) == 0
        sets = ("train_all", "dev_sub", "test_speech")
        return [set(read_scp(tmp_path / name / s / "wav.scp").values()) for s in sets]

    parts = split("one", 0)
    assert sum(map(len, parts)) == 24 and all(parts)
    speakers = [{path.split("/")[-2] for path in part} for part in parts]
    assert not (
        speakers[0] & speakers[1] or speakers[0] & speakers[2] or speakers[1] & speakers[2]
    )
    assert parts == split("two", 0)
    assert any(parts != split(f"other{seed}", seed) for seed in (1, 2, 3))
    assert "bad.wav\tunreadable" in (tmp_path / "one/skipped.tsv").read_text()


def test_folders_with_spaces_reach_stage_1(tmp_path):
    folder = copy_recipe(tmp_path)
    for i in range(4):
        write_tone(tmp_path / "my sounds" / f"{i}.wav", 0.2)
    run(folder, "./run.sh", "--corpus", "folders", "--sound_dirs", f"'{tmp_path}/my sounds'",
        "--stop_stage", 2)  # fmt: skip
    assert len(table(folder / "data/train_all/wav.scp")) == 2
    assert len(table(folder / "dump/raw/test_sound/wav.scp")) == 1


@pytest.mark.parametrize("seconds", [0.1, 20.0, 20.1, 61.0])
def test_long_recordings_are_cut_evenly_and_wholly(seconds):
    segments = list(audio_folders.cut("x", seconds).values())
    if seconds <= audio_folders.LONGEST:
        assert segments == [(0.0, -1.0)]
        return
    begins, ends = zip(*segments, strict=True)
    assert begins[0] == 0 and ends[-1] == pytest.approx(seconds)
    assert begins[1:] == ends[:-1]
    lengths = [end - begin for begin, end in segments]
    assert max(lengths) <= audio_folders.LONGEST and max(lengths) == pytest.approx(min(lengths))


def test_deal_gives_every_part_something():
    groups = [[f"{i}"] for i in range(3)]
    parts = audio_folders.split_groups(groups, 0.05, 0.05, "seed")
    assert [len(parts[name]) for name in ("train", "valid", "test")] == [1, 1, 1]


@pytest.mark.parametrize("line", ["a rec", "a rec 1 x", "a rec 2 1", "a rec -1 2"])
def test_bad_segments_are_refused(tmp_path, line):
    path = tmp_path / "segments"
    path.write_text(line + "\n")
    with pytest.raises(CorpusError, match="a: expected"):
        format_wav_scp.read_segments(path)


def test_a_key_that_comes_twice_is_refused(tmp_path):
    path = tmp_path / "wav.scp"
    path.write_text("a x.wav\na y.wav\n")
    with pytest.raises(CorpusError, match="line 2: a comes twice"):
        read_scp(path)


def test_a_filter_that_keeps_nothing_says_so(tmp_path, capsys):
    (tmp_path / "wav.scp").write_text("a a.flac\n")
    (tmp_path / "utt2num_samples").write_text("a 240\n")
    argv = [tmp_path, tmp_path / "out", "--min_seconds", 1, "--max_seconds", 2]
    assert filter_length.main([*map(str, argv)]) == 1
    assert "no utterance lasts 1 to 2 s" in capsys.readouterr().err


# ---- The corpora of the paper ------------------------------------------------------------------


def make_paper_corpora(root):
    """One file or more of each part; returns the paths as db.sh names them."""
    for part in ("train-clean-100", "train-other-500", "dev-clean", "test-clean"):
        write_tone(root / f"LibriTTS/{part}/1/2/{part}.wav", 0.2)
    for i in range(4):
        write_tone(root / f"FSD50K/FSD50K.dev_audio/{i}.wav", 0.2)
        write_tone(root / f"musdb/train/song{i}/mixture.wav", 21.0)
        write_tone(root / f"musdb/train/song{i}/vocals.wav", 0.2)
    write_tone(root / "FSD50K/FSD50K.eval_audio/9.wav", 0.2)
    write_tone(root / "musdb/test/song9/mixture.wav", 0.2)
    for fold in range(1, 6):
        write_tone(root / f"ESC-50/audio/{fold}-1-A-0.wav", 0.2)
    (root / "ESC-50/audio/1-2-A-0.wav").write_bytes(b"x")
    return {"LIBRITTS": f"{root}/LibriTTS", "FSD50K": f"{root}/FSD50K",
            "ESC50": f"{root}/ESC-50", "MUSDB18": f"{root}/musdb"}  # fmt: skip


def test_the_paper_s_corpora_are_combined_with_their_own_test_parts(tmp_path):
    folder = copy_recipe(tmp_path)
    paths = make_paper_corpora(tmp_path / "corpora")
    stdout = run(folder, "./run.sh", "--corpus", "paper", "--stop_stage", 2, **paths).stdout
    assert "audioset: left out, no path is given" in stdout
    domains = {
        name: sorted(table(folder / "dump/raw" / name / "utt2domain").values())
        for name in ("org/train_all", "org/dev_sub", "test_speech", "test_sound", "test_music")
    }
    assert domains["org/train_all"] == ["music"] * 6 + ["sound"] * 6 + ["speech"] * 2
    assert domains["org/dev_sub"] == ["music"] * 2 + ["sound"] * 2 + ["speech"]
    assert domains["test_sound"] == ["sound"] * 2
    tested = table(folder / "data/test_sound/wav.scp").values()
    assert sorted(path.split("/")[-1] for path in tested) == ["5-1-A-0.wav", "9.wav"]
    assert "unreadable" in (folder / "data/skipped.tsv").read_text()


def test_a_corpus_with_a_missing_part_is_refused(tmp_path, capsys):
    import paper_corpora

    make_paper_corpora(tmp_path)
    argv = ["--musdb18", str(tmp_path / "LibriTTS"), "--data", str(tmp_path / "data")]
    assert paper_corpora.main(argv) == 1
    assert "no */mixture.wav" in capsys.readouterr().err
    assert not (tmp_path / "data").exists()


# ---- The open corpus ---------------------------------------------------------------------------


def test_the_larger_open_corpus_is_prepared_with_one_option(made, tmp_path):
    """As if the packages had been fetched and unpacked; test_whole_recipe has the smaller one."""
    folder = copy_recipe(tmp_path)
    downloads = folder / "downloads"
    (downloads / "debs").mkdir(parents=True)
    (downloads / "pool").symlink_to(made / "pool")
    for package in (made / "pool").iterdir():
        (downloads / f"debs/{package.name}_1_all.deb").touch()
    manifest = folder / "local/open_corpus"
    for path in (made / "manifest").iterdir():
        (manifest / path.name).write_bytes(path.read_bytes())
    with (manifest / "test_clips.tsv").open("a") as file:
        file.write("sound\teffects/e0.wav\t0\t0.9\tdoor\tCC0\n")
        file.write("music\tfretsonfire-songs-band/s/song.ogg\t0\t3\tband\tCC0\n")
    table_head = "package\tpath\tdomain\tsplit\tsource\tdur\tlicence\n"
    more = table_head + "effects\tlone.wav\tsound\ttrain\tring\t1.1\tCC-BY-3.0\n"
    (manifest / "files_more.tsv.gz").write_bytes(gzip.compress(more.encode()))
    run(folder, "./run.sh", "--corpus", "open_more", "--stop_stage", 3)
    raw = folder / "dump/raw"
    licences = " ".join(table(raw / "train_all/utt2licence").values())
    assert "CC-BY-3.0" in licences
    domains = set(table(raw / "train_all/utt2domain").values())
    assert domains == {"speech", "sound", "music"}
    for name, least in (("dev_sub", 1), ("test_speech", 1), ("test_sound", 1), ("test_music", 1)):
        assert len(table(raw / name / "wav.scp")) >= least
    assert len(read_set(raw / "train_all")) == len(table(raw / "train_all/wav.scp"))
