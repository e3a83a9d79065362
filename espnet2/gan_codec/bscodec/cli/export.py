"""``bscodec export``: a model in the form that other programs take."""

import argparse
from pathlib import Path

from espnet2.gan_codec.bscodec.cli.jobs import print_line
from espnet2.gan_codec.bscodec.cli.usage import UsageError, folder_name

HELP = "write a model for ESPnet, as safetensors or as ONNX"
DESCRIPTION = """
Write a model in another form. espnet: config.yaml and TAG.pth, which
espnet2.bin.gan_codec_inference takes and espnet2.bin.gan_codec_train goes on from (--init_param),
and with --archive TAG.zip too, as espnet2.bin.pack makes it for the model zoo. safetensors:
config.yaml and model.safetensors with what coding needs alone, a model for --model. onnx:
encoder.onnx and decoder.onnx for onnxruntime, here or in a browser, and model.json about them.
docs/export.md has more.
"""
EPILOG = """
To train on: espnet2.bin.gan_codec_train --init_param DIR/TAG.pth; from safetensors, after 'bscodec
export DIR -o DIR2'; not from onnx, but from the model whose fingerprint is in model.json. Files of
other content in DIR are replaced with --force alone, those of MODEL itself never.
"""
ESPNET, SAFETENSORS, ONNX = FORMS = ("espnet", "safetensors", "onnx")
# what each option goes with
_FORMS_OF = {
    "archive": (ESPNET,),
    "half": (SAFETENSORS, ONNX),
    "small_codebooks": (SAFETENSORS,),
    "int8": (ONNX,),
    "steps": (ONNX,),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the model, the form and where to write it."""
    parser.add_argument("model", metavar="MODEL", help="a tag, folder, checkpoint or hub name")
    parser.add_argument(
        "-o", "--output", metavar="DIR", type=folder_name, required=True, help="made if needed"
    )
    parser.add_argument("--force", action="store_true", help="replace other files in DIR")
    parser.add_argument("--form", choices=FORMS, default=ESPNET, help="default: espnet")
    parser.add_argument("--archive", action="store_true", help="espnet: write TAG.zip as well")
    parser.add_argument(
        "--half", action="store_true", help="safetensors, onnx: round weights to 16 bits"
    )
    parser.add_argument(
        "--small-codebooks",
        action="store_true",
        help="safetensors: round SimVQ's frozen codebooks to 8 bits",
    )
    parser.add_argument("--int8", action="store_true", help="onnx: round matrices to 8 bits")
    parser.add_argument(
        "--steps", action="store_true", help="onnx: write files for live audio as well"
    )
    parser.add_argument(
        "--measure",
        action="store_true",
        help="safetensors, onnx: code the demo's clips by both and print what is lost",
    )


def run(args: argparse.Namespace) -> int:
    """Write the files and print the model's fingerprint; return the exit status."""
    for option, forms in {**_FORMS_OF, "measure": (SAFETENSORS, ONNX)}.items():
        if getattr(args, option) and args.form not in forms:
            flag = option.replace("_", "-")
            raise UsageError(f"--{flag} goes with --form {' or '.join(forms)}")
    if args.half and args.int8:
        raise UsageError("--half or --int8, not both")
    fingerprint = _export(args)
    print_line(f"{args.output}: fingerprint {fingerprint[:8]}")
    if args.measure:
        print_line(_measured(args))
    return 0


def _export(args: argparse.Namespace) -> str:
    if args.form == ONNX:
        from espnet2.gan_codec.bscodec.hub.onnx_export import export_onnx

        precision = "int8" if args.int8 else "half" if args.half else "exact"
        return export_onnx(args.model, args.output, precision, args.steps, args.force)
    from espnet2.gan_codec.bscodec.hub.export import export_experiment, package_model

    if args.form == SAFETENSORS:
        small = args.small_codebooks
        return package_model(args.model, args.output, args.half, small, args.force)
    return export_experiment(args.model, args.output, args.archive, args.force)


def _measured(args: argparse.Namespace) -> str:
    from espnet2.gan_codec.bscodec.codec import Codec
    from espnet2.gan_codec.bscodec.demo.clips import find_clips
    from espnet2.gan_codec.bscodec.demo.exported import Coder, measure
    from espnet2.gan_codec.bscodec.hub.onnx_codec import OnnxCodec

    codec = Codec.from_pretrained(args.model, "cpu")
    folder = Path(args.output)
    exported = OnnxCodec(folder) if args.form == ONNX else Codec.from_pretrained(str(folder))
    return f"{args.output}: {measure(codec, Coder.of(exported), find_clips())}"
