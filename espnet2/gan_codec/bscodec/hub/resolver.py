"""From a name to the two files of a model: its ``config.yaml`` and its weights.

A name is a packaged tag or an older version of it (``bscodec-mini@1``), an experiment folder, a
checkpoint beside its ``config.yaml``, a folder of the released layout
(``exp/codec_<model>_raw_fs24000/{config.yaml,<model>.pth}``), the tag of a published model, or a
Hugging Face repository (``owner/name[/model][@revision]``).
"""

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from espnet2.gan_codec.bscodec.hub.config_file import read_yaml
from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.hub.huggingface import HubError, download

PRETRAINED = Path(__file__).parent / "pretrained"
DEFAULT_MODEL = "bscodec-mini"
PUBLISHED_REPOSITORY = "espnet/BSCodec"
PUBLISHED_MODELS = (
    "BSCodec_band_vq_5band",
    "BSCodec_band_simvq_3band",
    "BSCodec_band_simvq_2band",
)
CONFIG = "config.yaml"
META = "meta.yaml"
PREDICTOR = "codes.safetensors"  # of a model's codes; no weights of its own
CHECKPOINT_SUFFIXES = (".safetensors", ".pth", ".pt")
_HUB_NAME = re.compile(
    r"(?P<repo>[\w.-]+/[\w.-]+)(/(?P<model>[\w.-]+))?(@(?P<revision>[\w./-]+))?"
)
# Folders below the one given in which a config.yaml is looked for, as in a release.
_DEPTHS = ("", "*/", "*/*/", "*/*/*/")


@dataclass(frozen=True)
class ModelFiles:
    """The two files of a model, and the tag that goes into the files it codes."""

    tag: str
    config: Path
    checkpoint: Path


class HubName(NamedTuple):
    """``owner/name[/model][@revision]``."""

    repository: str
    model: str | None
    revision: str | None


def parse_hub_name(name: str) -> HubName | None:
    """Take a hub name apart; None: it is none."""
    match = _HUB_NAME.fullmatch(name)
    if match is None or Path(name).suffix in CHECKPOINT_SUFFIXES or ".." in name:
        return None
    return HubName(match["repo"], match["model"], match["revision"])


def is_own_tag(name: str) -> bool:
    """Whether ``name`` is a packaged or published model's tag."""
    return name in packaged_models() or name in PUBLISHED_MODELS


def packaged_models() -> list[str]:
    """Names of the models that come with the package, an older version's as ``tag@1``."""
    return sorted(path.parent.name for path in PRETRAINED.glob(f"*/{CONFIG}"))


def packaged_versions(tag: str) -> list[str]:
    """Names of the packaged models that write ``tag`` into their files, the newest first."""
    older = sorted((n for n in packaged_models() if n.startswith(f"{tag}@")), reverse=True)
    return [name for name in (tag, *older) if name in packaged_models()]


def find_model(name: str) -> ModelFiles:
    """Find the files of the model ``name``; see the top of this module for what that may be.

    Raises:
        ModelError: nothing of that name, or something is missing there.
    """
    if name in packaged_models():
        return _in_experiment(PRETRAINED / name, name.partition("@")[0])
    path = Path(name)
    if path.is_dir():
        return _in_folder(path)
    if path.is_file():
        return _beside_checkpoint(path)
    if name in PUBLISHED_MODELS:
        released = Path("exp", f"codec_{name}_raw_fs24000")
        if released.is_dir():
            return _in_experiment(released, name)
        try:
            return _from_hub(PUBLISHED_REPOSITORY, name, None)
        except ModelError as error:
            raise ModelError(f"{name}: there is no {released} here, and {error}") from error
    hub_name = parse_hub_name(name)
    if hub_name is not None:
        try:
            return _from_hub(*hub_name)
        except HubError as error:
            raise ModelError(f"{name}: there is no such folder here, and {error}") from error
    known = ", ".join([*packaged_models(), *PUBLISHED_MODELS])
    raise ModelError(
        f"no model '{name}': neither a file or folder, nor owner/name[/model][@revision], nor one "
        f"of {known}"
    )


def _beside_checkpoint(path: Path) -> ModelFiles:
    if path.suffix not in CHECKPOINT_SUFFIXES:
        kinds = ", ".join(CHECKPOINT_SUFFIXES)
        raise ModelError(f"{path}: a checkpoint ends in {kinds}; unpack archives first")
    config = path.with_name(CONFIG)
    if not config.is_file():
        raise ModelError(f"{path}: there is no {CONFIG} beside it")
    return ModelFiles(_tag_of(path.parent), config, path)


def _in_folder(folder: Path, model: str | None = None, root_tag: str | None = None) -> ModelFiles:
    """Find a model in ``folder`` or below: the only one, or the one that ``model`` names.

    ``root_tag`` is its tag should its ``config.yaml`` lie in ``folder`` itself.
    """
    packed = _packed_files(folder, model)
    if packed is not None:
        config, checkpoint = packed
        return ModelFiles(_tag_below(folder, config.parent, root_tag), config, checkpoint)
    homes = _config_folders(folder, model)
    # A training run also leaves a config.yaml in the folder of its statistics.
    home = _only([home for home in homes if _checkpoints(home)] or homes, folder, model)
    return _in_experiment(home, _tag_below(folder, home, root_tag))


def models_in(folder: Path) -> list[ModelFiles]:
    """All models in ``folder`` or below that have weights, by tag; one that is packed is alone."""
    try:
        if (folder / META).is_file():
            return [_in_folder(folder)]
        homes = [home for home in _config_folders(folder, None) if _checkpoints(home)]
        return [_in_experiment(home) for home in homes]
    except ModelError:
        return []


def _tag_below(folder: Path, home: Path, root_tag: str | None) -> str:
    return root_tag if root_tag and home == folder else _tag_of(home)


def _config_folders(folder: Path, model: str | None) -> list[Path]:
    """Folders with a ``config.yaml``, the highest level that has any; ``model`` names one."""
    for depth in _DEPTHS:
        homes = [path.parent for path in sorted(folder.glob(depth + CONFIG))]
        homes = [home for home in homes if model is None or model in (home.name, _tag_of(home))]
        if homes:
            return homes
    return []


def _only(homes: list[Path], folder: Path, model: str | None) -> Path:
    if not homes:
        what = f"{CONFIG} of model '{model}'" if model else CONFIG
        raise ModelError(f"{folder}: no {what} there or in the folders below")
    if len(homes) > 1:
        tags = ", ".join(_tag_of(home) for home in homes)
        raise ModelError(f"{folder}: holds {len(homes)} models, name one of them: {tags}")
    return homes[0]


def _in_experiment(folder: Path, tag: str | None = None) -> ModelFiles:
    tag = tag or _tag_of(folder)
    checkpoints = _checkpoints(folder, tag)
    if not checkpoints:
        raise ModelError(f"{folder}: no checkpoint there, such as {tag}.pth")
    return ModelFiles(tag, folder / CONFIG, checkpoints[0])


def _checkpoints(folder: Path, tag: str | None = None) -> list[Path]:
    """Return the checkpoints of an experiment folder, the one to take first.

    That is the packaged or released file, else the best epoch, the averaged one, the latest, the
    last one by number. ``checkpoint.pth`` is ESPnet's trainer state and never taken.
    """
    tag = tag or _tag_of(folder)
    names = ["model.safetensors", f"{tag}.safetensors", f"{tag}.pth"]
    names += ["valid.mel_loss.best.pth", "valid.*.best.pth", "valid.*.ave*.pth", "latest.pth"]
    paths = [path for name in names for path in sorted(folder.glob(name))]
    epochs = folder.glob("*epoch.pth")
    paths += sorted(epochs, key=lambda path: int("0" + re.sub(r"\D", "", path.stem)), reverse=True)
    for suffix in CHECKPOINT_SUFFIXES:
        paths += sorted(folder.glob(f"*{suffix}"))
    others = ("checkpoint.pth", PREDICTOR)
    paths = [path for path in paths if path.is_file() and path.name not in others]
    return list(dict.fromkeys(paths))


def _tag_of(folder: Path) -> str:
    """``exp/codec_NAME_raw_fs24000`` -> ``NAME``; other folders keep their name."""
    name = folder.resolve().name
    return re.sub(r"^codec_|_raw(_fs\d+)?$", "", name) or name or "model"


def _packed_files(
    folder: Path, model: str | None = None, present: bool = True
) -> tuple[Path, Path] | None:
    """Config and checkpoint by the ``meta.yaml`` of ESPnet's packed models, if there is one.

    None, too, if ``model`` is the name neither of their folder nor of the checkpoint.
    """
    meta = folder / META
    if not meta.is_file():
        return None
    contents = read_yaml(meta)
    try:
        names = [contents["yaml_files"]["train_config"], contents["files"]["model_file"]]
    except (KeyError, TypeError) as error:
        raise ModelError(f"{meta}: no yaml_files.train_config and files.model_file") from error
    for name in names:
        inside = not PurePosixPath(str(name)).is_absolute() and ".." not in str(name).split("/")
        if not inside or (present and not (folder / str(name)).is_file()):
            raise ModelError(f"{meta}: names {name}, which is not in the folder")
    config, checkpoint = folder / str(names[0]), folder / str(names[1])
    home = config.parent
    is_wanted = model in (None, home.name, _tag_of(home), checkpoint.stem)
    return (config, checkpoint) if is_wanted else None


def _from_hub(repository: str, model: str | None, revision: str | None) -> ModelFiles:
    """Download the YAML files, which say where the weights are, then the weights of one model."""
    folder = download(repository, revision, ["*.yaml"])
    try:
        packed = _packed_files(folder, model, present=False)
        if packed is not None:
            weights = [packed[1].relative_to(folder).as_posix()]
        else:
            home = _only(_config_folders(folder, model), folder, model).relative_to(folder)
            weights = [(home / f"*{suffix}").as_posix() for suffix in CHECKPOINT_SUFFIXES]
        # of the commit that the YAML files are of, whatever the revision means by now
        folder = download(repository, revision, ["*.yaml", *weights], commit=folder.name)
        return _in_folder(folder, model, repository.partition("/")[2])
    except HubError:
        raise
    except ModelError as error:  # of the repository, wherever it is in the cache
        raise ModelError(str(error).replace(str(folder), repository)) from error
