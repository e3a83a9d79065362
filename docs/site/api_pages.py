"""The API reference: which names are on which page. mkdocstrings makes the rest of docstrings."""

from collections.abc import Callable
from functools import partial

BSCODEC, SCORING = "espnet2.gan_codec.bscodec", "espnet2.gan_codec.scoring"

# page: title, where its use is told, names
NAMES: dict[str, tuple[str, str, tuple[str, ...]]] = {
    "codec": (
        "Codec",
        "[Python](../python.md) has this in use.",
        (
            f"{BSCODEC}.codec.Codec",
            f"{BSCODEC}.format.signals.CodecError",
        ),
    ),
    "bscodec": (
        "BSCodec, the model",
        "`from espnet2.gan_codec.bscodec import BSCodec`. Its arguments are the keys of "
        "`codec_conf`: [the configuration](../reference/configuration.md) has their values.",
        (
            f"{BSCODEC}.bscodec.BSCodec",
            f"{BSCODEC}.model.bscodec.BandSplitCodec",
            f"{BSCODEC}.model.losses.MultiResolutionSpectralLoss",
            f"{BSCODEC}.model.checks.ConfigError",
        ),
    ),
    "streams": (
        "Streams",
        "[Streaming](../streaming.md) has them in use.",
        (
            f"{BSCODEC}.inference.streaming_codec.StreamEncoder",
            f"{BSCODEC}.inference.streaming_codec.StreamDecoder",
            f"{BSCODEC}.inference.stream.save_state",
            f"{BSCODEC}.inference.stream.load_state",
            f"{BSCODEC}.inference.stream.pick_rows",
        ),
    ),
    "tokens": (
        "Tokens",
        "[A corpus as tokens](../tokens.md) has the reader in use.",
        (
            f"{BSCODEC}.tokens.reader.read_tokens",
            f"{BSCODEC}.tokens.reader.Tokens",
            f"{BSCODEC}.tokens.metadata.TokenMetadata",
            f"{BSCODEC}.tokens.metadata.TokensError",
        ),
    ),
    "files": (
        "Files",
        "`.bsc` files ([the format](../bitstream.md)) and [audio](../audio_files.md) by blocks.",
        (
            f"{BSCODEC}.format.bitstream.EncodedAudio",
            f"{BSCODEC}.format.header.BscHeader",
            f"{BSCODEC}.format.bitstream.BscReader",
            f"{BSCODEC}.format.bitstream.BscWriter",
            f"{BSCODEC}.format.header.BitstreamError",
            f"{BSCODEC}.format.audio.AudioReader",
            f"{BSCODEC}.format.audio.AudioWriter",
            f"{BSCODEC}.format.audio.resample",
            f"{BSCODEC}.format.audio_error.AudioError",
        ),
    ),
    "hub": (
        "Models, export and upload",
        "[Models by tag](../models.md) and [other programs](../export.md) have these as commands.",
        (
            f"{BSCODEC}.hub.checkpoint.load_model",
            f"{BSCODEC}.hub.checkpoint.LoadedModel",
            f"{BSCODEC}.hub.cards.list_models",
            f"{BSCODEC}.hub.download.download_model",
            f"{BSCODEC}.hub.upload.upload_model",
            f"{BSCODEC}.hub.model_card.CardOptions",
            f"{BSCODEC}.hub.export.export_experiment",
            f"{BSCODEC}.hub.export.package_model",
            f"{BSCODEC}.hub.onnx_export.export_onnx",
            f"{BSCODEC}.hub.onnx_codec.OnnxCodec",
            f"{BSCODEC}.hub.error.ModelError",
        ),
    ),
    "scoring": (
        "Scoring",
        "[Scoring](../scoring.md) has these as a command.",
        (
            f"{SCORING}.run.Request",
            f"{SCORING}.run.score",
            f"{SCORING}.run.merge",
            f"{SCORING}.summary.CodingStats",
            f"{SCORING}.metrics.metric.Metric",
            f"{SCORING}.metrics.catalogue.Entry",
            f"{SCORING}.peers.coding.code_all",
            f"{SCORING}.report.page.build_report",
        ),
    ),
}


# whose arguments are those of the class after it
WITHOUT_SIGNATURE = (f"{BSCODEC}.bscodec.BSCodec",)


def _markdown(title: str, where: str, names: tuple[str, ...]) -> str:
    parts = [f"# {title}", where]
    for name in names:
        hidden = "\n    options:\n      show_signature: false"
        parts.append(f"::: {name}{hidden if name in WITHOUT_SIGNATURE else ''}")
    return "\n\n".join(parts) + "\n"


PAGES: dict[str, Callable[[], str]] = {
    f"api/{name}.md": partial(_markdown, *page) for name, page in NAMES.items()
}
