"""A spectral model with other band edges, made from a trained one."""

from pathlib import Path

import move_bands
import pytest
import torch
import yaml
from corpus_sets import CorpusError

from espnet2.gan_codec.bscodec import BSCodec

MINI = Path(__file__).resolve().parents[2] / "conf/train_bscodec_mini.yaml"
BIN = 37.5  # Hz, at 24 kHz with a hop of 320
PARAMS = {
    "hidden_dim": 16,
    "filterbank": "mdct",
    "mdct_hop": 320,
    "network": "spectral",
    "spectral_channels": 8,
    "spectral_blocks": 1,
    "spectral_stride": 1,
    "quantize_choice": "band_simvq",
    "quantize_codebook_size": 32,
    "quantize_codebook_dim": 4,
}


def bands(*edges):
    return [[low * BIN, high * BIN] for low, high in zip(edges, edges[1:], strict=False)]


def model(*edges, **more):
    torch.manual_seed(sum(edges))
    return BSCodec(generator_params={**PARAMS, "bands": bands(*edges), **more}).eval()


def test_the_same_edges_give_the_same_model():
    old, new = model(0, 8, 20, 44, 320), model(0, 8, 20, 44, 320, quantize_follow_rate=0.05)
    with torch.no_grad():
        for weight in new.generator.parameters():
            weight.normal_()
    move_bands.move(old, new)
    for key, value in old.generator.state_dict().items():
        assert torch.equal(new.generator.state_dict()[key], value)


def test_a_moved_band_codes_at_its_new_place_what_it_coded_at_the_old():
    old, new = model(0, 8, 20, 44, 320), model(0, 6, 18, 42, 320)
    move_bands.move(old, new)
    was, now = old.generator, new.generator
    bins, latents = torch.randn(1, 12, 9), torch.randn(1, 16, 8)
    assert torch.equal(was.encoders[1](bins), now.encoders[1](bins))
    assert torch.equal(was.decoders[1](latents), now.decoders[1](latents))


def test_filters_come_from_an_even_number_of_bins_away():
    old, new = model(0, 8, 20, 44, 320), model(0, 6, 16, 36, 320)
    move_bands.move(old, new)
    edges = zip(old.generator.filterbank.edges, new.generator.filterbank.edges, strict=True)
    for rank, (before, after) in enumerate(edges):
        sources = move_bands.source_bins(range(*before), range(*after))
        assert len(sources) == after[1] - after[0]
        offsets = [before[0] + source - after[0] - i for i, source in enumerate(sources)]
        assert all(offset % 2 == 0 for offset in offsets)
        was, now = (m.generator.encoders[rank].linear_path.weight for m in (old, new))
        assert torch.equal(now[:, : len(sources)], was[:, sources])
        was, now = (m.generator.decoders[rank].project.bias for m in (old, new))
        assert torch.equal(now[: len(sources)], was[sources])
    assert offsets[8:] == [0] * (len(offsets) - 8)  # the highest band keeps the bins it had


def test_a_wider_low_band_keeps_its_bins():
    assert move_bands.source_bins(range(0, 8), range(0, 11)) == [*range(8), 4, 5, 6]


@pytest.mark.parametrize(
    "edges, more, told",
    [
        ((0, 8, 19, 43, 320), {}, "bins 19-43: an odd number from 20"),
        ((0, 8, 20, 320), {}, "bands: expected 4, as in the trained model"),
        ((0, 40, 50, 60, 320), {}, "bins 0-40: too few in 0-8"),
        ((0, 8, 20, 44, 320), {"spectral_channels": 12}, "spectral_channels: expected 8"),
    ],
)
def test_what_cannot_be_moved_is_told(edges, more, told):
    with pytest.raises(CorpusError, match=told):
        move_bands.move(model(0, 8, 20, 44, 320), model(*edges, **more))


def test_other_networks_cannot_be_moved():
    waves = BSCodec(generator_params={"bands": bands(0, 320), "filterbank": "stft"})
    with pytest.raises(CorpusError, match="network: expected 'spectral'"):
        move_bands.move(waves, waves)


def test_the_command_writes_weights_to_start_training_from(tmp_path, capsys):
    config = tmp_path / "next.yaml"
    out = tmp_path / "exp" / "moved.pth"
    assert move_bands.main(["bscodec-mini", str(config), str(out)]) == 1
    assert str(config) in capsys.readouterr().err and not out.exists()
    contents = yaml.safe_load(MINI.read_text())
    params = contents["codec_conf"]["generator_params"]
    params["bands"] = [[0, 120], [120, 300], [300, 840], [840, 2400], [2400, 12000]]
    config.write_text(yaml.safe_dump(contents))
    assert move_bands.main(["bscodec-mini", str(config), str(out)]) == 0
    weights = torch.load(out, weights_only=True)
    fresh = BSCodec(generator_params=params)
    assert set(weights) == {f"codec.generator.{key}" for key in fresh.generator.state_dict()}
    assert {p.name for p in out.parent.iterdir()} == {"moved.pth"}


def test_a_band_that_is_split_gives_its_filters_and_codes_to_both_parts():
    old = model(0, 8, 20, 44, 320)
    new = model(0, 8, 20, 44, 144, 320, quantize_codebook_size=[32, 32, 16, 32, 8])
    move_bands.move(old, new)
    was, now = old.generator, new.generator
    assert torch.equal(
        was.encoders[3].embed.weight[:, :100], now.encoders[3].embed.weight[:, :100]
    )
    assert torch.equal(
        was.decoders[3].project.weight[100:276], now.decoders[4].project.weight[:176]
    )
    for band, source in enumerate((0, 1, 2, 3, 3)):
        codes = now.quantizer.layers[band].frozen_codebook
        others = was.quantizer.layers[source].frozen_codebook
        assert len(codes.unique(dim=0)) >= 0.7 * len(codes)
        assert (codes[:, None] == others).all(2).any(1).all()  # each is one that there was


def test_codes_are_split_into_two_that_are_close():
    old, new = model(0, 8, 320), model(0, 8, 320, quantize_codebook_size=[48, 64])
    move_bands.move(old, new)
    for band, count in enumerate((48, 64)):
        was = old.generator.quantizer.layers[band].frozen_codebook
        now = new.generator.quantizer.layers[band].frozen_codebook
        assert torch.equal(now[:32], was) and len(now) == count
        apart = (now[32:] - was[: count - 32]).norm(dim=1)
        assert apart.min() > 0 and apart.max() < 0.2 * was.norm(dim=1).mean()


def test_more_than_twice_the_codes_is_an_error():
    old, new = model(0, 8, 320), model(0, 8, 320, quantize_codebook_size=128)
    with pytest.raises(CorpusError, match="at most 64"):
        move_bands.move(old, new)
