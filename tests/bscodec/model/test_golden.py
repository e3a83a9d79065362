"""The published computation, number for number."""

import torch


def relative(a, b):
    return ((a - b).norm() / b.norm()).item()


def test_state_dict_names_and_shapes(golden):
    own = {name: list(value.shape) for name, value in golden.codec.state_dict().items()}
    assert own == golden.shapes


@torch.no_grad()
def test_subbands_and_latents(golden):
    subbands = torch.cat(golden.codec.generator.filterbank.analysis(golden.x), dim=1)
    assert relative(subbands, golden.subbands) < 1e-5
    latents = torch.stack(golden.codec.generator.latents(golden.x), dim=1)
    assert relative(latents, golden.latents) < 1e-4


@torch.no_grad()
def test_codes_and_audio(golden):
    codes = golden.codec.encode(golden.x)
    assert codes.dtype == torch.int64
    assert torch.equal(codes, golden.codes)
    assert relative(golden.codec.decode(golden.codes), golden.y) < 1e-4


@torch.no_grad()
def test_losses(golden):
    if golden.losses is None:
        return  # this fixture has no discriminator; the other one tests the losses
    audio = golden.x[:, 0, : golden.eval_samples]
    stats = {
        **golden.codec(audio, forward_generator=True)["stats"],
        **golden.codec(audio, forward_generator=False)["stats"],
    }
    for name, expected in golden.losses.items():
        assert abs(float(stats[name]) / expected - 1) < 1e-3, name


def test_both_weight_norm_spellings_load(golden):
    def respell(name):
        if name.startswith("discriminator."):
            name = name.replace(".weight_g", ".parametrizations.weight.original0")
            return name.replace(".weight_v", ".parametrizations.weight.original1")
        name = name.replace(".parametrizations.weight.original0", ".weight_g")
        return name.replace(".parametrizations.weight.original1", ".weight_v")

    expected = {k: v.clone() for k, v in golden.codec.state_dict().items()}
    other = {respell(k): v for k, v in expected.items()}
    assert set(other) != set(expected)
    golden.codec.load_state_dict(other, strict=True)
    for name, value in golden.codec.state_dict().items():
        assert torch.equal(value, expected[name]), name
