"""The fast forms are taken where they may be, and nobody notices where they come from."""

import copy

import pytest
import torch

from espnet2.gan_codec.bscodec.inference.fast_seanet import FastDecoder, FastEncoder
from espnet2.gan_codec.bscodec.inference.streaming_codec import StreamDecoder, StreamEncoder

from .chunked import push_chunks, relative, spread_codes


@pytest.fixture
def codec(make_codec):
    return spread_codes(make_codec())


@pytest.fixture
def fast_runs(monkeypatch):
    """Count the runs of fast forms."""
    runs = []
    for kind in (FastEncoder, FastDecoder):
        steps = kind.steps
        monkeypatch.setattr(
            kind, "steps", lambda *args, steps=steps: runs.append(1) or steps(*args)
        )
    return runs


def plain_latents(codec, x):
    bands = codec.generator.filterbank.analysis(x)
    return [encoder(band) for encoder, band in zip(codec.generator.encoders, bands, strict=True)]


def test_inference_takes_the_fast_forms(codec, fast_runs):
    x = 0.3 * torch.randn(2, 1, 5000)
    codes = codec.encode(x)  # indices have no gradient: also where gradients are enabled
    assert len(fast_runs) == 3
    with torch.no_grad():
        audio = codec.decode(codes)
        assert len(fast_runs) == 6
        latents = plain_latents(codec, x)
        assert torch.equal(codec.generator.quantizer.encode(latents), codes)
        for fast, plain in zip(codec.generator.latents(x), latents, strict=True):
            assert relative(fast, plain) < 1e-5
        decoded = zip(
            codec.generator.decoders, codec.generator.quantizer.decode(codes), strict=True
        )
        assert relative(sum(decoder(z) for decoder, z in decoded), audio) < 1e-5


def test_everything_else_takes_the_modules(codec, fast_runs):
    x = 0.3 * torch.randn(1, 1, 2000)
    latents = codec.generator.latents(x)
    assert all(z.requires_grad for z in latents)
    with torch.no_grad():
        codec.train()
        codec.generator.latents(x)
        codec.eval()
        with torch.autocast("cpu", torch.bfloat16):
            assert codec.generator.latents(x)[0].dtype == torch.bfloat16
        double = copy.deepcopy(codec).double()
        assert double.generator.latents(x.double())[0].dtype == torch.float64
    assert not fast_runs


def test_compilers_see_the_modules(make_codec, fast_runs):
    generator = make_codec(encdec_ratios=[2], encdec_lstm=0).generator
    network, x = generator.encoders[0], 0.3 * torch.randn(1, 1, 100)
    compiled = torch.compile(generator.backend.run, backend="eager")
    with torch.no_grad():
        assert relative(compiled([network], [x], 50)[0], network(x)) < 1e-5
    assert not fast_runs


def test_streams_keep_their_precision_under_autocast(make_codec):
    for network in ("seanet", "spectral"):
        codec = spread_codes(make_codec(network))
        x = 0.3 * torch.randn(1, 5000)
        codes = codec.encode(x)
        with torch.autocast("cpu", torch.bfloat16):
            assert torch.equal(push_chunks(StreamEncoder(codec), x, 900), codes)
            assert push_chunks(StreamDecoder(codec), codes, 4).dtype == torch.float32


def test_copies_start_afresh_and_new_weights_are_noticed(codec, make_codec):
    x = 0.3 * torch.randn(1, 1, 3000)
    codes = codec.encode(x)
    other = make_codec(seed=5)
    assert not any("engine" in name for name in codec.state_dict())
    twin = copy.deepcopy(codec)
    assert torch.equal(twin.encode(x), codes)
    twin.load_state_dict(other.state_dict())
    assert torch.equal(twin.encode(x), other.encode(x))
    assert torch.equal(codec.encode(x), codes)


def test_settings_without_a_fast_form_still_stream(make_codec, fast_runs):
    codec = spread_codes(make_codec(encdec_norm="time_group_norm"))
    x = 0.3 * torch.randn(2, 4000)
    codes = codec.encode(x)
    encoder = StreamEncoder(codec, 2)
    assert encoder.lookahead is None and StreamDecoder(codec).lookahead is None
    assert torch.equal(push_chunks(encoder, x, 1500), codes)
    with torch.no_grad():
        audio = codec.decode(codes)[:, 0]
    assert relative(push_chunks(StreamDecoder(codec, 2), codes, 5), audio) < 1e-5
    assert not fast_runs


@pytest.mark.parametrize("lstm", [0, 2])
@pytest.mark.parametrize("causal", [False, True])
def test_settings_that_have_one_stream_exactly(make_codec, lstm, causal):
    changes = {"encdec_causal": causal, "encdec_lstm": lstm, "encdec_ratios": [5, 3, 2]}
    codec = spread_codes(make_codec(**changes))
    x = 0.3 * torch.randn(1, 5000)
    codes = codec.encode(x)
    assert torch.equal(push_chunks(StreamEncoder(codec), x, 77), codes)
    with torch.no_grad():
        audio = codec.decode(codes)[:, 0]
    assert relative(push_chunks(StreamDecoder(codec), codes, 1), audio) < 1e-5
