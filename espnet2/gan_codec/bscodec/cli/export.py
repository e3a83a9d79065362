"""``bscodec export``: a model as a stock ESPnet has it, or as an archive for the model zoo."""

import argparse

from espnet2.gan_codec.bscodec.cli.jobs import print_line

HELP = "write a model as ESPnet's config.yaml and .pth"
DESCRIPTION = """
Write a model as config.yaml and TAG.pth, which espnet2.bin.gan_codec_inference takes and
espnet2.bin.gan_codec_train goes on from (--init_param), and with --archive as TAG.zip too, as
espnet2.bin.pack makes it for the model zoo. All forms give the same codes and samples.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the model and where to write it."""
    parser.add_argument("model", metavar="MODEL", help="a tag, folder, checkpoint or hub name")
    parser.add_argument("-o", "--output", metavar="DIR", required=True, help="made if needed")
    parser.add_argument("--archive", action="store_true", help="write TAG.zip as well")


def run(args: argparse.Namespace) -> int:
    """Write the files and print the model's fingerprint; return the exit status."""
    from espnet2.gan_codec.bscodec.hub.export import export_experiment

    fingerprint = export_experiment(args.model, args.output, args.archive)
    print_line(f"{args.output}: fingerprint {fingerprint[:8]}")
    return 0
