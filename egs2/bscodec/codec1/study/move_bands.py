#!/usr/bin/env python3
"""Start a spectral BSCodec with other band edges from the weights of a trained one.

    move_bands.py bscodec-mini conf/other_edges.yaml exp/moved.pth

OUTPUT is for --init_param of gan_codec_train. Every filter of a new band comes from a bin of the
old band of the same rank that lies an even number of bins away. From one frame to the next the
MDCT turns a tone's sign the same way in bins that far apart, so what the networks learnt about
tones holds there too. Where there are more bands than before, each comes from the old one that it
shares most with. Codes stay as they are, or become as many as the config says: fewer by k-means,
more by splitting them in two. Training with quantize_follow_rate moves them.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import torch
from corpus_sets import CorpusError, run_script
from torch import nn

from espnet2.gan_codec.bscodec import BSCodec
from espnet2.gan_codec.bscodec.hub.checkpoint import build_model, load_model
from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.hub.export import save_generator
from espnet2.gan_codec.bscodec.model.quantizers.simvq import SimVQ

# keys of the config in which the two models may differ
FREE = ("bands", "quantize_codebook_size", "quantize_refit_interval", "quantize_reseed_interval")
FREE += ("quantize_follow_rate",)
LLOYD_STEPS = 20
SPLIT = 0.02  # how far apart the two are that one code becomes, in standard deviations of all


def source_bands(old: list[range], new: list[range]) -> list[int]:
    """For every new band the old one that it is made of."""
    if len(old) == len(new):
        return list(range(len(new)))

    def shared(band: range, other: range) -> int:
        return min(band.stop, other.stop) - max(band.start, other.start)

    return [max(range(len(old)), key=lambda i: shared(band, old[i])) for band in new]


def source_bins(old: range, new: range) -> list[int]:
    """For every bin of ``new`` the one of ``old``, from its first, whose filters it gets.

    A band that gets no wider moves as a whole. The highest one, and one that gets wider, keeps the
    bins it has in common with the old one; the others are those an even number further in.

    Raises:
        CorpusError: ``old`` has too few bins, or would have to move by an odd number of them.
    """
    if len(new) <= len(old) and new.stop != old.stop:
        if (new.start - old.start) % 2:
            raise CorpusError(f"bins {new.start}-{new.stop}: an odd number from {old.start}")
        return list(range(len(new)))
    below, above = (max(0, n + n % 2) for n in (old.start - new.start, new.stop - old.stop))
    bins = [
        bin - old.start + (below if bin < old.start else -above if bin >= old.stop else 0)
        for bin in new
    ]
    if not all(0 <= bin < len(old) for bin in bins):
        raise CorpusError(f"bins {new.start}-{new.stop}: too few in {old.start}-{old.stop}")
    return bins


def source_groups(old: list[int], new: list[int], bins: list[int]) -> list[int]:
    """For every gain, of groups of ``new`` bins, the nearest old one."""

    def centres(sizes: list[int]) -> list[float]:
        return [sum(sizes[:i]) + size / 2 for i, size in enumerate(sizes)]

    olds = centres(old)
    return [
        min(range(len(old)), key=lambda group: abs(olds[group] - bins[int(centre)]))
        for centre in centres(new)
    ]


@torch.no_grad()
def move_filters(
    old: nn.Module, new: nn.Module, channels: dict[str, tuple[int, list[int]]]
) -> None:
    """Copy a network's weights; ``channels`` names an axis and what to take of it."""
    weights = old.state_dict()
    for name, (axis, selected) in channels.items():
        weights[name] = weights[name].index_select(axis, torch.tensor(selected))
    new.load_state_dict(weights)


@torch.no_grad()
def move_codes(old: SimVQ, new: SimVQ) -> None:
    """Give ``new`` the codes of ``old``, fewer by k-means (Lloyd, 1982) or more by splitting.

    A split leaves two codes close to where one was (Linde, Buzo and Gray, IEEE Transactions on
    Communications, 1980).

    Raises:
        CorpusError: more than two of each are wanted.
    """
    new.code_transform.load_state_dict(old.code_transform.state_dict())
    codes, count = old.frozen_codebook, len(new.frozen_codebook)
    if count > 2 * len(codes):
        raise CorpusError(
            f"quantize_codebook_size: expected at most {2 * len(codes)}, not {count}"
        )
    if count > len(codes):
        split = codes[: count - len(codes)]
        offsets = SPLIT * codes.std() * torch.randn(split.shape, generator=torch.manual_seed(0))
        new.frozen_codebook.copy_(torch.cat([codes, split + offsets]))
        return
    weight = new.code_transform.weight
    chosen = torch.linspace(0, len(codes) - 1, count).long()
    for _ in range(LLOYD_STEPS if count < len(codes) else 0):
        near = torch.cdist(codes @ weight.mT, codes[chosen] @ weight.mT).argmin(1)
        sums = torch.zeros_like(codes[:count]).index_add_(0, near, codes)
        means = sums / near.bincount(minlength=count).clamp(min=1)[:, None]
        # the code nearest to each mean: a code stays one that the decoder has met
        chosen = torch.cdist(means @ weight.mT, codes @ weight.mT).argmin(1)
    new.frozen_codebook.copy_(codes[chosen])


def move(old: BSCodec, new: BSCodec) -> None:
    """Set the weights of ``new`` from ``old``. Raises CorpusError where that cannot be."""
    ours, theirs = vars(new.config), vars(old.config)
    for key in sorted(ours):
        if key not in FREE and ours[key] != theirs[key]:
            raise CorpusError(f"{key}: expected {theirs[key]!r}, as in the trained model")
    for key, expected in (("network", "spectral"), ("quantize_choice", "band_simvq")):
        if ours[key] != expected:
            raise CorpusError(f"{key}: expected {expected!r}, not {ours[key]!r}")
    if len(new.config.bands) < len(old.config.bands):
        raise CorpusError(
            f"bands: expected {len(old.config.bands)}, as in the trained model, or more"
        )
    before, after = old.generator, new.generator
    had = [range(*edges) for edges in before.filterbank.edges]
    gets = [range(*edges) for edges in after.filterbank.edges]
    for band, source in enumerate(source_bands(had, gets)):
        encoder, decoder = before.encoders[source], before.decoders[source]
        new_encoder, new_decoder = after.encoders[band], after.decoders[band]
        bins = source_bins(had[source], gets[band])
        groups = source_groups(encoder.groups, new_encoder.groups, bins)
        # as SpectralEncoder.features orders them: shapes, log gains, levels of single bins
        coded = bins + [decoder.bins + group for group in groups]
        seen = coded + [encoder.coded + bin for bin in bins]
        # as SpectralDecoder.coefficients splits them: shapes, log gains of single bins
        written = bins + [decoder.bins + bin for bin in bins]
        move_filters(
            encoder, new_encoder, {"embed.weight": (1, seen), "linear_path.weight": (1, coded)}
        )
        move_filters(
            decoder,
            new_decoder,
            {
                "linear_path.weight": (1, coded),
                "project.weight": (0, written),
                "project.bias": (0, written),
            },
        )
        move_codes(before.quantizer.layers[source], after.quantizer.layers[band])


def move_bands(args: argparse.Namespace) -> None:
    """Write the moved weights."""
    try:
        old, new = load_model(args.model, "cpu").model, build_model(args.config)
    except ModelError as error:
        raise CorpusError(error) from None
    move(old, new)
    args.output.parent.mkdir(parents=True, exist_ok=True)
    save_generator(new, args.output)


def main(argv: list[str] | None = None) -> int:
    """Move one model's bands; returns the exit status."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="tag, folder or checkpoint of the trained model")
    parser.add_argument("config", type=Path, help="training config with the new edges")
    parser.add_argument("output", type=Path, help="weights for --init_param")
    return run_script(move_bands, parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
