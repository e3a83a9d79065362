"""Models on the Hugging Face hub; nothing of it is imported before it is asked for."""

import hashlib
import logging
import signal
import sys
import threading
import time
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from espnet2.gan_codec.bscodec.format.atomic import WRITE_ERRORS
from espnet2.gan_codec.bscodec.hub.error import ModelError

TRIES = 3
MAX_WAIT = 60.0  # seconds that the hub may ask to wait before a try; longer is left to the user
_BUSY = (408, 429, 500, 502, 503, 504)
# what the client trips over in an answer that it takes as it is
_OF_NONSENSE = (ValueError, TypeError, LookupError, AttributeError, AssertionError, RecursionError)
_LOGGERS = ("huggingface_hub", "httpx", "httpx2")  # the last two print addresses, with signatures


class HubError(ModelError):
    """A repository that the hub does not give, or that it does not take."""


def download(
    repository: str, revision: str | None, patterns: list[str], commit: str | None = None
) -> Path:
    """Return the local folder with those files of ``repository`` that match ``patterns``.

    What has been downloaded before is taken from the cache, also without a network. A file that
    comes anew is checked against the hash that the hub has for it. A busy hub is asked again.

    Args:
        repository: ``owner/name``.
        revision: a branch, tag or commit; None: the main branch.
        patterns: of files' names, as a shell's, but for ``*``, which takes ``/`` too.
        commit: the name of the folder that another call has returned: files of the same commit.

    Raises:
        HubError: in one line, when the hub cannot be reached or does not give the repository.
    """
    name = f"{repository}@{revision}" if revision else repository
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise HubError(f"{name}: huggingface_hub is not installed") from error
    before = _blobs(repository)
    with quiet_client(), _terminated_at_once():
        for attempt in range(TRIES):
            try:
                found = snapshot_download(
                    repository, revision=commit or revision, allow_patterns=patterns
                )
                break
            except Exception as error:  # the hub's, the network's, the disk's: many kinds
                wait = _wait_after(error, attempt)
                if wait is None or attempt == TRIES - 1:
                    raise HubError(f"{name}: {reason_of(error)}") from error
                time.sleep(wait)
    folder, cache = Path(found), _cache_of(repository)
    if folder.parent != cache / "snapshots" or folder.name == "..":
        # the name of the commit, by the cache or by the hub, is a path
        raise HubError(f"{name}: damaged in the cache: remove {cache}")
    new = [path for path in sorted(folder.rglob("*")) if path.resolve().name not in before]
    for path in drop_damaged(new):
        raise HubError(f"{name}: the hub sent {path.name} damaged: try again")
    _remove_abandoned(cache / "blobs")
    return folder


@contextmanager
def quiet_client() -> Iterator[None]:
    """Keep the client's warnings from stderr, and its progress bars where that is no terminal."""
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
    )

    loggers = [logging.getLogger(name) for name in _LOGGERS]
    levels = [logger.level for logger in loggers]
    hides_bars = not sys.stderr.isatty() and not are_progress_bars_disabled()
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    if hides_bars:
        disable_progress_bars()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
        if hides_bars:
            enable_progress_bars()


def reason_of(error: BaseException) -> str:
    """Say in one line why the hub gave or took nothing."""
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        HFValidationError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    causes = list(_causes(error))
    status = next(filter(None, map(_status, causes)), None)
    login = "`hf auth login` or HF_TOKEN gives a token"
    for kind, reason in (
        (GatedRepoError, f"is gated: ask for access on its page there; {login}"),
        (RevisionNotFoundError, "has no such revision"),
        (RepositoryNotFoundError, f"there is none, or it is private; {login}"),
    ):
        if any(isinstance(cause, kind) for cause in causes):
            return f"the Hugging Face hub: {reason}"
    if status in (401, 403):
        return f"the Hugging Face hub refuses ({status}): {login}, with the right for that"
    if status == 429:
        return "the Hugging Face hub has too many requests from here (429): try again later"
    if status in _BUSY:
        return f"the Hugging Face hub is out of order ({status}): try again later"
    if status or isinstance(error, HFValidationError):
        return f"not to be had from the Hugging Face hub: {_first_line(error)}"
    if isinstance(error, OSError) and error.errno is not None and error.filename:
        return f"{error.filename}: {error.strerror}"  # the cache's disk
    full = next((c for c in causes if isinstance(c, OSError) and c.errno in WRITE_ERRORS), None)
    if full is not None:
        return f"{_cache()}: {full.strerror}"
    if "Consistency check failed" in str(error):
        return "the Hugging Face hub sent a file of another size than it says: try again"
    if isinstance(error, UnicodeEncodeError):  # the only thing of ours in a header
        return f"the token is none; {login}"
    if isinstance(error, _OF_NONSENSE):
        what = f"{type(error).__name__}: {_first_line(error)}"
        return f"what the Hugging Face hub says makes no sense: {what[:300]}"
    if constants.HF_HUB_OFFLINE:
        return "HF_HUB_OFFLINE is set, and the cache has not all that is needed"
    return (
        "the Hugging Face hub cannot be reached, or does not answer as one; download it elsewhere "
        "and give its folder"
    )


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _status(error: BaseException) -> int | None:
    return getattr(getattr(error, "response", None), "status_code", None)


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _wait_after(error: BaseException, attempt: int) -> float | None:
    """Seconds to wait before another try; None: it would be of no use."""
    for cause in _causes(error):
        status = _status(cause)
        if status is not None:
            asked = cause.response.headers.get("Retry-After", "")  # type: ignore[attr-defined]
            wait = float(asked) if asked.isdigit() else 2.0**attempt
            return wait if status in _BUSY and wait <= MAX_WAIT else None
        if type(cause).__name__ in ("ReadError", "RemoteProtocolError", "ChunkedEncodingError"):
            return 2.0**attempt  # the connection broke
    return None


def _cache() -> Path:
    from huggingface_hub import constants

    return Path(constants.HF_HUB_CACHE).expanduser().resolve()


def _cache_of(repository: str) -> Path:
    return _cache() / ("models--" + repository.replace("/", "--"))


def _blobs(repository: str) -> set[str]:
    """Names of the repository's files in the cache, which are their hashes."""
    return {path.name for path in (_cache_of(repository) / "blobs").glob("*")}


def drop_damaged(paths: Iterable[Path]) -> list[Path]:
    """Remove from the hub's cache what has not the hash that it is called by; return its paths.

    Files that are not in the cache are left alone.
    """
    damaged = []
    for path in paths:
        blob = path.resolve()  # which is elsewhere where the cache, or the hub, is malicious
        is_cached = path.is_symlink() and blob.parent.parent.parent == _cache()
        if is_cached and blob.is_file() and _hash_like(blob) != blob.name:
            blob.unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            damaged.append(path)
    return damaged


def _hash_like(blob: Path) -> str:
    """The hash of a file, of the kind that its name is: LFS's (SHA-256) or git's."""
    if len(blob.name) == 64:
        digest = hashlib.sha256()
    elif len(blob.name) == 40:
        digest = hashlib.sha1(f"blob {blob.stat().st_size}\0".encode(), usedforsecurity=False)
    else:
        return blob.name  # none that is known
    with blob.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


@contextmanager
def _terminated_at_once() -> Iterator[None]:
    """Have signals end the process as they are: its threads may wait for a network.

    SIGINT does in commands and scripts alone: a session goes on after it.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    is_session = hasattr(sys, "ps1") or sys.flags.interactive or "ipykernel" in sys.modules
    is_plain = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    numbers = [signal.SIGTERM, signal.SIGHUP]
    numbers += [signal.SIGINT] if is_plain and not is_session else []
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
