"""Every file in conf/: stock ESPnet reads it, builds it, trains it, and codes at its rate."""

import gzip
import json
import math
import zlib
from pathlib import Path

import pytest
import torch
import yaml

from espnet2.bin import gan_codec_inference
from espnet2.tasks.abs_task import scheduler_classes
from espnet2.tasks.gan_codec import GANCodecTask

ROOT = Path(__file__).resolve().parents[2]
CONF = ROOT / "conf"
TRAIN_CONFIGS = sorted(CONF.glob("train_*.yaml"))
DECODE_CONFIGS = sorted(CONF.glob("decode*.yaml"))
# Names, shapes and counts of the released checkpoints, the mel loss's constants left out.
PUBLISHED = json.loads(
    gzip.decompress((ROOT / "tests" / "golden" / "published_shapes.json.gz").read_bytes())
)
PUBLISHED_RATES = {  # bits/s
    "BSCodec_band_vq_5band": 3750,
    "BSCodec_band_simvq_3band": 3825,
    "BSCodec_band_simvq_2band": 2550,
}
# A step of these takes too long for every run; the two-band model has the same parts.
LARGEST = {"train_BSCodec_band_vq_5band", "train_BSCodec_band_simvq_3band"}
SAMPLES = 8000  # 25 frames of 320


def parse(path):
    return GANCodecTask.get_parser().parse_args(["--config", str(path), "--output_dir", "unused"])


def parse_decoding(path):
    command = ["--config", str(path), "--output_dir", "unused"]
    command += ["--data_path_and_name_and_type", "wav.scp,audio,sound"]
    return gan_codec_inference.get_parser().parse_args(command)


def parse_training(name):
    return parse(CONF / f"train_{name}.yaml")


def noise():
    return 0.1 * torch.randn(1, SAMPLES, generator=torch.Generator().manual_seed(1))


def fingerprints(module):
    """A checksum of each parameter: lighter than a copy of up to 140 million numbers."""
    return {name: zlib.crc32(p.detach().numpy()) for name, p in module.named_parameters()}


def bits_per_second(model):
    info = model.meta_info()
    bits_per_frame = sum(math.log2(size) for size in info["code_size_per_stream"])
    return bits_per_frame * info["fs"] / info["frame_shift"]


# ---- reading ---------------------------------------------------------------------------


@pytest.mark.parametrize("path", TRAIN_CONFIGS + DECODE_CONFIGS, ids=lambda path: path.stem)
def test_a_key_that_espnet_does_not_know_is_refused(path, tmp_path, capsys):
    reader = parse if path in TRAIN_CONFIGS else parse_decoding
    reader(path)  # as it stands, all keys are known
    broken = tmp_path / "broken.yaml"
    broken.write_text(path.read_text() + "\nbatch_sise: 4\n")
    with pytest.raises(SystemExit):
        reader(broken)
    assert "batch_sise" in capsys.readouterr().err


def test_published_configs_differ_in_bands_codebooks_and_batch_alone():
    configs = [yaml.safe_load((CONF / f"train_{name}.yaml").read_text()) for name in PUBLISHED]
    for config in configs:
        del config["batch_size"]
        generator = config["codec_conf"]["generator_params"]
        for key in [k for k in generator if k == "bands" or k.startswith("quantize_")]:
            del generator[key]
    assert configs[0] == configs[1] == configs[2]


@pytest.mark.parametrize("baseline", ["dac", "encodec"])
def test_baselines_share_what_makes_the_comparison_fair(baseline):
    ours = parse_training("BSCodec_band_simvq_3band").codec_conf
    conf = parse_training(baseline).codec_conf
    shared = [k for k in ours["generator_params"] if k.startswith(("encdec_", "decoder_"))]
    shared = [k for k in ["hidden_dim", *shared] if k != "encdec_activation" or baseline == "dac"]
    for key in shared:
        assert conf["generator_params"][key] == ours["generator_params"][key], key
    for key in [k for k in ours if "loss" in k or k in ("lambda_mel", "lambda_adv")]:
        assert conf[key] == ours[key], key


# ---- building --------------------------------------------------------------------------


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_names_shapes_counts_and_rates(name):
    with torch.device("meta"):
        model = GANCodecTask.build_model(parse_training(name))
    state = {k: list(v.shape) for k, v in model.state_dict().items()}
    assert {k: s for k, s in state.items() if "mel_loss." not in k} == PUBLISHED[name]["shapes"]
    for side in ("generator", "discriminator"):
        count = sum(p.numel() for p in getattr(model.codec, side).parameters())
        assert count == PUBLISHED[name][f"{side}_parameters"]
    assert bits_per_second(model) == PUBLISHED_RATES[name]


@pytest.mark.parametrize("name, rate", [("bscodec_cpu", 2925), ("bscodec_mini", 3840)])
def test_rates_of_our_own_models(name, rate):
    assert bits_per_second(GANCodecTask.build_model(parse_training(name))) == rate


# ---- training --------------------------------------------------------------------------


def step_cases():
    for path in TRAIN_CONFIGS:
        marks = [pytest.mark.long] if path.stem in LARGEST else []
        yield pytest.param(path, id=path.stem, marks=marks)


@pytest.mark.parametrize("path", list(step_cases()))
def test_one_step_of_both_turns(path):
    """Each turn has finite losses and moves every weight of its own side and none of the other."""
    torch.manual_seed(0)
    args = parse(path)
    model = GANCodecTask.build_model(args).train()
    optimizers = GANCodecTask.build_optimizers(args, model)
    names = [(args.scheduler, args.scheduler_conf), (args.scheduler2, args.scheduler2_conf)]
    for optimizer, (name, conf) in zip(optimizers, names, strict=True):
        scheduler_classes[name](optimizer, **conf)
    audio = noise()
    sides = [model.codec.generator, model.codec.discriminator]
    statistics = {"total_count"}
    for turn in (0, 1) if args.generator_first else (1, 0):
        before = [fingerprints(side) for side in sides]
        result = model(audio=audio, forward_generator=turn == 0)
        result["loss"].backward()
        assert result["optim_idx"] == turn
        optimizers[turn].step()
        for optimizer in optimizers:
            optimizer.zero_grad()

        assert all(math.isfinite(value) for value in result["stats"].values())
        statistics.update(result["stats"])
        after = [fingerprints(side) for side in sides]
        unmoved = [name for name, crc in after[turn].items() if crc == before[turn][name]]
        assert unmoved == []
        assert after[1 - turn] == before[1 - turn]
    # ESPnet would keep no model by a statistic that is never reported, and say nothing
    assert {name for _, name, _ in args.best_model_criterion} <= statistics


# ---- coding ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "train, decode, rate",
    [
        ("dac", "decode_dac_6kbps", 6000),
        ("dac", "decode_dac_4.5kbps", 4500),
        ("dac", "decode_dac_3kbps", 3000),
        ("encodec", "decode_encodec_6kbps", 6000),
        ("encodec", "decode_encodec_3kbps", 3000),
        ("bscodec_cpu", "decode", 2925),
    ],
)
def test_stock_inference_codes_at_the_rate(train, decode, rate, tmp_path):
    args = parse_training(train)
    args.codec_conf["generator_params"]["encdec_n_filters"] = 2  # the rate is the quantizer's
    config = tmp_path / "config.yaml"
    config.write_text(yaml.safe_dump(vars(args)))
    decoding = parse_decoding(CONF / f"{decode}.yaml")

    coder = gan_codec_inference.AudioCoding(
        train_config=config, target_bandwidth=decoding.target_bandwidth
    )
    output = coder(noise()[0], encode_only=decoding.encode_only)

    info = coder.model.meta_info()
    frames = SAMPLES // info["frame_shift"]
    assert output["codes"].shape[-1] == frames
    bits = output["codes"].numel() * math.log2(info["code_size_per_stream"][0])
    assert bits * info["fs"] == rate * SAMPLES
    assert output["resyn_audio"].shape == (SAMPLES,)
