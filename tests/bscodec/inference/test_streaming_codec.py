"""Streams of a whole codec: the codes and the audio of the whole, whatever the chunks."""

import pytest
import torch

from espnet2.gan_codec.bscodec import BSCodec
from espnet2.gan_codec.bscodec.inference.stream import load_state, pick_rows, save_state
from espnet2.gan_codec.bscodec.inference.streaming_codec import (
    StreamDecoder,
    StreamEncoder,
    encode_batch,
)
from tests.bscodec.conftest import tiny_conf

from .chunked import push_chunks, relative, spread_codes

NETWORKS = ["seanet", "spectral"]
LENGTHS = {
    "spectral": [1, 159, 160, 161, 319, 320, 321, 640, 961, 5000],
    "seanet": [1, 319, 320, 321, 1024, 1025, 1950, 2048, 3000, 3071, 5000, 8000],
}


@pytest.fixture
def codec(request):
    """A codec of each network, seeded, in eval mode."""
    conf = tiny_conf("seanet" if request.param == "seanet" else "spectral")
    conf["generator_params"]["network"] = request.param
    torch.manual_seed(0)
    return spread_codes(BSCodec(**conf).eval())


def encode_pieces(codec, x, size, **kwargs):
    return push_chunks(StreamEncoder(codec, len(x), **kwargs), x, size)


def noise(length, batch=1, seed=0):
    torch.manual_seed(seed)
    return 0.3 * torch.randn(batch, length)


@pytest.mark.parametrize("codec", NETWORKS, indirect=True)
def test_the_codes_under_test_differ(codec):
    codes = codec.encode(noise(24000))[0]
    assert all(len(band.unique()) >= 8 for band in codes)


@pytest.mark.parametrize("codec", NETWORKS, indirect=True)
@pytest.mark.parametrize("size", [160, 1000, 4321, 10**6])
def test_pieces_give_the_codes_and_audio_of_the_whole(codec, size, request):
    for length in LENGTHS[request.node.callspec.params["codec"]]:
        x = noise(length, batch=2, seed=length)
        codes = codec.encode(x)
        assert torch.equal(encode_pieces(codec, x, size), codes)
        with torch.no_grad():
            audio = codec.decode(codes)[:, 0]
        stream = StreamDecoder(codec, 2)
        assert relative(push_chunks(stream, codes, max(1, size // 320)), audio) < 1e-5


@pytest.mark.parametrize("codec", NETWORKS, indirect=True)
def test_sample_by_sample(codec):
    x = noise(1400)
    assert torch.equal(encode_pieces(codec, x, 1), codec.encode(x))


@pytest.mark.parametrize("codec", NETWORKS, indirect=True)
def test_a_batch_of_streams_is_its_streams(codec):
    x = noise(6000, batch=3)
    together = encode_pieces(codec, x, 700)
    for row, codes in zip(x, together, strict=True):
        assert torch.equal(encode_pieces(codec, row[None], 700)[0], codes)


@pytest.mark.parametrize("codec", NETWORKS, indirect=True)
def test_saved_streams_go_on(codec, tmp_path):
    x = noise(12000, batch=2)
    codes = codec.encode(x)
    first = StreamEncoder(codec, 2)
    begun = first.push(x[:, :7000])
    save_state(first.state(), tmp_path / "encoder")
    first.push(x[:, :2000])  # what it does afterwards changes nothing of what is saved
    second = StreamEncoder(codec, 2)
    second.restore(load_state(tmp_path / "encoder"))
    rest = [second.push(x[:, 7000:11000]), second.push(x[:, 11000:]), second.flush()]
    assert torch.equal(torch.cat([begun, *rest], dim=2), codes)

    first, second = StreamDecoder(codec, 2), StreamDecoder(codec, 2)
    parts = [first.push(codes[..., :20])]
    save_state(first.state(), tmp_path / "decoder")
    second.restore(load_state(tmp_path / "decoder"))
    parts += [second.push(codes[..., 20:]), second.flush(12000)]
    with torch.no_grad():
        audio = codec.decode(codes)[:, 0, :12000]
    assert relative(torch.cat(parts, dim=1), audio) < 1e-5


@pytest.mark.parametrize("codec", NETWORKS, indirect=True)
def test_one_stream_of_a_batch_can_go_on_alone(codec):
    x = noise(9000, batch=3)
    together, alone = StreamEncoder(codec, 3), StreamEncoder(codec)
    begun = together.push(x[:, :5000])
    alone.restore(pick_rows(together.state(), [1]))
    codes = torch.cat([begun[1:2], alone.push(x[1:2, 5000:]), alone.flush()], dim=2)
    assert torch.equal(codes, codec.encode(x[1:2]))


@pytest.mark.parametrize("codec", NETWORKS, indirect=True)
def test_codes_come_with_the_sample_that_the_lookahead_names(codec):
    encoder, given, waits = StreamEncoder(codec), 0, []
    for t in range(24):  # the STFT's blocks and the frames meet again after 16
        needed = encoder.inputs_for(t + 1)
        if needed > encoder.num_samples_in:
            given += encoder.push(noise(needed - 1 - encoder.num_samples_in, seed=t)).shape[2]
            assert given <= t
            given += encoder.push(noise(1, seed=t)).shape[2]
        assert given > t
        waits.append(needed - 1 - t * encoder.hop_length)
    assert max(waits) == encoder.lookahead


@pytest.mark.parametrize("codec", NETWORKS, indirect=True)
def test_samples_come_with_the_frame_that_the_lookahead_names(codec):
    decoder, waits = StreamDecoder(codec), []
    for frame in range(40):
        decoder.push(torch.zeros(1, codec.num_bands, 1, dtype=torch.long))
        waits.append(frame + 1 - decoder.num_samples_out // decoder.hop_length)
        assert frame + 1 < decoder.inputs_for(decoder.num_samples_out + 1)
        assert (
            not decoder.num_samples_out or decoder.inputs_for(decoder.num_samples_out) <= frame + 1
        )
    assert max(waits) == decoder.lookahead


@pytest.mark.parametrize(
    ("network", "changes", "encoder", "decoder"),
    [
        ("seanet", {"encdec_n_residual_layers": 3}, 4543, 7),
        ("seanet", {"encdec_n_residual_layers": 3, "encdec_causal": True}, 2303, 0),
        ("spectral", {"spectral_blocks": 3}, 5439, 18),
    ],
)
def test_the_documented_delays(make_codec, network, changes, encoder, decoder):
    codec = make_codec(network, **changes)
    assert (StreamEncoder(codec).lookahead, StreamDecoder(codec).lookahead) == (encoder, decoder)


@pytest.mark.parametrize("codec", NETWORKS, indirect=True)
def test_bands_by_choice(codec):
    x = noise(5000)
    codes = codec.encode(x)
    assert torch.equal(encode_pieces(codec, x, 900, bands=1), codes[:, :1])
    with torch.no_grad():
        audio = codec.decode(codes, bands=1)[:, 0]
    assert relative(push_chunks(StreamDecoder(codec, bands=1), codes, 5), audio) < 1e-5


@pytest.mark.parametrize("codec", NETWORKS, indirect=True)
def test_signals_of_different_length_are_coded_together(codec):
    lengths = [1, 5000, 320, 12000, 5000, 1025, 4999, 60000, 60001]
    signals = [noise(n, seed=i)[0] for i, n in enumerate(lengths)]
    for x, codes in zip(signals, encode_batch(codec, signals), strict=True):
        assert torch.equal(codes, codec.encode(x)[0])
    assert encode_batch(codec, []) == []
    low = encode_batch(codec, signals[:3], bands=1)
    assert [c.shape for c in low] == [(1, 1), (1, 16), (1, 1)]


def test_misuse_is_one_line(make_codec):
    codec = make_codec("spectral")
    encoder, decoder = StreamEncoder(codec, 2), StreamDecoder(codec)
    with pytest.raises(ValueError, match=r"expected samples \(2, n\), got shape \(5,\)"):
        encoder.push(torch.zeros(5))
    with pytest.raises(ValueError, match=r"expected samples \(2, n\), got shape \(1, 5\)"):
        encoder.push(torch.zeros(1, 5))
    with pytest.raises(ValueError, match="NaN or infinity"):
        encoder.push(torch.full((2, 3), torch.nan))
    with pytest.raises(ValueError, match="empty audio"):
        encoder.flush()
    encoder.push(torch.zeros(2, 3), last=True)
    with pytest.raises(ValueError, match="the stream has ended"):
        encoder.push(torch.zeros(2, 3))
    with pytest.raises(ValueError, match=r"expected codes \(1, 2, f\), got shape \(1, 1, 3\)"):
        decoder.push(torch.zeros(1, 1, 3, dtype=torch.long))
    with pytest.raises(ValueError, match="band 1: code outside 0..63"):
        decoder.push(torch.full((1, 2, 3), 64))
    with pytest.raises(ValueError, match="expected codes in int64, got torch.float32"):
        decoder.push(torch.zeros(1, 2, 3))
    with pytest.raises(ValueError, match="expected 1 to 2 bands, got 3"):
        StreamEncoder(codec, bands=3)
    with pytest.raises(ValueError, match="state of another kind"):
        decoder.restore(encoder.state())
    with pytest.raises(ValueError, match="empty audio"):
        encode_batch(codec, [torch.zeros(5), torch.zeros(0)])


@pytest.mark.parametrize("network", ["seanet", "spectral"])
def test_a_state_with_wrong_values_is_one_line(make_codec, network):
    """States come from files: each value has to be of the kind that is there."""
    encoder = StreamEncoder(make_codec(network))
    good = encoder.state()
    tensor = next(key for key, value in good.items() if isinstance(value, torch.Tensor))
    wrong = [
        *({"num_samples_in": value} for value in ("x", None, 1.5, torch.zeros(3))),
        *({"ended": value} for value in ("x", 0, None)),
        *({tensor: value} for value in (1.5, "x", torch.zeros(()), good[tensor].double())),
        {tensor: torch.cat([good[tensor]] * 2)},
    ]
    for change in wrong:
        with pytest.raises(ValueError, match="state of"):
            encoder.restore({**good, **change})
    encoder.restore(good)
    assert len(encoder.push(torch.zeros(1, 3000), last=True)) == 1


@pytest.mark.parametrize("network", ["seanet", "spectral"])
def test_nothing_decodes_to_nothing(make_codec, network):
    assert StreamDecoder(make_codec(network), 2).flush().shape == (2, 0)


def test_foreign_files_are_no_states(tmp_path):
    (tmp_path / "a").write_bytes(b"no state")
    with pytest.raises(ValueError, match="a: holds no state of a stream"):
        load_state(tmp_path / "a")
