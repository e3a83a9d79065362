"""``-j`` and ``--cluster``: where a command's work is done."""

import argparse
import re
from typing import Any

from espnet2.gan_codec.bscodec.cli.jobs import print_note

MAX_PROCESSES = 4096  # no machine has use for more


def add_place_arguments(parser: argparse.ArgumentParser, processes: str) -> Any:
    """Add the options, ``processes`` says what N is; return their group."""
    group = parser.add_argument_group("processes")
    which = group.add_mutually_exclusive_group()
    which.add_argument("-j", "--nj", type=num_processes, metavar="N", help=processes)
    which.add_argument(
        "--cluster",
        metavar="WHERE",
        help="workers of Dask instead of processes here: the scheduler's address, as in "
        "tcp://host:8786, or a .yaml file (docs/cluster.md)",
    )
    return group


def positive(text: str) -> int:
    """Return a whole number above 0."""
    if not re.fullmatch(r"0*[1-9][0-9]*", text):
        raise argparse.ArgumentTypeError(f"{text}: expected a number above 0")
    return int(text)


def num_processes(text: str) -> int:
    """Return a whole number from 1 to ``MAX_PROCESSES``."""
    if (count := positive(text)) > MAX_PROCESSES:
        raise argparse.ArgumentTypeError(f"{text}: expected at most {MAX_PROCESSES}")
    return count


def open_place(args: argparse.Namespace):
    """Return where work with a model is done, as the options say; by default on all CPUs or GPUs.

    Raises:
        PlaceError: no such device, too few of them, or no such cluster.
    """
    if args.cluster:
        return open_cluster(args.cluster, "cuda" if args.device == "cuda" else "cpu")

    from espnet2.gan_codec.bscodec.inference.executors import processes

    return processes(args.device, args.nj)


def open_cluster(where: str, device: str):
    """Return the workers of a cluster. Raises PlaceError."""
    from espnet2.gan_codec.bscodec.inference.cluster import Cluster

    return Cluster(where, device, print_note)
