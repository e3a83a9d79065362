"""Every metric by name: where it is, which utterances it is for, and how it is set up."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module, metadata

from espnet2.gan_codec.scoring.metrics.metric import Metric, ScoringError, UnavailableError

DOMAINS = ("speech", "sound", "music")
_PACKAGE = "espnet2.gan_codec.scoring.metrics"


@dataclass(frozen=True)
class Entry:
    """A metric before it is loaded.

    Attributes:
        name: as ``Metric.name``.
        home: ``module:Class`` in this package.
        domains: of utterances that it is made for.
        paper: the domains for which the paper's table shows it.
        better, digits: for tables, so that one can be made where the metric's package is not.
        package: the distribution that does the work.
        option: of ``Options``, that its constructor takes.
    """

    name: str
    home: str
    domains: tuple[str, ...]
    better: str
    digits: int
    package: str
    paper: tuple[str, ...] = ()
    option: str | None = None


_SPEECH, _OTHERS = ("speech",), ("sound", "music")

CATALOGUE = {
    entry.name: entry
    for entry in (
        Entry("MCD", "mcd:MelCepstralDistortion", _SPEECH, "lower", 2, "pysptk", _SPEECH),
        Entry("PESQ", "pesq_wb:PESQ", _SPEECH, "higher", 3, "pesq", _SPEECH),
        Entry("STOI", "stoi:STOI", _SPEECH, "higher", 3, "pystoi", _SPEECH),
        Entry(
            "SPK_SIM",
            "speaker_similarity:SpeakerSimilarity",
            _SPEECH,
            "higher",
            3,
            "espnet",
            _SPEECH,
            "speaker_model",
        ),
        Entry(
            "SPK_SIM_resemblyzer",
            "speaker_similarity:ResemblyzerSimilarity",
            _SPEECH,
            "higher",
            3,
            "resemblyzer",
        ),
        Entry("UTMOS", "utmos:UTMOS", _SPEECH, "higher", 3, "torch", _SPEECH, "utmos"),
        Entry("DNSMOS", "dnsmos:DNSMOS", _SPEECH, "higher", 3, "speechmos"),
        Entry("ViSQOL_speech", "visqol:ViSQOLSpeech", _SPEECH, "higher", 3, "visqol-python"),
        Entry("ViSQOL", "visqol:ViSQOLAudio", _OTHERS, "higher", 3, "visqol-python", _OTHERS),
        Entry("mel", "mel_distance:MelDistance", DOMAINS, "lower", 3, "auraloss", _OTHERS),
        Entry("STFT", "stft_distance:STFTDistance", DOMAINS, "lower", 3, "auraloss", _OTHERS),
        Entry("SI-SDR", "si_sdr:SISDR", DOMAINS, "higher", 2, "espnet-bscodec"),
    )
}


@dataclass(frozen=True)
class Options:
    """What can be selected about metrics; None: the metric's own default.

    Attributes:
        utmos: as ``UTMOS``'s ``source``.
        speaker_model: as ``SpeakerSimilarity``'s ``model``.
    """

    utmos: str | None = None
    speaker_model: str | None = None


def choose(names: Iterable[str] | None, domains: Iterable[str]) -> list[str]:
    """Return names of the catalogue in its order: those asked for, or all made for ``domains``.

    Raises:
        ScoringError: there is no metric of that name; case does not matter.
    """
    if names is None:
        wanted = set(domains)
        return [e.name for e in CATALOGUE.values() if wanted & set(e.domains)]
    by_lower = {name.lower(): name for name in CATALOGUE}
    unknown = [name for name in names if name.lower() not in by_lower]
    if unknown:
        raise ScoringError(
            f"--metrics: there is no {', '.join(unknown)}; expected some of {','.join(CATALOGUE)}"
        )
    selected = {by_lower[name.lower()] for name in names}
    return [name for name in CATALOGUE if name in selected]


def load(name: str, options: Options) -> Metric:
    """Build a metric. Raises UnavailableError, beginning with its name, if that cannot be."""
    entry = CATALOGUE[name]
    module, _, cls = entry.home.partition(":")
    value = getattr(options, entry.option) if entry.option else None
    try:
        metric_class = getattr(import_module(f"{_PACKAGE}.{module}"), cls)
        return metric_class() if value is None else metric_class(value)
    except UnavailableError as error:
        raise UnavailableError(f"{name} {error}") from error


def setting(name: str, options: Options) -> str:
    """Say what a metric's values depend on: the package that gives them, and what was selected."""
    entry = CATALOGUE[name]
    try:
        version = metadata.version(entry.package)
    except metadata.PackageNotFoundError:
        version = "not installed"
    selected = getattr(options, entry.option) if entry.option else None
    return f"{entry.package} {version}" + (f", {selected}" if selected else "")


def load_available(
    names: Sequence[str], options: Options
) -> tuple[dict[str, Metric], dict[str, str]]:
    """Build metrics; return those that can be had, and why the others cannot, by name."""
    metrics, missing = {}, {}
    for name in names:
        try:
            metrics[name] = load(name, options)
        except UnavailableError as error:
            missing[name] = str(error)
    return metrics, missing
