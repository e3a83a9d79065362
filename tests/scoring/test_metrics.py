"""Every metric: published values of its library, the perfect value, and pairs without a value."""

import argparse
import math
import sys

import numpy as np
import pytest
import soundfile
import soxr
import torch
import yaml

from espnet2.gan_codec.bscodec.demo.clips import SHIPPED
from espnet2.gan_codec.scoring.metrics.catalogue import CATALOGUE, Options, load
from espnet2.gan_codec.scoring.metrics.metric import ScoringError, UnavailableError

# What audio gets that is equal to its reference.
PERFECT = {
    "mel": 0,
    "STFT": 0,
    "SI-SDR": 100,
    "MCD": 0,
    "PESQ": 0.999 + 4 / (1 + math.exp(-1.3669 * 4.5 + 3.8224)),  # P.862.2 of P.862's 4.5
    "STOI": 1,
    "SPK_SIM_resemblyzer": 1,
    "ViSQOL": 4.732101253042348,  # its own conformance test of equal files
    "ViSQOL_speech": 5,
}
WORST = {
    "SI-SDR": -100,
    "PESQ": 0.999 + 4 / (1 + math.exp(1.3669 * 0.5 + 3.8224)),
    "STOI": 0,
    "SPK_SIM_resemblyzer": 0,
    "ViSQOL": 1,
    "ViSQOL_speech": 1,
}
SLOW = {"ViSQOL", "SPK_SIM_resemblyzer"}  # numba compiles some of their code first


def named(names):
    return [pytest.param(n, marks=pytest.mark.long if n in SLOW else ()) for n in names]


def load_or_skip(name):
    try:
        return load(name, Options())
    except UnavailableError as error:
        pytest.skip(str(error))


def clip(name, rate, begin=0.0, end=None):
    audio, own_rate = soundfile.read(SHIPPED / f"{name}.flac", dtype="float32")
    audio = audio[int(begin * own_rate) : int(end * own_rate) if end else None]
    return soxr.resample(audio, own_rate, rate)


def published_noise():
    """The pair in the examples of torchmetrics's documentation."""
    torch.manual_seed(42)
    decoded = torch.randn(8000).numpy()
    return torch.randn(8000).numpy(), decoded


@pytest.mark.parametrize("name", named(PERFECT))
def test_equal_audio_gets_the_perfect_value_and_noise_a_worse_one(name):
    metric = load_or_skip(name)
    reference = clip("speech_tux_ru", metric.sampling_rate, end=1.5)
    value = metric(reference, reference.copy())
    assert value == pytest.approx(PERFECT[name], abs=1e-5)
    noise = 0.02 * np.random.default_rng(0).standard_normal(len(reference)).astype(np.float32)
    worse = metric(reference, reference + noise)
    assert worse > value + 1e-3 if metric.better == "lower" else worse < value - 1e-3
    assert metric(reference, reference) == value


@pytest.mark.parametrize("name", named([n for n in PERFECT if n not in ("mel", "STFT")]))
def test_silent_references_have_no_value_and_silent_decoding_gets_the_worst(name):
    metric = load_or_skip(name)
    reference = clip("speech_tux_ru", metric.sampling_rate, end=1.5)
    silence = np.zeros_like(reference)
    for decoded in (reference, silence):
        with pytest.raises(ScoringError, match="the reference is silent"):
            metric(silence, decoded)
    value = metric(reference, silence)
    if name in WORST:
        assert value == pytest.approx(WORST[name])
    else:
        assert 50 < value < np.inf  # MCD


@pytest.mark.parametrize("name", named([n for n in PERFECT if n not in ("mel", "STFT", "SI-SDR")]))
@pytest.mark.parametrize("num_samples", [1, 100, 400])
def test_too_short_pairs_have_no_value(name, num_samples):
    metric = load_or_skip(name)
    audio = clip("speech_tux_ru", metric.sampling_rate, begin=1)[:num_samples]
    for decoded in (audio, np.zeros_like(audio)):
        with pytest.raises(ScoringError):
            metric(audio, decoded)


@pytest.mark.parametrize("name", named(PERFECT))
def test_a_metric_keeps_no_state(name):
    metric = load_or_skip(name)
    first = clip("speech_tux_ru", metric.sampling_rate, end=1.1)
    second = clip("speech_pd_voice", metric.sampling_rate, end=1.1)
    pairs = [(x, (0.8 * x + 0.01 * x[::-1]).astype(np.float32)) for x in (first, second)]
    forwards = [metric(*pair) for pair in pairs]
    assert [metric(*pair) for pair in reversed(pairs)] == forwards[::-1]


def test_si_sdr_is_that_of_torchmetrics():
    reference, decoded = (np.float32([3, -0.5, 2, 7]), np.float32([2.5, 0, 2, 8]))
    metric = load("SI-SDR", Options())
    assert metric(reference, decoded) == pytest.approx(18.4030, abs=1e-4)  # its documentation
    assert metric(reference, 0.1 * decoded) == pytest.approx(18.4030, abs=1e-4)


def test_pesq_is_the_published_value():
    assert load_or_skip("PESQ")(*published_noise()) == pytest.approx(1.6805, abs=1e-4)


def test_stoi_is_the_published_value():
    metric = load_or_skip("STOI")
    metric.sampling_rate = 8000  # of the example
    assert metric(*published_noise()) == pytest.approx(-0.0842, abs=1e-4)


def test_stoi_has_no_value_where_its_library_makes_one_up():
    metric = load_or_skip("STOI")
    with pytest.raises(ScoringError, match="too little for STOI"):
        audio = clip("speech_tux_ru", 16000, begin=1, end=1.2)
        metric(audio, audio)


@pytest.mark.parametrize("gain", [0.5, 0.9])
def test_mcd_of_a_change_of_level_is_that_of_c0(gain):
    metric = load_or_skip("MCD")
    audio = clip("speech_tux_ru", 24000, end=1)
    expected = 10 / math.log(10) * math.sqrt(2) * abs(math.log(gain))
    assert metric(audio, gain * audio) == pytest.approx(expected, rel=1e-4)


@pytest.mark.long
def test_resemblyzer_tells_speakers_apart():
    metric = load_or_skip("SPK_SIM_resemblyzer")
    one, same = clip("speech_tux_ru", 16000, end=1.5), clip("speech_tux_ru", 16000, begin=1.5)
    other = clip("speech_pd_voice", 16000, end=1.5)
    length = min(map(len, (one, same, other)))
    one, same, other = (x[:length] for x in (one, same, other))
    assert metric(one, same) > metric(one, other) + 0.1


def test_dnsmos_is_that_of_its_package_and_falls_with_noise():
    metric = load_or_skip("DNSMOS")
    dnsmos = pytest.importorskip("speechmos.dnsmos")
    audio = clip("speech_tux_ru", 16000)
    value = metric(audio, audio)
    assert value == pytest.approx(dnsmos.run(audio, 16000)["ovrl_mos"], abs=1e-4)
    noise = 0.05 * np.random.default_rng(0).standard_normal(len(audio)).astype(np.float32)
    assert metric(audio, audio + noise) < value - 0.5
    assert np.isfinite(metric(audio, 10 * audio[:1]))


@pytest.mark.parametrize(
    ("name", "module", "extra"),
    [
        ("MCD", "pysptk", "score"),
        ("PESQ", "pesq", "score"),
        ("STOI", "pystoi", "score"),
        ("SPK_SIM_resemblyzer", "resemblyzer", "score"),
        ("DNSMOS", "onnxruntime", "score"),
        ("ViSQOL", "visqol", "score"),
        ("mel", "auraloss.freq", "demo"),
    ],
)
def test_a_missing_package_is_one_line_that_names_the_extra(name, module, extra, monkeypatch):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(UnavailableError) as caught:
        load(name, Options())
    line = str(caught.value)
    assert line.startswith(f"{name} needs the package ") and "\n" not in line
    assert line.endswith(f"pip install 'espnet-bscodec[{extra}]'")


HUB = """
import torch

dependencies = ["torch"]


class Predictor(torch.nn.Module):
    def forward(self, wave, sr):
        assert wave.dim() == 2 and sr == 16000
        return wave.abs().amax(dim=1)


def utmos22_strong(**kwargs):
    return Predictor()
"""


def test_utmos_loads_from_a_local_repository_and_judges_the_decoded_audio(tmp_path):
    (tmp_path / "hubconf.py").write_text(HUB)
    metric = load("UTMOS", Options(utmos=str(tmp_path)))
    decoded = np.full(16000, 0.25, np.float32)
    assert metric(np.zeros_like(decoded), decoded) == 0.25
    with pytest.raises(ScoringError, match="too short for UTMOS"):
        metric(decoded[:100], decoded[:100])


def test_utmos_and_the_package_of_dnsmos_have_one_name_and_do_not_meet(tmp_path, monkeypatch):
    """The repository's code lies in ``speechmos`` without ``__init__.py``; PyPI has another."""
    installed, repository = tmp_path / "site" / "speechmos", tmp_path / "hub" / "speechmos"
    installed.mkdir(parents=True)
    (installed / "__init__.py").write_text("")
    (installed / "dnsmos.py").write_text("name = 'dnsmos'\n")
    (repository / "utmos22" / "strong").mkdir(parents=True)
    (repository / "utmos22" / "strong" / "model.py").write_text("from ..other import SCALE\n")
    (repository / "utmos22" / "other.py").write_text("SCALE = 1\n")
    importing = "from speechmos.utmos22.strong.model import SCALE\n"
    (tmp_path / "hub" / "hubconf.py").write_text(importing + HUB)
    monkeypatch.syspath_prepend(tmp_path / "site")
    for name in [n for n in sys.modules if n.partition(".")[0] == "speechmos"]:
        monkeypatch.delitem(sys.modules, name)
    audio = np.full(16000, 0.25, np.float32)
    for _ in range(2):  # before DNSMOS is loaded, and after
        assert load("UTMOS", Options(utmos=str(tmp_path / "hub")))(audio, audio) == 0.25
        from speechmos import dnsmos

        assert dnsmos.name == "dnsmos" and "speechmos.utmos22" not in sys.modules
    for name in ("speechmos", "speechmos.dnsmos"):
        monkeypatch.delitem(sys.modules, name)


@pytest.mark.parametrize("contents", ["", "def utmos22_strong(**k): raise OSError('no\\nnet')"])
def test_utmos_that_cannot_be_had_is_one_line(tmp_path, contents):
    (tmp_path / "hubconf.py").write_text(contents)
    with pytest.raises(UnavailableError) as caught:
        load("UTMOS", Options(utmos=str(tmp_path)))
    assert str(caught.value).startswith("UTMOS utmos22_strong of ")
    assert "\n" not in str(caught.value) and "--utmos" in str(caught.value)


XVECTOR = {
    "frontend": "melspec_torch",
    "frontend_conf": {"n_mels": 8},
    "encoder": "xvector",
    "encoder_conf": {"ndim": 8, "output_size": 8},
    "pooling": "stats",
    "projector": "xvector",
    "projector_conf": {"output_size": 4},
}
RAWNET3 = {  # the paper's speaker model in all but its widths
    "frontend": "asteroid_frontend",
    "frontend_conf": {"sinc_filters": 16, "sinc_kernel_size": 251, "sinc_stride": 16},
    "encoder": "rawnet3",
    "encoder_conf": {"model_scale": 8, "ndim": 32, "output_size": 24},
    "pooling": "chn_attn_stat",
    "projector": "rawnet3",
    "projector_conf": {"output_size": 12},
    "loss": "aamsoftmax_sc_topk",
    "loss_conf": {"margin": 0.3, "scale": 30, "K": 3, "mp": 0.06, "k_top": 5},
}


def write_speaker_model(folder, network=XVECTOR):
    """A small network with random weights, as ESPnet-SPK would have trained it."""
    from espnet2.tasks.spk import SpeakerTask

    config = {**vars(SpeakerTask.get_parser().parse_args([])), **network, "spk_num": 6}
    torch.manual_seed(0)
    model = SpeakerTask.build_model(argparse.Namespace(**config))
    torch.save(model.state_dict(), folder / "valid.pth")
    (folder / "config.yaml").write_text(yaml.safe_dump(config))


@pytest.mark.parametrize("network", [XVECTOR, RAWNET3], ids=["xvector", "rawnet3"])
def test_speaker_model_of_espnet_loads_from_a_folder(tmp_path, network):
    write_speaker_model(tmp_path, network)
    metric = load("SPK_SIM", Options(speaker_model=str(tmp_path)))
    audio = clip("speech_tux_ru", 16000)
    assert metric(audio, audio) == pytest.approx(1, abs=1e-6)
    assert -1 <= metric(audio, audio[::-1].copy()) < 0.99999
    with pytest.raises(ScoringError, match="the reference is silent"):
        metric(np.zeros_like(audio), audio)


def test_speaker_model_without_all_its_weights_is_refused(tmp_path):
    write_speaker_model(tmp_path)
    weights = torch.load(tmp_path / "valid.pth", weights_only=True)
    name = next(key for key in weights if key.startswith("encoder."))
    del weights[name]
    torch.save(weights, tmp_path / "valid.pth")
    with pytest.raises(UnavailableError, match=f"its weights lack {name}"):
        load("SPK_SIM", Options(speaker_model=str(tmp_path)))


def test_speaker_model_that_would_run_code_is_refused(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    (tmp_path / "config.yaml").write_text("{}\n")
    torch.save({"weights": Bomb()}, tmp_path / "valid.pth")
    with pytest.raises(UnavailableError, match="cannot be had"):
        load("SPK_SIM", Options(speaker_model=str(tmp_path)))
    assert not (tmp_path / "exploded").exists()


def test_speaker_model_that_cannot_be_had_is_one_line(tmp_path):
    with pytest.raises(UnavailableError) as caught:
        load("SPK_SIM", Options(speaker_model=str(tmp_path)))
    line = str(caught.value)
    assert line.startswith("SPK_SIM the speaker model ") and "\n" not in line
    assert "expected one .pth file, found 0" in line and "--speaker-model" in line


def test_the_catalogue_says_what_the_metrics_say():
    for name, entry in CATALOGUE.items():
        if name in ("UTMOS", "SPK_SIM"):  # need weights
            continue
        metric = load_or_skip(name)
        assert (metric.name, metric.better) == (name, entry.better)
