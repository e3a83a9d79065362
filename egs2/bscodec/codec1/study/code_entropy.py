#!/usr/bin/env python3
"""How many bits the codes of a model need, given their past and the lower bands' codes.

    bscodec tokenize dump/raw/train/wav.scp -o exp/tokens/train
    bscodec tokenize dump/raw/test_speech/wav.scp -o exp/tokens/test
    code_entropy.py bscodec-mini exp/tokens/train exp/tokens/test

A network for every band sees what the codes of the frames before, and those of the lower bands of
the same frame, stand for, and gives each of the band's codes a probability. It is trained on the
first folder; the table has the mean of -log2 of those probabilities on the second one: what an
entropy coder with this network would need. Beside it are the bits stored, and what the codes'
frequencies in the first folder alone give.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Iterator

import numpy as np
import torch
from corpus_sets import CorpusError, run_script
from torch import nn
from torch.nn import functional as F

from espnet2.gan_codec.bscodec.hub.checkpoint import load_model
from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.tokens.metadata import TokensError
from espnet2.gan_codec.bscodec.tokens.reader import read_tokens
from espnet2.gan_codec.scoring.markdown import markdown_table

PAST = 6  # frames that the network sees
WIDTH = 384
KEY = 48  # dimension in which a context is compared with every code
BATCH = 512  # frames


class Predictor(nn.Module):
    """Probabilities of one band's codes.

    Args:
        codebooks: what the codes of all bands stand for, (K, d) each, of about unit variance.
        band: the one that is predicted.
    """

    def __init__(self, codebooks: list[torch.Tensor], band: int) -> None:
        super().__init__()
        self.codebooks, self.band = codebooks, band
        dims = [codes.shape[1] for codes in codebooks]
        self.context = nn.Sequential(
            nn.Linear(PAST * sum(dims) + sum(dims[:band]), WIDTH),
            nn.GELU(),
            nn.LayerNorm(WIDTH),
            nn.Linear(WIDTH, WIDTH),
            nn.GELU(),
            nn.LayerNorm(WIDTH),
            nn.Linear(WIDTH, KEY),
        )
        self.keys = nn.Linear(dims[band], KEY)
        self.own_keys = nn.Parameter(torch.zeros(len(codebooks[band]), KEY))
        self.bias = nn.Parameter(torch.zeros(len(codebooks[band])))

    def forward(self, windows: torch.Tensor) -> torch.Tensor:
        """Nats for the last frame of windows (B, N, PAST + 1) of codes: (B,)."""
        vectors = [book[c] for book, c in zip(self.codebooks, windows.unbind(1), strict=True)]
        past = [v[:, :-1].flatten(1) for v in vectors]
        lower = [v[:, -1] for v in vectors[: self.band]]
        query = self.context(torch.cat([*past, *lower], dim=1))
        keys = self.keys(self.codebooks[self.band]) + self.own_keys
        logits = query @ keys.t() + self.bias
        return F.cross_entropy(logits, windows[:, self.band, -1], reduction="none")


def read_codes(folder: str) -> list[torch.Tensor]:
    """The codes (N, F) of every utterance of a folder of tokens."""
    tokens = read_tokens(folder)
    try:
        return [torch.from_numpy(np.asarray(c).T.astype(np.int64)) for _, c in tokens.items()]
    finally:
        tokens.close()


def windows_of(utterances: list[torch.Tensor]) -> torch.Tensor:
    """Every frame with those before it, (M, N, PAST + 1); before an utterance, its first frame."""
    parts = []
    for codes in utterances:
        padded = torch.cat([codes[:, :1].expand(-1, PAST), codes], dim=1)
        parts.append(padded.unfold(1, PAST + 1, 1).transpose(0, 1))
    return torch.cat(parts)


def batches(frames: torch.Tensor, updates: int) -> Iterator[torch.Tensor]:
    """Random batches."""
    for _ in range(updates):
        yield frames[torch.randint(len(frames), (BATCH,))]


def train(model: Predictor, frames: torch.Tensor, updates: int) -> None:
    """Fit by AdamW, the rate falling to zero along a cosine."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=0.01)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
    for batch in batches(frames, updates):
        optimizer.zero_grad()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            loss = model(batch).mean()
        loss.backward()
        optimizer.step()
        scheduler.step()


@torch.no_grad()
def bits(model: Predictor, frames: torch.Tensor) -> float:
    """Mean bits a code."""
    total = sum(model(part).sum().item() for part in frames.split(BATCH))
    return total / len(frames) / math.log(2)


def frequency_bits(train_codes: torch.Tensor, test_codes: torch.Tensor, size: int) -> float:
    """Mean bits a code by the codes' frequencies in training, half a count added to each."""
    counts = train_codes.bincount(minlength=size).double() + 0.5
    return -(counts / counts.sum())[test_codes].log2().mean().item()


def measure(args: argparse.Namespace) -> None:
    """Print the table."""
    torch.manual_seed(0)
    try:
        generator = load_model(args.model, "cpu").model.generator
        frames, held_out = (windows_of(read_codes(name)) for name in (args.train, args.test))
    except (ModelError, TokensError) as error:
        raise CorpusError(error) from None
    layers = getattr(generator.quantizer, "layers", ())
    if not all(hasattr(layer, "frozen_codebook") for layer in layers) or not len(layers):
        raise CorpusError(f"{args.model}: expected quantize_choice: band_simvq")
    books = [(b - b.mean(0)) / b.std() for b in (layer.frozen_codebook for layer in layers)]
    rows, sums = [], [0.0] * 3
    for band, book in enumerate(books):
        stored = math.log2(len(book))
        counted = frequency_bits(frames[:, band, -1], held_out[:, band, -1], len(book))
        model = Predictor(books, band)
        train(model, frames, args.updates)
        found = bits(model, held_out)
        rows.append([str(band), *(f"{n:.2f}" for n in (stored, counted, found))])
        sums = [a + b for a, b in zip(sums, (stored, counted, found), strict=True)]
        print(*rows[-1], file=sys.stderr, flush=True)
    rows.append(["all", *(f"{n:.2f}" for n in sums)])
    head = ("band", "stored", "by frequency", "given past and lower bands")
    print("\n".join(markdown_table(head, rows, 0)))
    print(f"{len(frames)} frames to train on, {len(held_out)} held out", end=": ")
    print(f"{1 - sums[2] / sums[0]:.1%} below what is stored")


def main(argv: list[str] | None = None) -> int:
    """Measure; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="tag, folder or checkpoint; its codes' values are used")
    parser.add_argument("train", help="folder of tokens")
    parser.add_argument("test", help="folder of tokens of other recordings")
    parser.add_argument("--updates", type=int, default=3000, help="a band")
    return run_script(measure, parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
