#!/usr/bin/env python3
"""Train the code predictor of a model, and measure how many bits its codes need.

    bscodec tokenize dump/raw/train/wav.scp -o exp/tokens/train
    bscodec tokenize dump/raw/test_speech/wav.scp -o exp/tokens/test
    code_entropy.py bscodec-mini exp/tokens/train exp/tokens/test -o codes.safetensors

A network for every band sees what its and the lower bands' codes of six frames before, and those
of the lower bands of the same frame, stand for, and gives each of the band's codes a probability.
It is trained on the first folder, and rounded to the integers of docs/bitstream.md. The table has
the mean of -log2 of the integer probabilities on the second folder: what the range coder takes.
Beside it are the bits stored, and what the codes' frequencies in the first folder alone give.

The file belongs beside the model's weights, where its name is codes.safetensors. With --unrounded
the networks stay in floating point: a table alone, of what rounding costs.
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from pathlib import Path

import numpy as np
import torch
from code_networks import BandNetwork
from corpus_sets import CorpusError, run_script
from safetensors.numpy import save

from espnet2.gan_codec.bscodec.entropy.integer_network import PRECISION, IntegerNetwork
from espnet2.gan_codec.bscodec.entropy.predictor import KIND, PAST, Predictor
from espnet2.gan_codec.bscodec.format.atomic import atomic_write
from espnet2.gan_codec.bscodec.hub.checkpoint import load_model
from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.tokens.metadata import TokensError
from espnet2.gan_codec.bscodec.tokens.reader import read_tokens
from espnet2.gan_codec.scoring.markdown import markdown_table

ROWS = 512  # frames whose bits are found at once
NO_CODE = -1


def read_codes(folder: str) -> torch.Tensor:
    """All codes (frames, N) of a folder of tokens; before an utterance, PAST frames of none."""
    tokens = read_tokens(folder)
    try:
        parts = []
        for _, codes in tokens.items():
            parts.append(np.full((PAST, codes.shape[1]), NO_CODE))
            parts.append(np.asarray(codes))
        return torch.from_numpy(np.concatenate(parts).astype(np.int64))
    finally:
        tokens.close()


def times_of(codes: torch.Tensor) -> torch.Tensor:
    """Where there are codes, (M,)."""
    return (codes[:, 0] != NO_CODE).nonzero()[:, 0]


def train(network: BandNetwork, codes: torch.Tensor, updates: int, batch_size: int) -> None:
    """Fit by AdamW to batches of frames, the rate falling to zero along a cosine."""
    times = times_of(codes)
    optimizer = torch.optim.AdamW(network.parameters(), lr=2e-3, weight_decay=0.01, fused=True)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
    for _ in range(updates):
        optimizer.zero_grad()
        batch = times[torch.randint(len(times), (batch_size,))]
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = network(codes, batch).mean()
        loss.backward()
        optimizer.step()
        scheduler.step()


@torch.no_grad()
def float_bits(network: BandNetwork, codes: torch.Tensor) -> float:
    """Mean bits a code by the network as it was trained."""
    return torch.cat([network(codes, t) for t in times_of(codes).split(ROWS)]).mean().item()


def integer_bits(predictor: Predictor, codes: torch.Tensor, band: int) -> float:
    """Mean bits a code by the integers that the range coder gets."""
    network: IntegerNetwork = predictor.networks[band]
    vectors = predictor.no_vectors(1, len(codes))
    known = codes.numpy()
    for lower in range(band + 1):
        shown = predictor.networks[lower].vectors[known[:, lower]]
        shown[known[:, lower] == NO_CODE] = 0
        end = predictor.ends[lower]
        vectors[0, PAST:, end - shown.shape[1] : end] = shown
    total, times = 0.0, times_of(codes).numpy()
    for start in range(0, len(codes), ROWS):
        frames = range(start, min(start + ROWS, len(codes)))
        there = times[(times >= frames.start) & (times < frames.stop)]
        if not len(there):
            continue
        context = predictor.context(vectors, frames, band)[there - start]
        queries, slots = network.queries(context), network.slots[known[there, band]]
        groups, places = slots >> network.low_bits, slots & ((1 << network.low_bits) - 1)
        rows = np.arange(len(there))
        for weights, symbols in (
            (network.group_weights(queries), groups),
            (network.code_weights(queries, groups), places),
        ):
            total -= np.log2((weights[rows, symbols] + 1) / 2**PRECISION).sum()
    return total / len(times)


def frequency_bits(train_codes: torch.Tensor, test_codes: torch.Tensor, size: int) -> float:
    """Mean bits a code by the codes' frequencies in training, half a count added to each."""
    counts = train_codes.bincount(minlength=size).double() + 0.5
    return -(counts / counts.sum())[test_codes].log2().mean().item()


def measure(args: argparse.Namespace) -> None:
    """Train, print the table, and write the predictor."""
    try:
        loaded = load_model(args.model, "cpu")
        codes, held_out = (read_codes(name) for name in (args.train, args.test))
    except (ModelError, TokensError) as error:
        raise CorpusError(error) from None
    layers = getattr(loaded.model.generator.quantizer, "layers", ())
    if not all(hasattr(layer, "frozen_codebook") for layer in layers) or not len(layers):
        raise CorpusError(f"{args.model}: expected quantize_choice: band_simvq")
    books = [layer.frozen_codebook for layer in layers]
    if min(map(len, books)) < 4:
        raise CorpusError(f"{args.model}: expected codebooks of four codes or more")
    books = [(book - book.mean(0)) / book.std() for book in books]
    seen, tested = times_of(codes), times_of(held_out)
    tensors: dict[str, np.ndarray] = {}
    rows, sums = [], [0.0] * 3
    for band, book in enumerate(books):
        torch.manual_seed(0)
        began = time.monotonic()
        network = BandNetwork(books[: band + 1], rounds=not args.unrounded)
        train(network, codes, args.updates, args.batch)
        tensors |= {f"{band}.{name}": value for name, value in network.integers().items()}
        if args.unrounded:
            found = float_bits(network, held_out)
        else:
            found = integer_bits(Predictor(tensors, loaded.fingerprint), held_out, band)
        stored = math.log2(len(book))
        counted = frequency_bits(codes[seen, band], held_out[tested, band], len(book))
        rows.append([str(band), *(f"{n:.2f}" for n in (stored, counted, found))])
        sums = [a + b for a, b in zip(sums, (stored, counted, found), strict=True)]
        print(*rows[-1], f"{time.monotonic() - began:.0f} s", file=sys.stderr, flush=True)
    rows.append(["all", *(f"{n:.2f}" for n in sums)])
    head = ("band", "stored", "by frequency", "given past and lower bands")
    print("\n".join(markdown_table(head, rows, 0)))
    print(f"{len(seen)} frames to train on, {len(tested)} held out", end=": ")
    print(f"{1 - sums[2] / sums[0]:.1%} below what is stored")
    if args.output and not args.unrounded:
        with atomic_write(args.output) as temporary:
            temporary.write_bytes(save(tensors, {"kind": KIND, "model": loaded.fingerprint}))
        print(f"predictor {Predictor.load(args.output).fingerprint[:8]}")


def main(argv: list[str] | None = None) -> int:
    """Train and measure; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="tag, folder or checkpoint; its codes' values are used")
    parser.add_argument("train", help="folder of tokens")
    parser.add_argument("test", help="folder of tokens of other recordings")
    parser.add_argument("-o", "--output", type=Path, help="file for the predictor")
    parser.add_argument("--updates", type=int, default=3000, help="a band")
    parser.add_argument("--batch", type=int, default=512, help="frames of an update")
    parser.add_argument("--unrounded", action="store_true", help="networks in floating point")
    return run_script(measure, parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
