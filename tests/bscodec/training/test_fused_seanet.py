"""SEANet in training: what its modules compute, their gradients, and half of what they keep."""

import pytest
import torch

from espnet2.gan_codec.bscodec.model.config import GeneratorConfig
from espnet2.gan_codec.bscodec.model.networks.seanet import seanet_decoder, seanet_encoder
from espnet2.gan_codec.bscodec.training import fused_seanet
from espnet2.gan_codec.bscodec.training.convolution import Convolution, TransposedConvolution
from espnet2.gan_codec.bscodec.training.fused_snake import SnakeConv
from tests.bscodec.conftest import TINY_SEANET, close, gradients

CONVOLUTIONS = {
    "dilated": (Convolution(1, 2, 4, 2), (3, 2, 4)),
    "strided": (Convolution(2, 1, 1, 2), (3, 2, 4)),
    "single samples": (Convolution(), (3, 2, 1)),
    "wide": (Convolution(1, 1, 1, 1), (2, 400, 3)),
    "transposed": (TransposedConvolution(3, 2, 1), (2, 3, 6)),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
@pytest.mark.parametrize("alpha", [None, 0.7])
def test_gradients_of_snake_and_convolution(name, alpha):
    conv, shape = CONVOLUTIONS[name]
    channels = shape[0] if name == "transposed" else shape[1]
    outputs = shape[1] if name == "transposed" else shape[0]
    tensors = [torch.randn(1, 7, channels), torch.randn(shape) / 9, torch.randn(outputs)]
    x, weight, bias = (t.double().requires_grad_() for t in tensors)
    if alpha is not None:
        alpha = torch.full((1, 1, 1), alpha, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(
        SnakeConv.apply, (x, alpha, weight, bias, conv), fast_mode=True
    )


VARIANTS_OF_SEANET = {
    "published": {},
    "causal": {"encdec_causal": True},
    "true skip": {"encdec_true_skip": True},
    "zero padding": {"encdec_pad_mode": "constant"},
    "ELU": {"encdec_activation": "ELU", "encdec_activation_params": {"alpha": 1.0}},
    "no norm": {"encdec_norm": "none"},
    "no LSTM": {"encdec_lstm": 0},
}


@pytest.mark.parametrize("name", VARIANTS_OF_SEANET)
@pytest.mark.parametrize("length", [1, 7, 1500])
def test_seanet_runs_as_its_modules_do(name, length):
    torch.manual_seed(0)
    config = GeneratorConfig.from_dict(TINY_SEANET | VARIANTS_OF_SEANET[name], 24000)
    x = torch.randn(2, 1, length).double()
    for network in (seanet_encoder(config).double(), seanet_decoder(config).double()):
        assert fused_seanet.supports(network, x)
        results = []
        for function in (network, lambda x, network=network: fused_seanet.run(network, x)):
            x_in = x.clone().requires_grad_()
            y = function(x_in)
            y.square().sum().backward()
            results.append([y.detach(), x_in.grad, *gradients(network).values()])
            network.zero_grad()
        for ours, plain in zip(*reversed(results), strict=True):
            assert close(ours, plain, 1e-8)
        x = results[0][0]


def test_seanet_keeps_half_of_what_its_modules_keep():
    torch.manual_seed(0)
    config = GeneratorConfig.from_dict(TINY_SEANET | {"encdec_lstm": 0}, 24000)
    encoder, x = seanet_encoder(config), torch.randn(1, 1, 24000)

    def kept(function):
        storages = {}

        def pack(t):
            storages[t.untyped_storage().data_ptr()] = t.untyped_storage()
            return t

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda t: t):
            y = function(x)
        assert y.requires_grad
        return sum(storage.nbytes() for storage in storages.values())

    assert kept(lambda x: fused_seanet.run(encoder, x)) < kept(encoder) / 2
