"""The generator's turn as one CUDA graph: the plain one's losses, and when it is refused."""

import pytest
import torch

from espnet2.gan_codec.bscodec.config import ConfigError

ALONE = {"lambda_adv": 0.0, "lambda_feat_match": 0.0}  # without a discriminator


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({}, "false with a discriminator"),
        (ALONE | {"quantize_choice": "band_vq"}, "band_simvq"),
        (ALONE | {"quantize_refit_interval": 9}, "refit_interval"),
    ],
)
def test_a_graph_is_refused_where_it_cannot_be(make_codec, changes, message):
    with pytest.raises(ConfigError, match=f"use_cuda_graph.*{message}"):
        make_codec(use_cuda_graph=True, **changes)


@pytest.mark.cuda
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
@pytest.mark.parametrize("use_bf16", [False, True])
def test_a_graphed_turn_on_a_gpu_is_the_plain_one(make_codec, use_bf16):
    def train(**changes):
        model = make_codec(
            "spectral",
            quantize_reseed_interval=2,
            quantize_follow_rate=0.1,
            use_bf16=use_bf16,
            **ALONE,
            **changes,
        )
        model.cuda().train()
        optimizer = torch.optim.SGD(model.generator.parameters(), lr=1e-3)
        seen = []
        for seed in range(4):
            torch.manual_seed(seed)
            audio = 0.1 * torch.randn(2 + (seed == 2), 6000, device="cuda")  # one of another size
            result = model(audio)
            optimizer.zero_grad()
            result["loss"].backward()
            optimizer.step()
            seen.append({name: value.item() for name, value in result["stats"].items()})
        return seen, model

    (plain, model), (graphed, other) = train(), train(use_cuda_graph=True)
    tolerance = 0.02 if use_bf16 else 1e-3
    for expected, got in zip(plain, graphed, strict=True):
        assert got == pytest.approx(expected, rel=tolerance)
    assert other._graphed is not None
    for a, b in zip(model.generator.parameters(), other.generator.parameters(), strict=True):
        assert (a - b).norm() <= tolerance * a.norm()
