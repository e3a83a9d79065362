"""Built wheels, and small stand-ins for site-packages folders with and without ESPnet."""

import shutil
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

# As much of ESPnet as the plug-in touches.
ESPNET = {
    "espnet2/__init__.py": "",
    "espnet2/bin/__init__.py": "",
    "espnet2/bin/stock.py": "print('stock')",
    "espnet2/gan_codec/__init__.py": "",
    "espnet2/tasks/__init__.py": "",
    "espnet2/tasks/gan_codec.py": """\
from espnet2.train.gan_trainer import GANTrainer

class GANCodecTask:
    trainer = GANTrainer

class codec_choices:
    classes = {"soundstream": object}
""",
    "espnet2/train/__init__.py": "",
    "espnet2/train/gan_trainer.py": "class GANTrainer: pass",
}
# As much of our code as the plug-in touches.
OVERLAY = {
    "espnet2/bin/bscodec.py": "print('ours')",
    "espnet2/gan_codec/bscodec/__init__.py": "",
    "espnet2/gan_codec/bscodec/bscodec.py": "class BSCodec: pass",
    "espnet2/gan_codec/bscodec/training/trainer.py": "class CodecTrainer: pass",
    "espnet2/gan_codec/bscodec/hub/espnet_task.py": "def secure(task): task.is_secure = True",
}


def lay(folder: Path, files: dict[str, str]) -> Path:
    """Write ``files`` (path: text) below ``folder``."""
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.fixture(scope="session")
def source(tmp_path_factory):
    """A copy of what packaging reads, so that building writes nothing into the repository."""
    copy = tmp_path_factory.mktemp("source")
    for name in ("setup.py", "pyproject.toml", "LICENSE"):
        shutil.copy(REPOSITORY / name, copy)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(REPOSITORY / "espnet2", copy / "espnet2", ignore=ignored)
    return copy


@pytest.fixture(scope="session")
def repository_copy(tmp_path_factory):
    """A copy of all files that git tracks, links as links, and their names."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    if listed.returncode:
        pytest.skip("no git checkout")
    copy = tmp_path_factory.mktemp("repository")
    tracked = {name for name in listed.stdout.split("\0") if name and (REPOSITORY / name).exists()}
    for name in tracked:
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(REPOSITORY / name, copy / name, follow_symlinks=False)
    return copy, tracked


@pytest.fixture(scope="session")
def build(tmp_path_factory):
    """Call one of the hooks that pip calls, with the setuptools of this environment."""

    def call(hook: str, source: Path) -> Path:
        out = tmp_path_factory.mktemp(hook)
        code = f"from setuptools import build_meta; build_meta.{hook}({str(out)!r})"
        command = [sys.executable, "-c", code]
        run = subprocess.run(command, cwd=source, capture_output=True, text=True)
        assert run.returncode == 0, run.stderr
        (built,) = out.iterdir()
        return built

    return call


@pytest.fixture(scope="session")
def wheel(build, source):
    return build("build_wheel", source)


@pytest.fixture(scope="session")
def editable_wheel(build, source):
    return build("build_editable", source)


@pytest.fixture
def bare_environment(tmp_path):
    """A virtual environment that holds no package: its Python, and its site-packages folder."""
    venv.create(tmp_path / "env", with_pip=False)
    python = tmp_path / "env" / "bin" / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    run = subprocess.run([python, "-c", code], capture_output=True, text=True, check=True)
    return python, Path(run.stdout.strip())


@pytest.fixture
def stand_in(bare_environment):
    """`bare_environment` with the stand-in for ESPnet."""
    lay(bare_environment[1], ESPNET)
    return bare_environment


class Site:
    """A folder that Python treats as site-packages, .pth files and all; there is no other."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.paths = [folder]

    def run(self, code: str = "", module: str = "") -> subprocess.CompletedProcess:
        """Run ``code``, or ``module`` as with ``python -m``, in a fresh interpreter."""
        if module:
            code = (
                f"import runpy; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
            )
        start = "import site, sys\n" + "".join(
            f"site.addsitedir({str(path)!r})\n" for path in self.paths
        )
        # -S: only our folders are site-packages; -I: nothing from the environment.
        command = [sys.executable, "-I", "-S", "-c", start + code]
        return subprocess.run(command, cwd="/", capture_output=True, text=True, timeout=60)


@pytest.fixture(params=["inside", "editable", "editable ESPnet"])
def site(request, tmp_path, source, wheel, editable_wheel):
    """The start-up files and stand-ins for ESPnet and for our code, as different installs lie.

    ``inside``: all in one folder; ``editable``: our code lies in a checkout; ``editable ESPnet``:
    ESPnet's lies in one. `Site.espnet` and `Site.ours` are the folders of either's code.
    """
    site = Site(tmp_path / "site")
    site.folder.mkdir()
    site.espnet = site.ours = site.folder
    if request.param == "editable":
        site.ours = tmp_path / "checkout"
    if request.param == "editable ESPnet":
        site.espnet = tmp_path / "espnet"
        site.paths.append(site.espnet)
    lay(site.espnet, ESPNET)
    lay(site.ours, OVERLAY)
    with zipfile.ZipFile(editable_wheel if request.param == "editable" else wheel) as archive:
        for name in archive.namelist():
            if name.startswith("espnet_bscodec") and "/" not in name:
                text = archive.read(name).decode().replace(str(source), str(site.ours))
                (site.folder / name).write_text(text)
    return site
