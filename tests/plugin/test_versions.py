"""The table of tested versions, and what is said where something newer is met."""

import logging
import re
from pathlib import Path

import pytest

from espnet2.bin.bscodec import main
from espnet2.gan_codec.bscodec import versions

ROOT = Path(__file__).resolve().parents[2]
OLD, NEW = (
    tuple(span.low for span in spans) for spans, _ in versions.TESTED[:: len(versions.TESTED) - 1]
)


@pytest.fixture
def said(monkeypatch, caplog):
    """What a fresh process says with these versions."""

    def say(found):
        monkeypatch.delenv("ESPNET_BSCODEC_VERSIONS_SAID", raising=False)
        monkeypatch.setattr(versions, "installed", lambda: found)
        caplog.clear()
        with caplog.at_level(logging.WARNING, "espnet_bscodec"):
            versions.say_if_newer()
            versions.say_if_newer()
        return [record.getMessage() for record in caplog.records]

    yield say
    monkeypatch.setenv("ESPNET_BSCODEC_VERSIONS_SAID", "1")


@pytest.mark.parametrize(
    ("span", "version", "inside", "above"),
    [
        (versions.Span("3.10", "3.11"), "3.10.13", True, False),
        (versions.Span("3.10", "3.11"), "3.11.7", True, False),
        (versions.Span("3.10", "3.11"), "3.9.1", False, False),
        (versions.Span("3.10", "3.11"), "3.12.0", False, True),
        (versions.Span("202611"), "202611.post2", True, False),
        (versions.Span("202611"), "202612", False, True),
        (versions.Span("2.14"), "2.14.1+cu130", True, False),
        (versions.Span("2.14"), "2.9.0", False, False),
        (versions.Span("2.14"), "-", False, False),
    ],
)
def test_spans(span, version, inside, above):
    assert (version in span, span.is_below(version)) == (inside, above)


def test_the_last_row_is_the_newest():
    assert not any(
        last.is_below(span.high or span.low)
        for spans, _ in versions.TESTED
        for span, last in zip(spans, versions.TESTED[-1][0], strict=True)
    )


def test_tested_versions_are_met_in_silence(said):
    assert versions.how_tested(OLD) and versions.how_tested(NEW)
    assert said(OLD) == said(NEW) == said((OLD[0], "-", "-", "-")) == []
    # each of them is known, and so nothing is said, but not in this company
    assert not versions.how_tested((OLD[0], *NEW[1:])) and said((OLD[0], *NEW[1:])) == []


def test_a_newer_one_is_met_with_one_line(said):
    (line,) = said((NEW[0], "202712.post1", *NEW[2:]))
    assert line.startswith("espnet-bscodec: newer than what was tested: ESPnet 202712.post1 (")
    assert "\n" not in line and f"ESPnet {NEW[1]}" in line
    (line,) = said((*NEW[:2], "9.1.0", "9.0"))
    assert line.startswith("espnet-bscodec: newer than what was tested: torch 9.1.0, numpy 9.0 (")


def test_the_readme_has_the_table_of_the_command(capsys):
    assert main(["versions"]) == 0
    *table, here = capsys.readouterr().out.splitlines()
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    between = re.search(r"<!-- versions: begin -->\n(.*)\n<!-- versions: end -->", readme, re.S)
    assert between.group(1).splitlines() == table
    assert here.startswith("here: Python 3.")


def test_classifiers_and_workflow_name_the_pythons_of_the_table():
    workflow = (ROOT / ".github/workflows/ci.yml").read_text()
    named = re.findall(r'"(3\.\d+)"', re.search(r"python: \[(.*)\]", workflow).group(1))
    tested = [
        f"3.{minor}"
        for minor in range(20)
        if any(f"3.{minor}" in row[0][0] for row in versions.TESTED)
    ]
    assert named == tested
