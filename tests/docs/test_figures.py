"""The figures are those that the code draws, small, and say what the page says of them."""

import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest

DOCS = Path(__file__).resolve().parents[2] / "docs"
PAGE = (DOCS / "how_it_works.md").read_text(encoding="utf-8")
FIGURES = re.findall(r"!\[(.+?)\]\((figures/\w+\.svg)\)", PAGE)


def texts(path):
    root = ElementTree.parse(path).getroot()
    return [element.text or "" for element in root.iter("{http://www.w3.org/2000/svg}text")]


@pytest.mark.parametrize(("words", "name"), FIGURES)
def test_a_figure(words, name):
    path = DOCS / name
    assert path.stat().st_size < 50_000
    shown = " ".join(texts(path))
    for number in re.findall(r"\d+ ms", words):
        assert f"{number} late" in shown
    source = path.read_text(encoding="utf-8")
    assert "prefers-color-scheme:dark" in source and "aria-label" in source


def test_all_figures_are_on_the_page():
    assert {name for _, name in FIGURES} == {
        f"figures/{p.name}" for p in DOCS.glob("figures/*.svg")
    }


@pytest.mark.long
def test_the_code_draws_them_again(tmp_path):
    command = [sys.executable, "-W", "ignore", str(DOCS / "figures/make.py"), str(tmp_path)]
    subprocess.run(command, check=True)
    for _, name in FIGURES:
        drawn = tmp_path / Path(name).name
        numbers = re.compile(r"-?\d+(\.\d)?")
        plain = [[numbers.sub("0", text) for text in texts(path)] for path in (drawn, DOCS / name)]
        assert plain[0] == plain[1]
        sizes = [path.stat().st_size for path in (drawn, DOCS / name)]
        assert abs(sizes[0] - sizes[1]) < 0.05 * sizes[1]
