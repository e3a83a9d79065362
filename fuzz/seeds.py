"""Small inputs that are accepted, for fuzzing to begin with."""

from __future__ import annotations

import io
import json
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from espnet2.gan_codec.bscodec.entropy.predictor import KIND
from espnet2.gan_codec.bscodec.format.bitstream import EncodedAudio
from espnet2.gan_codec.bscodec.format.header import BscHeader
from espnet2.gan_codec.bscodec.format.header_bytes import pack_header
from espnet2.gan_codec.bscodec.hub.checkpoint import build_model
from espnet2.gan_codec.bscodec.tokens.formats import FORMATS
from espnet2.gan_codec.bscodec.tokens.metadata import TokenMetadata
from espnet2.gan_codec.bscodec.tokens.shards import Row, ShardIndex, _dump
from fuzz.parts import MARK, TOKENS
from fuzz.predictors import coder, predictor_tensors

_MONO = BscHeader(1000, 24000, 320, ((0, 2000), (2000, 12000)), (16, 1000), "x", "0badc0de")
_KEPT = replace(_MONO, num_channels=2, original_rate=48000, original_samples=2000)
_ODD = BscHeader(25, 3, 1, ((0.5, 1), (1.5, 2)), (3, 2), "bscodec-mini", "0badc0de")
_HEADERS = (_MONO, _KEPT, _ODD)  # the last: bands with gaps, one frame a sample

_TINY = {
    "hidden_dim": 4,
    "bands": [[0, 1200], [1200, 12000]],
    "filterbank": "mdct",
    "network": "spectral",
    "spectral_channels": 4,
    "spectral_blocks": 1,
    "spectral_expansion": 1,
    "quantize_codebook_size": [4, 4],
    "quantize_codebook_dim": 2,
}
_SEANET = {
    "hidden_dim": 4,
    "bands": [[0, 12000]],
    "encdec_ratios": [2, 2],
    "encdec_n_filters": 2,
    "encdec_n_residual_layers": 1,
    "encdec_lstm": 1,
    "quantize_choice": "band_vq",
    "quantize_codebook_size": 4,
    "quantize_codebook_dim": 2,
}


def header() -> list[bytes]:
    """Return headers of all kinds."""
    return [*map(pack_header, _HEADERS)]


def bsc() -> list[bytes]:
    """Return whole files of one block and of several, plain and entropy-coded."""
    random = [_encoded(header) for header in _HEADERS]
    likely = [replace(encoded, codes=0 * encoded.codes) for encoded in random[:2]]
    coded = [encoded.dumps(coder()) for encoded in (*random[:2], *likely)]
    return [*(encoded.dumps() for encoded in random), *coded]


def _encoded(header: BscHeader) -> EncodedAudio:
    rng = np.random.default_rng(0)
    channels = header.codes_shape[:-1]
    sizes = header.codebook_sizes
    codes = [rng.integers(0, size, (*channels, header.num_frames)) for size in sizes]
    return EncodedAudio(**vars(header), codes=np.stack(codes, axis=-2))


def predictor() -> list[bytes]:
    """Return a small code predictor."""
    from safetensors.numpy import save

    return [save(predictor_tensors((4, 5), 1, 2, 1), {"kind": KIND, "model": "0" * 64})]


def tokens() -> list[bytes]:
    """Return a folder of one shard in each format."""
    return [_folder(form) for form in FORMATS]


def _folder(form: str) -> bytes:
    dtype = FORMATS[form].dtype(_MONO.codebook_sizes)
    metadata = TokenMetadata.of(_MONO, "0badc0de" * 8, form, dtype, shard_size=8)
    codes, file, rows = _encoded(_MONO).codes.T, io.BytesIO(), []
    with FORMATS[form].writer(file, metadata) as shard:
        for name in ("a", "b"):
            offset = shard.add(name, codes, _MONO.num_samples)
            rows.append(Row(name, offset, len(codes), _MONO.num_samples))
    lines = (f"{r.name}\t0\t{r.offset}\t{r.frames}\t{r.samples}\n" for r in rows)
    index = ShardIndex(metadata, "", "", tuple(rows), ())
    meta = json.dumps({**metadata.to_json(), "utterances": len(rows)})
    texts = (meta, "".join(lines), _dump(index))
    files = (*(text.encode() for text in texts), file.getvalue())
    return TOKENS.join(TOKENS.split(MARK.join(files)) or {})


def config() -> list[bytes]:
    """Return configs of both networks, and one that leaves all to the defaults."""
    return [*map(_config, (_TINY, _SEANET, {}))]


def _config(params: dict[str, Any]) -> bytes:
    conf = {"sampling_rate": 24000, "generator_params": params, "lambda_mel": 45.0}
    return yaml.safe_dump({"codec": "bscodec", "codec_conf": conf}).encode()


def weights() -> list[bytes]:
    """Return two tensors as torch writes them, now and in the past, and as safetensors."""
    import torch
    from safetensors.torch import save

    state = {"codec.generator.a": torch.arange(6.0).reshape(2, 3), "b": torch.ones(2).half()}
    return [_saved(state), _saved(state, _use_new_zipfile_serialization=False), save(state)]


def model() -> list[bytes]:
    """Return configs of both networks with weights that fit."""
    import torch

    found = []
    for params in (_TINY, _SEANET):
        torch.manual_seed(0)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder, "config.yaml")
            path.write_bytes(_config(params))
            generator = build_model(path).generator
        state = {f"codec.generator.{k}": v for k, v in generator.state_dict().items()}
        found.append(_config(params) + MARK + _saved(state))
    return found


def _saved(state: dict[str, Any], **how: Any) -> bytes:
    import torch

    file = io.BytesIO()
    torch.save(state, file, **how)
    return file.getvalue()


_MEASURES: dict[str, Any] = {
    "seconds": 1.5,
    "rates": [24000, 16000],
    "energies": [[-1.0] * 5, [-2.0] * 5],
}


def journal() -> list[bytes]:
    """Return a record of one pair, whose files are not there, and a second after damage."""
    record = {"system": "a", "name": "u", "files": None, **_MEASURES}
    first, second = (
        json.dumps({**record, "values": values}).encode() + b"\n"
        for values in ({"SI-SDR": [3.5, ""]}, {"STOI": [float("nan"), ""], "PESQ": [1, "x"]})
    )
    return [first, second[:20] + b"\n" + first + second]


def records() -> list[bytes]:
    """Return the results of two pairs, one of which failed."""
    task = {"system": "a", "name": "u", "domain": "speech", "reference": "r", "decoded": "d"}
    task = {**task, "metrics": ["SI-SDR"]}
    good = {"task": task, **_MEASURES, "values": {"SI-SDR": 3.5}, "reasons": {}, "failure": None}
    bad = {**good, "task": {**task, "reference": "s"}, "values": {}, "energies": [[], []]}
    bad = {**bad, "reasons": {"SI-SDR": "silence"}, "failure": "no audio"}
    costs = {"a": {"bits": {"u": 10}, "encode_seconds": {"u": 0.5}, "decode_seconds": {}}}
    contents = {"settings": {"SI-SDR": "v1"}, "outcomes": [good, bad], "costs": costs}
    return [json.dumps(contents).encode()]
