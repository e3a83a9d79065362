"""Models on the Hugging Face hub; nothing of it is imported before it is asked for."""

from pathlib import Path

from espnet2.gan_codec.bscodec.hub.error import ModelError


class HubError(ModelError):
    """A repository that the hub does not give."""


def download(repository: str, revision: str | None, patterns: list[str]) -> Path:
    """Return the local folder with those files of ``repository`` that match ``patterns``.

    What has been downloaded before is taken from the cache, also without a network.

    Raises:
        HubError: in one line, when the hub cannot be reached or has nothing of that name.
    """
    name = f"{repository}@{revision}" if revision else repository
    try:
        from huggingface_hub import snapshot_download
        from huggingface_hub.errors import HfHubHTTPError, HFValidationError
    except ImportError as error:
        raise HubError(f"{name}: huggingface_hub is not installed") from error
    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=patterns))
    except (HfHubHTTPError, HFValidationError) as error:
        reason = str(error).strip().splitlines()[0]
        raise HubError(f"{name}: not to be had from the Hugging Face hub: {reason}") from error
    except (OSError, RuntimeError) as error:
        # No network raises various errors, LocalEntryNotFoundError and httpx's among them.
        raise HubError(
            f"{name}: the Hugging Face hub cannot be reached; download it elsewhere and give "
            "its folder"
        ) from error
