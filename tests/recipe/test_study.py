"""The small-scale study: trained and scored systems become a table, and are not made again."""

import json

import pytest
import study_table
from study_runs import Scores, find_runs
from trial import copy_recipe, run, write_tone

LOG = """
1epoch:train:1-2batch: vq_loss=1.0, spectral_loss=4.000, loss=5.0
1epoch:train:3-4batch: vq_loss=1.0, spectral_loss=3.5e+00, loss=5.0
1epoch results: [train] spectral_loss=3.750, total_count=5, [valid] spectral_loss=3.250, loss=1
"""


VALUES = {
    ("simvq_3band", 1): {"x": 1.0, "y": 3.0},
    ("simvq_3band", 2): {"x": 2.0, "y": 4.0, "z": 9.0},
    ("encodec", 1): {"x": 2.0, "y": 4.0, "z": 5.0},
}


@pytest.fixture
def folder(tmp_path):
    """Three finished runs and one that is not; scores of one metric on speech alone."""
    outcomes = []
    for (system, seed), values in VALUES.items():
        name = f"{system}-{seed}"
        (tmp_path / "train" / name).mkdir(parents=True)
        (tmp_path / "train" / name / "console.log").write_text(LOG)
        (tmp_path / "train" / name / ".done").touch()
        for clip, value in values.items():
            outcomes.append({"task": {"system": name, "name": clip}, "values": {"mel": value}})
    (tmp_path / "train" / "rvq_1band-1").mkdir()
    for domain in ("speech", "sound", "music"):
        scores = tmp_path / "score" / domain
        scores.mkdir(parents=True)
        (scores / "summary.json").write_text(json.dumps({"systems": {}}))
        made = {"outcomes": outcomes if domain == "speech" else []}
        (scores / "utterances.json").write_text(json.dumps(made))
    return tmp_path


def test_runs_are_found_and_their_logs_read(folder):
    runs = find_runs(folder)
    seeds = {system: [run.seed for run in ours] for system, ours in runs.items()}
    assert seeds == {"simvq_3band": [1, 2], "encodec": [1]}
    first = runs["encodec"][0]
    assert first.curve == [(2, 4.0), (4, 3.5)] and first.results == (5, 3.25)
    assert first.loss == "spectral"


def test_clips_are_averaged_over_seeds_and_differences_paired(folder):
    runs = find_runs(folder)
    scores = {domain: Scores(folder / "score" / domain) for domain in study_table.DOMAINS}
    averaged = scores["speech"].by_clip(runs["simvq_3band"], "mel")
    assert averaged == {"x": 1.5, "y": 3.5}
    head, only = study_table.differences_table(runs, scores)
    title = " ".join(head)
    assert "minus (a)" in title and "speech mel" in title and "sound" not in title
    assert "+0.500 (+0.500 to +0.500)" in only


def test_an_empty_folder_is_refused_in_one_line(tmp_path, capsys):
    assert study_table.main([str(tmp_path)]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


@pytest.fixture
def recipe(tmp_path):
    """A copy of the recipe, with one clip to train on and one to validate."""
    for name in ("train_mix", "valid_small"):
        samples = write_tone(tmp_path / f"dump/{name}/a.wav", 1.5)
        (tmp_path / f"dump/{name}/wav.scp").write_text(f"a {tmp_path}/dump/{name}/a.wav\n")
        (tmp_path / f"dump/{name}/utt2num_samples").write_text(f"a {samples}\n")
    return copy_recipe(tmp_path)


@pytest.mark.long
def test_the_whole_study_in_small(tmp_path, recipe):
    for domain in ("speech", "sound", "music"):
        write_tone(tmp_path / f"dump/test_{domain}/audio/{domain}.wav", 1)
    command = ["study/small_scale_study.sh", "--dumpdir", tmp_path / "dump", "--outdir", "exp/s"]
    command += ["--systems", "rvq_1band", "--seeds", "1", "--speech_metrics", "mel,STFT"]
    command += ["--train_args", "--num_iters_per_epoch 2 --batch_size 1 --log_interval 1"]
    run(recipe, *command)
    text = (recipe / "exp/s/table.md").read_text()
    assert "(c) no split, RVQ" in text and "music STFT" in text
    assert (recipe / "exp/s/curves.png").stat().st_size > 1000
    checkpoint = recipe / "exp/s/train/rvq_1band-1/latest.pth"
    before = checkpoint.stat().st_mtime_ns
    again = run(recipe, *command)
    assert checkpoint.stat().st_mtime_ns == before
    assert "training" not in again.stdout and "scoring" not in again.stdout


@pytest.mark.long
def test_the_choices_in_small(tmp_path, recipe):
    command = ["study/mini_choices.sh", "--dumpdir", tmp_path / "dump", "--outdir", "exp/c"]
    command += ["--choices", "deep:4 wide:4", "--train_args", "--batch_size 1 --log_interval 1"]
    run(recipe, *command)
    title, _, *rows = (recipe / "exp/c/table.md").read_text().splitlines()
    assert "s/update" in title and {"deep", "wide"} == {row.split()[1] for row in rows}
    assert all("| 3900 |" in row for row in rows)
    assert "training" not in run(recipe, *command).stdout
