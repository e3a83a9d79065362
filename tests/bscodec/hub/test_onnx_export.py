"""The ONNX form computes what the model does, at every length and batch."""

import json

import numpy as np
import pytest
import torch

from espnet2.gan_codec.bscodec.hub.checkpoint import load_model
from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.hub.export import package_model

from ..conftest import tiny_conf
from ..experiments import make_noise, tree, write_experiment, write_model

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

from espnet2.gan_codec.bscodec.hub.onnx_codec import OnnxCodec  # noqa: E402
from espnet2.gan_codec.bscodec.hub.onnx_export import OPSET, export_onnx  # noqa: E402


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A small trained model, and what its ONNX form is."""
    folder = tmp_path_factory.mktemp("onnx")
    write_experiment(folder / "tiny")
    export_onnx(str(folder / "tiny"), folder / "exact")
    return folder


@pytest.fixture(scope="module")
def model(folder):
    return load_model(str(folder / "tiny"), "cpu").model


@pytest.fixture(scope="module")
def exported(folder):
    return OnnxCodec(folder / "exact")


@pytest.mark.parametrize("length", [1, 319, 320, 321, 4801])
def test_any_length_and_batch(model, exported, length):
    for batch in (1, 3):
        audio = np.stack([make_noise(length, seed=seed) for seed in range(batch)])
        codes = exported.encode(audio)
        expected = model.encode(torch.from_numpy(audio)[:, None]).numpy()
        assert codes.dtype == np.int64 and np.array_equal(codes, expected)
        decoded = exported.decode(codes, length)
        assert decoded.shape == audio.shape and decoded.dtype == np.float32
        reference = model.decode(torch.from_numpy(codes)).detach()[:, 0, :length]
        assert np.abs(decoded - reference.numpy()).max() < 1e-5


@pytest.mark.parametrize("quantizer", ["band_simvq", "band_vq", "rvq"])
def test_the_published_kind(tmp_path, quantizer):
    changes = {"bands": [[0, 12000]], "quantize_n_q": 3} if quantizer == "rvq" else {}
    torch.manual_seed(0)
    conf = tiny_conf(
        "seanet", use_mel_loss=False, use_spectral_loss=True, quantize_choice=quantizer, **changes
    )
    write_model(tmp_path / "tiny", conf)
    export_onnx(str(tmp_path / "tiny"), tmp_path / "onnx")
    model, exported = load_model(str(tmp_path / "tiny"), "cpu").model, OnnxCodec(tmp_path / "onnx")
    # around one and two hops of the STFT, where the ends of the signal are treated in several ways
    for length in (1, 320, 321, 1024, 1025, 1900, 1950, 2048, 5000):
        audio = np.stack([make_noise(length, seed=seed) for seed in range(2)])
        codes = exported.encode(audio)
        expected = model.encode(torch.from_numpy(audio)[:, None]).numpy()
        assert np.array_equal(codes, expected)
        reference = model.decode(torch.from_numpy(codes)).detach()[:, 0].numpy()
        assert np.abs(exported.decode(codes) - reference).max() < 1e-5


def test_steps_give_what_the_whole_gives(tmp_path):
    torch.manual_seed(1)
    conf = tiny_conf(
        "spectral", use_mel_loss=False, use_spectral_loss=True, mdct_hop=320, spectral_stride=1
    )
    write_model(tmp_path / "tiny", conf)
    export_onnx(str(tmp_path / "tiny"), tmp_path / "onnx", steps=True)
    exported = OnnxCodec(tmp_path / "onnx")
    hop = exported.facts["hop_length"]
    for odd in (np.zeros((2, hop + 1)), np.zeros((2, 0)), np.zeros((0, hop)), np.zeros((3, hop))):
        with pytest.raises(ValueError, match="audio: (expected|a batch of 3 after one of 2)"):
            list(exported.encode_live([np.zeros((2, hop)), odd]))
    for frames, size in ((1, 1), (3, 2), (30, 1), (30, 7), (30, 30)):
        audio = np.stack([make_noise(frames * hop, seed=seed) for seed in range(2)])
        codes = exported.encode(audio)
        chunks = [audio[:, at : at + size * hop] for at in range(0, frames * hop, size * hop)]
        live = np.concatenate(list(exported.encode_live(chunks)), axis=2)
        assert np.array_equal(live, codes)
        chunks = [codes[..., at : at + size] for at in range(0, frames, size)]
        live = np.concatenate(list(exported.decode_live(chunks)), axis=1)
        assert live.shape == audio.shape
        assert np.abs(live - exported.decode(codes)).max() < 1e-5


def test_what_has_no_answer_is_refused(folder, exported):
    """onnxruntime would end the process at some of these."""
    for shape in ((0, 1000), (1, 0), (1000,), (1, 1, 1000)):
        with pytest.raises(
            ValueError, match=r"audio: expected the shape \(1 or more, 1 or more\)"
        ):
            exported.encode(np.zeros(shape))
    for shape in ((0, 2, 3), (1, 2, 0), (1, 1, 3), (1, 3, 3), (2, 3)):
        with pytest.raises(ValueError, match="codes: expected the shape"):
            exported.decode(np.zeros(shape))
    for code in (-1, 64, 2**40):
        with pytest.raises(ValueError, match=r"0 to size - 1 of the codebooks, \[1024, 64\]"):
            exported.decode(np.full((1, 2, 3), code))
    assert exported.decode(np.array([[[1023], [63]]])).shape == (1, 320)
    for live in (exported.encode_live, exported.decode_live):
        with pytest.raises(ModelError, match="no files for live audio: export it with --steps"):
            live([])


def test_a_model_without_steps_is_one_line(folder, tmp_path):
    with pytest.raises(ModelError, match="only spectral networks at one frame a hop have steps"):
        export_onnx(str(folder / "tiny"), tmp_path / "onnx", steps=True)
    assert tree(tmp_path) == []


def test_silence_and_full_scale(model, exported):
    for audio in (np.zeros((1, 5000)), np.sign(make_noise(5000))[None]):
        audio = audio.astype(np.float32)
        expected = model.encode(torch.from_numpy(audio)[:, None]).numpy()
        assert np.array_equal(exported.encode(audio), expected)


def test_the_files_say_what_they_are(folder):
    facts = json.loads((folder / "exact" / "model.json").read_text())
    loaded = load_model(str(folder / "tiny"), "cpu")
    assert facts["fingerprint"] == loaded.fingerprint[:8] and facts["model"] == "tiny"
    assert (facts["sampling_rate"], facts["hop_length"]) == (24000, 320)
    assert facts["bands"] == [[0, 1200], [1200, 12000]]
    assert facts["codebook_sizes"] == [1024, 64] and "first T" in facts["lengths"]
    assert tree(folder / "exact") == ["decoder.onnx", "encoder.onnx", "model.json"]
    for name in ("encoder", "decoder"):
        proto = onnx.load(folder / "exact" / f"{name}.onnx")
        onnx.checker.check_model(proto, full_check=True)
        said = {entry.key: entry.value for entry in proto.metadata_props}
        assert said["fingerprint"] == facts["fingerprint"]
        assert json.loads(said["bands"]) == facts["bands"]
        versions = {entry.domain: entry.version for entry in proto.opset_import}
        assert versions.pop("") == OPSET and not versions, "operators of ONNX alone"


def test_half_is_smaller_and_the_rounded_model(folder, model):
    digest = export_onnx(str(folder / "tiny"), folder / "half", "half")
    assert package_model(str(folder / "tiny"), folder / "rounded") == digest
    rounded = load_model(str(folder / "rounded"), "cpu").model
    audio = make_noise(5000)[None]
    expected = rounded.encode(torch.from_numpy(audio)[:, None]).numpy()
    assert np.array_equal(OnnxCodec(folder / "half").encode(audio), expected)
    sizes = [(folder / name / "decoder.onnx").stat().st_size for name in ("half", "exact")]
    assert sizes[0] < sizes[1]


def test_int8_is_near(folder, model, exported):
    digest = export_onnx(str(folder / "tiny"), folder / "int8", "int8")
    assert digest == load_model(str(folder / "tiny"), "cpu").fingerprint
    coarse = OnnxCodec(folder / "int8")
    assert coarse.facts["weights"] == "int8"
    codes = exported.encode(make_noise(50000)[None])
    exact, rounded = exported.decode(codes), coarse.decode(codes)
    assert 0 < np.linalg.norm(exact - rounded) < 0.05 * np.linalg.norm(exact)


def test_int8_takes_lstms_too(tmp_path):
    torch.manual_seed(0)
    conf = tiny_conf("seanet", use_mel_loss=False, use_spectral_loss=True, hidden_dim=64)
    write_model(tmp_path / "tiny", conf)
    export_onnx(str(tmp_path / "tiny"), tmp_path / "int8", "int8")
    graph = onnx.load(tmp_path / "int8" / "decoder.onnx").graph
    kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
    made = {name: node.op_type for node in graph.node for name in node.output}
    lstms = [node for node in graph.node if node.op_type == "LSTM"]
    assert lstms and all(made[name] == "Mul" for node in lstms for name in node.input[1:3])
    assert all(kinds[node.input[3]] == onnx.TensorProto.FLOAT for node in lstms)
    model, coarse = load_model(str(tmp_path / "tiny"), "cpu").model, OnnxCodec(tmp_path / "int8")
    codes = model.encode(torch.from_numpy(make_noise(9000)[None, None]))
    exact, rounded = model.decode(codes).detach()[:, 0].numpy(), coarse.decode(codes.numpy())
    assert 0 < np.linalg.norm(exact - rounded) < 0.05 * np.linalg.norm(exact)


def test_what_is_no_codec_is_one_line(folder, tmp_path):
    with pytest.raises(ModelError, match="no ONNX codec: .*model.json"):
        OnnxCodec(tmp_path)
    for name in tree(folder / "exact"):
        (tmp_path / name).write_bytes((folder / "exact" / name).read_bytes()[:2000])
    with pytest.raises(ModelError, match="no ONNX codec: ") as error:
        OnnxCodec(tmp_path)
    assert "\n" not in str(error.value)


@pytest.mark.long
def test_the_packaged_model_on_real_audio(tmp_path):
    from espnet2.gan_codec.bscodec import Codec
    from espnet2.gan_codec.bscodec.demo.clips import find_clips
    from espnet2.gan_codec.bscodec.demo.exported import Coder, measure

    export_onnx("bscodec-mini", tmp_path)
    codec = Codec.from_pretrained("bscodec-mini", "cpu")
    loss = measure(codec, Coder.of(OnnxCodec(tmp_path)), find_clips())
    assert loss.codes > 10_000 and loss.differing == loss.near_ties
    assert loss.audio_error < 1e-4
