"""Channels that are kept, chosen or averaged, and the rate that audio had before."""

import numpy as np
import pytest
import soundfile

from espnet2.gan_codec.bscodec.codec import CodecError
from espnet2.gan_codec.bscodec.format.audio import AudioError, resampled_length
from espnet2.gan_codec.bscodec.inference import chunks

from .experiments import make_noise


@pytest.mark.parametrize("network", ["seanet", "spectral"])
@pytest.mark.parametrize("rate", [24000, 44100])
def test_kept_channels_are_coded_as_each_by_itself(codecs, network, rate):
    codec, audio = codecs[network], make_noise(9001, channels=3)
    encoded = codec.encode(audio, rate, channels="keep")
    assert encoded.num_channels == 3 and encoded.codes.shape == (3, *encoded.codes.shape[1:])
    alone = [codec.encode(audio[:, i], rate) for i in range(3)]
    assert all(np.array_equal(encoded.codes[i], alone[i].codes) for i in range(3))
    decoded = codec.decode(encoded)
    assert decoded.shape == (encoded.num_samples, 3) and decoded.dtype == np.float32
    assert all(np.array_equal(decoded[:, i], codec.decode(alone[i])) for i in range(3))
    assert np.array_equal(codec.decode(encoded, bands=1)[:, 2], codec.decode(alone[2], bands=1))


def test_files_keep_channels_too(codec, tmp_path, monkeypatch):
    monkeypatch.setattr(chunks, "SPECTRAL_SECONDS", 0.2)
    audio = make_noise(70001, channels=2)
    soundfile.write(tmp_path / "a.wav", audio, 44100, subtype="FLOAT")
    header = codec.encode_file(tmp_path / "a.wav", tmp_path / "a.bsc", channels="keep")
    encoded = codec.encode(audio, 44100, channels="keep")
    assert codec.load(tmp_path / "a.bsc") == encoded and header == encoded.header
    codec.decode_file(tmp_path / "a.bsc", tmp_path / "b.wav", float32=True)
    decoded, rate = soundfile.read(tmp_path / "b.wav", dtype="float32")
    expected = codec.decode(encoded)
    assert rate == 24000 and decoded.shape == expected.shape == (header.num_samples, 2)
    assert np.abs(decoded - expected).max() < 1e-5 * np.abs(expected).max()


@pytest.mark.parametrize("choice", [1, 2, "mean", "keep"])
def test_one_channel_is_the_same_file_whatever_is_chosen(codec, tmp_path, choice):
    audio = make_noise(3000, channels=2)
    audio[:, 1] = audio[:, 0]
    mono = audio[:, :1] if choice in ("keep", 1) else audio
    if choice == 2:
        mono = np.stack([make_noise(3000, seed=1), audio[:, 0]], axis=1)
    codec.save(codec.encode(mono, 16000, channels=choice), tmp_path / "a.bsc")
    codec.save(codec.encode(audio[:, 0], 16000), tmp_path / "b.bsc")
    data = (tmp_path / "a.bsc").read_bytes()
    assert data == (tmp_path / "b.bsc").read_bytes() and data[3] == 2
    encoded = codec.encode(mono, 16000, channels=choice, keep_rate=False)
    assert encoded.dumps()[3] == 1


@pytest.mark.parametrize("choice", [0, 3, -1, "left"])
def test_channels_that_are_not_there_are_refused(codec, choice):
    with pytest.raises(AudioError, match=f"there is no channel {choice}: it has 2"):
        codec.encode(make_noise(channels=2), 24000, channels=choice)


@pytest.mark.parametrize(
    ("second", "loss"), [(-1.0, "everything"), (-0.9, "26 dB"), (-0.6, "14 dB"), (-0.4, None)]
)
def test_an_average_that_cancels_is_warned_of(codec, tmp_path, second, loss):
    audio = make_noise()
    stereo = np.stack([audio, second * audio], axis=1)
    soundfile.write(tmp_path / "a.wav", stereo, 24000, subtype="FLOAT")
    lines: list[str] = []
    codec.encode_file(tmp_path / "a.wav", tmp_path / "a.bsc", notice=lines.append)
    assert len(lines) == (loss is not None)
    if loss:
        expected = f"a.wav: averaging its 2 channels loses {loss} of channel 1"
        assert expected in lines[0] and "--channels 1" in lines[0]
        with pytest.warns(UserWarning, match=f"loses {loss} of channel 1"):
            codec.encode(stereo, 24000)
        with pytest.warns(UserWarning, match=f"loses {loss} of channel 1"):
            codec.encode_many([stereo], 24000)
    for choice in (1, 2, "keep"):
        codec.encode_file(
            tmp_path / "a.wav", tmp_path / "a.bsc", channels=choice, notice=pytest.fail
        )


def test_silence_and_one_loud_channel_in_a_few_are_no_loss(codec, tmp_path):
    opposite = [[0.5, -0.5]]  # a sample or two are opposite by chance
    for audio in (np.zeros((500, 2)), make_noise(500, 3) * [1, 0, 0], opposite):
        soundfile.write(tmp_path / "a.wav", audio, 24000)
        codec.encode_file(tmp_path / "a.wav", tmp_path / "a.bsc", notice=pytest.fail)


@pytest.mark.parametrize("rate", [8000, 22050, 24000, 44100, 192000])
@pytest.mark.parametrize("length", [1, 700, 9001])
def test_original_rate_and_length_come_back(codec, tmp_path, rate, length):
    encoded = codec.encode(make_noise(length), rate)
    if rate == 24000:  # a file that loses nothing stays of version 1
        assert encoded.original_rate == 0 and encoded.dumps()[3] == 1
    else:
        assert (encoded.original_rate, encoded.original_samples) == (rate, length)
        assert encoded.dumps()[3] == 2
    assert encoded.codes.ndim == 2
    assert codec.encode(make_noise(length), rate, keep_rate=False).dumps()[3] == 1
    (same,) = codec.encode_many([make_noise(length)], rate)
    assert same.dumps() == encoded.dumps()
    for asked in ("original", rate):
        assert codec.decode(encoded, rate=asked).shape == (length,)
    assert codec.decode(encoded).shape == (resampled_length(length, rate, 24000),)
    codec.save(encoded, tmp_path / "a.bsc")
    codec.decode_file(tmp_path / "a.bsc", tmp_path / "a.wav", rate="original")
    found = soundfile.info(tmp_path / "a.wav")
    assert (found.samplerate, found.frames) == (rate, length)


@pytest.mark.parametrize("channels", [1, 2])
def test_another_rate_keeps_the_sound(codec, channels):
    """A tone decoded at twice the rate has every second sample where it was."""
    encoded = codec.encode(make_noise(24000, channels), 24000, channels="keep")
    audio, doubled = codec.decode(encoded), codec.decode(encoded, rate=48000)
    assert doubled.shape == (48000, *audio.shape[1:])
    middle = slice(2000, 22000)
    spectrum = np.fft.rfft(audio - doubled[::2], axis=0)
    whole = np.fft.rfft(audio, axis=0)
    low = slice(0, 10000)  # below the resampler's slope
    assert np.abs(spectrum[low]).max() < 0.02 * np.abs(whole[low]).max()
    assert np.abs(doubled[::2][middle] - audio[middle]).mean() < 0.5 * np.abs(audio).mean()


def test_files_that_keep_no_rate_have_the_models(codec):
    encoded = codec.encode(make_noise(), 44100, keep_rate=False)
    assert np.array_equal(codec.decode(encoded, rate="original"), codec.decode(encoded))
    for rate in (0, -1, 2**31, 0.5, "best"):
        with pytest.raises(CodecError, match=f"sampling rate {rate}: expected"):
            codec.decode(encoded, rate=rate)
