"""Give a model to the Hugging Face hub, laid out as ESPnet's model zoo wants it, with a card."""

from __future__ import annotations

import json
import stat
import tempfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath

from espnet2.gan_codec.bscodec.format.escapes import escaped
from espnet2.gan_codec.bscodec.hub.checkpoint import load_model
from espnet2.gan_codec.bscodec.hub.config_file import CODEC_NAMES, read_yaml
from espnet2.gan_codec.bscodec.hub.error import ModelError
from espnet2.gan_codec.bscodec.hub.export import export_experiment
from espnet2.gan_codec.bscodec.hub.huggingface import HubError, quiet_client, reason_of
from espnet2.gan_codec.bscodec.hub.model_card import CardOptions, model_card
from espnet2.gan_codec.bscodec.hub.resolver import META, find_model, parse_hub_name
from espnet2.gan_codec.bscodec.hub.weights import read_weights

CARD = "README.md"


def upload_model(
    name: str,
    repository: str,
    options: CardOptions,
    pull_request: bool = False,
    private: bool = False,
    new_card: bool = False,
) -> str:
    """Commit a model to a repository, which is made if needed; return the commit's address.

    All files go in one commit: config, weights, ``meta.yaml``, and a card where there is none yet.
    The token is the one of ``hf auth login``, or HF_TOKEN.

    Args:
        name: as for ``load_model``, or an archive that ``espnet2.bin.pack`` made.
        repository: ``owner/name``.
        options: for the card.
        pull_request: propose the files to a repository that is there; returns its address.
        private: make a new repository private.
        new_card: replace the card of a repository that has one.

    Raises:
        HubError: no token, or the hub refuses or cannot be reached, in one line.
        ModelError: there is no such model, or it cannot be loaded.
    """
    try:
        from huggingface_hub import CommitOperationAdd, HfApi, get_token
    except ImportError as error:
        raise HubError(f"{repository}: huggingface_hub is not installed") from error
    to = parse_hub_name(repository)
    if to is None or to.repository != repository:
        raise HubError(f"{repository}: expected a repository of the Hugging Face hub, owner/name")
    if not get_token():
        raise HubError("no Hugging Face token; run `hf auth login` or set HF_TOKEN")
    api = HfApi()
    with tempfile.TemporaryDirectory() as temporary:
        folder = _unpacked(name, Path(temporary), repository.partition("/")[2])
        files = find_model(str(folder))
        card = model_card(files, repository, options)
        (folder / CARD).write_text(card, encoding="utf-8")
        try:
            with quiet_client():
                keeps_card = not new_card and api.file_exists(repository, CARD)
                if not keeps_card:
                    _validate(card)  # before there is a repository without a model
                if not pull_request:
                    api.create_repo(repository, exist_ok=True, private=private)
                operations = [
                    CommitOperationAdd(path.relative_to(folder).as_posix(), path)
                    for path in sorted(folder.rglob("*"))
                    if path.is_file() and not (keeps_card and path == folder / CARD)
                ]
                commit = api.create_commit(
                    repository,
                    operations,
                    commit_message=f"Add {escaped(files.tag)}",
                    create_pr=pull_request,
                )
        except Exception as error:  # the hub's, the network's: many kinds
            raise HubError(f"{repository}: {_why(error)}") from error
    return str(commit.pr_url if pull_request else commit.commit_url)


def _unpacked(name: str, folder: Path, tag: str) -> Path:
    """The folder of an archive's files below ``folder``, called ``tag``, and a model that loads.

    Of what is no archive one is made.
    """
    archive, unpacked = Path(name), folder / "unpacked" / tag
    if not archive.is_file() or archive.suffix != ".zip":
        export_experiment(name, folder / "exported", archive=True)
        (archive,) = (folder / "exported").glob("*.zip")
    try:
        with zipfile.ZipFile(archive) as packed:
            if META not in packed.namelist():
                raise HubError(f"{archive}: no {META} in it, so it is no packed model")
            for entry in packed.infolist():
                _check_entry(entry, archive)
            packed.extractall(unpacked)
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise HubError(f"{archive}: no packed model: {error}") from error
    try:
        files = find_model(str(unpacked))
        if read_yaml(files.config).get("codec") in CODEC_NAMES:
            load_model(str(unpacked), "cpu")
        else:
            read_weights(files.checkpoint)
    except ModelError as error:
        raise ModelError(str(error).replace(str(unpacked), str(archive))) from error
    return unpacked


def _check_entry(entry: zipfile.ZipInfo, archive: Path) -> None:
    """Raise HubError for what no packed model has: a hidden file, maybe secret, or a link."""
    path = PurePosixPath(entry.filename)
    is_link = stat.S_ISLNK(entry.external_attr >> 16)
    if is_link or path.is_absolute() or any(part.startswith(".") for part in path.parts):
        raise HubError(f"{archive}: holds {path}, which is no part of a packed model")
    if path.parts[0] == CARD and entry.filename != CARD:
        raise HubError(f"{archive}: {CARD} is a folder there")


def _validate(card: str) -> None:
    """Have the hub check a card's metadata. Raises ValueError with what it says."""
    from huggingface_hub import ModelCard

    try:
        ModelCard(card).validate()
    except ValueError as error:
        try:
            reasons = [str(item["message"]) for item in json.loads(str(error))["errors"]]
        except (ValueError, LookupError, TypeError):
            reasons = [str(error)]
        raise ValueError(f"the card's metadata: {'; '.join(reasons)}") from error


def _why(error: Exception) -> str:
    from huggingface_hub.errors import HFValidationError

    others = (HFValidationError, OSError, UnicodeEncodeError)
    if isinstance(error, ValueError) and not isinstance(error, others):
        return " ".join(str(error).split())  # what the hub says of the card
    return reason_of(error)
