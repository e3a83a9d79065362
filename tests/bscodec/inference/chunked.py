"""Signals in chunks, and codecs whose codes differ from frame to frame."""

import torch

from espnet2.gan_codec.bscodec.model.quantizers.simvq import principal_map


def push_chunks(stream, x, size):
    """Push ``x`` (B, C, n) by chunks of ``size`` and put together what comes out."""
    chunks = list(x.split(size, dim=-1))
    ends = [False] * (len(chunks) - 1) + [True]
    return torch.cat([stream.push(p, e) for p, e in zip(chunks, ends, strict=True)], dim=-1)


def relative(a, b):
    """Largest difference relative to the largest value."""
    assert a.shape == b.shape
    return float((a - b).abs().max() / b.abs().max())


@torch.no_grad()
def spread_codes(codec, seconds=1):
    """Move the codebooks to where the latents of noise are: random weights use one code only."""
    torch.manual_seed(1)
    noise = 0.3 * torch.randn(1, 1, int(seconds * codec.sampling_rate))
    latents = codec.generator.latents(noise)
    for layer, x in zip(codec.generator.quantizer.layers, latents, strict=True):
        frames = x[0].t()
        centre = frames.mean(dim=0)
        moment = torch.cov((frames - centre).t())
        dim = layer.frozen_codebook.shape[1] - 1
        # the last column of the map is the latents' mean, by a last coordinate of 1
        layer.code_transform.weight[:, :dim] = principal_map(moment, dim, bits=8)
        layer.code_transform.weight[:, dim] = centre
        layer.frozen_codebook[:, dim] = 1
    return codec
