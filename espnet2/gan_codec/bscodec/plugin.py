"""How a stock ESPnet comes to know BSCodec.

``codec_choices`` in ``espnet2.tasks.gan_codec`` is a fixed table, so something has to add our row
before ESPnet reads it. A one-line ``.pth`` file, run at every start of Python, calls `install`
below (from a copy of this file that the build lays beside it as ``espnet_bscodec_plugin``).
`install` imports nothing; it leaves two finders behind:

* `_TaskHook`, first in ``sys.meta_path``, waits for that module, lets it load as always and then
  adds our row, puts our trainer, which extends the stock one, in its place, and makes the loading
  of models safe.
  It also keeps g2p_en, which some of ESPnet's tasks import for text-to-speech, from downloading
  data while a codec is worked with (`load_g2p`), and lets ESPnet's model zoo find our models by
  all the names that we have for them (`load_zoo`).
* `_Overlay`, last in ``sys.meta_path``, is asked only for modules that nobody else has. It finds
  our files where they do not lie inside ESPnet's own folder: an editable install of ours, or of
  ESPnet. Being last, it cannot shadow an ESPnet file.

The row is called ``bscodec`` and, always, ``espnet_bscodec`` as well. Should ESPnet one day have a
``bscodec`` of its own, that one keeps the plain name, ours answers to ``espnet_bscodec``, and one
line on stderr says so. Should it even have a package ``espnet2.gan_codec.bscodec``, ours steps
aside altogether (two packages of one name cannot be mixed), with a line too. If our code cannot be
imported, ESPnet goes on as stock, again with one line that says why.

Every start of Python pays for this file, so it imports only what the interpreter has already.
After a change here, install again: the copy that runs is made when the package is built.
"""

import os
import sys

TASK = "espnet2.tasks.gan_codec"
TRAINER = "espnet2.train.gan_trainer"
PACKAGE = "espnet2.gan_codec.bscodec"
G2P = "g2p_en.g2p"
ZOO = "espnet_model_zoo.downloader"
NAME, ALIAS = "bscodec", "espnet_bscodec"


def install(root: str | None = None) -> None:
    """Put the two finders into ``sys.meta_path``; a second call changes nothing.

    ``root`` is the folder that holds our ``espnet2/``: by default the one this file came from.
    """
    # By name, for this file may be loaded twice: as the start-up copy and as part of the package.
    if any(type(finder).__name__ == _TaskHook.__name__ for finder in sys.meta_path):
        return
    if root is None:
        root = os.path.abspath(__file__).rsplit(os.sep, __name__.count(".") + 1)[0]
    sys.meta_path.insert(0, _TaskHook(root))
    sys.meta_path.append(_Overlay(root))
    if TASK in sys.modules:
        register(sys.modules[TASK], root)


def register(task, root: str) -> None:
    """Add BSCodec to ``task.codec_choices``, and our trainer to the task if it has the stock one.

    Never raises; says in one line what did not work. ``task`` is the loaded module
    ``espnet2.tasks.gan_codec``; ``root`` is as in `install`.
    """
    from importlib import import_module

    try:
        folder = os.path.dirname(import_module(PACKAGE).__file__ or "")
        if not os.path.samefile(folder, os.path.join(root, *PACKAGE.split("."))):
            _say(f"this ESPnet brings its own {PACKAGE} ({folder}); ours is not available")
            return
        codec = import_module(PACKAGE + ".bscodec").BSCodec
    except Exception as error:
        _unavailable(f"the codec '{NAME}'", error)
        return
    classes = task.codec_choices.classes
    kept = classes.setdefault(NAME, codec)
    classes[ALIAS] = codec
    if kept is not codec:
        _say(f"this ESPnet brings its own codec '{NAME}'; ours is '{ALIAS}'")
    try:
        if task.GANCodecTask.trainer is import_module(TRAINER).GANTrainer:
            task.GANCodecTask.trainer = import_module(PACKAGE + ".training.trainer").CodecTrainer
    except Exception as error:
        _unavailable("the trainer with samples and safe checkpoints", error)
    try:
        import_module(PACKAGE + ".hub.espnet_task").secure(task.GANCodecTask)
    except Exception as error:
        _unavailable("safe loading of checkpoints", error)


def _unavailable(what: str, error: Exception) -> None:
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    _say(f"{what} is not available: {reason}")


def load_g2p(execute, module) -> None:
    """Run ``module``, g2p_en's, so that what its import would download comes with the first G2p.

    A codec makes none, so its commands neither ask the network nor print nltk's lines.
    """
    import nltk

    later: list[tuple] = []
    download = nltk.download
    nltk.download = lambda *args, **kwargs: later.append((args, kwargs))
    try:
        execute(module)
    finally:
        nltk.download = download
    if later:
        make = module.G2p.__init__

        def make_with_data(self, *args, **kwargs):
            while later:
                names, options = later.pop(0)
                nltk.download(*names, **options)
            make(self, *args, **kwargs)

        module.G2p.__init__ = make_with_data


def load_zoo(execute, module) -> None:
    """Run ``module``, the model zoo's, and have its downloader ask us where a codec is wanted."""
    execute(module)
    stock = module.ModelDownloader.download_and_unpack

    def download_and_unpack(self, name=None, *args, **kwargs):
        def usual():
            return stock(self, name, *args, **kwargs)

        if TASK not in sys.modules or not isinstance(name, str):
            return usual()
        from importlib import import_module

        try:
            ours = import_module(PACKAGE + ".hub.model_zoo").find_or
        except Exception as error:
            _unavailable("finding BSCodec models by their tags", error)
            return usual()
        return ours(usual, name)

    module.ModelDownloader.download_and_unpack = download_and_unpack


def _say(line: str) -> None:
    # A named logger prints the bare line on stderr when the program has set up no logging;
    # logging.warning() would call basicConfig() and so undo ESPnet's own --log_level later.
    from logging import getLogger

    getLogger(ALIAS).warning("espnet-bscodec: %s", line)


class _TaskHook:
    """Finds `TASK`, `ZOO`, and `G2P` where a codec is worked with, by asking all other finders.

    The first is registered once it has run, the others are run by `load_zoo` and `load_g2p`.
    """

    def __init__(self, root: str):
        self.root = root
        self.asking: set[int] = (
            set()
        )  # threads that ask the others now: a hook like this one asks us back

    def find_spec(self, fullname, path=None, target=None):
        if fullname == TASK:
            run = self._run_task
        elif fullname == ZOO:
            run = load_zoo
        elif fullname == G2P and (TASK in sys.modules or PACKAGE in sys.modules):
            run = load_g2p
        else:
            return None
        from threading import get_ident

        thread = get_ident()
        if thread in self.asking:
            return None
        self.asking.add(thread)
        try:
            spec = self._ask_others(fullname, path, target)
        finally:
            self.asking.discard(thread)
        if spec is not None and hasattr(spec.loader, "exec_module"):
            spec.loader = _Loader(spec.loader, run)
        return spec

    def _run_task(self, execute, module):
        execute(module)
        register(module, self.root)

    def _ask_others(self, fullname, path, target):
        for finder in sys.meta_path:
            if finder is not self and hasattr(finder, "find_spec"):
                spec = finder.find_spec(fullname, path, target)
                if spec is not None:
                    return spec
        return None


class _Loader:
    """The module's real loader, whose ``exec_module`` is handed to ``run`` with the module."""

    def __init__(self, loader, run):
        self.loader, self.run = loader, run

    def __getattr__(self, name):
        return getattr(self.loader, name)

    def create_module(self, spec):
        return self.loader.create_module(spec)

    def exec_module(self, module):
        # From here on the module looks as if we had never been there.
        module.__spec__.loader = module.__loader__ = self.loader
        self.run(self.loader.exec_module, module)


class _Overlay:
    """Finds what we add to a folder that ESPnet owns, e.g. ``espnet2.bin.bscodec``.

    Folders of ours have an ``__init__.py`` and bring their contents themselves; those without one
    are ESPnet's, and we add to them.
    """

    def __init__(self, root: str):
        self.root = root

    def find_spec(self, fullname, path=None, target=None):
        if not fullname.startswith("espnet2."):
            return None
        folder = os.path.join(self.root, *fullname.split(".")[:-1])
        if os.path.exists(os.path.join(folder, "__init__.py")):
            return None
        from importlib.machinery import PathFinder

        spec = PathFinder.find_spec(fullname, [folder], target)
        return spec if spec is not None and spec.origin is not None else None
