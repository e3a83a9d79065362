"""Operations are those of the networks, in a second more."""

import torch
from torch.nn import functional as F

from benchmarks.bound import count_flops, flops_a_second, matrix_peak
from benchmarks.coders import WholeSignal


class OneLayer(WholeSignal):
    """A layer each way, and a product that every signal needs once."""

    sampling_rate, hop_length, codebook_sizes = 800, 8, [4]

    def encode_signal(self, audio):
        torch.ones(50, 50) @ torch.ones(50, 50)
        frames = F.conv1d(audio, torch.ones(3, 1, 8), stride=8)
        return frames[:, :1].long()

    def decode_signal(self, codes):
        return F.conv_transpose1d(codes.float(), torch.ones(1, 2, 8), stride=8)[:, :1]


def test_operations_of_a_second():
    assert flops_a_second(OneLayer(), "encode") == 2 * 100 * 3 * 8
    assert flops_a_second(OneLayer(), "decode") == 2 * 100 * 2 * 8


class GradientInside(torch.autograd.Function):
    """Backward, the gradient is taken of a product that forward has left for it."""

    @staticmethod
    def forward(ctx, x):
        ctx.x = x.detach().requires_grad_(True)
        with torch.enable_grad():
            ctx.y = (ctx.x @ torch.ones(5, 7)).sum()
        return ctx.y.detach()

    @staticmethod
    def backward(ctx, grad):
        return torch.autograd.grad(ctx.y, ctx.x, grad)


def test_a_gradient_taken_inside_of_backward_counts():
    x = torch.ones(3, 5, requires_grad=True)
    assert count_flops(lambda: GradientInside.apply(x).backward()) == 2 * (2 * 3 * 5 * 7)
    assert (x.grad == 7).all()


def test_more_networks_are_more_operations(systems):
    for way in ("encode", "decode"):
        three = flops_a_second(systems["BSCodec 3-band SimVQ, naive"].make(), way)
        five = flops_a_second(systems["BSCodec 5-band VQ, naive"].make(), way)
        assert 0 < three < five


def test_the_peak_is_a_rate():
    assert 1e8 < matrix_peak(1) < 1e14
