"""What wheels, sdists and editable installs hold, and that none touches a file of ESPnet's."""

import importlib.metadata
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

STARTUP = {"espnet_bscodec.pth", "espnet_bscodec_plugin.py"}


def names(wheel: Path) -> set[str]:
    """The files in a wheel, but for its metadata."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if ".dist-info/" not in name}


def pip(python: Path, *arguments) -> None:
    command = [sys.executable, "-m", "pip", "--python", str(python), *map(str, arguments)]
    run = subprocess.run(command, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


def snapshot(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def test_the_wheel_holds_our_code_and_the_hook(wheel, source):
    """Every file below espnet2/ is shipped: modules, models, clips, templates."""
    files = (path for path in (source / "espnet2").rglob("*") if path.is_file())
    ours = {str(path.relative_to(source)) for path in files if "__pycache__" not in path.parts}
    assert names(wheel) == ours | STARTUP


def test_the_wheel_holds_weights_cards_and_types_and_no_tests(wheel):
    packages = "espnet2/gan_codec"
    held = names(wheel)
    assert {f"{packages}/{room}/py.typed" for room in ("bscodec", "scoring")} <= held
    models = {Path(name).parent for name in held if "/hub/pretrained/" in name}
    assert models
    for model in models:
        kinds = {Path(name).suffix for name in held if Path(name).parent == model}
        assert {".yaml", ".safetensors", ".md"} <= kinds, model
    assert {name.partition("/")[0] for name in held} == {"espnet2", *STARTUP}
    assert not any(name.endswith((".pyc", ".pth")) for name in held - STARTUP)
    with zipfile.ZipFile(wheel) as archive:
        assert any(name.endswith("/LICENSE") for name in archive.namelist())


def test_the_wheel_holds_no_file_of_espnet(wheel):
    of_espnet = {str(path) for path in importlib.metadata.files("espnet")}
    assert "espnet2/bin/__init__.py" in of_espnet
    assert not names(wheel) & of_espnet


def test_the_editable_wheel_holds_the_hook_alone(editable_wheel):
    assert names(editable_wheel) == STARTUP


def test_the_sdist_builds_the_same_wheel(build, source, wheel, tmp_path):
    with tarfile.open(build("build_sdist", source)) as archive:
        # ours; a filter is what Python 3.12 wants to be told, and 3.11.2 does not know
        safe = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
        archive.extractall(tmp_path, **safe)
    (unpacked,) = tmp_path.iterdir()
    assert names(build("build_wheel", unpacked)) == names(wheel)


def test_the_sdist_holds_the_repository_and_nothing_else(build, repository_copy):
    copy, tracked = repository_copy
    for made in ("fuzz/corpus/bsc/0", "fuzz/found/a", "egs2/bscodec/codec1/exp/a", "demo/a.wav"):
        (copy / made).parent.mkdir(parents=True, exist_ok=True)
        (copy / made).write_text("made by running it")
    with tarfile.open(build("build_sdist", copy)) as archive:
        paths = (member.name for member in archive.getmembers() if not member.isdir())
        held = {path.partition("/")[2] for path in paths}
    links = tuple(f"{name}/" for name in tracked if (copy / name).is_dir())
    assert {name for name in tracked if f"{name}/" not in links} <= held
    more = {name for name in held - tracked if not name.startswith(links)}
    assert {name for name in more if ".egg-info/" not in name} == {"PKG-INFO", "setup.cfg"}


@pytest.mark.parametrize("kind", ["wheel", "editable_wheel"])
def test_uninstalling_leaves_espnet_as_it_was(request, stand_in, kind):
    python, site_packages = stand_in
    before = snapshot(site_packages)
    pip(python, "install", "--no-deps", "--no-index", request.getfixturevalue(kind))
    with_us = snapshot(site_packages)
    assert {name: with_us[name] for name in before} == before
    assert STARTUP <= with_us.keys() - before.keys()
    assert (python.parent / "bscodec").exists()
    subprocess.run([python, "-c", "import espnet2.bin"], check=True)  # ESPnet's own .pyc files
    pip(python, "uninstall", "--yes", "espnet-bscodec")
    after = {n: b for n, b in snapshot(site_packages).items() if "__pycache__" not in n}
    assert after == before
    assert not (python.parent / "bscodec").exists()


def test_a_checkout_may_have_any_name(build, source, tmp_path, stand_in):
    python, _ = stand_in
    checkout = tmp_path / 'it\'s a "näme" with {braces} \\n'
    shutil.copytree(source, checkout)
    package = checkout / "espnet2/gan_codec/bscodec"
    (package / "__init__.py").write_text("")  # the real one wants torch
    pip(python, "install", "--no-deps", "--no-index", build("build_editable", checkout))
    code = "from espnet2.gan_codec.bscodec import plugin; print(ascii(plugin.__file__))"
    run = subprocess.run([python, "-c", code], capture_output=True, text=True)
    assert (run.stdout, run.stderr) == (ascii(str(package / "plugin.py")) + "\n", "")
