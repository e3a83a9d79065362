"""Templates of the pages, their styles and players: those of this room, and a caller's own."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import jinja2


def load_template(path: Path) -> jinja2.Template:
    """Return the template ``path``; it may include what lies beside it or in this room.

    What it renders is escaped, and a name that it does not get is an error.
    """
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader([path.parent, Path(__file__).parent]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template(path.name)
