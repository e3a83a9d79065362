"""Docstrings write names in Sphinx's way, :class:`~a.b.Name`; here they become code."""

import re
from typing import Any

import griffe

_ROLE = re.compile(r":\w+:`~?\.?(?:[\w.]+\.)?(\w+)`")


class SphinxRoles(griffe.Extension):
    """Replace the roles as docstrings are read."""

    def on_object(self, *, obj: griffe.Object, **kwargs: Any) -> None:
        """Called for every module, class, function and attribute."""
        if obj.docstring:
            obj.docstring.value = _ROLE.sub(r"`\1`", obj.docstring.value)
