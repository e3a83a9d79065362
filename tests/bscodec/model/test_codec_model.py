"""The ESPnet model: every length, both turns, both orders, and honest errors."""

import pytest
import torch

from espnet2.gan_codec.espnet_model import ESPnetGANCodecModel

NETWORKS = ["seanet", "spectral"]
LENGTHS = [1, 2, 100, 319, 320, 321, 639, 1024, 1025, 2047, 2048, 5000]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("length", LENGTHS)
@torch.no_grad()
def test_every_length(make_codec, network, length):
    codec = make_codec(network)
    audio = torch.randn(2, 1, length) * 0.1
    frames = -(-length // 320)
    codes = codec.encode(audio)
    assert codes.shape == (2, codec.num_bands, frames) and codes.dtype == torch.int64
    assert codec.decode(codes).shape == (2, 1, 320 * frames)
    assert codec.inference(audio)["wav"].shape == audio.shape


@pytest.mark.parametrize("network", NETWORKS)
@torch.no_grad()
def test_batch_equals_single_and_runs_repeat(make_codec, network):
    codec = make_codec(network)
    audio = torch.randn(3, 1, 4000) * 0.1
    codes = codec.encode(audio)
    assert torch.equal(codes, codec.encode(audio))
    assert torch.equal(codes, torch.cat([codec.encode(a) for a in audio.split(1)]))
    one_by_one = torch.cat([codec.decode(c) for c in codes.split(1)])
    assert torch.allclose(codec.decode(codes), one_by_one, atol=1e-6)


@pytest.mark.parametrize("network", NETWORKS)
@torch.no_grad()
def test_bands_are_independent(make_codec, network):
    codec = make_codec(network)
    audio = torch.randn(1, 1, 3200)
    codes = codec.encode(audio)
    assert torch.equal(codec.encode(audio, bands=1), codes[:, :1])
    assert torch.equal(codec.decode(codes, bands=1), codec.decode(codes[:, :1]))


@pytest.mark.parametrize("network", NETWORKS)
@torch.no_grad()
def test_continuous_coding_of_espnet_model(make_codec, network):
    model = ESPnetGANCodecModel(codec=make_codec(network)).eval()
    audio = torch.randn(1, 3200)
    latents = model.encode_continuous(audio)
    assert latents.shape == (1, 16 * model.codec.num_bands, 10)
    assert model.decode_continuous(latents).shape == (1, 1, 3200)
    codes = model.encode(audio)
    quantized = torch.cat(model.codec.generator.quantizer.decode(codes), dim=1)
    assert torch.equal(model.decode_continuous(quantized), model.decode(codes))


def test_meta_info(make_codec):
    assert make_codec("spectral").meta_info() == {
        "fs": 24000,
        "num_streams": 2,
        "frame_shift": 320,
        "code_size_per_stream": [1024, 64],
    }


@pytest.mark.parametrize("bad", [torch.zeros(1, 1, 0), torch.full((1, 1, 9), torch.nan)])
def test_bad_audio_is_refused(make_codec, bad):
    with pytest.raises(ValueError, match="empty|NaN"):
        make_codec().encode(bad)


def test_bad_codes_are_refused(make_codec):
    codec = make_codec("spectral")
    with pytest.raises(ValueError, match="band 1: code outside 0..63"):
        codec.decode(torch.full((1, 2, 3), 64))
    with pytest.raises(ValueError, match="1 to 2 bands"):
        codec.decode(torch.zeros(1, 3, 3, dtype=torch.long))
    with pytest.raises(ValueError, match="expected codes"):
        codec.decode(torch.zeros(1, 2, 0, dtype=torch.long))
    with pytest.raises(ValueError, match="1 to 2 bands"):
        codec.encode(torch.zeros(1, 1, 10), bands=3)
    with pytest.raises(ValueError, match="mono"):
        codec.encode(torch.zeros(1, 2, 10))


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("length", [700, 1500])
def test_training_steps_on_any_length(make_codec, network, length):
    codec = make_codec(network, lambda_mel=1.0).train()
    audio = torch.randn(2, length) * 0.1
    before = {k: v.clone() for k, v in codec.named_parameters()}
    optimizers = [
        torch.optim.AdamW(m.parameters(), 1e-3) for m in (codec.generator, codec.discriminator)
    ]
    for turn in (True, False):
        result = codec(audio, forward_generator=turn)
        assert result["optim_idx"] == (0 if turn else 1) and result["weight"] == 2
        assert result["loss"].isfinite()
        result["loss"].backward()
        optimizers[result["optim_idx"]].step()
        for optimizer in optimizers:
            optimizer.zero_grad()
    changed = [k for k, v in codec.named_parameters() if not torch.equal(v, before[k])]
    assert {k.split(".")[0] for k in changed} == {"generator", "discriminator"}


STATS = {
    "adv_loss", "vq_loss", "subband_reconstruct_loss", "reconstruct_loss", "feat_match_loss",
    "mel_loss", "subband_mel_loss", "mel_loss_real", "loss",
}  # fmt: skip


def test_published_stats(make_codec):
    codec, audio = make_codec(), torch.randn(1, 1500)
    stats = codec(audio)["stats"]
    assert set(stats) == STATS
    parts = sum(v for k, v in stats.items() if k != "loss")
    assert torch.allclose(parts, stats["loss"])
    fake = codec(audio, forward_generator=False)["stats"]
    assert set(fake) == {"discriminator_loss", "real_loss", "fake_loss"}
    watched = codec.train()(audio)["stats"]
    names = {f"{kind}_band{band}" for kind in ("usage", "perplexity") for band in range(3)}
    assert set(watched) - STATS == names


def run_step(codec, audio, turns):
    gradients = {}
    for turn in turns:
        codec(audio, forward_generator=turn)["loss"].backward()
        part = codec.generator if turn else codec.discriminator
        gradients[turn] = [p.grad.clone() for p in part.parameters() if p.grad is not None]
        codec.zero_grad()
    return gradients


@pytest.mark.parametrize("turns", [(True, False), (False, True)])
def test_cached_turns_have_the_gradients_of_separate_ones(make_codec, turns):
    audio = torch.randn(2, 1500) * 0.1
    separate = run_step(make_codec().train(), audio, turns)
    codec = make_codec(cache_generator_outputs=True).train()
    calls = []
    codec.generator.register_forward_hook(lambda *_: calls.append(1))
    cached = run_step(codec, audio, turns)
    assert len(calls) == 1 and codec._cache is None
    for turn in turns:
        for a, b in zip(cached[turn], separate[turn], strict=True):
            assert torch.allclose(a, b, rtol=1e-4, atol=1e-6)


def test_cache_never_serves_another_batch(make_codec):
    codec = make_codec(cache_generator_outputs=True).train()
    audio = torch.randn(1, 1500)
    codec(audio)["loss"].backward()
    stale = codec._cache.output.audio
    audio.mul_(2)
    codec(audio, forward_generator=False)
    assert codec._cache.output.audio is not stale
    codec._cache = None  # as the trainer does when it skips a turn
    codec(audio)["loss"].backward()
    codec(audio)["loss"].backward()  # a used-up graph is not gone through twice


def test_no_adversarial_weight_means_no_discriminator_pass(make_codec):
    codec = make_codec(lambda_adv=0.0, use_feat_match_loss=False).train()
    codec.discriminator.register_forward_hook(lambda *_: pytest.fail("discriminator ran"))
    assert "adv_loss" not in codec(torch.randn(1, 1500))["stats"]


def test_nan_stops_training_with_its_cause(make_codec):
    codec = make_codec().train()
    with pytest.raises(FloatingPointError, match="mel_loss.*input audio holds NaN"):
        codec(torch.full((1, 1500), torch.nan))


def test_partial_checkpoints_are_refused_even_when_not_strict(make_codec):
    model = ESPnetGANCodecModel(codec=make_codec())
    state = model.state_dict()
    state.pop("codec.generator.encoders.0.model.0.conv.conv.bias")
    with pytest.raises(RuntimeError, match="lacks .*encoders.0.model.0.conv.conv.bias"):
        model.load_state_dict(state, strict=False)


def test_monitor_measures_and_warns(make_codec, caplog):
    from espnet2.gan_codec.bscodec.training import codebook_statistics

    watch = codebook_statistics.CodebookStatistics([8, 512])
    for _ in range(codebook_statistics.WARN_EVERY):
        watch.update([torch.arange(8).view(1, 8), torch.zeros(1, 8, dtype=torch.long)])
    stats = watch.stats()
    assert stats["usage_band0"] == 1 and abs(stats["perplexity_band0"] - 8) < 1e-3
    assert stats["usage_band1"] == 1 / 512 and abs(stats["perplexity_band1"] - 1) < 1e-3
    assert "band 1 is collapsing" in caplog.text and "band 0" not in caplog.text
    assert not watch.state_dict()
