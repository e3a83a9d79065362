"""``bscodec score``: files in, files out, whatever the order, the jobs, or what fails."""

import csv
import json
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet2.bin.bscodec import main as bscodec
from espnet2.bin.gan_codec_score import main
from espnet2.gan_codec.bscodec.inference.executors import Processes
from espnet2.gan_codec.scoring import workers
from espnet2.gan_codec.scoring.result import Task

from .conftest import RATE, voice

FAST = ["--metrics", "SI-SDR", "--no-report"]


def rows_of(outdir):
    with open(outdir / "utterances.tsv", encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))


def score(utterances, outdir, *arguments, systems=("good",)):
    hyps = [word for name in systems for word in ("--hyp", f"{name}={utterances / name}")]
    return main(["--ref", str(utterances / "ref"), *hyps, "--outdir", str(outdir), *arguments])


def test_scores_of_systems_and_domains_are_means_of_the_utterances(utterances, tmp_path, capsys):
    assert score(utterances, tmp_path / "out", *FAST, systems=("good", "bad")) == 0
    rows = rows_of(tmp_path / "out")
    assert [(r["system"], r["utterance"]) for r in rows] == [
        (system, name)
        for system in ("good", "bad")
        for name in ("music_c", "music_d", "speech_a", "speech_b")
    ]
    summary = json.loads((tmp_path / "out" / "summary.json").read_text(encoding="utf-8"))
    for system in ("good", "bad"):
        for domain in ("speech", "music"):
            ours = [r for r in rows if (r["system"], r["domain"]) == (system, domain)]
            group = summary["systems"][system]["domains"][domain]
            mean = np.mean([float(r["SI-SDR"]) for r in ours])
            found = group["metrics"]["SI-SDR"]
            assert found["mean"] == pytest.approx(mean) and found["count"] == 2
            assert found["low"] <= mean <= found["high"]
            assert (group["pairs"], group["failed"]) == (2, 0)
    good, bad = (
        summary["systems"][s]["all"]["metrics"]["SI-SDR"]["mean"] for s in ("good", "bad")
    )
    assert good > bad + 20
    printed = capsys.readouterr().out
    assert printed.strip() in (tmp_path / "out" / "summary.md").read_text(encoding="utf-8")
    assert not [p for p in (tmp_path / "out").iterdir() if p.suffix == ".tmp"]


def test_the_command_and_the_module_are_one(utterances, tmp_path):
    score(utterances, tmp_path / "a", *FAST)
    words = ["--ref", str(utterances / "ref"), "--hyp", f"good={utterances / 'good'}"]
    assert bscodec(["score", *words, "--outdir", str(tmp_path / "b"), *FAST]) == 0
    assert rows_of(tmp_path / "a") == rows_of(tmp_path / "b")


ALL = "mel,STFT,SI-SDR,PESQ,STOI,MCD,DNSMOS,SPK_SIM_resemblyzer,ViSQOL,ViSQOL_speech"


@pytest.mark.parametrize(
    "selected", ["SI-SDR,PESQ,STOI", pytest.param(ALL, marks=pytest.mark.long)]
)
def test_order_threads_and_jobs_do_not_change_results(utterances, tmp_path, selected, monkeypatch):
    names = sorted(path.stem for path in (utterances / "ref").iterdir())
    for folder in ("ref", "good"):
        lines = [f"{n} {utterances / folder / n}.wav\n" for n in names]
        (tmp_path / f"{folder}.scp").write_text("".join(lines))
        (tmp_path / f"{folder}_reversed.scp").write_text("".join(reversed(lines)))
    metrics = ["--metrics", selected, "--no-report"]
    results = []
    for end, jobs in (("", "1"), ("_reversed", "3")):
        monkeypatch.setenv("OMP_NUM_THREADS", jobs)
        out = tmp_path / f"out{end}"
        words = ["--ref", f"{tmp_path}/ref{end}.scp", "--hyp", f"{tmp_path}/good{end}.scp"]
        assert main([*words, "--outdir", str(out), "--nj", jobs, *metrics]) == 0
        results.append(rows_of(out))
    assert results[0] == results[1][::-1]
    assert [row["utterance"] for row in results[0]] == names


def test_equal_files_are_perfect(utterances, tmp_path):
    assert score(utterances, tmp_path, "--metrics", "mel,STFT,SI-SDR", systems=("ref",)) == 0
    for row in rows_of(tmp_path):
        assert (row["mel"], row["STFT"], row["SI-SDR"]) == ("0.0", "0.0", "100.0")


def test_failed_pairs_are_reported_and_counted_and_do_not_sink_the_run(tmp_path, capsys):
    for folder in ("ref", "hyp"):
        (tmp_path / folder).mkdir()
    audio = voice(1)
    cases = {"good": audio, "long": np.tile(audio, 2), "wide": audio, "silent": audio}
    for name, decoded in cases.items():
        reference = 0 * audio if name == "silent" else audio
        soundfile.write(tmp_path / "ref" / f"{name}.wav", reference, RATE)
        soundfile.write(tmp_path / "hyp" / f"{name}.wav", decoded, RATE)
    wide = np.stack([np.interp(np.arange(48000) / 2, np.arange(24000), audio)] * 2, axis=1)
    soundfile.write(tmp_path / "hyp" / "wide.wav", wide, 48000)
    for name in ("broken", "absent"):
        soundfile.write(tmp_path / "ref" / f"{name}.wav", audio, RATE)
    (tmp_path / "hyp" / "broken.wav").write_bytes(b"RIFF no audio")
    soundfile.write(tmp_path / "hyp" / "extra.wav", audio, RATE)
    words = ["--ref", str(tmp_path / "ref"), "--hyp", str(tmp_path / "hyp"), "--domain", "sound"]
    assert main([*words, "--outdir", str(tmp_path / "out"), *FAST]) == 0
    rows = {row["utterance"]: row for row in rows_of(tmp_path / "out")}
    assert "has no absent" in rows["absent"]["error"]
    assert "broken.wav: not readable as audio" in rows["broken"]["error"]
    assert "at most 0.1 s of difference" in rows["long"]["error"]
    assert rows["silent"]["error"] == "SI-SDR: the reference is silent"
    assert rows["good"]["SI-SDR"] == "100.0" and float(rows["wide"]["SI-SDR"]) > 15
    assert rows["wide"]["decoded_sampling_rate"] == "48000"
    summary = json.loads((tmp_path / "out" / "summary.json").read_text())
    group = summary["systems"]["decoded"]["domains"]["sound"]
    assert (group["pairs"], group["failed"], group["resampled"]) == (6, 3, 1)
    assert group["undefined"] == {"SI-SDR": 1} and group["metrics"]["SI-SDR"]["count"] == 2
    said = capsys.readouterr().err
    assert "3 of 6 pairs failed" in said
    assert "1 of 6 references have no decoded file" in said
    assert "1 decoded files have no reference" in said


def test_a_second_run_scores_what_is_new_or_has_changed(utterances, tmp_path, monkeypatch):
    asked = []

    def count(tasks, load, place):
        tasks = list(tasks)
        asked.append([(t.name, t.metrics) for t in tasks])
        metrics = load()
        return (workers.score_file_pair(task, metrics) for task in tasks)

    monkeypatch.setattr("espnet2.gan_codec.scoring.workers.score_tasks", count)
    hyp = tmp_path / "good"
    hyp.mkdir()
    for path in (utterances / "good").iterdir():
        (hyp / path.name).write_bytes(path.read_bytes())
    words = ["--ref", str(utterances / "ref"), "--hyp", str(hyp), "--no-report"]
    words += ["--outdir", str(tmp_path / "out"), "--metrics"]

    assert main([*words, "SI-SDR"]) == 0
    first = (tmp_path / "out" / "utterances.tsv").read_bytes()
    assert main([*words, "SI-SDR"]) == 0
    assert (tmp_path / "out" / "utterances.tsv").read_bytes() == first
    assert [len(tasks) for tasks in asked] == [4, 0]

    with open(tmp_path / "out" / ".journal.jsonl", "ab") as journal:
        journal.write(b'{"system": "deco')  # cut off in the middle of a line
    soundfile.write(hyp / "music_c.wav", voice(1.7), RATE)
    assert main([*words, "SI-SDR"]) == 0
    assert asked[2] == [("music_c", ("SI-SDR",))]
    assert main([*words, "SI-SDR,STFT"]) == 0
    assert asked[3] == [(name, ("STFT",)) for name, _ in asked[0]]
    assert all(row["SI-SDR"] and row["STFT"] for row in rows_of(tmp_path / "out"))
    assert main([*words, "STFT"]) == 0
    assert asked[4] == [] and "SI-SDR" not in rows_of(tmp_path / "out")[0]


def test_codes_give_bitrate_and_use_of_codebooks(utterances, tmp_path):
    lines = []
    for path in sorted((utterances / "good").iterdir()):
        frames = -(-soundfile.info(path).frames // 320)
        codes = np.stack([np.arange(frames) % 16, np.zeros(frames, dtype=int)])
        np.save(tmp_path / f"{path.stem}.npy", codes[None])
        lines.append(f"{path.stem} {tmp_path}/{path.stem}.npy\n")
    (tmp_path / "codec.scp").write_text("".join(lines))
    codes = ["--codes", f"good={tmp_path}/codec.scp", "--codebook-sizes", "16,1024"]
    assert score(utterances, tmp_path / "out", *FAST, *codes) == 0
    system = json.loads((tmp_path / "out/summary.json").read_text())["systems"]["good"]
    assert system["all"]["kbps"] == pytest.approx(14 * 75 / 1000, rel=0.01)
    first, second = system["codes"]["bands"]
    assert (first["used"], first["usage"], second["used"]) == (16, 1.0, 1)
    assert first["perplexity"] == pytest.approx(16, rel=0.01) and second["perplexity"] == 1
    text = (tmp_path / "out/summary.md").read_text(encoding="utf-8")
    assert "| good | 1.05 |" in text and "| good | 2 | 1024 | 1 (0.1%) | 1.0 |" in text


def refuse(arguments, capsys, status):
    assert main(arguments) == status
    error = capsys.readouterr().err
    assert error.startswith("bscodec: error: ") and error.count("\n") == 1, error
    return error


def test_bad_command_lines_are_one_line(utterances, tmp_path, capsys):
    ref, hyp = str(utterances / "ref"), str(utterances / "good")
    out = ["--outdir", str(tmp_path / "out")]
    both = ["--ref", ref, "--hyp", hyp, *out]
    assert "expected --hyp, --peer" in refuse(["--ref", ref, *out], capsys, 2)
    with pytest.raises(SystemExit, match="2"):
        main([*both, "--outdir", str(tmp_path / "out"), "--nj", "0"])
    assert "--nj: 0: expected a number above 0" in capsys.readouterr().err
    assert "two are called decoded" in refuse([*both, "--hyp", hyp], capsys, 2)
    assert "there is no --hyp of that name" in refuse([*both, "--codes", "x=y"], capsys, 2)
    assert "--codebook-sizes a" in refuse([*both, "--codebook-sizes", "a"], capsys, 2)
    assert "there is no PSNR" in refuse([*both, "--metrics", "PSNR"], capsys, 1)
    assert "none" in refuse(["--ref", "none", "--hyp", hyp, *out], capsys, 1)
    assert "expected CODEC:KBPS" in refuse([*both, "--peer", "mp3:64"], capsys, 1)
    assert not (tmp_path / "out").exists()


def test_lists_without_a_common_name_are_refused(utterances, tmp_path, capsys):
    other = tmp_path / "hyp"
    other.mkdir()
    soundfile.write(other / "z.wav", voice(1), RATE)
    words = ["--ref", str(utterances / "ref"), "--hyp", str(other), *FAST]
    error = refuse([*words, "--outdir", str(tmp_path / "out")], capsys, 1)
    assert "no name is in both lists: a reference is named music_c, a decoded file z" in error


def test_nothing_but_failures_is_a_failure(utterances, tmp_path):
    lines = [f"{p.stem} {tmp_path}/none.wav\n" for p in (utterances / "ref").iterdir()]
    (tmp_path / "wav.scp").write_text("".join(lines))
    words = ["--ref", str(utterances / "ref"), "--hyp", f"{tmp_path}/wav.scp", *FAST]
    assert main([*words, "--outdir", str(tmp_path / "out")]) == 1
    assert all("No such file" in row["error"] for row in rows_of(tmp_path / "out"))


def test_two_runs_do_not_write_into_one_folder(utterances, tmp_path, capsys):
    from espnet2.gan_codec.scoring.journal import Journal

    out = tmp_path / "out"
    out.mkdir()
    with Journal(out / ".journal.jsonl", str):
        assert score(utterances, out, *FAST) == 1
    assert "another run is writing here" in capsys.readouterr().err
    assert score(utterances, out, *FAST) == 0


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_process_that_dies_costs_its_pair_alone(utterances, tmp_path, monkeypatch, jobs):
    (tmp_path / "deadly.py").write_text(
        textwrap.dedent(
            """
            import os

            class Deadly:
                name, better, sampling_rate = "deadly", "higher", 24000

                def __call__(self, reference, decoded):
                    if len(reference) == 24000:
                        os._exit(1)
                    return float(len(reference))

            def load():
                return {"deadly": Deadly()}
            """
        )
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    import deadly

    place = Processes(("cpu",) * jobs)
    tasks = []
    for i in range(6):
        path = tmp_path / f"{i}.wav"
        soundfile.write(path, voice(1.0 if i == 2 else 1.5), RATE)
        tasks.append(Task("s", str(i), "speech", path, path, ("deadly",)))
    results = {o.task.name: o for o in workers.score_tasks(tasks, deadly.load, place)}
    assert sorted(results) == list("012345")
    assert results.pop("2").failure == "the process that scored it died"
    assert all(o.values == {"deadly": 36000.0} for o in results.values())
    sys.modules.pop("deadly")


def test_skipped_metrics_are_named_everywhere(utterances, tmp_path, capsys):
    (tmp_path / "hub").mkdir()
    (tmp_path / "hub" / "hubconf.py").write_text("")
    words = ["--metrics", "SI-SDR,UTMOS", "--utmos", str(tmp_path / "hub"), "--no-report"]
    assert score(utterances, tmp_path / "out", *words) == 0
    reason = f"UTMOS utmos22_strong of {tmp_path}/hub cannot be had"
    (line,) = [x for x in capsys.readouterr().err.splitlines() if "UTMOS" in x]
    assert line.startswith(f"bscodec: note: not scored: {reason}")
    assert reason in json.loads(Path(tmp_path, "out/summary.json").read_text())["skipped"]["UTMOS"]
    assert f"- Not scored: {reason}" in (tmp_path / "out/summary.md").read_text()
    assert score(utterances, tmp_path / "out", *words[2:], "--metrics", "UTMOS") == 1


def test_runs_over_test_sets_and_models_merge_into_one_table(utterances, tmp_path, capsys):
    for domain in ("speech", "music"):
        for folder in ("ref", "good", "bad"):
            lines = [
                f"{i} {path}\n"
                for i, path in enumerate(sorted((utterances / folder).glob(f"{domain}_*")))
            ]
            (tmp_path / f"{domain}_{folder}.scp").write_text("".join(lines))
        for system in ("good", "bad"):
            words = ["--ref", f"{tmp_path}/{domain}_ref.scp", "--domain", domain, *FAST]
            words += ["--hyp", f"{tmp_path}/{domain}_{system}.scp"]
            assert main([*words, "--outdir", f"{tmp_path}/{domain}_{system}"]) == 0
    parts = [f"{s}={tmp_path}/{d}_{s}" for s in ("good", "bad") for d in ("speech", "music")]
    out = tmp_path / "all"
    assert main(["--merge", *parts, "--outdir", str(out), "--no-report"]) == 0
    together = tmp_path / "together"
    assert score(utterances, together, *FAST, systems=("good", "bad")) == 0
    merged, direct = (
        json.loads((folder / "summary.json").read_text())["systems"] for folder in (out, together)
    )
    assert list(merged) == ["good", "bad"]
    for system in ("good", "bad"):
        assert merged[system]["domains"] == direct[system]["domains"]
    assert len(rows_of(out)) == 8
    capsys.readouterr()
    clash = ["--merge", f"{tmp_path}/speech_good", f"{tmp_path}/speech_bad"]
    error = refuse([*clash, "--outdir", str(tmp_path / "none")], capsys, 1)
    assert "give systems names, NAME=DIR" in error
    error = refuse(["--merge", str(tmp_path), "--outdir", str(tmp_path / "none")], capsys, 1)
    assert "utterances.json" in error
    one = ["--merge", f"x={together}", "--outdir", str(tmp_path / "none")]
    assert "holds 2 systems" in refuse(one, capsys, 1)
    assert "--merge takes results as they are" in refuse([*one, "--backend", "versa"], capsys, 2)
    assert not (tmp_path / "none").exists()


def test_merging_keeps_costs_and_speeds(utterances, tmp_path):
    from espnet2.gan_codec.scoring.records import read_runs, records_text
    from espnet2.gan_codec.scoring.result import Result
    from espnet2.gan_codec.scoring.summary import CodingStats

    task = Task("s", "n", "speech", Path("r.wav"), Path("d.wav"), ("mel",))
    result = Result(task, 2.0, (1, 2), ((1.0,) * 5, (2.0,) * 5), {"mel": 0.1}, {"PESQ": "no"})
    (tmp_path / "utterances.json").write_text(
        records_text(
            [result], {"s": CodingStats({"n": 7}, {"n": 0.5}, {"n": 0.25})}, {"mel": "x 1"}
        )
    )
    (back,), costs, settings = read_runs([("t", tmp_path)])
    assert settings == {"mel": {"x 1"}}
    assert (back.task.system, back.task.name) == ("t", f"{tmp_path}/n")
    assert costs["t"].bits == {f"{tmp_path}/n": 7}
    assert costs["t"].decode_seconds == {f"{tmp_path}/n": 0.25}
    kept = ("seconds", "rates", "energies", "values", "reasons", "failure")
    assert all(getattr(back, name) == getattr(result, name) for name in kept)
    assert back.task.reference == Path("r.wav") and back.task.metrics == ("mel",)
