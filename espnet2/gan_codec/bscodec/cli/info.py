"""``bscodec info``: what a ``.bsc`` file holds, and whether it is undamaged."""

import argparse
import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from espnet2.gan_codec.bscodec.cli.jobs import naming_stdout, print_line
from espnet2.gan_codec.bscodec.cli.standard_streams import DASH, STDIN, copy_stdin
from espnet2.gan_codec.bscodec.format.escapes import escaped_json

HELP = "show what a .bsc file holds and check it"
DESCRIPTION = """
Show model, length, bands and real bit rates of a .bsc file, and check every block of it. The
payload is the codes, the last frame counted whole; on disk is the whole file. Of entropy-coded
blocks the checksums are compared; decoding checks the rest.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the file and the form of the answer."""
    parser.add_argument("file", metavar="FILE", help="a .bsc file, or - for standard input")
    parser.add_argument("--json", action="store_true", help="print one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the header and the rates; return the exit status."""
    with _opened(args.file) as reader:
        header, num_bytes = reader.header, reader.file_bytes
        payload = sum(reader.check_block(index) for index in range(header.num_blocks))
    if args.json:
        facts = _as_json(reader.name, header, num_bytes, payload)
        with naming_stdout():
            print(escaped_json(json.dumps(facts, ensure_ascii=False)))
    else:
        for line in _as_text(reader.name, header, num_bytes, payload):
            print_line(line)
    return 0


@contextmanager
def _opened(name: str) -> Iterator:
    from espnet2.gan_codec.bscodec.format.bitstream import BscReader

    if name != DASH:
        with BscReader(name) as reader:
            yield reader
        return
    with tempfile.TemporaryFile() as file:  # what comes through a pipe cannot be sought in
        copy_stdin(file)
        with BscReader(file, STDIN) as reader:
            yield reader


def _as_json(name: str, header, num_bytes: int, payload: int) -> dict:
    return {
        "file": name,
        "model": header.model,
        "fingerprint": header.fingerprint,
        "sampling_rate": header.sampling_rate,
        "num_samples": header.num_samples,
        "duration": header.duration,
        "num_channels": header.num_channels,
        "original_rate": header.original_rate or None,
        "original_samples": header.original_samples or None,
        "hop_length": header.hop_length,
        "num_frames": header.num_frames,
        "num_blocks": header.num_blocks,
        "bands": [list(band) for band in header.bands],
        "codebook_sizes": list(header.codebook_sizes),
        "bits_per_index": list(header.bits),
        "nominal_bits_per_second": header.bitrate,
        "payload_bits_per_second": _payload_bits(header, payload) / header.duration,
        "entropy_coded_by": header.predictor or None,
        "file_bits_per_second": header.file_bitrate(num_bytes),
        "file_bytes": num_bytes,
    }


def _as_text(name: str, header, num_bytes: int, payload: int) -> list[str]:
    pairs = zip(header.bands, header.bits, strict=True)
    bands = ", ".join(f"{low:g}-{high:g} Hz ({bits} bits)" for (low, high), bits in pairs)
    rate, samples = header.sampling_rate, header.num_samples
    channels = "1 channel" if header.num_channels == 1 else f"{header.num_channels} channels"
    original = (
        f", from {header.original_samples} at {header.original_rate} Hz"
        if header.original_rate
        else ""
    )
    bits = _payload_bits(header, payload)
    coded = f", entropy-coded by the predictor {header.predictor}" if header.predictor else ""
    return [
        f"file      {name}",
        f"model     {header.model} (fingerprint {header.fingerprint})",
        f"audio     {header.duration:.3f} s: {samples} samples at {rate} Hz{original}, {channels}",
        f"bands     {bands}",
        f"frames    {header.num_frames} of {header.hop_length} samples, "
        f"blocks {header.num_blocks}, all undamaged",
        f"payload   {bits / header.duration:.1f} bit/s ({header.bitrate:g} bit/s nominal){coded}",
        f"on disk   {header.file_bitrate(num_bytes):.1f} bit/s ({num_bytes} bytes, "
        f"overhead {8 * num_bytes / bits - 1:.2%})",
    ]


def _payload_bits(header, payload: int) -> int:
    """Bits of code: of plain ones without what fills the last bytes."""
    return 8 * payload if header.predictor else header.payload_bits
