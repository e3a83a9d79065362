"""The table of all scores of all models."""

import json

import score_table


def write_scores(root, model, dset, kbps, seconds, **means):
    domain = dset.removeprefix("test_")
    folder = root / f"codec_{model}_raw_fs24000/decode_best/{dset}/scores"
    folder.mkdir(parents=True)
    metrics = {name: {"mean": mean} for name, mean in means.items()}
    ways = {"mel": "lower", "PESQ": "higher"}
    result = {"kbps": kbps, "seconds": seconds, "metrics": metrics}
    summary = {
        "systems": {model: {"domains": {domain: result}}},
        "metrics": {name: {"better": ways[name]} for name in means},
    }
    (folder / "summary.json").write_text(json.dumps(summary))
    return folder.parents[1]


def test_models_are_compared_over_all_their_sets(tmp_path, capsys):
    write_scores(tmp_path, "a", "test_speech", 3.0, 10.0, PESQ=1.5, mel=0.5)
    a = write_scores(tmp_path, "a", "test_music", 6.0, 20.0, mel=0.75)
    b = write_scores(tmp_path, "b", "test_speech", 2.0, 10.0, PESQ=1.25, mel=0.25)
    assert score_table.main([str(a), str(b)]) == 0
    head, _, first, second = capsys.readouterr().out.splitlines()
    assert head == "| model | kbps | speech PESQ ↑ | speech mel ↓ | music mel ↓ |"
    assert first == "| a decode_best | 5.00 | **1.500** | 0.500 | **0.750** |"
    assert second == "| b decode_best | 2.00 | 1.250 | **0.250** | – |"


def test_a_single_model_has_nothing_to_beat(tmp_path, capsys):
    a = write_scores(tmp_path, "a", "test_sound", None, 10.0, mel=0.5)
    assert score_table.main([str(a)]) == 0
    assert capsys.readouterr().out.splitlines()[2].endswith("| – | 0.500 |")


def test_missing_and_foreign_scores_are_told_in_one_line(tmp_path, capsys):
    assert score_table.main([str(tmp_path)]) == 1
    assert "no */scores/summary.json" in capsys.readouterr().err
    a = write_scores(tmp_path, "a", "test_sound", 1.0, 10.0, mel=0.5)
    (a / "test_sound/scores/summary.json").write_text("{}")
    assert score_table.main([str(a)]) == 1
    error = capsys.readouterr().err
    assert "not the scores of one model" in error and error.count("\n") == 1
