"""The depthwise convolution of signals with the channels last equals ``Conv1d``, gradients too."""

import pytest
import torch
from torch import nn

from espnet2.gan_codec.bscodec.model.networks.depthwise import depthwise


@pytest.mark.parametrize("kernel", [1, 3, 7])
@pytest.mark.parametrize("length", [1, 2, 20])
def test_equals_conv1d(kernel, length):
    torch.manual_seed(0)
    conv = nn.Conv1d(5, 5, kernel, padding=kernel // 2, groups=5).double()
    x = torch.randn(2, length, 5, dtype=torch.float64, requires_grad=True)
    inputs = [x, conv.weight, conv.bias]
    outputs = [depthwise(x, conv), conv(x.mT).mT]
    direction = torch.randn_like(outputs[0])
    ours, theirs = (torch.autograd.grad(y, inputs, direction) for y in outputs)
    torch.testing.assert_close(*outputs)
    for a, b in zip(ours, theirs, strict=True):
        torch.testing.assert_close(a, b)


def test_keeps_float32_under_autocast():
    torch.manual_seed(0)
    conv = nn.Conv1d(5, 5, 7, padding=3, groups=5)
    x = torch.randn(2, 20, 5)
    with torch.autocast("cpu", torch.bfloat16):
        y = depthwise(x.bfloat16(), conv)
    assert y.dtype == torch.float32
    torch.testing.assert_close(y, conv(x.bfloat16().float().mT).mT)


def test_compiles():
    conv = nn.Conv1d(5, 5, 7, padding=3, groups=5)
    x = torch.randn(2, 20, 5)
    whole = torch.compile(lambda x: depthwise(x, conv), backend="eager", fullgraph=True)
    torch.testing.assert_close(whole(x), depthwise(x, conv))
