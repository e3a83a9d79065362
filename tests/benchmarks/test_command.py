"""The command measures, prints and writes."""

import json
from pathlib import Path

from benchmarks import run, training_step
from benchmarks.__main__ import main
from benchmarks.paste import BEGIN, END

ROOT = Path(__file__).parents[2]


def test_a_run(tiny_configs, tmp_path, monkeypatch, capsys):
    settings = run.Settings(lengths=(0.1,), repeats=(1,), growth=(0.1, 0.2), limit=100)
    monkeypatch.setattr(run, "QUICK", settings)
    monkeypatch.setattr(training_step, "report", lambda conf, shape, repeats: "training step")
    (tmp_path / "docs").mkdir()
    documents = [tmp_path / "README.md", tmp_path / "docs" / "benchmark.md"]
    for document in documents:
        document.write_text(f"# Title\n{BEGIN}\n{END}\n")
    only = ["3-band SimVQ, engine", "3-band SimVQ, naive"]
    options = ["--quick", "--training", "--threads", "1", "--paste", str(tmp_path)]
    folders = ["--out", str(tmp_path / "out"), "--conf", str(tiny_configs)]
    assert main([*folders, *options, "--only", *only]) == 0

    printed = capsys.readouterr().out
    assert (tmp_path / "out" / "table.md").read_text().strip() == printed.strip()
    assert "training step" in printed and "threads: 1" in printed
    results = json.loads((tmp_path / "out" / "results.json").read_text())
    assert len(results["speeds"]) == 4 and len(results["costs"]) == 8
    assert not results["left_out"]
    assert (tmp_path / "out" / "cost.png").read_bytes().startswith(b"\x89PNG")
    assert all("3-band SimVQ" in document.read_text() for document in documents)
    assert (tmp_path / "docs" / "benchmark.png").exists()


def test_errors_are_one_line(tmp_path, tiny_configs, capsys):
    out = ["--out", str(tmp_path / "out")]
    for wrong in (
        ["--conf", str(tiny_configs), "--only", "no such system"],
        ["--conf", str(tiny_configs), "--threads", "0"],
        ["--conf", str(tmp_path / "nothing"), "--only", "3-band"],
    ):
        assert main([*out, *wrong]) == 1
        lines = capsys.readouterr().err.splitlines()
        assert lines[-1].startswith("bench: error: ")
        assert not any("Traceback" in line for line in lines)


def test_the_documents_have_a_place_for_it():
    for document in (ROOT / "README.md", ROOT / "docs" / "benchmark.md"):
        text = document.read_text(encoding="utf-8")
        assert text.count(BEGIN) == text.count(END) == 1
