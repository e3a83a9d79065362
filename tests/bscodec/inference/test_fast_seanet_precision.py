"""In float32 the fast SEANet rounds no worse than ESPnet's, and its codes are the same."""

import copy

import pytest
import torch

from espnet2.gan_codec.bscodec.inference.fast_seanet import FastDecoder, FastEncoder
from espnet2.gan_codec.shared.decoder.seanet import SEANetDecoder
from espnet2.gan_codec.shared.encoder.seanet import SEANetEncoder

from .chunked import push_chunks

SNAKE = {"activation": "Snake", "activation_params": {}}
SMALL = {"dimension": 64, "n_filters": 8, "ratios": [8, 5, 4, 2], "residual_kernel_size": 7}
PUBLISHED = SMALL | {"dimension": 512, "n_filters": 32, "n_residual_layers": 3} | SNAKE
SIZES = [
    pytest.param(SMALL | SNAKE, id="small snake"),
    pytest.param(SMALL | {"true_skip": True}, id="small elu"),
    # convolutions of 1024 products and more, which are computed another way
    pytest.param(SMALL | SNAKE | {"n_filters": 20, "ratios": [8, 4]}, id="wide"),
    pytest.param(PUBLISHED, id="published", marks=pytest.mark.long),
]


def error(y, exact):
    """Root mean square error relative to the signal's root mean square."""
    assert y.shape == exact.shape
    return float((y.double() - exact).norm() / exact.norm())


@pytest.mark.parametrize("settings", SIZES)
@torch.no_grad()
def test_rounding(settings):
    torch.manual_seed(0)
    encoder, decoder = SEANetEncoder(**settings).eval(), SEANetDecoder(**settings).eval()
    audio = 0.3 * torch.randn(1, 1, 30001)
    latents = encoder(audio)
    for module, fast, x, size in (
        (encoder, FastEncoder(encoder), audio, 4321),
        (decoder, FastDecoder(decoder), latents / latents.std(), 11),
    ):
        exact = copy.deepcopy(module).double()(x.double())
        plain = error(module(x), exact)
        assert error(fast(x), exact) < max(1.5 * plain, 2e-7)
        assert error(push_chunks(fast.stream(1), x, size), exact) < max(1.5 * plain, 2e-7)


@pytest.mark.parametrize("settings", SIZES)
@torch.no_grad()
def test_codes(settings):
    torch.manual_seed(0)
    module = SEANetEncoder(**settings).eval()
    fast = FastEncoder(module)
    audio = 0.3 * torch.randn(1, 1, 300 * 320)
    whole, chunks = fast(audio), push_chunks(fast.stream(1), audio, 10007)
    plain = module(audio)

    # random networks give nearly the same latents for all frames: whiten them
    frames = plain[0].t().double()
    mean = frames.mean(dim=0)
    _, scale, directions = torch.pca_lowrank(frames - mean, q=32, niter=4)
    codebook = torch.randn(1024, 32, dtype=torch.float64)

    def codes(latents):
        white = (latents[0].t().double() - mean) @ directions / scale * len(frames) ** 0.5
        return torch.cdist(white, codebook).argmin(dim=1)

    assert len(codes(plain).unique()) > 150  # of 300 frames
    assert torch.equal(codes(whole), codes(plain))
    assert torch.equal(codes(chunks), codes(plain))
