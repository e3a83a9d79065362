"""Every error line that the page quotes is still in the code."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/troubleshooting.md").read_text(encoding="utf-8")
LINES = re.findall(r"^\| `([^|]*?)` \|", PAGE, flags=re.M)


def strings_of(path):
    """All strings of a file, with … in the place of values; a shell script's lines."""
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".sh":
        yield from text.splitlines()
        return
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.JoinedStr):
            parts = (p.value if isinstance(p, ast.Constant) else "…" for p in node.values)
            yield "".join(parts)


@pytest.fixture(scope="module")
def strings():
    folders = ("espnet2", "egs2/bscodec/codec1")
    files = (p for f in folders for p in (ROOT / f).rglob("*") if p.suffix in (".py", ".sh"))
    return [string for path in files for string in strings_of(path)]


def occurs(line, strings):
    """Whether some string has all that is constant in a line, in its order."""
    parts = [part.strip(" :") for part in line.split("…")]
    pattern = re.compile(".*".join(re.escape(part) for part in parts if part), flags=re.S)
    return any(pattern.search(string) for string in strings)


def test_the_page_is_read():
    assert len(LINES) > 60


@pytest.mark.parametrize("line", LINES)
def test_a_quoted_line_is_in_the_code(line, strings):
    assert len(line.replace("…", "").strip()) >= 12, "too little to find it by"
    assert occurs(line, strings)


def test_what_is_not_there_is_noticed(strings):
    assert not occurs("…: no such line … anywhere", strings)
