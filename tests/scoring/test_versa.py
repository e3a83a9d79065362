"""VERSA as the one that computes: what it is given, and what becomes of all that it writes.

A stand-in takes VERSA's place: it has its command line and writes its records, in both forms.
"""

import json
import sys
import textwrap
from pathlib import Path

import numpy as np
import pytest
import soundfile

from espnet2.bin.gan_codec_score import main
from espnet2.gan_codec.scoring import versa_records
from espnet2.gan_codec.scoring.metrics.catalogue import CATALOGUE, DOMAINS
from espnet2.gan_codec.scoring.metrics.metric import ScoringError
from espnet2.gan_codec.scoring.versa import METRICS, Versa

from .conftest import RATE, noisy, voice
from .test_run import rows_of

QUICK = ["--metrics", "MCD,PESQ,STOI,UTMOS,ViSQOL,SI-SDR", "--no-report"]
CONF = Path(__file__).resolve().parents[2] / "conf"
STAND_IN = """
import argparse, json, sys
import numpy, soundfile, yaml

parser = argparse.ArgumentParser()
for option in ("pred", "gt", "score_config", "output_file", "io", "verbose"):
    parser.add_argument("--" + option)
args = parser.parse_args()
assert args.io == "soundfile"
with open(args.output_file + ".log", "w"), open(LOG, "a") as log:
    print(len(open(args.pred).readlines()), file=log)
names = [module["name"] for module in yaml.safe_load(open(args.score_config))]
if "broken" in names:
    sys.exit("RuntimeError: no weights")
with open(args.output_file, "w") as out:
    for gt, pred in zip(open(args.gt), open(args.pred), strict=True):
        (key, gt), (same, pred) = (line.strip().split(maxsplit=1) for line in (gt, pred))
        (x, rate), (y, other) = soundfile.read(gt), soundfile.read(pred)
        assert key == same and x.ndim == 1 and x.shape == y.shape and rate == other
        if not x.any():
            continue
        if abs(y[0] - 0.75) < 1e-3:
            print("Traceback (most recent call last):", file=sys.stderr)
            sys.exit("ValueError: it cannot stand this one")
        record = {"key": key, "f0rmse": 1.0}
        if "mcd_f0" in names:
            record["mcd"] = float(numpy.abs(x - y).mean())
        if "pesq" in names:
            record["pesq"] = 0.0 if abs(y[0] - 0.25) < 1e-3 else 3.5
        if "stoi" in names:
            record["stoi"] = float("nan") if abs(y[0] - 0.25) < 1e-3 else numpy.float64(0.5)
        if "visqol" in names:
            record["visqol"] = 4.5
        out.write((json.dumps(record) if JSON else repr(record)) + "\\n")
"""


@pytest.fixture(params=[True, False], ids=["json", "literals"])
def stand_in(tmp_path, monkeypatch, request):
    """Installs it; returns how many pairs each of its runs was given."""
    package = tmp_path / "site" / "versa" / "bin"
    package.mkdir(parents=True)
    (package.parent / "__init__.py").write_text("")
    log = tmp_path / "runs"
    text = STAND_IN.replace("JSON", str(request.param)).replace("LOG", repr(str(log)))
    (package / "scorer.py").write_text(text)
    monkeypatch.syspath_prepend(package.parents[1])
    monkeypatch.setenv("PYTHONPATH", str(package.parents[1]))
    monkeypatch.delitem(sys.modules, "versa", raising=False)
    return lambda: [int(n) for n in log.read_text().split()] if log.exists() else []


@pytest.fixture
def configs(tmp_path):
    folder = tmp_path / "conf"
    folder.mkdir()
    (folder / "score_speech.yaml").write_text("- name: mcd_f0\n- name: pesq\n- name: stoi\n")
    for domain in ("sound", "music"):
        (folder / f"score_{domain}.yaml").write_text("- name: visqol\n  model: default\n")
    return folder


def score(reference, hyps, outdir, configs, *words):
    arguments = ["--ref", str(reference), "--outdir", str(outdir), "--backend", "versa"]
    for name, path in hyps.items():
        arguments += ["--hyp", f"{name}={path}"]
    return main([*arguments, "--score-configs", str(configs), *QUICK, *words])


def test_its_values_become_scores_like_any_others(utterances, tmp_path, stand_in, configs):
    out = tmp_path / "out"
    hyps = {name: utterances / name for name in ("good", "bad")}
    assert score(utterances / "ref", hyps, out, configs, "--nj", "2") == 0
    rows = {(row["system"], row["utterance"]): row for row in rows_of(out)}
    for (system, name), row in rows.items():
        x, y = (
            soundfile.read(utterances / folder / f"{name}.wav")[0] for folder in ("ref", system)
        )
        speech = name.startswith("speech")
        assert row["MCD"] == (str(np.abs(x - y).mean()) if speech else "")
        assert (row["PESQ"], row["STOI"]) == (("3.5", "0.5") if speech else ("", ""))
        assert row["ViSQOL"] == ("" if speech else "4.5")
        assert float(row["SI-SDR"]) > 0  # ours: VERSA's is another
    summary = json.loads((out / "summary.json").read_text(encoding="utf-8"))
    metrics = summary["metrics"]
    assert metrics["PESQ"]["by"].startswith("VERSA ") and "score_speech" in metrics["PESQ"]["by"]
    assert "score_music" in metrics["ViSQOL"]["by"] and "VERSA" not in metrics["SI-SDR"]["by"]
    assert "is in none of VERSA's score configs" in summary["skipped"]["UTMOS"]
    text = (out / "summary.md").read_text(encoding="utf-8")
    assert "- MCD, PESQ, STOI by VERSA " in text
    assert "- Not shown of VERSA's results: f0rmse." in text
    assert sum(stand_in()) == 8 and max(stand_in()) <= 2
    before = len(stand_in())
    assert score(utterances / "ref", hyps, out, configs) == 0
    assert len(stand_in()) == before  # nothing is scored again
    (configs / "score_music.yaml").write_text("- name: visqol\n  model: general\n")
    assert score(utterances / "ref", hyps, out, configs) == 0
    assert sum(stand_in()[before:]) == 4  # but under another config
    merged = tmp_path / "merged"
    assert main(["--merge", str(out), "--outdir", str(merged), "--no-report"]) == 0
    assert "- MCD, PESQ, STOI by VERSA " in (merged / "summary.md").read_text(encoding="utf-8")
    again = json.loads((merged / "summary.json").read_text(encoding="utf-8"))["metrics"]
    assert again["PESQ"] == metrics["PESQ"] and again["SI-SDR"] == metrics["SI-SDR"]


def test_our_values_and_its_do_not_mix(utterances, tmp_path, stand_in, configs):
    out = tmp_path / "out"
    hyps = {"good": utterances / "good"}
    words = ["--metrics", "SI-SDR,PESQ", "--domain", "speech"]
    assert score(utterances / "ref", hyps, out, configs, *words) == 0
    assert {row["PESQ"] for row in rows_of(out)} == {"3.5"}
    own = ["--ref", str(utterances / "ref"), "--hyp", f"good={utterances / 'good'}"]
    assert main([*own, "--outdir", str(out), "--no-report", *words]) == 0
    assert "3.5" not in {row.get("PESQ") for row in rows_of(out)}


@pytest.fixture
def odd_pairs(tmp_path):
    """Pairs of every kind, and what is said of the MCD, PESQ and STOI of those without."""
    audio = voice(1)

    def begins(value):
        return np.concatenate([[np.float32(value)], audio[1:]])

    wide = np.stack([np.interp(np.arange(48000) / 2, np.arange(24000), audio)] * 2, axis=1)
    pairs = {
        "two words": (audio, noisy(audio, 0.01), RATE),
        "wide": (audio, wide, 48000),
        "shorter": (audio, audio[:-200], RATE),
        "silent": (0 * audio, audio, RATE),
        "deadly": (audio, begins(0.75), RATE),
        "deadly_too": (audio, begins(0.75), RATE),
        "valueless": (audio, begins(0.25), RATE),
        "longer": (audio, np.tile(audio, 2), RATE),
        "whole": (voice(2), voice(2), RATE),
    }
    for folder in ("ref", "hyp"):
        (tmp_path / folder).mkdir()
    for name, (reference, decoded, rate) in pairs.items():
        soundfile.write(tmp_path / "ref" / f"{name}.wav", reference, RATE)
        soundfile.write(tmp_path / "hyp" / f"{name}.wav", decoded, rate)
    return tmp_path


def test_no_pair_sinks_another_and_no_stopgap_is_a_value(odd_pairs, stand_in, configs):
    out = odd_pairs / "out"
    words = ["--domain", "speech", "--nj", "2"]
    assert score(odd_pairs / "ref", {"s": odd_pairs / "hyp"}, out, configs, *words) == 0
    rows = {row["utterance"]: row for row in rows_of(out)}
    assert len(rows) == 9
    for name in ("two words", "wide", "shorter", "whole"):
        assert (rows[name]["PESQ"], rows[name]["error"]) == ("3.5", "")
    for name in ("deadly", "deadly_too"):
        assert rows[name]["PESQ"] == "" and float(rows[name]["SI-SDR"]) > 20
        assert "PESQ: VERSA: ValueError: it cannot stand this one" in rows[name]["error"]
    assert "VERSA left the pair out" in rows["silent"]["error"]
    assert "PESQ: VERSA gave 0, which is no value" in rows["valueless"]["error"]
    assert "STOI: VERSA gave nan, which is no value" in rows["valueless"]["error"]
    assert float(rows["valueless"]["MCD"]) > 0
    assert "at most 0.1 s of difference" in rows["longer"]["error"]
    group = json.loads((out / "summary.json").read_text())["systems"]["s"]["all"]
    assert (group["pairs"], group["failed"]) == (9, 1)
    assert group["undefined"]["PESQ"] == 4 and group["metrics"]["PESQ"]["count"] == 4


def test_a_setup_that_does_not_work_is_one_line(odd_pairs, stand_in, configs, capsys):
    (configs / "score_speech.yaml").write_text("- name: pesq\n- name: broken\n")
    words = ["--domain", "speech", "--nj", "2"]
    hyps = {"s": odd_pairs / "hyp"}
    assert score(odd_pairs / "ref", hyps, odd_pairs / "out", configs, *words) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert error == (
        f"bscodec: error: VERSA with {configs}/score_speech.yaml fails: "
        "VERSA: RuntimeError: no weights"
    )
    assert stand_in() == [1, 1, 1]


def test_without_versa_there_is_one_line_and_nothing_else(
    utterances, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("shutil.which", lambda name: None)
    other = tmp_path / "site" / "versa"  # the package of that name that is no scorer
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("")
    monkeypatch.syspath_prepend(other.parent)
    out = tmp_path / "out"
    assert score(utterances / "ref", {"good": utterances / "good"}, out, CONF) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("bscodec: error: --backend versa needs VERSA: pip install git+https://")
    assert not out.exists()


def test_a_program_on_the_path_will_do(monkeypatch, configs):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setattr("shutil.which", lambda name: f"/opt/{name}")
    assert "VERSA (/opt/versa-score), " in Versa(configs, ["speech"]).setting("PESQ")


@pytest.mark.parametrize("text", ["pesq\n", "- pesq\n", "- {module: pesq}\n", "[\n", ""])
def test_configs_that_are_none_are_refused(stand_in, configs, text):
    (configs / "score_speech.yaml").write_text(text)
    with pytest.raises(ScoringError, match="score_speech.yaml: expected a list of VERSA's metr"):
        Versa(configs, ["speech"])


def test_a_config_that_is_not_there_is_named(stand_in, utterances, tmp_path, capsys):
    hyps = {"good": utterances / "good"}
    assert score(utterances / "ref", hyps, tmp_path / "out", tmp_path / "none") == 1
    assert f"{tmp_path}/none/score_" in capsys.readouterr().err


def test_the_recipes_configs_ask_for_the_papers_columns_that_versa_has(stand_in):
    versa = Versa(CONF, DOMAINS)
    for domain in DOMAINS:
        paper = {name for name, entry in CATALOGUE.items() if domain in entry.paper}
        assert paper - {"mel", "STFT"} <= set(versa.asked(domain)) <= set(METRICS)


def test_models_and_predictors_decide_what_a_value_is(stand_in, configs):
    (configs / "score_speech.yaml").write_text(
        "- name: visqol\n  model: speech\n- name: pseudo_mos\n- name: speaker\n"
    )
    assert Versa(configs, ["speech"]).asked("speech") == ("SPK_SIM", "UTMOS", "ViSQOL_speech")


def test_records_are_read_in_every_form_and_never_run(tmp_path):
    path = tmp_path / "records"
    path.write_text(
        textwrap.dedent(
            """\
            {"key": "a", "sir": Infinity, "pesq": NaN, "ok": 1}
            {'key': 'nan', 'mcd': np.float64(5.5), 'f0corr': nan, 'sdr': -inf, 'text': 'it\\'s'}
            {'key': 'c', 'mcd': __import__('os').system('exit 1')}
            {'key': 'd', 'mcd': 1.0
            a message
            """
        )
    )
    records = versa_records.read_records(path)
    assert list(records) == ["a", "nan"]
    assert records["a"]["sir"] == np.inf and np.isnan(records["a"]["pesq"])
    assert (records["nan"]["mcd"], records["nan"]["sdr"]) == (5.5, -np.inf)
    assert np.isnan(records["nan"]["f0corr"]) and records["nan"]["text"] == "it's"
    assert versa_records.read_records(tmp_path / "none") == {}


def test_what_versa_says_of_a_failure_is_told():
    entry = {"status": "failed", "error": "no\nsound", "fields": []}
    record = {"key": "a", "_versa_completion": {"schema": 1, "metrics": {"pesq": entry}}}
    assert versa_records.error_message(record, "pesq") == "no sound"
    assert versa_records.error_message(record, "stoi") is None
    assert versa_records.error_message({"key": "a"}, "pesq") is None
