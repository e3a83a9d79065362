"""The generator's turn as one CUDA graph: the plain one's losses, and when it is refused."""

import pytest
import torch

from espnet2.gan_codec.bscodec.model.config import ConfigError
from espnet2.gan_codec.bscodec.training.cuda_graph import GraphedStep

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


def nothing(model, audio):
    pass


def train(model, prepare=nothing):
    """Four steps, one of a batch of another size: each one's losses."""
    model.train()
    optimizer = torch.optim.SGD(model.generator.parameters(), lr=1e-3)
    device = next(model.parameters()).device
    seen = []
    for seed in range(4):
        torch.manual_seed(seed)
        audio = 0.1 * torch.randn(2 + (seed == 2), 6000, device=device)
        if seed == 0:
            prepare(model, audio)
        result = model(audio)
        optimizer.zero_grad()
        (2 * result["loss"]).backward()  # as a scaler of gradients does
        optimizer.step()
        stats = result["stats"].items()
        seen.append({name: value.item() for name, value in stats if name.endswith("loss")})
    return seen


def make(make_codec, **changes):
    # the mel losses are there for their values: where a random network puts out next to nothing,
    # their gradients turn with the last digit of a weight, and would turn the training with them
    adapting = {"quantize_reseed_interval": 2, "quantize_follow_rate": 0.1, "lambda_mel": 1e-6}
    return make_codec("spectral", **adapting, **ALONE, **changes)


def vector(model):
    return torch.cat([p.detach().flatten().cpu() for p in model.generator.parameters()])


def assert_equal_training(plain, graphed, prepare, tolerance):
    before = vector(plain)
    assert torch.equal(before, vector(graphed))
    expected, got = train(plain), train(graphed, prepare)
    for one, other in zip(expected, got, strict=True):
        assert other == pytest.approx(one, rel=tolerance)
    moved, other_moved = vector(plain) - before, vector(graphed) - before
    assert moved.norm() > 1e-3
    assert (moved - other_moved).norm() <= 10 * tolerance * moved.norm()


def test_gradients_taken_beforehand_train_alike(make_codec, monkeypatch):
    # without a GPU what is replayed is the turn itself
    monkeypatch.setattr(GraphedStep, "_capture", lambda step: step._run)

    def prepare(model, audio):
        step = model.training_step
        step.graphed = GraphedStep(model, audio, step.augmentation, step.use_bf16)
        monkeypatch.setattr(
            step,
            "_graphed_step",
            lambda model, x: step.graphed if x.shape == audio.shape else None,
        )

    plain, graphed = make(make_codec), make(make_codec)
    assert_equal_training(plain, graphed, prepare, 1e-5)
    layers, others = plain.generator.quantizer.layers, graphed.generator.quantizer.layers
    for one, other in zip(layers, others, strict=True):
        assert torch.allclose(one.frozen_codebook, other.frozen_codebook, atol=1e-5)


@pytest.mark.cuda
@pytest.mark.parametrize("use_bf16", [False, True])
def test_a_graphed_step_on_a_gpu_is_the_plain_one(make_codec, use_bf16, monkeypatch):
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    plain = make(make_codec, use_bf16=use_bf16).cuda()
    graphed = make(make_codec, use_bf16=use_bf16, use_cuda_graph=True).cuda()
    tolerance = 0.02 if use_bf16 else 1e-3
    assert_equal_training(plain, graphed, nothing, tolerance)
    assert graphed.training_step.graphed is not None


@pytest.mark.cuda
def test_a_graph_hears_other_changes_every_time(make_codec):
    augment = {"length": 4000, "speed": [0.8, 1.4]}
    model = make(make_codec, use_cuda_graph=True, augment_params=augment).cuda().train()
    audio = 0.1 * torch.randn(2, 6000, device="cuda")
    losses = [model(audio)["loss"].item() for _ in range(3)]
    assert len(set(losses)) == 3
