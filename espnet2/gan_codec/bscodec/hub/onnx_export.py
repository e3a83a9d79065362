"""Write a model as two ONNX files, ``encoder.onnx`` and ``decoder.onnx``, and its facts as JSON.

What can be said of the files is in each one's metadata and, for runtimes that do not show that, in
``model.json``.
"""

from __future__ import annotations

import io
import json
import logging
import os
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import TYPE_CHECKING, Any

from espnet2.gan_codec.bscodec.format.atomic import atomic_write
from espnet2.gan_codec.bscodec.hub.checkpoint import LoadedModel, load_model
from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.hub.export import package_model
from espnet2.gan_codec.bscodec.hub.outputs import new_files
from espnet2.gan_codec.bscodec.hub.resolver import find_model

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 18
ENCODER, DECODER, FACTS = "encoder.onnx", "decoder.onnx", "model.json"
ENCODER_STEP, DECODER_STEP = "encoder_step.onnx", "decoder_step.onnx"
LENGTHS = (
    "T samples give ceil(T / hop_length) frames of codes; F frames give F * hop_length samples, "
    "of which the first T are the audio"
)
TRAINING = "not from these files: from the model of this fingerprint"
PRECISIONS = ("exact", "half", "int8")


def export_onnx(
    name: str,
    folder: str | os.PathLike,
    precision: str = "exact",
    steps: bool = False,
    force: bool = False,
) -> str:
    """Write ``encoder.onnx``, ``decoder.onnx`` and ``model.json``; return the model's fingerprint.

    Inputs and outputs: ``audio`` (batch, samples) float32 at the model's rate, ``codes`` (batch,
    bands, frames) int64; any batch and length.  They compute with 32-bit floats.

    Args:
        name: as for ``load_model``.
        folder: made if needed.
        precision: of the weights in the files: ``exact`` stores in 8 or 16 bits what these hold
            exactly; ``half`` rounds to 16 bits first; ``int8`` rounds every row of the large
            matrices to 8 bits, so that codes are not quite those of the model.
        steps: write ``encoder_step.onnx`` and ``decoder_step.onnx`` for live audio as well.
        force: replace other files there.

    Raises:
        ModelError: a package is missing, there is no such model, or it has no steps, in one line.
        OSError: other files are there, or they cannot be written.
    """
    _need_packages()
    from espnet2.gan_codec.bscodec.hub import onnx_weights

    loaded = _load(name, half=precision == "half")
    facts = describe(loaded, precision)
    graphs = {ENCODER: _encoder, DECODER: _decoder}
    if steps:
        facts["steps"] = _describe_steps(loaded)
        graphs |= {ENCODER_STEP: _encoder_step, DECODER_STEP: _decoder_step}
    with new_files(Path(folder), find_model(name), force) as made:
        for file, make in graphs.items():
            proto = make(loaded)
            if precision == "int8":
                onnx_weights.round_to_int8(proto.graph)
            onnx_weights.store_small(proto.graph)
            for key, value in facts.items():
                text = value if isinstance(value, str) else json.dumps(value)
                proto.metadata_props.add(key=key, value=text)
            with atomic_write(made / file) as temporary:
                temporary.write_bytes(proto.SerializeToString())
        with atomic_write(made / FACTS) as temporary:
            temporary.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return loaded.fingerprint


def describe(loaded: LoadedModel, precision: str = "exact") -> dict[str, Any]:
    """What a program has to know that runs the files."""
    model = loaded.model
    return {
        "model": loaded.tag,
        "fingerprint": loaded.fingerprint[:8],
        "sampling_rate": model.sampling_rate,
        "hop_length": model.hop_length,
        "bands": [list(band) for band in model.streams],
        "codebook_sizes": list(model.codebook_sizes),
        "lengths": LENGTHS,
        "weights": precision,
        "training": TRAINING,
    }


def _need_packages() -> None:
    try:
        import onnx  # noqa: F401
    except ImportError as error:
        raise ModelError("the onnx form needs onnx: pip install 'espnet-bscodec[onnx]'") from error


def _load(name: str, half: bool) -> LoadedModel:
    if not half:
        return load_model(name, "cpu")
    with tempfile.TemporaryDirectory() as temporary:
        rounded = Path(temporary, find_model(name).tag)
        package_model(name, rounded)
        return load_model(str(rounded), "cpu")


def _encoder(loaded: LoadedModel) -> ModelProto:
    import torch

    from espnet2.gan_codec.bscodec.inference.onnx_graphs import EncoderGraph

    audio = torch.zeros(2, 7 * loaded.model.hop_length + 1)
    graph = EncoderGraph(loaded.model.generator)
    axes = {"audio": {1: "samples"}, "codes": {2: "frames"}}
    return _exported(graph, (audio,), ["audio"], ["codes"], axes)


def _decoder(loaded: LoadedModel) -> ModelProto:
    import torch

    from espnet2.gan_codec.bscodec.inference.onnx_graphs import DecoderGraph

    codes = torch.zeros(2, len(loaded.model.codebook_sizes), 7, dtype=torch.long)
    graph = DecoderGraph(loaded.model.generator)
    axes = {"codes": {2: "frames"}, "audio": {1: "samples"}}
    return _exported(graph, (codes,), ["codes"], ["audio"], axes)


def _describe_steps(loaded: LoadedModel) -> dict[str, int]:
    """Frames by which a step's output is late, sizes of a signal's state, and an unknown end."""
    import torch

    from espnet2.gan_codec.bscodec.inference.onnx_step import UNKNOWN_END, has_steps

    if not has_steps(loaded.model.generator):
        raise ModelError(f"{loaded.tag}: only spectral networks at one frame a hop have steps")
    encoder, decoder = _steps(loaded)
    audio = torch.zeros(1, loaded.model.hop_length)
    codes = torch.zeros(1, len(loaded.model.codebook_sizes), 1, dtype=torch.long)
    return {
        "encoder_delay": encoder.delay,
        "decoder_delay": decoder.delay,
        "encoder_state": encoder.state_size(audio),
        "decoder_state": decoder.state_size(codes),
        "unknown_end": UNKNOWN_END,
    }


def _steps(loaded: LoadedModel) -> Any:
    from espnet2.gan_codec.bscodec.inference.onnx_step import DecoderStep, EncoderStep

    generator = loaded.model.generator
    return EncoderStep(generator).eval(), DecoderStep(generator).eval()


def _encoder_step(loaded: LoadedModel) -> ModelProto:
    import torch

    audio = torch.zeros(2, 3 * loaded.model.hop_length)
    return _exported_step(_steps(loaded)[0], audio, {"audio": 1, "codes": 2})


def _decoder_step(loaded: LoadedModel) -> ModelProto:
    import torch

    codes = torch.zeros(2, len(loaded.model.codebook_sizes), 3, dtype=torch.long)
    return _exported_step(_steps(loaded)[1], codes, {"codes": 2, "audio": 1})


def _exported_step(step: Any, x: Any, axes: dict[str, int]) -> ModelProto:
    import torch

    units = {"audio": "samples", "codes": "frames"}
    (given, returned), state = axes, x.new_zeros(2, step.state_size(x), dtype=torch.float32)
    inputs = (x, state, torch.tensor(3), torch.tensor(9))
    names: dict[str, dict[int, str]] = {name: {axis: units[name]} for name, axis in axes.items()}
    names = {given: names[given], "state": {}, returned: names[returned], "next_state": {}}
    scalars = ["position", "end"]
    return _exported(step, inputs, [given, "state", *scalars], [returned, "next_state"], names)


def _exported(
    graph: Any,
    inputs: tuple,
    given: list[str],
    returned: list[str],
    axes: dict[str, dict[int, str]],
) -> ModelProto:
    """Trace a graph; ``axes``: those of any size beside the batch, by input's or output's name."""
    import onnx
    import torch

    data: Any = io.BytesIO()  # as its documentation allows
    try:
        with _quiet(), torch.no_grad():
            # The newer exporter (dynamo) takes no LSTM of any length, and tens of seconds.
            torch.onnx.export(
                graph.eval().requires_grad_(False),
                inputs,
                data,
                dynamo=False,
                opset_version=OPSET,
                input_names=given,
                output_names=returned,
                dynamic_axes={name: {0: "batch", **others} for name, others in axes.items()},
            )
    except torch.onnx.errors.OnnxExporterError as error:
        reason = str(error).strip().partition("\n")[0]
        raise ModelError(f"this model has no ONNX form: {reason}") from error
    return onnx.load_from_string(data.getvalue())


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says of optional packages and of its own deprecations."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            with redirect_stderr(io.StringIO()):
                yield
    finally:
        logging.disable(before)
