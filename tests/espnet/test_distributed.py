"""Two processes train one model: the codebooks stay the same, the loss is that of one process."""

import copy
import os
import signal
import subprocess
import sys
import time

import pytest
import torch
import yaml

from tests.bscodec.conftest import tiny_conf
from tests.espnet.test_stock_commands import CONFIG

STEPS = 3
BATCH = 4


def batch(step):
    # float64: a random model is almost silent, and logarithms of that magnify rounding
    return 0.1 * torch.randn(BATCH, 2000, generator=torch.Generator().manual_seed(step)).double()


def build(quantizer, refit_interval=0):
    from espnet2.gan_codec.bscodec import BSCodec

    torch.manual_seed(0)
    params = {"quantize_choice": quantizer, "quantize_refit_interval": refit_interval}
    return BSCodec(**tiny_conf(quantize_codebook_size=32, **params)).train().double()


def train(model, rank=0, world_size=1):
    """A few steps of both turns, as ESPnet's trainer takes them; returns the generator losses."""
    codec = model.module if world_size > 1 else model
    optimizers = [
        torch.optim.SGD(part.parameters(), 1e-4) for part in (codec.generator, codec.discriminator)
    ]
    share = BATCH // world_size
    losses = []
    for step in range(STEPS):
        audio = batch(step)[rank * share : (rank + 1) * share]
        for turn in (True, False):
            result = model(audio, forward_generator=turn)
            result["loss"].backward()
            optimizers[result["optim_idx"]].step()
            for optimizer in optimizers:
                optimizer.zero_grad()
            if turn:
                losses.append(float(result["loss"].detach()))
    return losses


def worker(rank, folder, *quantizer):
    from torch.nn.parallel import DistributedDataParallel

    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo", init_method=f"file://{folder}/rendezvous", rank=rank, world_size=2
    )
    torch.manual_seed(rank)  # ranks draw different numbers, as they do in real runs
    codec = build(*quantizer)
    torch.manual_seed(rank + 1)
    model = DistributedDataParallel(codec, find_unused_parameters=True)
    losses = train(model, rank, 2)
    torch.save({"losses": losses, "state": codec.state_dict()}, f"{folder}/rank{rank}.pt")
    torch.distributed.destroy_process_group()


def run_two(folder, *quantizer):
    torch.multiprocessing.spawn(worker, args=(str(folder), *quantizer), nprocs=2)
    return [torch.load(folder / f"rank{rank}.pt", weights_only=True) for rank in range(2)]


def test_simvq_on_two_processes_equals_one(tmp_path):
    first, second = run_two(tmp_path, "band_simvq")
    alone = build("band_simvq")
    losses = train(alone)
    for name, value in alone.state_dict().items():
        assert torch.equal(first["state"][name], second["state"][name]), name
        assert torch.allclose(first["state"][name], value, rtol=1e-3, atol=1e-5), name
    for a, b, one in zip(first["losses"], second["losses"], losses, strict=True):
        assert abs((a + b) / 2 / one - 1) < 1e-4


def test_simvq_maps_are_refitted_alike_on_both_processes(tmp_path):
    first, second = run_two(tmp_path, "band_simvq", 2)
    name = "generator.quantizer.layers.0.code_transform.weight"
    assert torch.equal(first["state"][name], second["state"][name])
    assert not torch.allclose(first["state"][name], build("band_simvq").state_dict()[name])


def test_vq_codebooks_are_the_same_on_both_processes(tmp_path):
    """k-means start, moving averages and renewal of dead codes see the frames of all ranks."""
    first, second = run_two(tmp_path, "band_vq")
    names = [name for name in first["state"] if "_codebook." in name]
    assert names
    for name in names:
        assert torch.equal(first["state"][name], second["state"][name]), name
    counts = first["state"]["generator.quantizer.vq.layers.0._codebook.cluster_size"]
    frames = BATCH * -(-2000 // 320)
    assert counts.sum() > frames / 2  # more than one rank's share was counted


# ---- ESPnet's own trainer on two processes ------------------------------------------------


def command(folder, output, rank=None, **options):
    lists = []
    for part in ("train", "valid"):
        lists += [f"--{part}_data_path_and_name_and_type", f"{folder}/wav.scp,audio,sound"]
        lists += [f"--{part}_shape_file", f"{folder}/audio_shape"]
    arguments = ["--config", folder / "train.yaml", "--output_dir", folder / output, *lists]
    for key, value in options.items():
        arguments += [f"--{key}", value]
    if rank is not None:
        arguments += ["--dist_backend", "gloo", "--dist_world_size", 2, "--dist_rank", rank,
                      "--dist_launcher", "None", "--multiprocessing_distributed", "false",
                      "--dist_init_method", f"file://{folder}/{output}.rendezvous"]  # fmt: skip
    module = [sys.executable, "-W", "ignore", "-m", "espnet2.bin.gan_codec_train", "--ngpu", "0"]
    return [*module, *map(str, arguments)]


def start(*arguments, **options):
    log = open(options.pop("log"), "w")  # noqa: SIM115  (the process owns it)
    call = command(*arguments, **options)
    return subprocess.Popen(call, stdout=log, stderr=subprocess.STDOUT, env={**os.environ})


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    import numpy as np
    import soundfile

    folder = tmp_path_factory.mktemp("corpus")
    rng = np.random.default_rng(0)
    scp, shapes = "", ""
    for i in range(5):  # an odd number: the ranks get unequal numbers of chunks
        length = 24000 + 7000 * i
        soundfile.write(folder / f"utt{i}.wav", 0.1 * rng.standard_normal(length), 24000)
        scp += f"utt{i} {folder}/utt{i}.wav\n"
        shapes += f"utt{i} {length}\n"
    (folder / "wav.scp").write_text(scp)
    (folder / "audio_shape").write_text(shapes)
    config = copy.deepcopy(CONFIG)
    del config["num_iters_per_epoch"]
    config["best_model_criterion"] = [["valid", "mel_loss", "min"]]
    (folder / "train.yaml").write_text(yaml.safe_dump(config))
    return folder


def losses_of(folder):
    reporter = torch.load(folder / "checkpoint.pth", weights_only=False)["reporter"]["stats"]
    return {
        epoch: {name: float(torch.tensor(value[name])) for name in ("loss", "mel_loss")}
        for epoch, parts in reporter.items()
        for value in [parts["train"]]
    }


@pytest.mark.long
def test_stock_training_with_unequal_shares_ends(corpus):
    ranks = [start(corpus, "two", rank=r, max_epoch=1, log=corpus / f"two{r}.log") for r in (0, 1)]
    for rank, process in enumerate(ranks):
        assert process.wait(timeout=300) == 0, (corpus / f"two{rank}.log").read_text()[-2000:]
    assert (corpus / "two" / "1epoch.pth").exists()


@pytest.mark.long
def test_a_killed_rank_ends_the_other_with_an_error(corpus):
    ranks = [
        start(corpus, "killed", rank=r, max_epoch=1000, log=corpus / f"killed{r}.log")
        for r in (0, 1)
    ]
    try:
        deadline = time.time() + 300
        while "epoch started" not in (corpus / "killed0.log").read_text():
            assert time.time() < deadline and all(p.poll() is None for p in ranks)
            time.sleep(0.5)
        ranks[1].send_signal(signal.SIGKILL)
        assert ranks[0].wait(timeout=120) != 0
    finally:
        for process in ranks:
            process.kill()


@pytest.mark.long
def test_resumed_training_goes_the_way_of_an_uninterrupted_one(corpus):
    for output, epochs in (("whole", 2), ("parts", 1), ("parts", 2)):
        log = corpus / f"{output}{epochs}.log"
        process = start(corpus, output, max_epoch=epochs, resume="true", log=log)
        assert process.wait(timeout=300) == 0, log.read_text()[-2000:]
    whole, parts = losses_of(corpus / "whole"), losses_of(corpus / "parts")
    assert set(whole) == set(parts) == {1, 2}
    for epoch in whole:
        for name, value in whole[epoch].items():
            assert abs(parts[epoch][name] / value - 1) < 1e-5, (epoch, name)
