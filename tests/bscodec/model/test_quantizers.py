"""Searches find the nearest code; gradients are those of the plain formulas."""

import pytest
import torch
from torch.nn import functional as F

from espnet2.gan_codec.bscodec.model.quantizers import search
from espnet2.gan_codec.bscodec.model.quantizers.simvq import BandSimVQ, SimVQ, principal_map
from espnet2.gan_codec.bscodec.model.quantizers.vq import BandVQ


def plain_simvq(layer, x):
    """SimVQ written from its definition: the whole codebook, the whole distance matrix."""
    codebook = layer.code_transform(layer.frozen_codebook)
    frames = x.transpose(1, 2)
    indices = torch.cdist(frames.detach(), codebook.detach()).argmin(-1)
    quantized = codebook[indices].transpose(1, 2)
    loss = F.mse_loss(x.detach(), quantized) + 0.25 * F.mse_loss(x, quantized.detach())
    return x + (quantized - x).detach(), indices, loss


def stretch(layer):
    with torch.no_grad():
        layer.code_transform.weight.mul_(torch.linspace(0.1, 3, 4))


@pytest.mark.parametrize("frame_block, code_block", [(1024, 4096), (7, 10), (1, 1)])
def test_search_is_exact_for_every_block_size(monkeypatch, frame_block, code_block):
    monkeypatch.setattr(search, "FRAME_BLOCK", frame_block)
    monkeypatch.setattr(search, "CODE_BLOCK", code_block)
    generator = torch.Generator().manual_seed(0)
    queries = torch.randn(50, 6, generator=generator)
    codebook = torch.randn(33, 6, generator=generator)
    found = search.nearest_codes(queries, codebook, codebook.square().sum(1) / 2)
    assert torch.equal(found, torch.cdist(queries, codebook).argmin(1))


def test_search_takes_the_lowest_of_equal_codes(monkeypatch):
    monkeypatch.setattr(search, "CODE_BLOCK", 2)
    codebook = torch.ones(5, 3)
    found = search.nearest_codes(torch.ones(4, 3), codebook, codebook.square().sum(1) / 2)
    assert found.tolist() == [0, 0, 0, 0]


def test_simvq_equals_its_definition_with_gradients():
    torch.manual_seed(0)
    layer = SimVQ(200, 8, 24)
    x = torch.randn(2, 24, 30)
    results = []
    for forward in (layer, lambda z: plain_simvq(layer, z)):
        layer.zero_grad()
        z = x.clone().requires_grad_()
        quantized, codes, loss = forward(z)
        (loss + (quantized * x).sum()).backward()
        results.append((quantized, codes, loss, z.grad, layer.code_transform.weight.grad.clone()))
    ours, plain = results
    assert torch.equal(ours[1], plain[1])
    assert ours[1].unique().numel() > 20
    for a, b in zip(ours, plain, strict=True):
        assert torch.allclose(a.float(), b.float(), atol=1e-5)


def test_simvq_norm_cache_follows_the_weights():
    torch.manual_seed(0)
    layer, x = SimVQ(100, 4, 6), torch.randn(1, 6, 40)
    layer.encode(x)
    for change in (
        lambda: stretch(layer),
        lambda: layer.load_state_dict(SimVQ(100, 4, 6).state_dict()),
        lambda: layer.double().float(),
    ):
        change()
        assert torch.equal(layer.encode(x), plain_simvq(layer, x)[1])


def test_simvq_norm_cache_sees_an_optimizer_step():
    torch.manual_seed(0)
    layer, x = SimVQ(100, 4, 6), torch.randn(1, 6, 40)
    optimizer = torch.optim.AdamW(layer.parameters(), lr=0.5)
    for _ in range(3):
        layer(x)[2].backward()
        optimizer.step()
        assert torch.equal(layer.encode(x), plain_simvq(layer, x)[1])


@pytest.mark.parametrize("kind", [BandSimVQ, BandVQ])
def test_codes_of_decoded_codes_are_the_codes(kind):
    torch.manual_seed(0)
    quantizer = kind([16, 8], 4, 4).eval()
    if kind is BandVQ:
        for layer in quantizer.layers:
            layer._codebook.embed.normal_()
            layer._codebook.inited.fill_(1)
    codes = torch.stack([torch.arange(16).view(1, 16), torch.arange(16).view(1, 16) % 8], dim=1)
    assert torch.equal(quantizer.encode(quantizer.decode(codes)), codes)


def test_vq_projection_is_trained_on_both_sides():
    torch.manual_seed(0)
    quantizer = BandVQ([8], 4, 12).train()
    quantized, _, loss = quantizer([torch.randn(3, 12, 20)])
    (quantized[0].square().sum() + loss).backward()
    for projection in (quantizer.layers[0].project_in, quantizer.layers[0].project_out):
        assert projection.weight.grad.abs().sum() > 0


def test_vq_training_moves_the_codebook_by_ema():
    torch.manual_seed(0)
    quantizer, x = BandVQ([8], 4, 4).train(), torch.randn(3, 4, 20)
    quantizer([x])
    before = quantizer.layers[0].codebook.clone()
    quantizer([x + 5])
    assert not torch.equal(before, quantizer.layers[0].codebook)
    quantizer.eval()
    before = quantizer.layers[0].codebook.clone()
    assert quantizer([x])[2] == 0  # as ESPnet reports it
    assert torch.equal(before, quantizer.layers[0].codebook)


def test_simvq_refit_follows_the_latents_and_never_hurts():
    torch.manual_seed(0)
    layer = SimVQ(1024, 8, 24).train()
    x = (torch.randn(24, 5) @ torch.randn(5, 400) * 5).unsqueeze(0)
    before = layer._error(x).item()
    layer._watch(x)
    assert layer.pca_init(x)
    after = layer._error(x).item()
    assert after < before / 3
    assert not layer.pca_init(x)  # nothing left to gain: the map stays as it is
    assert layer._error(x).item() == after


def test_simvq_refit_is_not_misled_by_one_odd_batch():
    torch.manual_seed(0)
    layer = SimVQ(1024, 8, 24).train()
    usual = (torch.randn(24, 8) @ torch.randn(8, 400) * 5).unsqueeze(0)
    for _ in range(100):
        layer._watch(usual)
    layer.pca_init(usual)
    good = layer._error(usual).item()
    odd = 0.01 * usual[:, :, :50]
    layer._watch(odd)
    layer.pca_init(odd)
    assert layer._error(usual).item() < 1.2 * good


def test_simvq_refit_happens_only_when_asked_for():
    torch.manual_seed(0)
    x = torch.randn(1, 24, 400) * 5
    for interval, changes in ((0, False), (2, True)):
        layer = SimVQ(64, 8, 24, refit_interval=interval).train()
        weight = layer.code_transform.weight.clone()
        layer(x)
        assert torch.equal(layer.code_transform.weight, weight)
        layer(x)
        assert torch.equal(layer.code_transform.weight, weight) != changes
        assert (layer._moment is None) == (interval == 0)
        weight = layer.code_transform.weight.clone()
        layer.eval()(x)
        layer(x)
        assert torch.equal(layer.code_transform.weight, weight)


def test_simvq_reseed_moves_idle_codes_to_badly_quantized_latents():
    torch.manual_seed(0)
    layer = SimVQ(64, 8, 24).train()
    codes_there_are = layer.decode(torch.arange(32)[None])
    elsewhere = 20 * layer.code_transform(torch.randn(400, 8)).t()[None]
    x = torch.cat([codes_there_are, elsewhere], dim=2).detach()
    before, used = layer.frozen_codebook.clone(), layer.encode(x).unique()
    layer._idle.fill_(1e9)[used] = 0
    error = layer._error(x).item()
    moved = layer.reset_dead_codes(x, layer.decode(layer.encode(x)))
    assert moved == 64 - len(used)
    assert torch.equal(layer.frozen_codebook[used], before[used])  # codes in use stay
    assert layer._error(x).item() < error
    # what the codes were moved to is coded exactly
    exact = (x - layer.decode(layer.encode(x))).square().sum(1) < 1e-6 * x.square().sum(1)
    assert exact[:, 32:].sum() == moved


def test_simvq_reseed_leaves_a_codebook_in_use_alone():
    torch.manual_seed(0)
    layer = SimVQ(64, 8, 24).train()
    x = torch.randn(1, 24, 400)
    before = layer.frozen_codebook.clone()
    assert layer.reset_dead_codes(x, layer.decode(layer.encode(x))) == 0
    assert torch.equal(layer.frozen_codebook, before)


def test_simvq_reseed_happens_only_when_asked_for_and_in_training():
    torch.manual_seed(0)
    x = 5 * torch.randn(1, 24, 400)
    for interval, changes in ((0, False), (2, True)):
        layer = SimVQ(512, 8, 24, reseed_interval=interval)
        layer._idle.fill_(1e9)
        before = layer.frozen_codebook.clone()
        layer.eval()(x)
        layer(x)
        assert torch.equal(layer.frozen_codebook, before)
        layer.train()(x)
        layer(x)
        assert torch.equal(layer.frozen_codebook, before) != changes


def test_simvq_follow_ends_in_the_midst_of_the_latents():
    torch.manual_seed(0)
    layer = SimVQ(32, 8, 24, follow_rate=0.2).train()
    x = layer.code_transform(torch.randn(600, 8)).t()[None].detach()
    before, error = layer.frozen_codebook.clone(), layer._error(x).item()
    unused = torch.ones(32, dtype=torch.bool)
    for _ in range(40):
        indices = layer.encode(x)
        unused[indices.unique()] = False
        layer.ema_update(x, indices)
    assert layer._error(x).item() < 0.8 * error
    assert torch.equal(layer.frozen_codebook[unused], before[unused])
    indices = layer.encode(x)
    for code in indices.unique():  # k-means' fixed point: every code is the mean of its latents
        mean = x[0, :, indices[0] == code].mean(1)
        assert torch.allclose(layer.decode(code.view(1, 1))[0, :, 0], mean, atol=0.05)


def test_simvq_follow_moves_a_code_by_its_share():
    torch.manual_seed(0)
    layer = SimVQ(4, 8, 24, follow_rate=0.25)
    target = torch.randn(8)
    x = layer.code_transform(target).detach().view(1, 24, 1)
    before = layer.frozen_codebook[2].clone()
    layer.ema_update(x, torch.tensor([[2]]))
    expected = before + 0.25 * (target - before)
    assert torch.allclose(layer.frozen_codebook[2], expected, atol=1e-5)


def test_simvq_follow_keeps_codes_near_where_w_has_almost_no_length():
    torch.manual_seed(0)
    layer = SimVQ(16, 8, 24, follow_rate=0.5)
    with torch.no_grad():
        layer.code_transform.weight[:, -1] *= 1e-5
    x, before = torch.randn(1, 24, 200), layer.frozen_codebook.abs().max()
    for _ in range(20):
        layer.ema_update(x, layer.encode(x))
    # all others are as large as their latents ask for; the last would be 1e5 times as large
    assert layer.frozen_codebook[:, -1].abs().max() < 2 * before
    assert layer._error(x) < x.square().sum()


def test_simvq_follow_happens_only_when_asked_for_and_in_training():
    torch.manual_seed(0)
    x = torch.randn(1, 24, 40)
    for rate, changes in ((0.0, False), (0.1, True)):
        layer = SimVQ(64, 8, 24, follow_rate=rate)
        before = layer.frozen_codebook.clone()
        layer.eval()(x)
        assert torch.equal(layer.frozen_codebook, before)
        layer.train()(x)
        assert torch.equal(layer.frozen_codebook, before) != changes


def test_simvq_equalize_changes_no_code():
    torch.manual_seed(0)
    layer = SimVQ(64, 8, 24).double().eval()
    codes = torch.arange(64)[None]
    x, before = torch.randn(1, 24, 400, dtype=torch.float64), layer.decode(codes)
    indices = layer.encode(x)
    layer.orthogonalize(largest=100)
    torch.testing.assert_close(layer.decode(codes), before)
    assert torch.equal(layer.encode(x), indices)
    assert abs(layer.frozen_codebook.abs().max().item() - 100) < 1e-9
    gram = layer.code_transform.weight.t() @ layer.code_transform.weight
    torch.testing.assert_close(gram, gram[0, 0] * torch.eye(8, dtype=torch.float64))


def test_principal_map_spends_the_bits_where_the_variance_is():
    variances = torch.tensor([9.0, 4.0, 1.0, 0.01])
    weight = principal_map(torch.diag(variances), codebook_dim=4, bits=2.0)
    spread = (weight @ weight.t() / 4).diagonal()
    level = variances - spread
    assert torch.allclose(level[:2], level[:1].expand(2), rtol=1e-3)  # one water level
    assert spread[3] == 0  # a dry axis gets none
    rate = 0.5 * (variances / level).log2().sum()
    assert abs(rate.item() - 2) < 1e-3
