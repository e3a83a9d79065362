"""Files for those who contribute and cite: they parse, and agree on the version."""

import re
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
VERSION = re.search(r'version="([\d.]+)"', (ROOT / "setup.py").read_text()).group(1)
YAML = [
    "CITATION.cff",
    ".pre-commit-config.yaml",
    *(str(path.relative_to(ROOT)) for path in sorted((ROOT / ".github").rglob("*.yml"))),
]


def test_the_version_is_one():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == VERSION
    versions = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), flags=re.M)
    assert versions[:2] == ["Unreleased", VERSION]


@pytest.mark.parametrize("name", YAML)
def test_yaml_parses(name):
    assert yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


def test_hooks_are_the_linters_of_make():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    lint = (ROOT / "Makefile").read_text().partition("\nlint:")[2]
    for hook in hooks:
        program = hook["entry"].removeprefix(".venv/bin/")
        assert f"$(VENV)/{program}" in lint, hook["id"]


def test_named_files_exist():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    packages = ROOT / "espnet2/gan_codec"
    for name in re.findall(r"`([\w./]+/[\w.]*\w/?)`", text):
        places = (ROOT, packages, packages / "bscodec", ROOT / "egs2/bscodec/codec1")
        assert any((place / name).exists() for place in places), name


@pytest.mark.parametrize(("page", "least"), [("reliability", 20), ("fidelity", 12)])
def test_pages_name_tests_that_are_there(page, least):
    text = (ROOT / "docs" / f"{page}.md").read_text(encoding="utf-8")
    names = re.findall(r"`([a-z_/]+\.py)(?:::(\w+))?`", text)
    assert len(names) > least
    for path, test in names:
        source = (ROOT / "tests" / path).read_text(encoding="utf-8")
        assert f"def {test}" in source, (path, test)


def test_dependencies_without_a_permissive_licence_are_named():
    settings = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    ignored = settings.partition("ignore-packages")[2].partition("\n]")[0]
    ignored = re.findall(r'"([\w-]+)"', ignored)
    text = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
    assert "soxr" in ignored
    for name in ignored:
        assert f"`{name}`" in text or f"`{name.partition('-')[0]}-*`" in text, name
