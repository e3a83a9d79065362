"""The benchmarks of precisions and of a GPU run through, on tiny models and this CPU."""

import json

import pytest
import torch
import yaml

from benchmarks import gpu, gpu_parts, precision, systems, training_step
from espnet2.gan_codec.bscodec.inference import backend
from tests.bscodec.conftest import tiny_conf

ALONE = {"lambda_adv": 0.0, "lambda_feat_match": 0.0}


@pytest.fixture
def configs(tiny_configs, monkeypatch):
    """The folder of configs, with one of ``bscodec-mini``'s kind; models are built anew."""
    mini = {
        "codec": "bscodec",
        "codec_conf": {"sampling_rate": 24000} | tiny_conf("spectral", **ALONE),
    }
    (tiny_configs / gpu.MINI).write_text(yaml.safe_dump(mini))
    systems.published.cache_clear()
    tiny = systems.published(tiny_configs / systems.THREE_BANDS)
    for module in (gpu, precision):
        monkeypatch.setattr(module, "packaged", lambda: tiny)
    for module in (backend, precision):
        monkeypatch.setattr(module, "has_bf16_units", lambda device: True)
    yield tiny_configs
    systems.published.cache_clear()


def test_precisions(configs, capsys):
    assert precision.main(["--conf", str(configs), "--quick"]) == 0
    printed = capsys.readouterr().out
    for row in ("3-band SimVQ | encode", "3-band SimVQ | decode", "bscodec-mini         | encode"):
        assert row in printed
    assert "bf16 " in printed and "%" in printed
    assert (
        systems.published(configs / systems.THREE_BANDS).generator.backend.precision == "float32"
    )


def test_without_units_there_is_nothing_to_compare(monkeypatch, capsys):
    monkeypatch.setattr(precision, "has_bf16_units", lambda device: False)
    assert precision.main([]) == 1
    assert len(capsys.readouterr().err.splitlines()) == 1


def run_gpu(configs, tmp_path, *options):
    arguments = ["--device", "cpu", "--quick", "--conf", str(configs), "--out", str(tmp_path)]
    status = gpu.main([*arguments, *options])
    return status, json.loads((tmp_path / "gpu" / "results.json").read_text())


def test_the_command_for_a_gpu(configs, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(training_step, "report", lambda *arguments: "training step")
    monkeypatch.setattr(gpu, "QUICK", gpu.Scope(0.1, (2,), 2, (1, 2400), 1, 0.0))
    status, results = run_gpu(configs, tmp_path)
    assert status == 0 and results["left_out"] == {}
    rows = [gpu_parts.Measured(**row) for row in results["rows"]]
    assert {row.model for row in rows} == {"3-band", "mini", "5-band"}
    assert {row.what for row in rows} >= {"encode", "decode", "tokenize, files", "training step"}
    exact = [row for row in rows if row.precision == "float32" and row.what == "encode"]
    assert len(exact) == 3 and all(row.unlike_cpu == 0 and row.hours > 0 for row in exact)
    printed = capsys.readouterr().out
    assert results["device"] in printed and "training step" in printed


def test_what_there_is_no_time_or_memory_for_is_left_out(configs, tmp_path, monkeypatch, capsys):
    status, results = run_gpu(configs, tmp_path, "--minutes", "0")
    assert status == 0 and not results["rows"] and "no time left" in results["left_out"].values()
    budget = gpu.Budget(1, lambda line: None)

    def fail():
        raise torch.OutOfMemoryError("CUDA out of memory")

    budget.measure("batch 64", fail)
    assert budget.left_out == {"batch 64": "not enough memory"}


def test_a_gpu_that_is_not_there_is_one_line(capsys):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    assert gpu.main([]) == 1
    assert capsys.readouterr().err == "gpu: error: --device cuda: torch sees no GPU\n"
