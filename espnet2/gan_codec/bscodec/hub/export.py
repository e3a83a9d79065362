"""Make the forms in which a trained model is given away; all have the same fingerprint."""

import io
import os
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from espnet2.gan_codec.bscodec.format.atomic import atomic_write
from espnet2.gan_codec.bscodec.hub.checkpoint import load_model
from espnet2.gan_codec.bscodec.hub.config_file import read_yaml
from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.hub.outputs import new_files
from espnet2.gan_codec.bscodec.hub.resolver import CONFIG, find_model

if TYPE_CHECKING:
    import torch

    from espnet2.gan_codec.bscodec.bscodec import BSCodec


def package_model(
    name: str,
    folder: str | os.PathLike,
    half: bool = True,
    small_codebooks: bool = False,
    force: bool = False,
) -> str:
    """Write ``config.yaml`` and ``model.safetensors`` of a trained model; return its fingerprint.

    Only the generator's weights are kept. With ``half`` they are rounded to 16 bits where that
    keeps them finite, and with ``small_codebooks`` SimVQ's codes to whole numbers of 8, which
    moves them by little beside what quantizing does; the fingerprint is that of the rounded
    weights.

    Args:
        name: as for ``load_model``.
        folder: made if needed; its name becomes the model's tag.
        force: replace other files there.

    Raises:
        ModelError: there is no such model, or it has no frozen codebooks to be made small.
        OSError: other files are there, or they cannot be written.
    """
    import torch
    from safetensors.torch import save

    from espnet2.gan_codec.bscodec.model.quantizers import BandSimVQ

    files = find_model(name)
    model = load_model(name, "cpu").model
    if small_codebooks:
        if not isinstance(model.generator.quantizer, BandSimVQ):
            raise ModelError(f"{files.tag}: only SimVQ has frozen codebooks, to be made small")
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
    config = {"codec": "bscodec", "codec_conf": read_yaml(files.config)["codec_conf"]}
    with new_files(Path(folder), files, force) as made:
        with atomic_write(made / "model.safetensors") as temporary:
            temporary.write_bytes(save(weights))  # save_file would let nobody else read it
        with atomic_write(made / CONFIG) as temporary:
            temporary.write_text(yaml.safe_dump(config, sort_keys=False), encoding="utf-8")
        return load_model(str(made), "cpu").fingerprint


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


def export_experiment(
    name: str, folder: str | os.PathLike, archive: bool = False, force: bool = False
) -> str:
    """Write a model as stock ESPnet has it: ``config.yaml`` and ``<tag>.pth`` in ``folder``.

    ``gan_codec_inference`` takes the two as ``--train_config`` and ``--model_file``.  The config
    is the model's own over ESPnet's defaults, for a stock ESPnet wants every key.

    Args:
        name: as for ``load_model``.
        folder: made if needed.
        archive: also write ``<tag>.zip``, which the model zoo unpacks by its ``meta.yaml``.
        force: replace other files there.

    Returns:
        The model's fingerprint, which all of these forms have.

    Raises:
        ModelError: there is no such model.
        OSError: other files are there, or they cannot be written.
    """
    files = find_model(name)
    with new_files(Path(folder), files, force) as made:
        checkpoint = made / f"{files.tag}.pth"
        fingerprint = export_checkpoint(name, checkpoint)
        contents = espnet_defaults() | read_yaml(files.config)
        with atomic_write(made / CONFIG) as temporary:
            temporary.write_text(yaml.safe_dump(contents, sort_keys=False), encoding="utf-8")
        if archive:
            _pack(made, CONFIG, checkpoint.name, f"{files.tag}.zip")
        return fingerprint


def espnet_defaults() -> dict[str, Any]:
    """All keys of a codec's training config with ESPnet's defaults."""
    with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
        # on import some of its modules tell which optional packages they do not find
        from espnet2.tasks.gan_codec import GANCodecTask

    command_line = sys.argv
    sys.argv = command_line[:1]  # which ESPnet would read: our options are none of its own
    try:
        return GANCodecTask.get_default_config()
    finally:
        sys.argv = command_line


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
            raise ModelError(f"{archive}: espnet2.bin.pack failed: {why}")
