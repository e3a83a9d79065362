"""Every system codes, and the forms of one model compute the same."""

import numpy as np
import pytest
import torch

from benchmarks.measure import noise
from benchmarks.peers import Opus
from espnet2.gan_codec.scoring.metrics.metric import UnavailableError
from tests.bscodec.inference.chunked import relative, spread_codes

SECONDS = 0.5
THREE, FIVE, MINI = "BSCodec 3-band SimVQ", "BSCodec 5-band VQ", "bscodec-mini"
NEURAL = [THREE, FIVE, MINI, "DAC (ESPnet)", "EnCodec (ESPnet)"]


def encoded(coder, seconds=SECONDS):
    return coder.encode(noise(seconds, coder.sampling_rate))


def decoded(coder, codes):
    return torch.from_numpy(np.concatenate(list(coder.decode(codes))))


@torch.no_grad()
def spread_vq(quantizers, latents):
    """Put codes where the latents (1, D, F) are, one quantizer each."""
    for layer, x in zip(quantizers, latents, strict=True):
        frames = x[0].t()
        chosen = torch.randperm(len(layer.codebook)) % len(frames)
        layer.codebook.copy_(frames[chosen] + 1e-3 * torch.randn_like(layer.codebook))


def test_all_are_there(systems):
    names = {f"{model}, {form}" for model in NEURAL for form in ("engine", "naive")}
    names |= {f"{THREE}, plain", f"{MINI}, plain", "EnCodec, encodec"}
    names |= {"DAC, descript-audio-codec", "Opus 12 kbit/s, opus-tools"}
    assert set(systems) == names


def test_every_system_codes_and_decodes(systems):
    ran = 0
    for name, system in systems.items():
        try:
            coder = system.make()
        except UnavailableError as error:
            assert "install" in str(error), name  # says what to do
            continue
        codes = encoded(coder)
        if isinstance(coder, Opus):
            assert codes[:4] == b"OggS"
            assert len(decoded(coder, codes)) == SECONDS * coder.sampling_rate
        else:
            drawn = coder.codes(SECONDS)
            hop, frames = (400, 30) if name.startswith(MINI) else (320, 38)
            assert codes.shape == drawn.shape == (len(coder.codebook_sizes), frames), name
            assert (codes.max(axis=1) < coder.codebook_sizes).all()
            audio = decoded(coder, drawn)
            missing = frames * hop - len(audio)  # DAC's own package gives a few samples less
            assert audio.isfinite().all() and 0 <= missing < 16, name
            assert missing == 0 or name == "DAC, descript-audio-codec"
        ran += 1
    assert ran >= 12


@pytest.mark.parametrize("model", [THREE, FIVE, MINI])
def test_forms_give_the_same_codes_and_audio(systems, model):
    naive, engine = (systems[f"{model}, {form}"].make() for form in ("naive", "engine"))
    signal = torch.from_numpy(np.concatenate(list(noise(2, 24000))))[None, None]
    if model == THREE:
        spread_codes(engine.codec.model)
    elif model == FIVE:
        spread_vq(naive.generator.quantizer.layers, naive.generator.latents(signal))
    codes = encoded(engine, 2)
    assert all(len(np.unique(band)) >= 8 for band in codes)
    if model != FIVE:
        assert np.array_equal(encoded(systems[f"{model}, plain"].make(), 2), codes)
    others = encoded(naive, 2)
    assert (codes != others).mean() < 0.05
    assert_near_ties(naive.generator, signal, codes, others)
    assert relative(decoded(naive, codes), decoded(engine, codes)) < 1e-5


@torch.no_grad()
def assert_near_ties(generator, signal, codes, others):
    """Where codes differ, both are as near as the full distance matrix can tell: it takes the
    difference of squares as large as |x|^2."""
    for i, latents in enumerate(generator.latents(signal)):
        where = (codes[i] != others[i]).nonzero()[0]
        both = torch.from_numpy(np.stack([codes[i][where], others[i][where]]))
        reached = torch.stack([generator.quantizer.layers[i].decode(c[None])[0] for c in both])
        x = latents[0][:, where].double()
        squares = (reached.double() - x).square().sum(dim=1)
        assert ((squares[0] - squares[1]).abs() < 1e-6 * x.square().sum(dim=0)).all()


@pytest.mark.parametrize("model", ["DAC (ESPnet)", "EnCodec (ESPnet)"])
@torch.no_grad()
def test_the_engine_runs_espnets_own_codecs(systems, model):
    engine, naive = (systems[f"{model}, {form}"].make() for form in ("engine", "naive"))
    x = torch.from_numpy(np.concatenate(list(noise(1, 24000))))[None, None]
    assert relative(engine.encoder(x), naive.encoder(x)) < 1e-5
    codes = naive.codes(1)
    assert relative(decoded(engine, codes), decoded(naive, codes)) < 1e-5
