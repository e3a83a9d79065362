"""Examples of command lines, for ``--help`` and the reference: what one does, and the line."""

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "encode": (
        ("speech.bsc beside it", "bscodec encode speech.flac"),
        ("all audio below a folder; run again, it goes on", "bscodec encode recordings -o coded"),
        (
            "only the lowest bands: fewer bits",
            "bscodec encode speech.flac -o low.bsc --max-hz 2400",
        ),
        ("every channel", "bscodec encode stereo.wav -o stereo.bsc --channels keep"),
    ),
    "decode": (
        ("speech.wav beside it", "bscodec decode speech.bsc"),
        ("a folder, as it was encoded", "bscodec decode coded -o decoded"),
        (
            "at the rate and length before encoding",
            "bscodec decode stereo.bsc -o stereo.flac --rate original",
        ),
        ("what is left of a damaged file", "bscodec decode damaged.bsc -o left.wav --salvage"),
    ),
    "tokenize": (
        ("a folder of audio", "bscodec tokenize recordings -o tokens"),
        ("a Kaldi list, as Parquet", "bscodec tokenize wav.scp -o rows --format parquet"),
        ("a cluster's second job of two", "bscodec tokenize wav.scp -o jobs --shard 2/2"),
        ("after the last job: the index", "bscodec tokenize wav.scp -o jobs --merge"),
    ),
    "info": (
        ("length, bands, bit rates, damage", "bscodec info speech.bsc"),
        ("the same for programs", "bscodec info speech.bsc --json"),
    ),
    "models": (
        ("tags for --model", "bscodec models"),
        ("the same for programs", "bscodec models --json"),
    ),
    "download": (
        ("into the hub's cache", "bscodec download BSCodec_band_simvq_3band"),
        (
            "into a folder, of a certain revision",
            "bscodec download owner/name@v1.0 -o exp/theirs",
        ),
    ),
    "upload": (
        (
            "a trained model with a card of its scores",
            "bscodec upload exp/mine me/codec --license cc-by-4.0 --scores scores/summary.json",
        ),
        ("to somebody else's repository", "bscodec upload exp/mine you/codec --pull-request"),
    ),
    "export": (
        ("for a stock ESPnet, to go on training", "bscodec export bscodec-mini -o exp/mini"),
        (
            "for --model, without what only training needs",
            "bscodec export exp/mini -o small --form safetensors --half",
        ),
        ("for onnxruntime", "bscodec export bscodec-mini -o onnx --form onnx --measure"),
    ),
    "demo": (
        ("demo/report.html of the packaged clips", "bscodec demo"),
        ("of your own", "bscodec demo --clips recordings --out mine"),
        ("a page to code recordings in, until interrupted", "bscodec demo --serve"),
    ),
    "score": (
        (
            "a folder against another",
            "bscodec score --ref recordings --hyp decoded --domain speech --outdir scores",
        ),
        (
            "two systems and Opus, with bit rates",
            "bscodec score --ref wav.scp --hyp a=a.scp --hyp b=b.scp --codes a=coded "
            "--peer opus:12 --outdir scores",
        ),
        (
            "results of two test sets in one table",
            "bscodec score --merge scores/speech scores/music --outdir scores/all",
        ),
    ),
    "probe": (
        ("the default model", "bscodec probe -o probe"),
        ("your own", "bscodec probe --model exp/mine -o probe_mine"),
    ),
    "versions": (("what was tested, and what is here", "bscodec versions"),),
    "doctor": (("after installation, and when something fails", "bscodec doctor"),),
}


def as_text(name: str) -> str:
    """The examples of a subcommand, as they stand at the end of its ``--help``."""
    lines = [f"  # {what}\n  {line}" for what, line in EXAMPLES[name]]
    return "\n".join(["examples:", *lines])
