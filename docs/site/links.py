"""Links of pages that are read in two places: as files of the repository, and on the site."""

import logging
import posixpath
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

log = logging.getLogger("mkdocs.hooks.links")  # what it warns of fails a strict build

_FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", flags=re.M | re.S)
_LINK = re.compile(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)")


def links_of(markdown: str) -> Iterator[re.Match]:
    """The links and images outside of code blocks: groups are ``!``, text and target."""
    blocks = [match.span() for match in _FENCE.finditer(markdown)]
    for match in _LINK.finditer(markdown):
        if not any(start <= match.start() < end for start, end in blocks):
            yield match


def rewritten(
    markdown: str,
    root: Path,
    home: str,
    uri: str,
    elsewhere: Mapping[str, str],
    repo_url: str | None,
) -> str:
    """Return a page with links that hold on the site.

    Args:
        markdown: the page.
        root: of the repository.
        home: the page's file, from there.
        uri: the page's name on the site.
        elsewhere: files outside docs/ by their names on the site.
        repo_url: where files are that are not on the site; without, their names are plain text.
    """
    parts, end = [], 0
    for match in links_of(markdown):
        parts.append(markdown[end : match.start()])
        parts.append(_link(match, root, home, uri, elsewhere, repo_url))
        end = match.end()
    return "".join([*parts, markdown[end:]])


def _link(match, root, home, uri, elsewhere, repo_url) -> str:
    mark, text, target = match.groups()
    path, hash_, anchor = target.partition("#")
    if not path or ":" in path:
        return match[0]
    file = posixpath.normpath(posixpath.join(posixpath.dirname(home), path))
    if file.startswith("..") or not (root / file).exists():
        log.warning(f"{home}: there is no {target}")
        return match[0]
    page = {path: name for name, path in elsewhere.items()}.get(file)
    if page is None and file.startswith("docs/"):
        page = file.removeprefix("docs/")
    if page is not None:
        target = posixpath.relpath(page, posixpath.dirname(uri) or ".")
        return f"{mark}[{text}]({target}{hash_}{anchor})"
    if repo_url:
        return f"{mark}[{text}]({repo_url.rstrip('/')}/blob/main/{file}{hash_}{anchor})"
    return text
