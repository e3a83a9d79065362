"""Make the forms in which a trained model is given away; all have the same fingerprint."""

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from espnet2.gan_codec.bscodec.format.atomic import atomic_write
from espnet2.gan_codec.bscodec.hub.checkpoint import load_model
from espnet2.gan_codec.bscodec.hub.config_file import read_yaml
from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.hub.resolver import CONFIG, find_model

if TYPE_CHECKING:
    import torch

    from espnet2.gan_codec.bscodec.bscodec import BSCodec


def package_model(
    name: str, folder: str | os.PathLike, half: bool = True, small_codebooks: bool = False
) -> str:
    """Write ``config.yaml`` and ``model.safetensors`` of a trained model; return its fingerprint.

    Only the generator's weights are kept. With ``half`` they are rounded to 16 bits where that
    keeps them finite, and with ``small_codebooks`` SimVQ's codes to whole numbers of 8, which
    moves them by little beside what quantizing does; the fingerprint is that of the rounded
    weights.

    Args:
        name: as for ``load_model``.
        folder: made if needed; its name becomes the model's tag.
    """
    import torch
    from safetensors.torch import save

    model = load_model(name, "cpu").model
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if small_codebooks:
        for layer in model.generator.quantizer.layers:
            layer.orthogonalize(largest=torch.iinfo(torch.int8).max)
    weights = {f"generator.{key}": value for key, value in model.generator.state_dict().items()}
    for key, value in weights.items():
        if key.endswith(".frozen_codebook") and (small_codebooks or _holds_bytes(value)):
            weights[key] = value.round().to(torch.int8)
        elif half and value.dtype == torch.float32 and torch.isfinite(value.half()).all():
            weights[key] = value.half()
    # safetensors wants every tensor to have memory of its own
    weights = {key: value.clone().contiguous() for key, value in weights.items()}
    contents = read_yaml(find_model(name).config)
    config = {"codec": "bscodec", "codec_conf": contents["codec_conf"]}
    with atomic_write(folder / "model.safetensors") as temporary:
        temporary.write_bytes(save(weights))  # save_file would let nobody else read it
    with atomic_write(folder / CONFIG) as temporary:
        temporary.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
    return load_model(str(folder), "cpu").fingerprint


def _holds_bytes(value: "torch.Tensor") -> bool:
    """Whether all values are whole numbers of 8 bits, as small codebooks are once loaded."""
    return bool((value == value.round().clamp(-128, 127)).all())


def export_checkpoint(name: str, path: str | os.PathLike) -> str:
    """Write a model as ESPnet's ``.pth`` of 32-bit floats; return its fingerprint."""
    loaded = load_model(name, "cpu")
    save_generator(loaded.model, path)
    return loaded.fingerprint


def save_generator(model: "BSCodec", path: str | os.PathLike) -> None:
    """Write a model's weights as ESPnet's ``.pth``.

    The names are those of ESPnet's ``ESPnetGANCodecModel``; discriminators are left out.
    """
    import torch

    weights = model.generator.state_dict()
    data = io.BytesIO()  # into a file, torch would write its temporary name as well
    torch.save({f"codec.generator.{key}": v for key, v in weights.items()}, data)
    with atomic_write(path) as temporary:
        temporary.write_bytes(data.getbuffer())


def export_experiment(name: str, folder: str | os.PathLike, archive: bool = False) -> str:
    """Write a model as stock ESPnet has it: ``config.yaml`` and ``<tag>.pth`` in ``folder``.

    ``gan_codec_inference`` takes the two as ``--train_config`` and ``--model_file``.  The config
    is the model's own over ESPnet's defaults, for a stock ESPnet wants every key.

    Args:
        name: as for ``load_model``.
        folder: made if needed.
        archive: also write ``<tag>.zip``, which the model zoo unpacks by its ``meta.yaml``.

    Returns:
        The model's fingerprint, which all of these forms have.
    """
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        # on import some of its modules tell which optional packages they do not find
        from espnet2.tasks.gan_codec import GANCodecTask

    files, folder = find_model(name), Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    config, checkpoint = folder / CONFIG, folder / f"{files.tag}.pth"
    fingerprint = export_checkpoint(name, checkpoint)
    words, sys.argv = sys.argv, sys.argv[:1]  # ESPnet would take options from our command line
    try:
        defaults = GANCodecTask.get_default_config()
    finally:
        sys.argv = words
    contents = defaults | read_yaml(files.config)
    with atomic_write(config) as temporary:
        temporary.write_text(yaml.safe_dump(contents, sort_keys=False), encoding="utf-8")
    if archive:
        _pack(folder, config.name, checkpoint.name, f"{files.tag}.zip")
    return fingerprint


def _pack(folder: Path, config: str, checkpoint: str, archive: str) -> None:
    """Run ESPnet's packer in ``folder``, since it names files as seen from where it runs."""
    # it knows an archive's kind by the last suffix
    with atomic_write(folder / archive, Path(archive).suffix) as temporary:
        command = [sys.executable, "-W", "ignore", "-m", "espnet2.bin.pack", "codec"]
        command += ["--train_config", config, "--model_file", checkpoint]
        command += ["--outpath", temporary.name]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            why = (done.stderr.strip().splitlines() or ["no reason given"])[-1]
            raise ModelError(f"{folder / archive}: espnet2.bin.pack failed: {why}")
