"""Coding in bfloat16 is near to float32, in chunks too, and only where it is asked for."""

import copy
import pickle

import pytest
import torch

from espnet2.gan_codec.bscodec.inference import backend as backend_module
from espnet2.gan_codec.bscodec.inference.fast_seanet import FastDecoder, FastEncoder
from espnet2.gan_codec.bscodec.inference.half_precision import RoundedWeights
from espnet2.gan_codec.bscodec.inference.products import activation
from espnet2.gan_codec.bscodec.inference.streaming_codec import StreamDecoder, StreamEncoder
from espnet2.gan_codec.shared.decoder.seanet import SEANetDecoder
from espnet2.gan_codec.shared.encoder.seanet import SEANetEncoder
from espnet2.gan_codec.shared.encoder.snake_activation import Snake1d

from .chunked import push_chunks, spread_codes

SNAKE = {"activation": "Snake", "activation_params": {}}
SIZES = [
    {"dimension": 64, "n_filters": 8, "ratios": [8, 5, 4, 2], "residual_kernel_size": 7} | SNAKE,
    {"dimension": 16, "n_filters": 2, "n_residual_layers": 3, "true_skip": True},  # few channels
    {"dimension": 32, "n_filters": 8, "causal": True, "pad_mode": "constant"},
]
BOUND = 0.03  # of the relative error; small networks average less than the published sizes


@pytest.fixture(autouse=True)
def units(monkeypatch):
    """bfloat16 is computed on any CPU, if slowly."""
    monkeypatch.setattr(backend_module, "has_bf16_units", lambda device: True)


def error(y, exact):
    assert y.shape == exact.shape
    return float((y - exact).norm() / exact.norm())


@pytest.mark.parametrize("settings", SIZES)
@torch.no_grad()
def test_seanet(settings):
    torch.manual_seed(0)
    encoder, decoder = SEANetEncoder(**settings).eval(), SEANetDecoder(**settings).eval()
    audio = 0.3 * torch.randn(2, 1, 320 * 150 + 7)
    latents = torch.randn(2, settings["dimension"], 150)
    for module, kind, x, size in (
        (encoder, FastEncoder, audio, 4321),
        (decoder, FastDecoder, latents, 11),
    ):
        exact, fast = module(x), kind(module, torch.bfloat16)
        y = fast(x)
        assert y.dtype == torch.float32
        assert 0 < error(y, exact) < BOUND
        assert error(push_chunks(fast.stream(2), x, size), exact) < BOUND


@torch.no_grad()
def test_weights_that_change_are_rounded_again():
    torch.manual_seed(0)
    decoder = SEANetDecoder(**SIZES[0]).eval()
    fast, x = FastDecoder(decoder, torch.bfloat16), torch.randn(1, 64, 30)
    before = fast(x)
    decoder.model[0].conv.conv.bias.add_(1)
    assert error(fast(x), decoder(x)) < BOUND < error(before, decoder(x))
    weight, rounded = torch.randn(3, 3), RoundedWeights()
    assert rounded(weight) is rounded(weight)
    weight.mul_(2)
    assert torch.equal(rounded(weight), weight.bfloat16())


@pytest.mark.parametrize("module", [Snake1d(), torch.nn.ELU(), None])
@torch.no_grad()
def test_activations_are_those_of_float32_rounded_once(module):
    if isinstance(module, Snake1d):
        module.alpha.fill_(1.7)
    act = activation(module)
    x = torch.randn(3, 70000, 2).bfloat16()
    exact = x.float()
    act(exact, exact)
    for out in (torch.empty_like(x), torch.empty_like(x, dtype=torch.float32), x):
        act(x, out)
        assert torch.equal(out.bfloat16(), exact.bfloat16())
    x, out = torch.randn(1, 9, 2), torch.empty(1, 9, 2, dtype=torch.bfloat16)
    exact = x.clone()
    act(exact, exact)
    act(x, out)
    assert torch.equal(out, exact.bfloat16())


@pytest.mark.parametrize("network", ["seanet", "spectral"])
@torch.no_grad()
def test_codecs(make_codec, network):
    plain = spread_codes(make_codec(network))
    codec = copy.deepcopy(plain)
    codec.generator.backend.precision = "bf16"
    audio = 0.3 * torch.randn(1, 1, 24000)
    latents = torch.stack(plain.generator.latents(audio))
    assert 0 < error(torch.stack(codec.generator.latents(audio)), latents) < BOUND
    codes = plain.encode(audio)
    y = plain.decode(codes)
    assert 0 < error(codec.decode(codes), y) < BOUND

    in_chunks = push_chunks(StreamDecoder(codec), codes, 7)
    assert error(in_chunks, y[:, 0]) < BOUND
    streamed = push_chunks(StreamEncoder(codec), audio[:, 0], 3000)
    assert streamed.shape == codes.shape
    # of random networks most frames lie between codes: what counts is how near the chosen ones are
    exact, near = (
        (torch.stack(plain.generator.quantizer.decode(c)) - latents).norm()
        for c in (codes, streamed)
    )
    assert near < 1.1 * exact


@torch.no_grad()
def test_the_default_is_float32_bit_by_bit(make_codec):
    codec, audio = make_codec(), 0.3 * torch.randn(1, 1, 24000)
    exact = codec.generator.latents(audio)
    codec.generator.backend.precision = "bf16"
    assert not torch.equal(codec.generator.latents(audio)[0], exact[0])
    codec.generator.backend.precision = "float32"
    assert all(map(torch.equal, codec.generator.latents(audio), exact))


def test_gradients_are_those_of_float32(make_codec):
    codec = make_codec(inference_precision="bf16")
    z = torch.randn(1, 16, 8, requires_grad=True)
    assert torch.equal(
        codec.generator._decode([z] * 3)[0], make_codec().generator._decode([z] * 3)[0]
    )


@torch.no_grad()
def test_a_processor_without_units_computes_in_float32_and_says_so(
    make_codec, monkeypatch, caplog
):
    monkeypatch.setattr(backend_module, "has_bf16_units", lambda device: False)
    codec, audio = make_codec(inference_precision="bf16"), 0.3 * torch.randn(1, 1, 9000)
    assert torch.equal(codec.generator.latents(audio)[0], make_codec().generator.latents(audio)[0])
    codec.encode(audio)
    assert [record.message for record in caplog.records] == [
        "precision bf16: this processor has no units for it, so it is float32 that is used"
    ]


def test_a_copy_keeps_the_precision(make_codec):
    codec = make_codec(inference_precision="bf16")
    assert pickle.loads(pickle.dumps(codec.generator.backend)).precision == "bf16"
    assert copy.deepcopy(codec).generator.backend.precision == "bf16"


@pytest.mark.cuda
@pytest.mark.parametrize("network", ["seanet", "spectral"])
@torch.no_grad()
def test_on_a_gpu(make_codec, network):
    plain = spread_codes(make_codec(network))
    codec = copy.deepcopy(plain).cuda()
    codec.generator.backend.precision = "bf16"
    audio = 0.3 * torch.randn(2, 1, 24000)
    latents = torch.stack(plain.generator.latents(audio))
    on_gpu = torch.stack(codec.generator.latents(audio.cuda()))
    assert on_gpu.dtype == torch.float32
    assert 0 < error(on_gpu.cpu(), latents) < BOUND
    codes = plain.encode(audio)
    for y in (
        codec.decode(codes.cuda())[:, 0],
        push_chunks(StreamDecoder(codec, 2), codes.cuda(), 7),
    ):
        assert error(y.cpu(), plain.decode(codes)[:, 0]) < BOUND
