"""Links between the repository's files lead somewhere, as they are read there."""

import re
import sys
from importlib import import_module
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = (".github", "docs", "egs2", "espnet2", "fuzz")
PAGES = [*ROOT.glob("*.md"), *(path for name in FOLDERS for path in (ROOT / name).rglob("*.md"))]


@pytest.fixture(scope="module")
def links_of():
    sys.path.insert(0, str(ROOT / "docs/site"))
    try:
        return import_module("links").links_of
    finally:
        sys.path.remove(str(ROOT / "docs/site"))


def slugs(page):
    """Anchors of a page's headings, as GitHub makes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.M | re.S)
    for heading in re.findall(r"^#+ (.+)$", text, flags=re.M):
        words = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower()
        yield re.sub(r"[^\w\- ]", "", words).replace(" ", "-")


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page, links_of):
    for match in links_of(page.read_text(encoding="utf-8")):
        path, _, anchor = match[3].partition("#")
        if ":" in path:
            continue
        target = (page.parent / path).resolve() if path else page
        assert target.exists() and target.is_relative_to(ROOT), match[0]
        if anchor:
            assert anchor in set(slugs(target)), match[0]
