"""Give a model to the Hugging Face hub, laid out as ESPnet's model zoo wants it, with a card."""

from __future__ import annotations

import tempfile
import zipfile
from pathlib import Path

from espnet2.gan_codec.bscodec.hub.export import export_experiment
from espnet2.gan_codec.bscodec.hub.huggingface import HubError, quiet_client, reason_of
from espnet2.gan_codec.bscodec.hub.model_card import CardOptions, model_card
from espnet2.gan_codec.bscodec.hub.resolver import META, find_model

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
        ModelError: there is no such model.
    """
    try:
        from huggingface_hub import CommitOperationAdd, HfApi, get_token
    except ImportError as error:
        raise HubError(f"{repository}: huggingface_hub is not installed") from error
    if not get_token():
        raise HubError("no Hugging Face token; run `hf auth login` or set HF_TOKEN")
    api = HfApi()
    with tempfile.TemporaryDirectory() as temporary:
        folder = _unpacked(name, Path(temporary))
        (folder / CARD).write_text(
            model_card(find_model(str(folder)), repository, options), encoding="utf-8"
        )
        try:
            with quiet_client():
                if not pull_request:
                    api.create_repo(repository, exist_ok=True, private=private)
                keeps_card = not new_card and api.file_exists(repository, CARD)
                operations = [
                    CommitOperationAdd(path.relative_to(folder).as_posix(), path)
                    for path in sorted(folder.rglob("*"))
                    if path.is_file() and not (keeps_card and path == folder / CARD)
                ]
                commit = api.create_commit(
                    repository,
                    operations,
                    commit_message=f"Add {find_model(str(folder)).tag}",
                    create_pr=pull_request,
                )
        except Exception as error:  # the hub's, the network's: many kinds
            raise HubError(f"{repository}: {_why(error)}") from error
    return str(commit.pr_url if pull_request else commit.commit_url)


def _unpacked(name: str, folder: Path) -> Path:
    """The folder of an archive's files below ``folder``; of another model an archive is made."""
    archive = Path(name)
    if not archive.is_file() or archive.suffix != ".zip":
        export_experiment(name, folder / "exported", archive=True)
        (archive,) = (folder / "exported").glob("*.zip")
    try:
        with zipfile.ZipFile(archive) as packed:
            if META not in packed.namelist():
                raise HubError(f"{archive}: no {META} in it, so it is no packed model")
            packed.extractall(folder / "model")
    except zipfile.BadZipFile as error:
        raise HubError(f"{archive}: no packed model: {error}") from error
    return folder / "model"


def _why(error: Exception) -> str:
    from huggingface_hub.errors import HFValidationError

    if isinstance(error, ValueError) and not isinstance(error, (HFValidationError, OSError)):
        return " ".join(str(error).split())  # what the hub says of the card
    return reason_of(error)
