"""Models on the Hugging Face hub; nothing of it is imported before it is asked for."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
        with _terminated_at_once():
            folder = snapshot_download(repository, revision=revision, allow_patterns=patterns)
    except (HfHubHTTPError, HFValidationError) as error:
        reason = str(error).strip().splitlines()[0]
        raise HubError(f"{name}: not to be had from the Hugging Face hub: {reason}") from error
    except (OSError, RuntimeError) as error:
        # No network raises various errors, LocalEntryNotFoundError and httpx's among them.
        raise HubError(
            f"{name}: the Hugging Face hub cannot be reached; download it elsewhere and give "
            "its folder"
        ) from error
    _remove_abandoned(Path(folder).parent.parent / "blobs")
    return Path(folder)


@contextmanager
def _terminated_at_once() -> Iterator[None]:
    """Have SIGTERM and SIGHUP end the process as they are: its threads may wait for a network."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.SIG_DFL) for number in numbers]
    try:
        yield
    finally:
        for number, handler in zip(numbers, before, strict=True):
            signal.signal(number, handler)


def _remove_abandoned(blobs: Path) -> None:
    """Remove what killed downloads have left of files of the cache that are whole by now."""
    for part in blobs.glob("*.incomplete"):
        if (blobs / part.name.partition(".")[0]).exists():
            with suppress(OSError):
                part.unlink()
