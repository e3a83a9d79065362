"""The systems of docs/small_scale_study.md differ in what is compared, and in nothing else."""

import math
from pathlib import Path

import pytest
import torch
import yaml

from espnet2.gan_codec.bscodec import BSCodec
from espnet2.gan_codec.encodec.encodec import Encodec
from espnet2.schedulers.piecewise_linear_warmup_lr import PiecewiseLinearWarmupLR
from espnet2.tasks.gan_codec import GANCodecTask

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "egs2/bscodec/codec1/study/conf/scale"
SYSTEMS = sorted(path.stem for path in CONF.glob("*.yaml") if path.stem != "train")


@pytest.fixture(params=SYSTEMS)
def args(request):
    """What the study's script hands to ESPnet."""
    options = ["--config", str(CONF / "train.yaml"), "--output_dir", "unused"]
    own = (CONF / f"{request.param}.yaml").read_text()
    return GANCodecTask.get_parser().parse_args([*options, "--codec_conf", own])


def parameters(module):
    return sum(p.numel() for p in module.parameters())


def test_all_have_forty_bits_a_frame_and_the_same_number_of_parameters(args):
    codec = GANCodecTask.build_model(args).codec
    assert sum(math.log2(size) for size in codec.codebook_sizes) == 40
    assert codec.sampling_rate / codec.hop_length == 75
    assert not codec.lambda_adv and not codec.lambda_feat_match
    assert parameters(codec.generator) == pytest.approx(1.13e6, rel=0.015)


def test_the_rate_is_zero_after_a_thousand_updates(args):
    optimizer = torch.optim.SGD([torch.zeros(1)], lr=args.optim_conf["lr"])
    scheduler = PiecewiseLinearWarmupLR(optimizer, **args.scheduler_conf)
    rates = []
    for _ in range(1100):
        rates.append(scheduler.get_last_lr()[0])
        optimizer.step()
        scheduler.step()
    assert max(rates) == 8e-4 and all(rates[:999]) and not any(rates[1000:])


def test_a_step_trains_every_weight(args):
    torch.manual_seed(0)
    codec = GANCodecTask.build_model(args).codec.train()
    codec(0.1 * torch.randn(2, args.chunk_length))["loss"].backward()
    unmoved = [n for n, p in codec.generator.named_parameters() if p.grad is None]
    assert unmoved == []


def test_encodec_s_networks_are_those_of_espnet_s_encodec():
    ours = yaml.safe_load((CONF / "encodec.yaml").read_text())["generator_params"]
    conf = yaml.safe_load((ROOT / "conf/train_encodec.yaml").read_text())["codec_conf"]
    sizes = ("hidden_dim", "encdec_n_filters", "encdec_n_residual_layers")
    conf["generator_params"] |= {key: ours[key] for key in sizes}
    theirs, mine = Encodec(**conf).generator, BSCodec(generator_params=ours).generator

    def state(module):
        return {name: tensor.shape for name, tensor in module.state_dict().items()}

    assert state(mine.encoders[0]) == state(theirs.encoder)
    assert state(mine.decoders[0]) == state(theirs.decoder)
    mine.decoders[0].load_state_dict(theirs.decoder.state_dict())
    latents = torch.randn(1, 128, 5)
    with torch.no_grad():
        assert torch.allclose(mine.decoders[0](latents), theirs.decoder(latents), atol=1e-6)
