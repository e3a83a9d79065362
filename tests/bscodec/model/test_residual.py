"""Residual VQ: each stage codes what the ones before it leave, and is a stream of codes."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from espnet2.gan_codec.bscodec import Codec
from espnet2.gan_codec.bscodec.format.bitstream import EncodedAudio
from espnet2.gan_codec.bscodec.hub.checkpoint import LoadedModel
from espnet2.gan_codec.bscodec.inference.streaming_codec import StreamDecoder, StreamEncoder
from espnet2.gan_codec.bscodec.model.quantizers.rvq import ResidualVQ

SIZES = [64, 32, 16]
WHOLE = {"bands": [[0, 12000]], "quantize_choice": "rvq", "quantize_n_q": 3}
BACKENDS = {
    "spectral": dict(WHOLE, quantize_codebook_size=SIZES, quantize_codebook_dim=16),
    "seanet": dict(
        WHOLE, quantize_codebook_size=64, encdec_activation="ELU", encdec_activation_params={}
    ),
}


def fill(quantizer):
    """Codebooks as if trained: the later a stage, the smaller its codes."""
    for i, layer in enumerate(quantizer.layers):
        layer._codebook.embed.normal_(std=0.5**i)
        layer._codebook.inited.fill_(1)
    return quantizer


@pytest.fixture(params=BACKENDS)
def codec(request, make_codec):
    codec = make_codec(request.param, **BACKENDS[request.param])
    fill(codec.generator.quantizer)
    return codec


def noise(length):
    torch.manual_seed(1)
    return 0.3 * torch.randn(1, 1, length)


@pytest.mark.parametrize("codebook_dim", [8, 4])
def test_every_stage_takes_the_code_nearest_to_the_rest(codebook_dim):
    torch.manual_seed(0)
    quantizer = fill(ResidualVQ(SIZES, codebook_dim, 8)).eval()
    x = torch.randn(2, 8, 30)
    codes = quantizer.encode([x])
    rest = quantizer.project_in(x.transpose(1, 2))
    for layer, indices in zip(quantizer.layers, codes.unbind(1), strict=True):
        assert torch.equal(torch.cdist(rest, layer.codebook).argmin(-1), indices)
        rest = rest - layer.codebook[indices]
    quantized, trained_codes, loss = quantizer([x])
    assert torch.equal(torch.stack(trained_codes, dim=1), codes) and loss == 0
    assert torch.allclose(quantized[0], quantizer.decode(codes)[0], atol=1e-5)


def test_more_stages_come_nearer():
    torch.manual_seed(0)
    quantizer, x = ResidualVQ([16] * 4, 8, 8).train(), torch.randn(4, 8, 200)
    for _ in range(20):
        quantizer([x])
    codes = quantizer.eval().encode([x])
    errors = [F.mse_loss(quantizer.decode(codes[:, :n])[0], x).item() for n in range(1, 5)]
    assert errors == sorted(errors, reverse=True) and errors[-1] < errors[0] / 2


@pytest.mark.parametrize("codebook_dim", [8, 4])
def test_the_gradient_goes_straight_through(codebook_dim):
    torch.manual_seed(0)
    quantizer = ResidualVQ([8, 8], codebook_dim, 8).train()
    x, direction = torch.randn(2, 8, 20, requires_grad=True), torch.randn(2, 8, 20)
    quantized, _, loss = quantizer([x])
    (quantized[0] * direction).sum().backward(retain_graph=True)
    way = direction.transpose(1, 2)
    if codebook_dim != 8:
        way = way @ quantizer.project_out.weight @ quantizer.project_in.weight
        assert quantizer.project_out.weight.grad.abs().sum() > 0
    assert torch.allclose(x.grad, way.transpose(1, 2), atol=1e-5)
    loss.backward()
    assert loss > 0 and not torch.allclose(x.grad, way.transpose(1, 2), atol=1e-5)


@torch.no_grad()
def test_streams_are_stages(codec):
    assert codec.meta_info()["num_streams"] == 3 == len(codec.codebook_sizes)
    assert codec.streams == ((0, 12000),) * 3 and codec.num_bands == 1
    audio = noise(5000)
    codes = codec.encode(audio)
    assert codes.shape == (1, 3, 16)
    assert torch.equal(codec.encode(audio, bands=2), codes[:, :2])
    first = codec.decode(codes, bands=1)
    assert torch.equal(first, codec.decode(codes[:, :1]))
    assert not torch.allclose(first, codec.decode(codes), atol=1e-4)
    with pytest.raises(ValueError, match="1 to 3"):
        codec.encode(audio, bands=4)


@torch.no_grad()
@pytest.mark.parametrize("stages", [1, 3])
def test_pieces_give_the_codes_and_audio_of_the_whole(codec, stages):
    audio = noise(7000)
    codes = codec.encode(audio, bands=stages)
    encoder, decoder = StreamEncoder(codec, 1, stages), StreamDecoder(codec, 1, stages)
    pieces = [encoder.push(piece) for piece in audio[:, 0].split(1300, dim=1)]
    assert torch.equal(torch.cat([*pieces, encoder.flush()], dim=2), codes)
    pieces = [decoder.push(piece) for piece in codes.split(5, dim=2)]
    audio_hat = torch.cat([*pieces, decoder.flush()], dim=1)
    expected = codec.decode(codes)[:, 0]
    assert (audio_hat - expected).norm() < 1e-5 * expected.norm()


def test_files_hold_every_stage_and_any_number_of_them_plays(codec, tmp_path):
    user = Codec(LoadedModel(codec, "mine", "0badc0de" * 8, None))
    audio = noise(4000).flatten().numpy()
    encoded = user.encode(audio, 24000)
    user.save(encoded, tmp_path / "a.bsc")
    assert user.load(tmp_path / "a.bsc") == encoded == EncodedAudio.loads(encoded.dumps())
    assert encoded.codes.shape == (3, 13)
    lower = user.encode(audio, 24000, bands=2)
    assert np.array_equal(lower.codes, encoded.codes[:2])
    assert np.array_equal(user.decode(lower), user.decode(encoded, bands=2))
    many = user.encode_many([audio, audio[:1000]], 24000)
    assert many[0] == encoded and many[1] == user.encode(audio[:1000], 24000)
