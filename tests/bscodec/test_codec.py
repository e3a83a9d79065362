"""The user's object: exact lengths, exact codes through files, and bands by choice."""

import os
from dataclasses import replace

import numpy as np
import pytest
import soundfile
import torch

from espnet2.gan_codec.bscodec import Codec
from espnet2.gan_codec.bscodec.codec import CodecError, count_bands
from espnet2.gan_codec.bscodec.format.audio import AudioError, resampled_length
from espnet2.gan_codec.bscodec.format.bitstream import BitstreamError, EncodedAudio
from espnet2.gan_codec.bscodec.inference import chunks

from .experiments import make_noise, write_experiment


@pytest.mark.parametrize("network", ["seanet", "spectral"])
@pytest.mark.parametrize("num_samples", [1, 319, 320, 321, 1024, 3000])
def test_lengths_are_exact_and_codes_are_the_model_s(codecs, network, num_samples):
    codec, audio = codecs[network], make_noise(num_samples)
    encoded = codec.encode(audio, 24000)
    with torch.inference_mode():
        expected = codec.model.encode(torch.from_numpy(audio)[None, None])[0]
    assert np.array_equal(encoded.codes, expected)
    assert encoded.num_samples == num_samples
    decoded = codec.decode(encoded)
    assert decoded.shape == (num_samples,) and decoded.dtype == np.float32


def test_encoded_audio_describes_the_model(codec):
    encoded = codec.encode(make_noise(), 24000)
    assert encoded.bands == ((0, 1200), (1200, 12000)) == codec.bands
    assert encoded.codebook_sizes == (1024, 64) and encoded.bits == (10, 6)
    assert encoded.bitrate == 16 * 75
    assert (encoded.model, encoded.fingerprint) == ("spectral", codec.fingerprint[:8])


def test_integers_floats_tensors_and_channels_agree(codec):
    integers = (make_noise() * 32768).astype(np.int16)
    floats = integers.astype(np.float64) / 32768
    expected = codec.encode(floats, 24000)
    stereo = np.stack([floats, floats], axis=1)
    for audio in (integers, stereo, torch.from_numpy(floats), integers.astype(np.int32) << 16):
        assert codec.encode(audio, 24000) == expected


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_other_rates_are_resampled_to_the_model_s(codec, rate):
    encoded = codec.encode(make_noise(rate // 4), rate)
    assert encoded.num_samples == resampled_length(rate // 4, rate, 24000) == 6000
    assert encoded.sampling_rate == 24000 and len(codec.decode(encoded)) == 6000


@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_files_and_arrays_agree(codec, tmp_path, suffix):
    audio = make_noise(9000, channels=2)
    soundfile.write(tmp_path / "a.wav", audio, 44100, subtype="FLOAT")
    header = codec.encode_file(tmp_path / "a.wav", tmp_path / "a.bsc")
    encoded = codec.encode(audio, 44100)
    assert codec.load(tmp_path / "a.bsc") == encoded and header == encoded.header
    written = codec.decode_file(tmp_path / "a.bsc", tmp_path / f"b.{suffix}")
    decoded, rate = soundfile.read(tmp_path / f"b.{suffix}", dtype="float32")
    expected = codec.decode(encoded)
    assert rate == 24000 and decoded.shape == expected.shape
    assert np.abs(decoded - expected.clip(-1, 1)).max() <= 1 / 32768
    assert written.peak == np.abs(expected).max()


@pytest.mark.parametrize("network", ["seanet", "spectral"])
def test_long_files_are_coded_in_pieces_with_the_codes_of_the_whole(
    codecs, network, tmp_path, monkeypatch
):
    for name in ("WAVEFORM_SECONDS", "SPECTRAL_SECONDS"):
        monkeypatch.setattr(chunks, name, 0.2)
    codec, audio = codecs[network], make_noise(70001)
    soundfile.write(tmp_path / "a.wav", audio, 24000, subtype="FLOAT")
    encoding, decoding = [], []
    codec.encode_file(tmp_path / "a.wav", tmp_path / "a.bsc", progress=encoding.append)
    codec.decode_file(
        tmp_path / "a.bsc", tmp_path / "b.wav", float32=True, progress=decoding.append
    )
    assert len(encoding) >= 14 and len(decoding) >= 14
    encoded = codec.load(tmp_path / "a.bsc")
    with torch.inference_mode():
        codes = codec.model.encode(torch.from_numpy(audio)[None, None])
        expected = codec.model.decode(codes)[0, 0, :70001].numpy()
    assert np.array_equal(encoded.codes, codes[0])
    decoded, _ = soundfile.read(tmp_path / "b.wav", dtype="float32")
    assert decoded.shape == (70001,)
    assert np.abs(decoded - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("size", [1, 7, 100])
@pytest.mark.parametrize("blocks", [[5], [3, 0, 9], [100, 1, 250]])
def test_chunks_keep_order_and_say_when_it_ends(size, blocks):
    values = np.arange(sum(blocks))
    parts = list(chunks.chunked(np.split(values, np.cumsum(blocks)[:-1]), size))
    assert np.array_equal(np.concatenate([part for part, _ in parts]), values)
    assert [last for _, last in parts] == [False] * (len(parts) - 1) + [True]
    assert all(size <= len(part) < 2 * size for part, _ in parts[:-1])
    assert 0 < len(parts[-1][0]) < 2 * size


@pytest.mark.parametrize("network", ["seanet", "spectral"])
def test_many_are_coded_as_each_by_itself(codecs, network):
    codec = codecs[network]
    audios = [make_noise(n) for n in (5000, 1, 320, 9000, 5000)]
    assert codec.encode_many(audios, 24000) == [codec.encode(audio, 24000) for audio in audios]
    stereo = [make_noise(n, channels=2) for n in (3000, 4000)]
    expected = [codec.encode(audio, 16000, bands=1) for audio in stereo]
    assert codec.encode_many(stereo, 16000, bands=1) == expected
    with pytest.raises(CodecError, match="empty audio"):
        codec.encode_many([audios[0], np.zeros(0)], 24000)


@pytest.mark.parametrize("network", ["seanet", "spectral"])
def test_streams_of_a_codec(codecs, network):
    codec, audio = codecs[network], make_noise(5000)
    encoder, decoder = codec.stream_encoder(), codec.stream_decoder()
    codes = [encoder.push(part[None]) for part in np.split(audio, [7, 2000])] + [encoder.flush()]
    codes = torch.cat(codes, dim=2)
    encoded = codec.encode(audio, 24000)
    assert np.array_equal(codes[0], encoded.codes)
    decoded = torch.cat([decoder.push(codes), decoder.flush(5000)], dim=1)[0].numpy()
    assert np.abs(decoded - codec.decode(encoded)).max() < 1e-5 * np.abs(decoded).max()


def test_float_files_keep_every_sample(codec, tmp_path):
    encoded = codec.encode(make_noise(), 24000)
    codec.save(encoded, tmp_path / "a.bsc")
    codec.decode_file(tmp_path / "a.bsc", tmp_path / "a.wav", float32=True)
    decoded, _ = soundfile.read(tmp_path / "a.wav", dtype="float32")
    assert np.array_equal(decoded, codec.decode(encoded))


def test_progress_adds_up_to_the_length(codec, tmp_path):
    soundfile.write(tmp_path / "a.wav", make_noise(24000), 24000)
    encoding, decoding = [], []
    codec.encode_file(tmp_path / "a.wav", tmp_path / "a.bsc", progress=encoding.append)
    codec.decode_file(tmp_path / "a.bsc", tmp_path / "b.wav", progress=decoding.append)
    assert sum(encoding) == pytest.approx(1) and sum(decoding) == pytest.approx(1)


# ---- bands


@pytest.mark.parametrize("network", ["seanet", "spectral"])
def test_lowest_bands_are_the_same_stored_or_played(codecs, network, tmp_path):
    codec, audio = codecs[network], make_noise()
    whole = codec.encode(audio, 24000)
    low = codec.encode(audio, 24000, bands=1)
    assert low == whole.lowest(1)
    assert low.bitrate < whole.bitrate and len(low.dumps()) < len(whole.dumps())
    assert np.array_equal(codec.decode(low), codec.decode(whole, bands=1))
    assert not np.array_equal(codec.decode(low), codec.decode(whole))
    assert codec.encode(audio, 24000, max_hz=codec.bands[0][1]) == low
    low.save(tmp_path / "a.bsc")
    assert codec.load(tmp_path / "a.bsc") == low


EDGES = ((0, 500), (500, 2000), (2000, 12000))


@pytest.mark.parametrize(
    ("bands", "max_hz", "count"),
    [(None, None, 3), (1, None, 1), (3, None, 3), (None, 500, 1), (None, 1999, 1)]
    + [(None, 2000, 2), (None, 1e9, 3)],
)
def test_bands_are_counted(bands, max_hz, count):
    assert count_bands(EDGES, bands, max_hz) == count


@pytest.mark.parametrize(
    ("bands", "max_hz", "message"),
    [
        (0, None, "0 bands: the model has 3, which end at 500, 2000, 12000 Hz"),
        (4, None, "4 bands: the model has 3, which end at 500, 2000, 12000 Hz"),
        (None, 499, "no band ends at or below 499 Hz: the model has ends at 500, 2000, 12000 Hz"),
        (None, float("nan"), "no band ends at or below nan Hz"),
        (1, 500, "not both"),
    ],
)
def test_bands_that_are_not_there_are_refused(bands, max_hz, message):
    with pytest.raises(CodecError, match=message):
        count_bands(EDGES, bands, max_hz)


# ---- refusals


@pytest.mark.parametrize(
    ("audio", "rate", "message"),
    [
        (np.zeros(0), 24000, "empty audio"),
        (np.zeros((0, 2)), 24000, "empty audio"),
        (np.zeros((1, 2, 3)), 24000, r"shape \(1, 2, 3\): expected"),
        (np.zeros((2, 24000)), 24000, r"expected \(T,\) or \(T, channels\)"),
        (np.array([0.0, np.nan]), 24000, "NaN or infinite"),
        (np.array([0.0, 1e300]), 24000, "NaN or infinite"),
        (np.zeros(9, complex), 24000, "complex128: expected floats or signed integers"),
        (np.zeros(9, np.uint8), 24000, "uint8: expected floats or signed integers"),
        (np.zeros(9), 0, "sampling rate 0"),
        (np.zeros(9), 44100.5, "sampling rate 44100.5"),
    ],
)
def test_unusable_audio_is_refused(codec, audio, rate, message):
    with pytest.raises(CodecError, match=message):
        codec.encode(audio, rate)


def test_codes_of_other_weights_are_refused(codec, codecs, tmp_path):
    encoded = codecs["seanet"].encode(make_noise(), 24000)
    encoded.save(tmp_path / "a.bsc")
    message = "made by the model 'seanet' with fingerprint .*; this is 'spectral' with"
    for attempt in (
        lambda: codec.decode(encoded),
        lambda: codec.load(tmp_path / "a.bsc"),
        lambda: codec.decode_file(tmp_path / "a.bsc", tmp_path / "a.wav"),
    ):
        with pytest.raises(CodecError, match=message):
            attempt()
    assert os.listdir(tmp_path) == ["a.bsc"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("sampling_rate", 16000),
        ("bands", ((0, 1000), (1000, 12000))),
        ("codebook_sizes", (1024, 65)),
    ],
)
def test_codes_that_cannot_be_this_model_s_are_refused(codec, field, value):
    encoded = replace(codec.encode(make_noise(), 24000), **{field: value})
    with pytest.raises(CodecError, match=f"its {field} .* are not this model's"):
        codec.decode(encoded)


def test_failed_files_leave_nothing(codec, tmp_path):
    broken = make_noise()
    broken[4000] = np.nan
    soundfile.write(tmp_path / "a.wav", broken, 24000, subtype="FLOAT")
    with pytest.raises(AudioError, match="NaN"):
        codec.encode_file(tmp_path / "a.wav", tmp_path / "a.bsc")
    data = bytearray(codec.encode(make_noise(), 24000).dumps())
    data[-9] ^= 1
    (tmp_path / "b.bsc").write_bytes(data)
    with pytest.raises(BitstreamError, match="block 1 of 1"):
        codec.decode_file(tmp_path / "b.bsc", tmp_path / "b.wav")
    assert sorted(os.listdir(tmp_path)) == ["a.wav", "b.bsc"]


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("can't allocate memory: 9 GB")])
def test_lack_of_memory_is_one_line(codec, monkeypatch, error):
    def encode(quantizer, latents):
        raise error

    monkeypatch.setattr(codec.model.generator.backend, "encode", encode)
    with pytest.raises(CodecError, match="not enough memory to code 2 s of audio"):
        codec.encode(make_noise(48000), 24000)


def test_errors_of_the_model_stay_what_they_are(codec, monkeypatch):
    def encode(quantizer, latents):
        raise RuntimeError("a bug")

    monkeypatch.setattr(codec.model.generator.backend, "encode", encode)
    with pytest.raises(RuntimeError, match="a bug"):
        codec.encode(make_noise(), 24000)


@pytest.mark.cuda
@pytest.mark.parametrize("network", ["seanet", "spectral"])
def test_gpu_decodes_what_the_cpu_encodes(codecs, network, tmp_path):
    write_experiment(tmp_path / network, network)
    gpu, cpu = Codec.from_pretrained(str(tmp_path / network), "cuda"), codecs[network]
    audio = make_noise(24000)
    encoded = cpu.encode(audio, 24000)
    assert gpu.device.type == "cuda" and gpu.fingerprint == cpu.fingerprint
    assert np.abs(gpu.decode(encoded) - cpu.decode(encoded)).max() < 1e-2
    assert (gpu.encode(audio, 24000).codes == encoded.codes).mean() > 0.9


def test_encoded_audio_is_read_without_the_model(codec):
    encoded = codec.encode(make_noise(), 24000)
    assert EncodedAudio.loads(encoded.dumps()) == encoded


@pytest.mark.parametrize("network", ["seanet", "spectral"])
def test_a_codec_that_only_encodes_keeps_its_codes_and_no_decoder(tmp_path, network):
    write_experiment(tmp_path, network)
    codec, audio = Codec.from_pretrained(str(tmp_path), "cpu"), make_noise(3000)
    expected = codec.encode(audio, 24000)
    lean = Codec.from_pretrained(str(tmp_path), "cpu").drop_decoder()
    assert np.array_equal(lean.encode(audio, 24000).codes, expected.codes)
    assert lean.header(1) == codec.header(1)
    assert all(p.device.type == "meta" for p in lean.model.generator.decoders.parameters())
