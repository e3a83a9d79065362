"""ESPnet's own codec commands run no code from files, load strictly, and say what is wrong."""

import os
import pickle
import subprocess
import sys

import pytest
import torch
import yaml

from .test_stock_commands import CONFIG, data, experiment  # noqa: F401  (fixtures)


class Harmful:
    """Unpickled, it makes a file."""

    def __init__(self, mark):
        self.mark = mark

    def __reduce__(self):
        return os.mkdir, (str(self.mark),)


def command(module, *arguments, **environment):
    command = [sys.executable, "-W", "ignore", "-m", f"espnet2.bin.{module}", *map(str, arguments)]
    env = {**os.environ, "PYTHONPATH": "", **environment}
    return subprocess.run(command, capture_output=True, text=True, env=env)


def refused(done, message):
    """The command ended with one line that begins with its name and holds ``message``."""
    assert done.returncode == 1, done.stderr[-2000:]
    *_, last = done.stderr.splitlines()
    assert last.startswith(("gan_codec_inference: error: ", "gan_codec_train: error: "))
    assert message in last and "Traceback" not in done.stderr


def decode(data, config, model, out, scp=None):  # noqa: F811
    return command(
        *("gan_codec_inference", "--ngpu", 0, "--train_config", config, "--model_file", model),
        *("--data_path_and_name_and_type", f"{scp or data / 'wav.scp'},audio,sound"),
        *("--output_dir", out),
    )


def train(data, out, *options, **environment):  # noqa: F811
    lists = []
    for part in ("train", "valid"):
        lists += [f"--{part}_data_path_and_name_and_type", f"{data}/wav.scp,audio,sound"]
        lists += [f"--{part}_shape_file", f"{data}/audio_shape"]
    return command(
        *("gan_codec_train", "--config", data / "train.yaml", "--output_dir", out, "--ngpu", 0),
        *lists,
        *options,
        **environment,
    )


def test_inference_runs_no_code_of_a_checkpoint(data, experiment, tmp_path):  # noqa: F811
    state = torch.load(experiment / "1epoch.pth", weights_only=True)
    torch.save({**state, "x": Harmful(tmp_path / "ran")}, tmp_path / "bad.pth")
    done = decode(data, experiment / "config.yaml", tmp_path / "bad.pth", tmp_path / "out")
    refused(done, "bad.pth: damaged, or holds more than tensors")
    assert not (tmp_path / "ran").exists()


def test_inference_says_in_one_line_what_is_wrong(data, experiment, tmp_path):  # noqa: F811
    state = torch.load(experiment / "1epoch.pth", weights_only=True)
    gone = "codec.generator.quantizer.layers.0.code_transform.weight"
    torch.save({k: v for k, v in state.items() if k != gone}, tmp_path / "less.pth")
    config = experiment / "config.yaml"
    done = decode(data, config, tmp_path / "less.pth", tmp_path / "out")
    refused(done, "it lacks generator.quantizer.layers.0.code_transform.weight")

    (tmp_path / "tag.yaml").write_text("a: !!python/object/apply:os.system [true]\n")
    done = decode(data, tmp_path / "tag.yaml", experiment / "1epoch.pth", tmp_path / "out")
    refused(done, "tag.yaml: no valid YAML")

    (tmp_path / "pipe.scp").write_text(f"utt0 cat {data}/utt0.wav |\n")
    done = decode(data, config, experiment / "1epoch.pth", tmp_path / "o", tmp_path / "pipe.scp")
    refused(done, "utt0.wav |")

    (tmp_path / "names.scp").write_text("utt0\n")
    done = decode(data, config, experiment / "1epoch.pth", tmp_path / "o", tmp_path / "names.scp")
    refused(done, "include a space")


def test_inference_takes_configs_of_other_versions(data, experiment, tmp_path):  # noqa: F811
    contents = yaml.safe_load((experiment / "config.yaml").read_text())
    contents["codec_conf"]["lambda_of_tomorrow"] = 1.0
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(contents))
    done = decode(data, tmp_path / "config.yaml", experiment / "1epoch.pth", tmp_path / "out")
    assert done.returncode == 0, done.stderr[-2000:]
    assert "ignored, since coding does not need it" in done.stderr
    assert (tmp_path / "out" / "wav" / "utt0.wav").exists()
    contents["codec_conf"]["generator_params"]["of_tomorrow"] = 1.0
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(contents))
    done = decode(data, tmp_path / "config.yaml", experiment / "1epoch.pth", tmp_path / "out2")
    refused(done, "unknown key 'of_tomorrow'")


def test_training_runs_no_code_of_a_checkpoint(data, experiment, tmp_path):  # noqa: F811
    state = torch.load(experiment / "1epoch.pth", weights_only=True)
    torch.save({**state, "x": Harmful(tmp_path / "ran")}, tmp_path / "bad.pth")
    done = train(data, tmp_path / "exp", "--init_param", tmp_path / "bad.pth")
    refused(done, "holds more than tensors")
    assert not (tmp_path / "ran").exists()

    (tmp_path / "exp").mkdir(exist_ok=True)
    with (tmp_path / "exp" / "checkpoint.pth").open("wb") as file:
        pickle.dump(Harmful(tmp_path / "ran"), file)
    refused(train(data, tmp_path / "exp", "--resume", "true"), "holds more than tensors")
    assert not (tmp_path / "ran").exists()


def test_trusted_states_are_loaded_by_name_of_the_variable(data, experiment, tmp_path):  # noqa: F811
    state = torch.load(experiment / "1epoch.pth", weights_only=True)
    torch.save({**state, "x": Harmful(tmp_path / "ran")}, tmp_path / "old.pth")
    train(data, tmp_path / "exp", "--init_param", tmp_path / "old.pth", ESPNET_BSCODEC_TRUST="1")
    assert (tmp_path / "ran").exists()


def test_training_is_resumed_from_its_own_state(data, experiment, tmp_path):  # noqa: F811
    done = train(data, experiment, "--resume", "true", "--max_epoch", 3)
    assert done.returncode == 0, done.stderr[-3000:]
    assert "The training was resumed" in done.stderr + done.stdout
    assert (experiment / "3epoch.pth").exists()


def test_a_wrong_training_config_is_one_line(data, tmp_path):  # noqa: F811
    contents = {**CONFIG, "codec_conf": {**CONFIG["codec_conf"], "lambda_of_tomorrow": 1.0}}
    (tmp_path / "train.yaml").write_text(yaml.safe_dump(contents))
    done = train(data, tmp_path / "exp", "--config", tmp_path / "train.yaml")
    refused(done, "unknown key 'lambda_of_tomorrow'")


@pytest.mark.parametrize("codec", ["dac"])
def test_other_codecs_are_loaded_strictly_too(codec, tmp_path):
    from espnet2.gan_codec.bscodec.hub.error import ModelError
    from espnet2.tasks.gan_codec import GANCodecTask

    conf = {
        "generator_params": {"hidden_dim": 8, "codebook_dim": 8, "encdec_n_filters": 2,
                             "encdec_n_residual_layers": 1, "encdec_ratios": [8, 5, 4, 2],
                             "quantizer_n_q": 2,
                             "quantizer_bins": 16, "quantizer_target_bandwidth": [1]},
    }  # fmt: skip
    config = {**GANCodecTask.get_default_config(), "codec": codec, "codec_conf": conf}
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(config))
    model, _ = GANCodecTask.build_model_from_file(tmp_path / "config.yaml")
    weights = model.state_dict()
    torch.save(weights, tmp_path / "a.pth")
    loaded, _ = GANCodecTask.build_model_from_file(model_file=tmp_path / "a.pth")
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, weights[name]), name
    name = next(name for name in weights if name.startswith("codec.generator."))
    del weights[name]
    torch.save(weights, tmp_path / "b.pth")
    with pytest.raises(ModelError, match="it lacks generator"):
        GANCodecTask.build_model_from_file(tmp_path / "config.yaml", tmp_path / "b.pth")
