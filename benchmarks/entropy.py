"""What entropy coding saves, and how fast it is: ``python -m benchmarks.entropy MODEL TOKENS``.

Every utterance of a folder of tokens becomes a file in memory, plain and entropy-coded; then all
of them one, whose blocks are decoded many at a time.
"""

from __future__ import annotations

import argparse
import sys
import time
from dataclasses import replace

import numpy as np

from espnet2.gan_codec.bscodec.codec import Codec
from espnet2.gan_codec.bscodec.format.bitstream import EncodedAudio
from espnet2.gan_codec.bscodec.tokens.reader import read_tokens
from espnet2.gan_codec.scoring.markdown import markdown_table


def main(argv: list[str] | None = None) -> int:
    """Print the table; returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="with a code predictor")
    parser.add_argument("tokens", help="folder of its tokens")
    parser.add_argument("--every", type=int, default=1, metavar="N", help="take every N-th clip")
    args = parser.parse_args(argv)
    codec = Codec.from_pretrained(args.model, "cpu").drop_decoder()
    tokens = read_tokens(args.tokens)
    clips = [tokens.encoded(name) for name, _ in tokens.items()]
    tokens.close()
    clips = clips[:: args.every]
    codes = np.concatenate([clip.codes for clip in clips], axis=-1)
    header = codec.header(codes.shape[0], codes.shape[1] * codec.model.hop_length)
    whole = EncodedAudio(**vars(header), codes=codes)
    clips = [replace(clip, model=codec.tag) for clip in clips]
    rows = [_row("each by itself", codec, clips), _row("as one file", codec, [whole])]
    head = ("files", "seconds", "plain bytes", "coded bytes", "saved", "write", "read")
    print("\n".join(markdown_table(head, rows, 0)))
    return 0


def _row(name: str, codec: Codec, files: list[EncodedAudio]) -> list[str]:
    """Sizes, and speeds as multiples of real time, by the CPU time of one thread."""
    seconds = sum(file.duration for file in files)
    plain = sum(len(file.dumps()) for file in files)
    start = time.process_time()
    coded = [file.dumps(codec.coder) for file in files]
    middle = time.process_time()
    for data, file in zip(coded, files, strict=True):
        assert np.array_equal(EncodedAudio.loads(data, codec.coder_of).codes, file.codes)
    end = time.process_time()
    size = sum(map(len, coded))
    speeds = [f"{seconds / taken:.0f} x" for taken in (middle - start, end - middle)]
    return [name, f"{seconds:.0f}", str(plain), str(size), f"{1 - size / plain:.1%}", *speeds]


if __name__ == "__main__":
    sys.exit(main())
