"""Other codecs in the same run: what they make, what it costs, and what is said without them."""

import json
import shutil
import sys
import types

import numpy as np
import pytest
import soundfile
import torch

from espnet2.bin.gan_codec_score import main
from espnet2.gan_codec.bscodec.codec import Codec
from espnet2.gan_codec.scoring.metrics.metric import ScoringError, UnavailableError
from espnet2.gan_codec.scoring.peers.coding import make_peer
from espnet2.gan_codec.scoring.peers.opus import packet_sizes

from .conftest import RATE, voice

needs_opus = pytest.mark.skipif(shutil.which("opusenc") is None, reason="no opus-tools here")


def score(utterances, outdir, *arguments):
    words = ["--ref", str(utterances / "ref"), "--outdir", str(outdir), "--no-report"]
    return main([*words, "--metrics", "SI-SDR", *arguments])


def page(payload, sizes):
    """An Ogg page; a packet's size is spelled as 255s and a rest."""
    return b"OggS" + bytes(22) + bytes([len(sizes)]) + bytes(sizes) + payload


def test_packets_of_ogg_are_measured_across_segments_and_pages():
    first = page(bytes(19), [19])
    second = page(bytes(8 + 255 + 10 + 255), [8, 255, 10, 255])
    third = page(bytes(45), [45])
    assert list(packet_sizes(first + second + third)) == [19, 8, 265, 300]


@needs_opus
def test_opus_is_scored_beside_decoded_folders_with_its_real_bitrate(utterances, tmp_path):
    out = tmp_path / "out"
    peers = ["--peer", "opus:8", "--peer", "opus:48", "--hyp", f"good={utterances / 'good'}"]
    assert score(utterances, out, *peers, "--nj", "2") == 0
    systems = json.loads((out / "summary.json").read_text())["systems"]
    assert list(systems) == ["good", "opus-8k", "opus-48k"]
    low, high = systems["opus-8k"]["all"], systems["opus-48k"]["all"]
    assert 4 < low["kbps"] < 16 and 24 < high["kbps"] < 72
    assert low["metrics"]["SI-SDR"]["mean"] < high["metrics"]["SI-SDR"]["mean"]
    assert low["encode_speed"] > 0 and low["decode_speed"] > 0
    for path in (utterances / "ref").iterdir():
        decoded = soundfile.info(out / "peers" / "opus-8k" / path.name)
        original = soundfile.info(path)
        assert (decoded.frames, decoded.samplerate) == (original.frames, original.samplerate)
    made = out / "peers" / "opus-8k" / "speech_a.wav"
    before = made.stat().st_mtime_ns
    assert score(utterances, out, "--peer", "opus:8") == 0
    assert made.stat().st_mtime_ns == before  # kept
    (out / "peers" / "opus-8k" / "speech_a.wav.json").unlink()
    assert score(utterances, out, "--peer", "opus:8") == 0
    assert made.stat().st_mtime_ns > before


@needs_opus
def test_bits_are_those_of_the_packets_not_of_the_file(tmp_path):
    from espnet2.gan_codec.scoring.peers.opus import Opus

    audio = voice(2)
    coded = Opus(32).code(audio, RATE, tmp_path / "out.wav")
    decoded, rate = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert (len(decoded), rate) == (len(audio), RATE)
    assert np.corrcoef(audio, decoded)[0, 1] > 0.9
    assert 16e3 < coded.bits / 2 < 48e3


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("opus", "expected CODEC:KBPS with one of opus, encodec, dac"),
        ("mp3:64", "expected CODEC:KBPS"),
        ("opus:many", "expected CODEC:KBPS"),
        ("opus:1", "expected 6 to 256 kbit/s"),
        ("encodec:7", "expected one of 1.5, 3, 6, 12, 24 kbit/s"),
        ("dac:8", "expected a multiple of 0.75 kbit/s up to 24"),
    ],
)
def test_peers_that_there_are_not_are_refused(text, reason, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: name)
    with pytest.raises(ScoringError, match=reason):
        make_peer(text)


def test_peers_that_cannot_be_had_are_one_line_and_the_rest_goes_on(
    utterances, tmp_path, monkeypatch, capsys
):
    monkeypatch.setitem(sys.modules, "encodec", None)
    monkeypatch.setitem(sys.modules, "dac", None)
    monkeypatch.setattr("shutil.which", lambda name: None)
    peers = [word for name in ("opus:12", "encodec:6", "dac:6") for word in ("--peer", name)]
    hyp = f"good={utterances / 'good'}"
    assert score(utterances, tmp_path / "out", *peers, "--hyp", hyp) == 0
    lines = [x for x in capsys.readouterr().err.splitlines() if "left out" in x]
    assert [line.partition("left out: ")[2] for line in lines] == [
        "opus needs the program opusenc: install opus-tools",
        "needs the package encodec: pip install encodec",
        "needs the package descript-audio-codec: pip install descript-audio-codec",
    ]
    assert score(utterances, tmp_path / "none", *peers) == 1
    assert "none of the peers can be had" in capsys.readouterr().err


class FakeEnCodec:
    """The package's interface: codes (1, K, F) of int64 for each 320 samples."""

    def set_target_bandwidth(self, kbps):
        self.stages = int(kbps / 0.75)

    def encode(self, audio):
        frames = -(-audio.shape[-1] // 320)
        assert audio.shape[:2] == (1, 1)
        self.audio = torch.nn.functional.pad(audio, (0, 320 * frames - audio.shape[-1]))
        return [(torch.zeros(1, self.stages, frames, dtype=torch.int64), None)]

    def decode(self, frames):
        (codes, scale), *others = frames
        assert codes.shape[1] == self.stages and scale is None and not others
        return 0.9 * self.audio


@pytest.mark.parametrize("rate", [24000, 44100])
def test_encodec_takes_the_packages_codes_and_keeps_rate_and_length(tmp_path, monkeypatch, rate):
    library = types.ModuleType("encodec")
    library.__version__ = "0"
    library.EncodecModel = types.SimpleNamespace(
        encodec_model_24khz=lambda repository=None: FakeEnCodec()
    )
    monkeypatch.setitem(sys.modules, "encodec", library)
    peer = make_peer("encodec:6")
    audio = voice(1)
    coded = peer.code(audio, rate, tmp_path / "out.wav")
    decoded, decoded_rate = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert (len(decoded), decoded_rate) == (len(audio), rate)
    assert coded.bits / (len(audio) / rate) == pytest.approx(6000, rel=0.02)
    assert np.abs(decoded - 0.9 * audio).max() < (1e-3 if rate == 24000 else 0.2)


class FakeDAC:
    """The package's interface, for codebooks of the one size that it is told."""

    sample_rate = 24000

    def __init__(self, codebook_size):
        self.codebook_size = codebook_size

    def load_state_dict(self, weights):
        assert weights == {}

    def eval(self):
        return self

    def preprocess(self, audio, sampling_rate):
        assert sampling_rate == 24000
        return torch.nn.functional.pad(audio, (0, -audio.shape[-1] % 320))

    def encode(self, audio, n_quantizers):
        self.audio = audio
        return None, torch.zeros(1, n_quantizers, audio.shape[-1] // 320, dtype=torch.int64)

    @property
    def quantizer(self):
        return types.SimpleNamespace(from_codes=lambda codes: (codes, None, None))

    def decode(self, latents):
        assert latents.shape[1] == 8
        return self.audio


def test_dac_takes_the_packages_codes(tmp_path, monkeypatch):
    library = types.ModuleType("dac")
    library.__version__ = "0"
    library.DAC = FakeDAC
    contents = {"state_dict": {}, "metadata": {"kwargs": {"codebook_size": 1024, "other": 1}}}
    torch.save(contents, tmp_path / "weights.pth")
    library.utils = types.SimpleNamespace(download=lambda model_type: tmp_path / "weights.pth")
    monkeypatch.setitem(sys.modules, "dac", library)
    audio = voice(1)
    coded = make_peer("dac:6").code(audio, RATE, tmp_path / "out.wav")
    decoded, _ = soundfile.read(tmp_path / "out.wav", dtype="float32")
    assert coded.bits == 75 * 8 * 10
    assert np.abs(decoded - audio).max() < 1e-3


def test_weights_that_cannot_be_had_are_one_line(monkeypatch):
    def fail(**kwargs):
        raise OSError("no\nnetwork")

    library = types.ModuleType("encodec")
    library.EncodecModel = types.SimpleNamespace(encodec_model_24khz=fail)
    monkeypatch.setitem(sys.modules, "encodec", library)
    with pytest.raises(UnavailableError) as caught:
        make_peer("encodec:6")
    assert "(no network)" in str(caught.value) and "encodec:6@FOLDER" in str(caught.value)


def test_real_encodec_takes_any_weights_of_its_network_from_a_file(tmp_path, capsys):
    encodec = pytest.importorskip("encodec")
    torch.manual_seed(0)
    model = encodec.EncodecModel.encodec_model_24khz(pretrained=False)
    torch.save(model.state_dict(), tmp_path / "any.th")
    capsys.readouterr()
    audio = voice(0.5)
    for kbps in (1.5, 6):
        peer = make_peer(f"encodec:{kbps}@{tmp_path}/any.th")
        coded = peer.code(audio, RATE, tmp_path / "out.wav")
        assert coded.bits == kbps * 1000 / 75 * 38  # frames, the last one begun
        model.set_target_bandwidth(kbps)
        with torch.inference_mode():
            expected = model.decode(model.encode(torch.from_numpy(audio)[None, None]))
        decoded, _ = soundfile.read(tmp_path / "out.wav", dtype="float32")
        expected = expected.flatten().numpy()[: len(audio)].clip(-1, 1)
        assert len(decoded) == len(audio) and np.abs(decoded - expected).max() < 1e-4
    assert capsys.readouterr() == ("", "")
    with pytest.raises(UnavailableError, match="Invalid checksum|No such file"):
        make_peer(f"encodec:6@{tmp_path}")


def test_real_dac_takes_any_weights_from_a_file(tmp_path, capsys):
    dac = pytest.importorskip("dac")
    small = {"encoder_dim": 4, "encoder_rates": [2, 4, 5, 8], "latent_dim": 8, "decoder_dim": 32}
    small |= {"decoder_rates": [8, 5, 4, 2], "n_codebooks": 32, "sample_rate": 24000}
    torch.manual_seed(0)
    model = dac.DAC(**small).eval()
    contents = {"state_dict": model.state_dict(), "metadata": {"kwargs": small, "other": "x"}}
    torch.save(contents, tmp_path / "any.pth")
    audio = voice(0.5)
    capsys.readouterr()
    coded = make_peer(f"dac:6@{tmp_path}/any.pth").code(audio, RATE, tmp_path / "out.wav")
    assert coded.bits == 8 * 10 * 38
    with torch.inference_mode():
        padded = model.preprocess(torch.from_numpy(audio)[None, None], RATE)
        expected = model.decode(model.encode(padded, n_quantizers=8)[0])
    decoded, _ = soundfile.read(tmp_path / "out.wav", dtype="float32")
    expected = expected.flatten().numpy()[: len(audio)].clip(-1, 1)
    assert len(decoded) == len(audio) and np.abs(decoded - expected).max() < 1e-4
    assert capsys.readouterr() == ("", "")
    del contents["state_dict"]["encoder.block.0.bias"]
    torch.save(contents, tmp_path / "less.pth")
    with pytest.raises(UnavailableError, match="Missing key"):
        make_peer(f"dac:6@{tmp_path}/less.pth")


@pytest.mark.parametrize("peer", ["encodec:6", "dac:6"])
def test_weights_that_would_run_code_are_refused(tmp_path, peer, monkeypatch):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    library = types.ModuleType(peer.partition(":")[0])
    library.DAC = FakeDAC
    library.EncodecModel = types.SimpleNamespace(encodec_model_24khz=lambda pretrained: None)
    monkeypatch.setitem(sys.modules, library.__name__, library)
    torch.save({"state_dict": Bomb()}, tmp_path / "weights.pth")
    with pytest.raises(UnavailableError, match="cannot be had"):
        make_peer(f"{peer}@{tmp_path}/weights.pth")
    assert not (tmp_path / "exploded").exists()


def test_our_own_codec_is_coded_timed_and_its_codes_counted(utterances, tmp_path):
    out = tmp_path / "out"
    assert score(utterances, out, "--peer", "bscodec:bscodec-mini") == 0
    system = json.loads((out / "summary.json").read_text())["systems"]["bscodec-mini"]
    group, codes = system["all"], system["codes"]
    assert group["encode_speed"] > 0 and group["decode_speed"] > 0
    names = [path.stem for path in sorted((utterances / "ref").iterdir())]
    codec = Codec.from_pretrained("bscodec-mini")
    bits = 0
    for name in names:
        made = codec.load(out / "peers" / "bscodec-mini" / f"{name}.bsc")
        audio, rate = soundfile.read(utterances / "ref" / f"{name}.wav", dtype="float32")
        assert made == codec.encode(audio, rate)
        decoded, _ = soundfile.read(out / "peers" / "bscodec-mini" / f"{name}.wav")
        assert np.abs(decoded - codec.decode(made).clip(-1, 1)).max() < 1e-4
        bits += made.num_frames * sum(size.bit_length() - 1 for size in made.codebook_sizes)
    seconds = group["seconds"]
    assert group["kbps"] == pytest.approx(bits / seconds / 1000)
    assert codes["frames"] * codes["bits_per_frame"] == bits
    text = (out / "summary.md").read_text(encoding="utf-8")
    assert "## Speed\n\n| system | kbps | encoding × real time | decoding × real time |" in text
    # Codes of utterances that are gone do not count.
    (tmp_path / "few.scp").write_text(f"{names[0]} {utterances}/ref/{names[0]}.wav\n")
    words = ["--ref", str(tmp_path / "few.scp"), "--outdir", str(out), "--no-report"]
    words += ["--metrics", "SI-SDR", "--peer", "bscodec:bscodec-mini"]
    assert main(words) == 0
    fewer = json.loads((out / "summary.json").read_text())["systems"]["bscodec-mini"]["codes"]
    assert 0 < fewer["frames"] < codes["frames"]


def test_a_model_of_ours_that_cannot_be_had_is_one_line(tmp_path):
    with pytest.raises(UnavailableError) as caught:
        make_peer(f"bscodec:{tmp_path}/none")
    assert "\n" not in str(caught.value) and "none" in str(caught.value)


@needs_opus
def test_peers_of_one_name_are_refused(utterances, tmp_path, capsys):
    assert score(utterances, tmp_path, "--peer", "opus:12", "--peer", "opus:12.0") == 1
    assert "two peers are called opus-12k" in capsys.readouterr().err


@needs_opus
def test_names_that_lead_out_of_the_folder_are_not_followed(utterances, tmp_path, capsys):
    (tmp_path / "wav.scp").write_text(
        f"../../evil {utterances}/ref/speech_a.wav\nspeech_b {utterances}/ref/speech_b.wav\n"
    )
    words = ["--ref", str(tmp_path / "wav.scp"), "--outdir", str(tmp_path / "a" / "b" / "out")]
    words += ["--peer", "opus:12", "--metrics", "SI-SDR", "--no-report", "--domain", "speech"]
    assert main(words) == 0
    assert "a name that leads out of the folder" in capsys.readouterr().err
    assert not list(tmp_path.rglob("evil*"))
