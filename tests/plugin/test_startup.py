"""What the start-up hook does to a Python, and must never do; with stand-ins for ESPnet."""

import shutil

import pytest

CHOICES = "from espnet2.tasks.gan_codec import codec_choices; print(*codec_choices.classes)\n"
OURS = "from espnet2.gan_codec.bscodec.bscodec import BSCodec\n"
TRAINER = "from espnet2.tasks.gan_codec import GANCodecTask as t; print(t.trainer.__name__)\n"


def lines(run):
    """Standard output of a run that went well and said nothing on standard error."""
    assert (run.returncode, run.stderr) == (0, "")
    return run.stdout.splitlines()


def test_espnet_knows_the_codec(site):
    check = "print(codec_choices.classes['bscodec'] is BSCodec)"
    table = "soundstream bscodec espnet_bscodec"
    assert lines(site.run(CHOICES + OURS + check)) == [table, "True"]
    assert lines(site.run(OURS + CHOICES + check)) == [table, "True"]


def test_the_task_looks_untouched(site):
    code = """\
import espnet2.tasks.gan_codec as task, inspect, importlib, importlib.util
print(type(task.__loader__).__name__, task.__spec__.loader is task.__loader__)
print("codec_choices" in inspect.getsource(task))
print(importlib.util.find_spec(task.__name__).origin == task.__file__)
print(*importlib.reload(task).codec_choices.classes)
"""
    assert lines(site.run(code)) == [
        "SourceFileLoader True",
        "True",
        "True",
        "soundstream bscodec espnet_bscodec",
    ]


def test_a_task_loaded_earlier_is_told_too(site):
    code = """\
import espnet_bscodec_plugin as plugin
root = sys.meta_path[-1].root
sys.meta_path = [f for f in sys.meta_path if type(f).__module__ != plugin.__name__]
from espnet2.tasks.gan_codec import codec_choices
before = list(codec_choices.classes)
plugin.install(root)
print(before, list(codec_choices.classes))
"""
    expected = "['soundstream'] ['soundstream', 'bscodec', 'espnet_bscodec']"
    assert lines(site.run(code)) == [expected]


def test_commands_run(site):
    assert lines(site.run(module="espnet2.bin.bscodec")) == ["ours"]
    assert lines(site.run(module="espnet2.bin.stock")) == ["stock"]


def test_files_of_espnet_are_never_shadowed(site):
    (site.espnet / "espnet2/bin/both.py").write_text("name = 'ESPnet'")
    if site.ours != site.espnet:
        (site.ours / "espnet2/bin/both.py").write_text("name = 'ours'")
    assert lines(site.run("from espnet2.bin.both import name; print(name)")) == ["ESPnet"]


@pytest.mark.parametrize("name", ["nothing", "bin.nothing", "gan_codec.bscodec.nothing"])
def test_missing_modules_are_still_missing(site, name):
    run = site.run(f"import importlib.util; print(importlib.util.find_spec('espnet2.{name}'))")
    assert lines(run) == ["None"]


def test_a_folder_without_init_is_no_package_of_ours(site):
    if site.espnet == site.ours:
        pytest.skip("in ESPnet's own folder that is up to Python")
    (site.ours / "espnet2/gan_codec/left_behind").mkdir()
    run = site.run("import espnet2.gan_codec.left_behind")
    assert "No module named 'espnet2.gan_codec.left_behind'" in run.stderr


def test_a_second_install_changes_nothing(site):
    code = """\
import espnet_bscodec_plugin
before = list(sys.meta_path)
espnet_bscodec_plugin.install()
print(sys.meta_path == before)
"""
    assert lines(site.run(code)) == ["True"]


def test_the_task_gets_our_trainer(site):
    assert lines(site.run(TRAINER)) == ["CodecTrainer"]
    again = "import espnet2.tasks.gan_codec as task, importlib; importlib.reload(task)\n"
    assert lines(site.run(TRAINER + again + TRAINER)) == ["CodecTrainer", "CodecTrainer"]


def test_a_task_with_another_trainer_keeps_it(site):
    with open(site.espnet / "espnet2/tasks/gan_codec.py", "a") as task:
        task.write("\nclass Other: pass\nGANCodecTask.trainer = Other\n")
    table = "soundstream bscodec espnet_bscodec"
    assert lines(site.run(TRAINER + CHOICES)) == ["Other", table]


def test_a_faulty_trainer_leaves_the_stock_one_and_the_codec(site):
    (site.ours / "espnet2/gan_codec/bscodec/training/trainer.py").write_text("raise OSError('no')")
    run = site.run(TRAINER + CHOICES + "print(t.is_secure)\n")
    table = "soundstream bscodec espnet_bscodec"
    assert run.stdout.splitlines() == ["GANTrainer", table, "True"]
    (line,) = run.stderr.splitlines()
    assert line.endswith("trainer with samples and safe checkpoints is not available: OSError: no")


def test_faulty_loading_is_said_and_leaves_the_rest(site):
    (site.ours / "espnet2/gan_codec/bscodec/hub/espnet_task.py").write_text("raise OSError('no')")
    run = site.run(TRAINER)
    assert run.stdout.splitlines() == ["CodecTrainer"]
    assert "safe loading of checkpoints is not available: OSError: no" in run.stderr


ZOO = """\
from espnet_model_zoo.downloader import ModelDownloader
zoo = ModelDownloader()
"""


def test_the_model_zoo_asks_us_only_where_a_codec_is_wanted(site):
    folder = site.espnet / "espnet_model_zoo"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "downloader.py").write_text(
        "class ModelDownloader:\n"
        "    def download_and_unpack(self, name=None, version=-1):\n"
        "        return f'zoo {name} {version}'\n"
    )
    hub = site.ours / "espnet2/gan_codec/bscodec/hub"
    (hub / "model_zoo.py").write_text("def find_or(usual, tag): return f'ours, not {usual()}'")
    ask = "print(zoo.download_and_unpack('a/b', 3))\nimport espnet2.tasks.gan_codec\n"
    ask += "print(zoo.download_and_unpack('a/b', 3), zoo.download_and_unpack(), sep='\\n')"
    assert lines(site.run(ZOO + ask)) == ["zoo a/b 3", "ours, not zoo a/b 3", "zoo None -1"]
    (hub / "model_zoo.py").write_text("raise OSError('no')")
    run = site.run(ZOO + ask)
    assert run.stdout.splitlines() == ["zoo a/b 3", "zoo a/b 3", "zoo None -1"]
    assert "finding BSCodec models by their tags is not available: OSError: no" in run.stderr


def test_a_hook_of_the_same_kind_is_no_trouble(site):
    code = """\
class Other:
    asked = 0
    def find_spec(self, name, path=None, target=None):
        if name == "espnet2.tasks.gan_codec":
            Other.asked += 1
            for finder in sys.meta_path:
                spec = None if finder is self else finder.find_spec(name, path, target)
                if spec is not None:
                    return spec
sys.meta_path.insert({place}, Other())
""" + CHOICES.replace("{", "{{")
    for place in (0, 1):
        assert lines(site.run(code.format(place=place))) == ["soundstream bscodec espnet_bscodec"]


def test_threads_may_race_for_the_task(site):
    code = """\
import threading
seen = []
def load():
    from espnet2.tasks.gan_codec import codec_choices
    seen.append(tuple(codec_choices.classes))
threads = [threading.Thread(target=load) for _ in range(8)]
[t.start() for t in threads]; [t.join() for t in threads]
print(len(seen), *set(seen))
"""
    assert lines(site.run(code)) == ["8 ('soundstream', 'bscodec', 'espnet_bscodec')"]


def test_a_codec_of_espnets_own_keeps_the_name(site):
    with open(site.espnet / "espnet2/tasks/gan_codec.py", "a") as task:
        task.write("\n    classes['bscodec'] = int\n")
    run = site.run(
        CHOICES + OURS + "print(*map(codec_choices.classes.get, ['bscodec', 'espnet_bscodec']))"
    )
    assert run.returncode == 0
    table, classes = run.stdout.splitlines()
    assert table == "soundstream bscodec espnet_bscodec"
    assert classes == "<class 'int'> <class 'espnet2.gan_codec.bscodec.bscodec.BSCodec'>"
    (line,) = run.stderr.splitlines()
    assert (
        line
        == "espnet-bscodec: this ESPnet brings its own codec 'bscodec'; ours is 'espnet_bscodec'"
    )


def test_a_package_of_espnets_own_is_left_alone(site):
    if site.espnet == site.ours:
        pytest.skip("one folder cannot hold two packages of one name")
    package = site.espnet / "espnet2/gan_codec/bscodec"
    package.mkdir()
    (package / "__init__.py").write_text("")
    run = site.run(
        CHOICES + "import importlib.util\n"
        "print(importlib.util.find_spec('espnet2.gan_codec.bscodec.bscodec'))"
    )
    assert (run.returncode, run.stdout.splitlines()) == (0, ["soundstream", "None"])
    (line,) = run.stderr.splitlines()
    assert "brings its own espnet2.gan_codec.bscodec" in line and str(package) in line


@pytest.mark.parametrize(
    "fault, reason",
    [
        ("import no_such_module", "ModuleNotFoundError: No module named 'no_such_module'"),
        ("raise RuntimeError('two\\n  lines')", "RuntimeError: two lines"),
        ("from . import nothing", "ImportError: cannot import name 'nothing' from"),
        ("(", "SyntaxError: '(' was never closed (bscodec.py, line 1)"),
    ],
)
def test_a_fault_of_ours_leaves_espnet_as_stock(site, fault, reason):
    (site.ours / "espnet2/gan_codec/bscodec/bscodec.py").write_text(fault)
    run = site.run(CHOICES)
    assert (run.returncode, run.stdout) == (0, "soundstream\n")
    (line,) = run.stderr.splitlines()
    assert line.startswith(f"espnet-bscodec: the codec 'bscodec' is not available: {reason}")


def test_the_warning_leaves_logging_to_espnet(site):
    (site.ours / "espnet2/gan_codec/bscodec/bscodec.py").unlink()
    run = site.run(CHOICES + "import logging; print(logging.getLogger().handlers)")
    assert run.stdout.splitlines()[-1] == "[]"


def test_faults_of_espnet_are_passed_on_as_they_are(site):
    (site.espnet / "espnet2/tasks/gan_codec.py").write_text("raise OSError('stock fault')")
    run = site.run(CHOICES)
    assert run.returncode == 1
    assert run.stderr.splitlines()[-1] == "OSError: stock fault"
    assert "espnet-bscodec" not in run.stderr


def test_start_up_loads_nothing_else(site):
    names = "print(*sorted(sys.modules))"
    (with_hook,) = lines(site.run(names))
    (site.folder / "espnet_bscodec.pth").unlink()
    (without,) = lines(site.run(names))
    assert set(with_hook.split()) - set(without.split()) == {"espnet_bscodec_plugin"}


def test_python_without_espnet_is_as_before(site):
    for folder in {site.espnet, site.ours}:
        shutil.rmtree(folder / "espnet2")
    code = """\
import json
try:
    import espnet2.tasks.gan_codec
except ModuleNotFoundError as error:
    print(error)
"""
    assert lines(site.run(code)) == ["No module named 'espnet2'"]


@pytest.mark.parametrize("fault", ["raise ImportError('broken')", "(", "", "\0", None])
def test_start_up_never_fails_or_prints(site, fault):
    plugin = site.folder / "espnet_bscodec_plugin.py"
    plugin.unlink() if fault is None else plugin.write_text(fault)
    assert lines(site.run("print('up')")) == ["up"]
    assert lines(site.run(CHOICES)) == ["soundstream"]


def test_a_checkout_that_has_gone_is_reported_by_name(site):
    if site.espnet == site.ours:
        pytest.skip("our code lies in ESPnet's own folder")
    shutil.rmtree(site.ours / "espnet2")
    assert lines(site.run("print('up')")) == ["up"]
    run = site.run(CHOICES)
    assert run.stdout == "soundstream\n"
    assert "No module named 'espnet2.gan_codec.bscodec'" in run.stderr


NLTK = "def download(*names): print('download', *names)"
G2P = """\
import nltk
nltk.download("cmudict")
class G2p:
    def __init__(self, name): print("made", name)
"""


@pytest.fixture
def with_g2p(site):
    """`site`, where text-to-speech is there too, which downloads data on import."""
    for name, text in {
        "nltk": NLTK,
        "g2p_en/__init__": "from .g2p import G2p",
        "g2p_en/g2p": G2P,
    }.items():
        path = site.folder / f"{name}.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    return site


def test_text_to_speech_is_stock(with_g2p):
    code = "from g2p_en import G2p; print('imported'); G2p('a')"
    assert lines(with_g2p.run(code)) == ["download cmudict", "imported", "made a"]


@pytest.mark.parametrize("first", ["espnet2.tasks.gan_codec", "espnet2.gan_codec.bscodec"])
def test_a_codec_downloads_nothing_for_text_to_speech(with_g2p, first):
    code = f"import {first}; from g2p_en import G2p; print('imported')\n"
    assert lines(with_g2p.run(code)) == ["imported"]
    code += "G2p('a'); G2p(name='b')\nimport nltk; nltk.download('other')"
    after = ["imported", "download cmudict", "made a", "made b", "download other"]
    assert lines(with_g2p.run(code)) == after


def test_g2p_as_part_of_a_task_downloads_nothing(with_g2p):
    task = with_g2p.espnet / "espnet2/tasks/gan_codec.py"
    task.write_text("import g2p_en\n" + task.read_text())
    assert lines(with_g2p.run(CHOICES)) == ["soundstream bscodec espnet_bscodec"]
    fault = with_g2p.folder / "g2p_en/g2p.py"
    fault.write_text("raise OSError('theirs')")
    assert with_g2p.run(CHOICES).stderr.splitlines()[-1] == "OSError: theirs"
