"""The training step's savings: the published losses and gradients, and when they are not used."""

import pytest
import torch

from benchmarks import published
from benchmarks.training_step import VARIANTS, report
from espnet2.layers.stft import Stft
from tests.bscodec.conftest import LIGHT, close, gradients, tiny_conf

PUBLISHED_KIND = {
    "msmpmb_discriminator_params": {
        "rates": [],
        "fft_sizes": [256],
        "sample_rate": 24000,
        "periods": [2, 3],
        "period_discriminator_params": {
            "in_channels": 1,
            "out_channels": 1,
            "kernel_sizes": [5, 3],
            "channels": 4,
            "downsample_scales": [3, 3, 1],
            "max_downsample_channels": 8,
            "bias": True,
            "nonlinear_activation": "LeakyReLU",
            "nonlinear_activation_params": {"negative_slope": 0.1},
            "use_weight_norm": True,
            "use_spectral_norm": False,
        },
        "band_discriminator_params": {
            "hop_factor": 0.25,
            "sample_rate": 24000,
            "bands": [[0.0, 0.25], [0.25, 1.0]],
            "channel": 32,
        },
    }
}
SIMVQ = {"quantize_choice": "band_simvq"}
VQ = {"quantize_choice": "band_vq", "quantize_codebook_size": 8, "quantize_codebook_dim": 16}


def batch(seed=0, dtype=torch.float64):
    return 0.1 * torch.randn(2, 3000, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def stft_in_float64(self, x, lengths=None):
    """ESPnet's, which computes in float32 whatever it is given."""
    window = torch.hann_window(self.win_length, dtype=x.dtype)
    spectrum = torch.stft(x, self.n_fft, self.hop_length, window=window, return_complex=True)
    return torch.view_as_real(spectrum).transpose(1, 2), None


@pytest.fixture
def make_model(make_codec, monkeypatch):
    """A tiny model in training mode.

    In float64: what a logarithm of almost nothing makes of rounding is no difference of ours.
    """

    def make(dtype=torch.float64, **changes):
        model = make_codec(**{"cache_generator_outputs": True, **changes}).train().to(dtype)
        if dtype == torch.float64:
            monkeypatch.setattr(Stft, "forward", stft_in_float64)
        torch.manual_seed(1)
        return model

    return make


def published_step(model, audio):
    """Losses by name and gradients of both sides of the plain computation."""
    audio = audio.unsqueeze(1)
    output = published.generate(model, audio)
    losses = published.generator_losses(model, audio, output)
    sum(losses.values()).backward()
    grads = gradients(model.generator)
    model.zero_grad()
    more = published.discriminator_losses(model, audio, output.audio)
    sum(more.values()).backward()
    losses |= {"loss": sum(losses.values()), "discriminator_loss": sum(more.values())} | more
    grads |= gradients(model.discriminator)
    model.zero_grad()
    return {name: value.detach() for name, value in losses.items()}, grads


def our_step(model, audio, between=lambda: None):
    """The same of the model's own turns; ``between`` is called between them."""
    result = model(audio)
    result["loss"].backward()
    assert not gradients(model.discriminator)  # the generator's turn is none of its
    losses, grads = result["stats"], gradients(model.generator)
    model.zero_grad()
    between()
    result = model(audio, forward_generator=False)
    result["loss"].backward()
    assert not gradients(model.generator)
    losses |= result["stats"]
    grads |= gradients(model.discriminator)
    model.zero_grad()
    return losses, grads


def assert_same(ours, plain):
    (losses, grads), (plain_losses, plain_grads) = ours, plain
    for name, value in plain_losses.items():
        assert abs(losses[name].item() / value.item() - 1) < 1e-5, name
    assert set(grads) == set(plain_grads)
    for name, value in plain_grads.items():
        assert close(grads[name], value, 1e-4), name


def passes(model):
    """A list that grows by one with every pass of the discriminator."""
    calls = []
    model.discriminator.register_forward_hook(lambda *_: calls.append(1))
    return calls


# ---- the same numbers --------------------------------------------------------------------


@pytest.mark.parametrize("quantizer", [SIMVQ, VQ], ids=["simvq", "vq"])
@pytest.mark.parametrize("discriminator", [LIGHT, PUBLISHED_KIND], ids=["light", "published"])
def test_losses_and_gradients_are_the_published_ones(make_model, quantizer, discriminator):
    changes = {"discriminator_params": discriminator, **quantizer}
    plain = published_step(make_model(**changes), batch())
    model = make_model(**changes)
    calls = passes(model)
    assert_same(our_step(model, batch()), plain)
    assert len(calls) == 2 and model._cache is None


def test_in_float32_they_differ_by_rounding(make_model):
    plain_losses, plain = published_step(make_model(torch.float32), batch(dtype=torch.float32))
    losses, grads = our_step(make_model(torch.float32), batch(dtype=torch.float32))
    for name, value in plain_losses.items():
        assert abs(losses[name].item() / value.item() - 1) < 1e-5, name
    for part in ("encoders", "decoders", "quantizer", "msstft"):
        ours, others = (
            torch.cat([g[name].flatten() for name in plain if name.startswith(part)])
            for g in (grads, plain)
        )
        assert close(ours, others, 1e-3)


def test_two_optimizer_steps_lead_to_the_same_weights(make_model):
    plain, model = make_model(), make_model()

    def optimizers_of(codec):
        parts = codec.generator, codec.discriminator
        return [torch.optim.SGD(part.parameters(), 1e-3, momentum=0.5) for part in parts]

    generator_step, discriminator_step = optimizers_of(plain)
    optimizers = optimizers_of(model)
    start = {name: value.clone() for name, value in model.named_parameters()}
    for seed in range(2):
        waves = batch(seed)
        audio = waves.unsqueeze(1)
        output = published.generate(plain, audio)
        sum(published.generator_losses(plain, audio, output).values()).backward()
        generator_step.step()
        plain.zero_grad()
        sum(published.discriminator_losses(plain, audio, output.audio).values()).backward()
        discriminator_step.step()
        plain.zero_grad()
        for turn in (True, False):
            result = model(waves, forward_generator=turn)
            result["loss"].backward()
            optimizers[result["optim_idx"]].step()
            model.zero_grad()
    for (name, ours), other in zip(model.named_parameters(), plain.parameters(), strict=True):
        assert close(ours - start[name], other - start[name], 1e-5), name


def test_a_scaled_loss_has_scaled_gradients(make_model):
    """As mixed precision scales it; the discriminator's part of it, too."""
    grads = []
    for scale in (1, 1024):
        model = make_model()
        (scale * model(batch())["loss"]).backward()
        grads.append(gradients(model.generator))
    for name, value in grads[0].items():
        assert close(grads[1][name] / 1024, value, 1e-5), name


# ---- when the turns share less -----------------------------------------------------------


@pytest.mark.parametrize("case", ["no cache", "stepped", "skipped", "changed batch"])
def test_turns_that_share_less_are_right(make_model, case):
    model, plain = make_model(cache_generator_outputs=case != "no cache"), make_model()
    audio, others = batch(), batch(7)

    def between():
        if case == "stepped":
            with torch.no_grad():
                for p in model.discriminator.parameters():
                    p.mul_(1.01)
        elif case == "skipped":
            model._cache = None  # as ESPnet's trainer does
        elif case == "changed batch":
            audio.copy_(others)

    calls = passes(model)
    _, grads = our_step(model, audio, between)
    assert len(calls) == 4
    if case == "stepped":
        plain.discriminator.load_state_dict(model.discriminator.state_dict())
    second = (others if case == "changed batch" else batch()).unsqueeze(1)
    output = published.generate(plain, second)
    sum(published.discriminator_losses(plain, second, output.audio).values()).backward()
    for name, value in gradients(plain.discriminator).items():
        assert close(grads[name], value, 1e-4), name


def test_both_turns_forward_and_then_backward(make_model):
    """The discriminator's graph is not shared by two that both want to free it."""
    plain, model = published_step(make_model(), batch()), make_model()
    results = [model(batch(), forward_generator=turn) for turn in (True, False)]
    sum(result["loss"] for result in results).backward()
    grads = gradients(model.generator) | gradients(model.discriminator)
    assert_same((results[0]["stats"] | results[1]["stats"], grads), plain)


def test_discriminator_first(make_model):
    plain, model = published_step(make_model(), batch()), make_model()
    calls, grads, losses, audio = passes(model), {}, {}, batch()
    for turn in (False, True):
        result = model(audio, forward_generator=turn)
        result["loss"].backward()
        losses |= result["stats"]
        grads |= gradients(model)
        model.zero_grad()
    grads = {name.split(".", 1)[1]: value for name, value in grads.items()}
    assert len(calls) == 4
    assert_same((losses, grads), plain)


def test_validation_keeps_nothing(make_model):
    model = make_model().eval()
    calls = passes(model)
    with torch.no_grad():
        for turn in (True, False):
            assert not model(batch(), forward_generator=turn)["loss"].requires_grad
    assert model._cache is None and len(calls) == 4


def test_several_processes_do_not_share_graphs(make_model, tmp_path):
    plain, model = published_step(make_model(), batch()), make_model()
    calls = passes(model)
    rendezvous = f"file://{tmp_path}/rendezvous"
    torch.distributed.init_process_group("gloo", rendezvous, rank=0, world_size=1)
    try:
        assert_same(our_step(model, batch()), plain)
    finally:
        torch.distributed.destroy_process_group()
    assert len(calls) == 4


# ---- other precisions, compilers and devices ---------------------------------------------


def test_losses_quantizer_and_filterbank_stay_in_float32(make_model):
    model, seen = make_model(torch.float32, use_bf16=True), []
    model.generator.quantizer.layers[0].register_forward_hook(
        lambda _, inputs, outputs: seen.append(("quantizer", inputs[0].dtype, outputs[0].dtype))
    )
    model.mel_loss.mel_loss[0].wav_to_mel.register_forward_hook(
        lambda _, inputs, outputs: seen.append(("mel", inputs[0].dtype, outputs[0].dtype))
    )
    conv = model.generator.encoders[0].model[0].conv.conv
    conv.register_forward_hook(lambda *values: seen.append(("network", values[2].dtype)))
    losses, grads = our_step(model, batch(dtype=torch.float32))
    assert ("network", torch.bfloat16) in seen
    kinds = {entry for entry in seen if entry[0] != "network"}
    assert kinds == {("quantizer", *2 * [torch.float32]), ("mel", *2 * [torch.float32])}
    plain, _ = published_step(make_model(torch.float32), batch(dtype=torch.float32))
    for name, value in plain.items():
        assert losses[name].dtype == torch.float32
        # random networks give almost silence, whose logarithm rounding changes much
        assert abs(losses[name].item() / value.item() - 1) < 0.5, name
    assert all(value.isfinite().all() for value in grads.values())


@pytest.mark.long
def test_a_compiled_model_trains_the_same(make_model):
    plain, model = published_step(make_model(), batch()), make_model()
    model.forward = torch.compile(model.forward, backend="eager")
    assert_same(our_step(model, batch()), plain)


@pytest.mark.cuda
@pytest.mark.parametrize("amp", [False, True])
def test_step_on_a_gpu(make_model, amp):
    plain, model = (
        published_step(make_model(torch.float32), batch(dtype=torch.float32)),
        make_model(torch.float32).cuda(),
    )
    scaler = torch.amp.GradScaler("cuda", enabled=amp)
    audio = batch(dtype=torch.float32).cuda()
    for turn in (True, False):
        with torch.autocast("cuda", torch.float16, enabled=amp):
            result = model(audio, forward_generator=turn)
        scaler.scale(result["loss"]).backward()
        model.zero_grad()
        for name in set(plain[0]) & set(result["stats"]):
            expected = plain[0][name].item()
            assert abs(result["stats"][name].item() / expected - 1) < 0.05, name


@pytest.mark.long
def test_the_benchmark_names_every_variant():
    conf = tiny_conf()
    table = report(conf, (1, 1500), repeats=1).splitlines()
    rows, bound = table[1 : 1 + len(VARIANTS)], table[1 + len(VARIANTS) :]
    assert [line[:36].strip() for line in rows] == list(VARIANTS)
    # a factor for each variant in float32
    assert len(bound) == 2 and bound[1].count("x") == len(VARIANTS) - 1
