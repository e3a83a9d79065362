"""ESPnet's own commands, unmodified, from a foreign folder: train, code, pack."""

import os
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import soundfile
import torch
import yaml

RATE = 24000
LENGTHS = [30000, 26000, 24001]

CONFIG = {
    "codec": "bscodec",
    "codec_conf": {
        "generator_params": {
            "hidden_dim": 8,
            "encdec_n_filters": 2,
            "encdec_n_residual_layers": 1,
            "encdec_lstm": 1,
            "quantize_codebook_size": 64,
            "quantize_codebook_dim": 4,
        },
        "discriminator_params": {
            "msstft_discriminator_params": {
                "filters": 2,
                "n_ffts": [256],
                "hop_lengths": [64],
                "win_lengths": [256],
            }
        },
        "cache_generator_outputs": True,
    },
    "iterator_type": "chunk",
    "chunk_length": 5000,  # no multiple of the hop
    "num_cache_chunks": 4,
    "batch_type": "unsorted",
    "batch_size": 2,
    "max_epoch": 2,
    "num_iters_per_epoch": 2,
    "num_workers": 0,
    "optim": "adamw",
    "optim2": "adamw",
    "generator_first": True,
    "unused_parameters": True,  # a turn leaves the other side's weights alone
    "best_model_criterion": [["valid", "mel_loss", "min"]],
}


def stock(module, *arguments, cwd):
    command = [sys.executable, "-W", "ignore", "-m", f"espnet2.bin.{module}", *map(str, arguments)]
    env = {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env=env)
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Three noise files with Kaldi-style lists."""
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    scp, shapes = [], []
    for i, length in enumerate(LENGTHS):
        path = folder / f"utt{i}.wav"
        soundfile.write(path, 0.1 * rng.standard_normal(length), RATE)
        scp.append(f"utt{i} {path}\n")
        shapes.append(f"utt{i} {length}\n")
    (folder / "wav.scp").write_text("".join(scp))
    (folder / "audio_shape").write_text("".join(shapes))
    (folder / "train.yaml").write_text(yaml.safe_dump(CONFIG))
    return folder


@pytest.fixture(scope="module")
def experiment(data):
    """Two epochs of stock training."""
    lists = []
    for part in ("train", "valid"):
        lists += [f"--{part}_data_path_and_name_and_type", f"{data}/wav.scp,audio,sound"]
        lists += [f"--{part}_shape_file", f"{data}/audio_shape"]
    output = data / "exp"
    stock("gan_codec_train", "--config", data / "train.yaml", "--output_dir", output,
          "--ngpu", 0, *lists, cwd=data)  # fmt: skip
    return output


def test_collect_stats(data):
    lists = []
    for part in ("train", "valid"):
        lists += [f"--{part}_data_path_and_name_and_type", f"{data}/wav.scp,audio,sound"]
        lists += [f"--{part}_shape_file", f"{data}/audio_shape"]
    stock("gan_codec_train", "--collect_stats", "true", "--config", data / "train.yaml",
          "--output_dir", data / "stats", "--ngpu", 0, *lists, cwd=data)  # fmt: skip
    found = (data / "stats" / "train" / "audio_shape").read_text().split()
    assert [int(n) for n in found[1::2]] == LENGTHS


def test_training_writes_a_log_of_both_turns_and_of_the_codebooks(experiment):
    checkpoint = torch.load(experiment / "2epoch.pth", weights_only=True)
    assert any(name.startswith("codec.generator.quantizer.") for name in checkpoint)
    reporter = torch.load(experiment / "checkpoint.pth", weights_only=False)["reporter"]
    stats = reporter["stats"][2]["train"]
    for name in ("loss", "mel_loss", "subband_mel_loss", "discriminator_loss", "usage_band0",
                 "perplexity_band2"):  # fmt: skip
        assert np.isfinite(float(np.ravel(stats[name])[0])), name


def test_inference_and_its_files(data, experiment):
    output = data / "decoded"
    stock("gan_codec_inference", "--ngpu", 0, "--data_path_and_name_and_type",
          f"{data}/wav.scp,audio,sound", "--train_config", experiment / "config.yaml",
          "--model_file", experiment / "valid.mel_loss.best.pth", "--output_dir", output,
          cwd=data)  # fmt: skip
    codes = dict(line.split() for line in (output / "codec" / "codec.scp").open())
    for i, length in enumerate(LENGTHS):
        frames = -(-length // 320)
        saved = np.load(codes[f"utt{i}"], allow_pickle=False)
        assert sorted(n for n in saved.shape if n != 1) == [3, frames]
        audio, rate = soundfile.read(output / "wav" / f"utt{i}.wav")
        assert rate == RATE and len(audio) == 320 * frames


def test_python_api_and_pack(data, experiment):
    from espnet2.bin.gan_codec_inference import AudioCoding

    model = experiment / "valid.mel_loss.best.pth"
    coding = AudioCoding(experiment / "config.yaml", model)
    audio = torch.from_numpy(soundfile.read(data / "utt0.wav", dtype="float32")[0])
    result = coding(audio)
    assert result["codes"].shape == (1, 3, 94) and result["resyn_audio"].shape == (94 * 320,)
    assert torch.equal(
        coding.decode(result["codes"])["resyn_audio"].view(-1), result["resyn_audio"]
    )

    archive = data / "packed.zip"
    stock("pack", "codec", "--model_file", model, "--train_config", experiment / "config.yaml",
          "--outpath", archive, cwd=data)  # fmt: skip
    names = zipfile.ZipFile(archive).namelist()
    assert "meta.yaml" in names and any(n.endswith(".pth") for n in names)


def test_three_forms_of_the_default_model_agree_sample_for_sample(data):
    from espnet2.bin.gan_codec_inference import AudioCoding
    from espnet2.gan_codec.bscodec import Codec

    stock("bscodec", "export", "bscodec-mini", "-o", "mini", "--archive", cwd=data)
    zipfile.ZipFile(data / "mini" / "bscodec-mini.zip").extractall(data / "unpacked")
    names = sorted(path.name for path in (data / "unpacked").iterdir())
    assert names == ["bscodec-mini.pth", "config.yaml", "meta.yaml"]

    audio = torch.from_numpy(soundfile.read(data / "utt2.wav", dtype="float32")[0])
    packaged, unpacked = (
        Codec.from_pretrained(name, device="cpu")
        for name in ("bscodec-mini", str(data / "unpacked"))
    )
    assert packaged.fingerprint == unpacked.fingerprint
    encoded = [codec.encode(audio.numpy(), RATE) for codec in (packaged, unpacked)]
    expected = packaged.decode(encoded[0])
    np.testing.assert_array_equal(unpacked.decode(encoded[1]), expected)
    coding = AudioCoding(data / "mini" / "config.yaml", data / "mini" / "bscodec-mini.pth")
    resynthesized = coding(audio)["resyn_audio"][: len(audio)]
    np.testing.assert_array_equal(resynthesized.numpy(), expected.reshape(-1))


def test_stock_inference_takes_our_tags(data):
    (data / "one.scp").write_text(f"utt2 {data / 'utt2.wav'}\n")
    stock("gan_codec_inference", "--model_tag", "bscodec-mini", "--output_dir", "tagged",
          "--data_path_and_name_and_type", "one.scp,audio,sound", cwd=data)  # fmt: skip
    audio, rate = soundfile.read(data / "tagged" / "wav" / "utt2.wav")
    assert rate == RATE and len(audio) == -(-LENGTHS[2] // 400) * 400


def test_a_wrong_checkpoint_is_refused_by_stock_loading(data, experiment):
    from espnet2.bin.gan_codec_inference import AudioCoding

    state = torch.load(experiment / "1epoch.pth", weights_only=True)
    state.pop("codec.generator.quantizer.layers.0.code_transform.weight")
    torch.save(state, data / "wrong.pth")
    with pytest.raises(ValueError, match="wrong.pth: does not fit its config.yaml: it lacks"):
        AudioCoding(experiment / "config.yaml", data / "wrong.pth")
