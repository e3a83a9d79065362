"""Our extension of ESPnet's trainer: samples of the codec, and checkpoints that survive a kill."""

import io
import logging
import multiprocessing
import os
import resource
import signal
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
import yaml

from espnet2.gan_codec.bscodec.training.checkpoints import atomic_checkpoints
from espnet2.gan_codec.bscodec.training.samples import SECONDS, is_due, make_sample
from espnet2.gan_codec.bscodec.training.trainer import check_skipping
from tests.bscodec.conftest import tiny_conf

RATE = 24000
LENGTHS = {"bird": 4000, "cat": round(RATE * SECONDS) + 7000, "dog": 6000, "eel": 5000}
CONFIG = {
    "codec": "bscodec",
    "codec_conf": tiny_conf("spectral", use_mel_loss=False, use_spectral_loss=True),
    "iterator_type": "chunk",
    "chunk_length": 2000,
    "chunk_discard_short_samples": True,
    "num_cache_chunks": 4,
    "batch_type": "unsorted",
    "batch_size": 64,  # a step or two an epoch
    "num_workers": 0,
    "optim": "adamw",
    "optim2": "adamw",
    "generator_first": True,
    "keep_nbest_models": 2,
    "best_model_criterion": [["valid", "spectral_loss", "min"]],
}
TINY_ENCODEC = {
    "sampling_rate": RATE,
    "generator_params": {
        "hidden_dim": 8,
        "encdec_n_filters": 2,
        "encdec_ratios": [8, 5, 4, 2],
        "encdec_lstm": 1,
        "quantizer_n_q": 2,
        "quantizer_bins": 16,
        "quantizer_target_bandwidth": [0.6],
    },
    "discriminator_params": {
        "msstft_discriminator_params": {
            "filters": 2,
            "in_channels": 1,
            "out_channels": 1,
            "norm": "weight_norm",
            "n_ffts": [256],
            "hop_lengths": [64],
            "win_lengths": [256],
            "activation": "LeakyReLU",
            "activation_params": {"negative_slope": 0.3},
        }
    },
    "use_mel_loss": False,
    "use_dual_decoder": False,
}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    rng = np.random.default_rng(0)
    scp, shapes = [], []
    for name, length in LENGTHS.items():
        soundfile.write(folder / f"{name}.wav", rng.uniform(-0.5, 0.5, length), RATE)
        scp.append(f"{name} {folder}/{name}.wav\n")
        shapes.append(f"{name} {length}\n")
    (folder / "wav.scp").write_text("".join(scp))
    (folder / "audio_shape").write_text("".join(shapes))
    (folder / "train.yaml").write_text(yaml.safe_dump(CONFIG))
    return folder


def train(data, output, **options):
    """ESPnet's training command, in this process."""
    from espnet2.tasks.gan_codec import GANCodecTask

    command = ["--config", data / "train.yaml", "--output_dir", output, "--ngpu", 0]
    command += ["--resume", "true", "--max_epoch", 2]
    for part in ("train", "valid"):
        command += [f"--{part}_data_path_and_name_and_type", f"{data}/wav.scp,audio,sound"]
        command += [f"--{part}_shape_file", data / "audio_shape"]
    for key, value in options.items():
        command += [f"--{key}", value]
    GANCodecTask.main(cmd=[str(word) for word in command])


def samples_of(output):
    return sorted(str(p.relative_to(output)) for p in output.glob("images/samples/**/*.png"))


# ---- samples -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(data):
    """Two epochs with samples; the second after training was taken up again."""
    output = data / "sampled"
    for epoch in (1, 2):
        train(data, output, num_att_plot=2, max_epoch=epoch)
    return output


def test_pictures_lie_beside_the_curves(trained):
    """Two utterances, one from each half of the list."""
    names = [f"images/samples/{name}/{n}ep.png" for name in ("cat", "eel") for n in (1, 2)]
    assert samples_of(trained) == names
    assert (trained / "images/loss.png").exists()
    for name in names:
        assert (trained / name).read_bytes().startswith(b"\x89PNG")


def test_tensorboard_has_audio_and_pictures(trained):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    heard, seen = {}, {}
    for file in sorted((trained / "tensorboard/train").iterdir()):
        events = EventAccumulator(str(file)).Reload()
        for tag in events.Tags()["audio"]:
            heard.setdefault(tag, []).extend(events.Audio(tag))
        for tag in events.Tags()["images"]:
            seen.setdefault(tag, []).extend(event.step for event in events.Images(tag))
    assert seen == {f"samples/{name}/spectrograms": [1, 2] for name in ("cat", "eel")}
    steps = {tag: [event.step for event in found] for tag, found in heard.items()}
    for name in ("cat", "eel"):
        assert steps.pop(f"samples/{name}/original") == [1]  # once is enough
        assert steps.pop(f"samples/{name}/decoded") == [1, 2]
        length = min(LENGTHS[name], SECONDS * RATE)  # whole, though training sees chunks
        for kind in ("original", "decoded"):
            assert heard[f"samples/{name}/{kind}"][0].length_frames == length
    assert steps == {}
    original = heard["samples/eel/original"][0].encoded_audio_string
    audio, rate = soundfile.read(io.BytesIO(original))
    expected, _ = soundfile.read(trained.parent / "eel.wav")
    assert rate == RATE and np.allclose(audio, expected, atol=1e-4)


def test_any_codec_of_espnets_has_samples():
    from espnet2.gan_codec.encodec.encodec import Encodec
    from espnet2.gan_codec.espnet_model import ESPnetGANCodecModel

    torch.manual_seed(0)
    model = ESPnetGANCodecModel(codec=Encodec(**TINY_ENCODEC)).eval()
    audio = 0.1 * torch.randn(5001)
    sample = make_sample(model, "x", audio)
    assert sample.rate == RATE
    assert np.array_equal(sample.original, audio.numpy())
    assert sample.decoded.shape == (5001,) and np.isfinite(sample.decoded).all()


def test_samples_become_rarer_but_the_last_epoch_has_them():
    due = [epoch for epoch in range(1, 1201) if is_due(epoch, 1200)]
    assert due[:12] == [*range(1, 9), 10, 12, 14, 16]
    assert due[-3:] == [896, 1024, 1200]


def test_training_goes_on_without_samples(data, tmp_path, caplog):
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "samples").write_text("in the way")
    with caplog.at_level(logging.WARNING):
        train(data, tmp_path, num_att_plot=2, max_epoch=1)
    (line,) = [r.getMessage() for r in caplog.records if "no samples" in r.getMessage()]
    assert line.startswith("no samples of epoch 1: ") and "\n" not in line
    assert (tmp_path / "1epoch.pth").exists()


def test_a_failing_codec_is_a_warning(caplog, tmp_path):
    from espnet2.gan_codec.bscodec.training.trainer import CodecTrainer

    options = SimpleNamespace(no_forward_run=False, max_epoch=1, ngpu=0, output_dir=tmp_path)
    batch = {"audio": torch.zeros(1, 100), "audio_lengths": torch.tensor([100])}
    CodecTrainer.plot_attention(
        torch.nn.Identity(),
        output_dir=None,
        summary_writer=None,
        iterator=[(["x"], batch)],
        reporter=SimpleNamespace(get_epoch=lambda: 1),
        options=options,
    )
    (record,) = caplog.records
    assert "AttributeError" in record.getMessage() and samples_of(tmp_path) == []


# ---- saving ------------------------------------------------------------------------------


def big(seed=0):
    return {"x": torch.full((100_000,), float(seed))}


def limit_files(num_bytes, deadly):
    """From here on a write beyond ``num_bytes`` kills this process, or fails like a full disk."""
    signal.signal(signal.SIGXFSZ, signal.SIG_DFL if deadly else signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (num_bytes, resource.RLIM_INFINITY))


def in_child(function, *arguments):
    """Run it in a new process; return its exit code, which is negative after a kill.

    Not a forked one: once autograd has threads, as after other tests, a fork cannot go backward.
    """
    child = multiprocessing.get_context("spawn").Process(target=function, args=arguments)
    child.start()
    child.join(timeout=300)
    assert child.exitcode is not None
    return child.exitcode


def save_beyond_the_limit(path, deadly):
    limit_files(100_000, deadly)
    with atomic_checkpoints():
        if deadly:
            torch.save(big(1), path)
        with pytest.raises(OSError, match=f"File too large: '{path}'"):
            torch.save(big(1), path)


@pytest.mark.parametrize("deadly", [True, False], ids=["kill", "full disk"])
def test_a_save_that_is_cut_off_leaves_the_old_file(tmp_path, deadly):
    path = tmp_path / "1epoch.pth"
    torch.save(big(), path)
    code = in_child(save_beyond_the_limit, path, deadly)
    assert code == (-signal.SIGXFSZ if deadly else 0)
    assert torch.equal(torch.load(path)["x"], big()["x"])
    left = [path.name, f"{path.name}.part"] if deadly else [path.name]
    assert sorted(os.listdir(tmp_path)) == left
    with atomic_checkpoints():
        torch.save(big(2), path)
    assert os.listdir(tmp_path) == [path.name]  # what was left behind is taken up
    assert torch.equal(torch.load(path)["x"], big(2)["x"])


def test_the_checkpoint_waits_for_the_weights_of_its_epoch(tmp_path):
    with atomic_checkpoints():
        torch.save(1, tmp_path / "checkpoint.pth")
        assert not (tmp_path / "checkpoint.pth").exists()
        torch.save(1, tmp_path / "1epoch.pth")
        assert sorted(os.listdir(tmp_path)) == ["1epoch.pth", "checkpoint.pth"]
        torch.save(2, tmp_path / "checkpoint.pth")
    assert torch.load(tmp_path / "checkpoint.pth") == 2  # nothing came after it
    with pytest.raises(KeyError), atomic_checkpoints():
        torch.save(3, tmp_path / "checkpoint.pth")
        raise KeyError
    assert torch.load(tmp_path / "checkpoint.pth") == 2
    assert sorted(os.listdir(tmp_path)) == ["1epoch.pth", "checkpoint.pth"]


def test_torch_save_is_itself_again():
    before = torch.save
    with atomic_checkpoints():
        assert torch.save is not before
        file = io.BytesIO()
        torch.save(7, file)
        assert torch.load(io.BytesIO(file.getvalue())) == 7
    assert torch.save is before
    with pytest.raises(KeyError), atomic_checkpoints():
        raise KeyError
    assert torch.save is before


# ---- resuming ----------------------------------------------------------------------------

LIMIT = 100_000  # bytes: more than the logs, less than either file that an epoch saves
BOTH_PARTS = ["2epoch.pth.part", "checkpoint.pth.part"]
PLAIN = {"use_matplotlib": "false", "use_tensorboard": "false"}


@pytest.fixture(scope="module")
def uninterrupted(data):
    output = data / "whole"
    train(data, output, **PLAIN)
    return output


def train_until(data, output, call, count, end):
    """Train; at the ``count``-th call of ``os.<call>``, ``end`` comes first."""
    original, calls = getattr(os, call), 0

    def counted(*arguments):
        nonlocal calls
        calls += 1
        if calls == count:
            end()
        return original(*arguments)

    setattr(os, call, counted)
    train(data, output, **PLAIN)


def kill():
    os.kill(os.getpid(), signal.SIGKILL)


def kill_in_next_save():
    limit_files(LIMIT, deadly=True)


def fill_the_disk():
    limit_files(LIMIT, deadly=False)


@pytest.mark.parametrize(
    "call, count, end, exit_code, left",
    [
        ("fsync", 2, kill_in_next_save, -signal.SIGXFSZ, ["checkpoint.pth.part"]),
        ("fsync", 3, kill_in_next_save, -signal.SIGXFSZ, BOTH_PARTS),
        ("replace", 3, kill, -signal.SIGKILL, BOTH_PARTS),
        ("replace", 4, kill, -signal.SIGKILL, ["checkpoint.pth.part"]),
        ("fsync", 2, fill_the_disk, 1, []),
        ("fsync", 3, fill_the_disk, 1, []),
    ],
)
def test_training_goes_on_after_any_end(
    data, uninterrupted, tmp_path, capfd, call, count, end, exit_code, left
):
    """... of its second epoch, to the same weights and files as if nothing had happened."""
    assert in_child(train_until, data, tmp_path, call, count, end) == exit_code
    assert sorted(path.name for path in tmp_path.glob("*.part")) == left
    if end is fill_the_disk:
        assert "OSError: [Errno 27] File too large: '" in capfd.readouterr().err.splitlines()[-1]
    assert torch.load(tmp_path / "checkpoint.pth", weights_only=False)["reporter"]["epoch"] == 1

    train(data, tmp_path, **PLAIN)
    assert sorted(os.listdir(tmp_path)) == sorted(os.listdir(uninterrupted))
    for name in ("2epoch", "valid.spectral_loss.best", "valid.spectral_loss.ave_2best"):
        found, expected = (
            torch.load(folder / f"{name}.pth") for folder in (tmp_path, uninterrupted)
        )
        assert found.keys() == expected.keys()
        assert all(torch.equal(found[key], expected[key]) for key in found)


@pytest.mark.parametrize("probability, ngpu, expected", [(0.5, 4, "0 or 1"), (1.0, 0, "on CPUs")])
def test_skipping_that_would_part_the_ranks_is_refused(probability, ngpu, expected):
    with pytest.raises(ValueError, match=expected) as raised:
        check_skipping(probability, ngpu)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("probability, ngpu", [(0.0, 0), (0.0, 2), (1.0, 2)])
def test_skipping_that_all_ranks_do_alike_is_accepted(probability, ngpu):
    assert check_skipping(probability, ngpu) is None
