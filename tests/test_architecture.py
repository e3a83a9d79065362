"""The rooms of the house: no import circle, no import upwards, no module that nothing uses.

Imports within functions and under TYPE_CHECKING count like any other.
"""

import ast
from pathlib import Path

import pytest

from espnet2.bin.bscodec import COMMANDS
from espnet2.gan_codec.scoring.metrics.catalogue import CATALOGUE
from espnet2.gan_codec.scoring.peers.coding import KINDS

ROOT = Path(__file__).resolve().parent.parent
BSCODEC, SCORING = "espnet2.gan_codec.bscodec", "espnet2.gan_codec.scoring"

# Lowest first. Rooms of one row know nothing of each other.
ROOMS = [
    [f"{BSCODEC}.model", f"{BSCODEC}.format"],
    [f"{BSCODEC}.entropy"],
    [f"{BSCODEC}.inference"],
    [f"{BSCODEC}.training"],
    [f"{BSCODEC}.bscodec"],
    [f"{BSCODEC}.hub"],
    [f"{BSCODEC}.codec"],
    [BSCODEC, f"{BSCODEC}.tokens"],
    [SCORING],
    [f"{BSCODEC}.demo"],
    [f"{BSCODEC}.cli"],
    ["espnet2.bin"],
    ["benchmarks", "fuzz"],
]
# Found by name: by Python, by the plug-in, by tables.
ENTRIES = {
    BSCODEC,
    f"{BSCODEC}.plugin",
    "fuzz.worker",
    f"{BSCODEC}.hub.espnet_task",
    f"{BSCODEC}.hub.model_zoo",
    f"{BSCODEC}.training.trainer",
    "espnet2.bin.bscodec",
    "espnet2.bin.gan_codec_score",
    *(f"{BSCODEC}.cli.{name}" for name in COMMANDS),
    *(f"{SCORING}.metrics.{entry.home.split(':')[0]}" for entry in CATALOGUE.values()),
    *(f"{SCORING}.peers.{home.split(':')[0]}" for home in KINDS.values()),
}


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {
    module_name(path): path
    for folder in ("espnet2", "benchmarks", "fuzz")
    for path in sorted((ROOT / folder).rglob("*.py"))
}


def imports(path):
    """Our modules that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names if alias.name in FILES)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            for alias in node.names:
                submodule = f"{node.module}.{alias.name}"
                if submodule in FILES or node.module in FILES:
                    yield submodule if submodule in FILES else node.module


GRAPH = {name: sorted(set(imports(path)) - {name}) for name, path in FILES.items()}


def room_of(module):
    """The row of ``ROOMS`` and the room that a module is in: the longest name that fits."""
    fitting = [
        (len(room), row, room)
        for row, rooms in enumerate(ROOMS)
        for room in rooms
        if module == room or module.startswith(room + ".")
    ]
    _, row, room = max(fitting)
    return row, room


def find_circle(graph):
    """The modules of one import circle, or an empty list."""
    done = set()

    def visit(module, path):
        if module in path:
            return [*path[path.index(module) :], module]
        if module in done:
            return []
        for other in graph[module]:
            circle = visit(other, [*path, module])
            if circle:
                return circle
        done.add(module)
        return []

    return next(filter(None, (visit(module, []) for module in graph)), [])


def upward_imports(graph):
    """Pairs of modules of which the first imports the second from a room that is not below it."""
    for module, others in graph.items():
        if module == f"{BSCODEC}.plugin":  # stands alone
            continue
        row, room = room_of(module)
        for other in others:
            other_row, other_room = room_of(other)
            if other_room != room and other_row >= row:
                yield f"{module} imports {other}"


def unused(graph):
    """Modules with code that neither another module nor a table names."""
    used = ENTRIES.union(*graph.values())
    for module in graph:
        is_package = FILES[module].name == "__init__.py"
        is_main = module.endswith(".__main__")
        if not (is_package or is_main or module in used or module.startswith("benchmarks.")):
            yield module


def test_there_is_no_import_circle():
    assert find_circle(GRAPH) == []


def test_nothing_is_imported_from_above():
    assert list(upward_imports(GRAPH)) == []


def test_every_module_is_used():
    assert list(unused(GRAPH)) == []


def test_every_entry_is_there():
    assert ENTRIES <= set(FILES)


@pytest.mark.parametrize(
    ("importer", "imported", "find"),
    [
        (f"{BSCODEC}.model.losses", f"{BSCODEC}.model.bscodec", find_circle),
        (f"{BSCODEC}.model.generator", f"{BSCODEC}.inference.backend", upward_imports),
        (f"{BSCODEC}.format.audio", f"{BSCODEC}.model.config", upward_imports),
    ],
)
def test_a_breach_is_seen(importer, imported, find):
    broken = GRAPH | {importer: [*GRAPH[importer], imported]}
    assert list(find(broken))


def test_every_room_says_what_belongs_in_it():
    for name, path in FILES.items():
        if path.name == "__init__.py":
            assert ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))), name
