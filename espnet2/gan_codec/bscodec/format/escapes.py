"""Text of unknown origin, such as the name of a file, made fit for a terminal."""

import json
import unicodedata

# Control and format characters (colours, cursor moves, right-to-left overrides), halves of
# characters, line and paragraph separators.
_UNSAFE = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"  # format characters that spelling needs


def _is_unsafe(character: str) -> bool:
    return unicodedata.category(character) in _UNSAFE and character not in _JOINERS


def escaped(text: str) -> str:
    """Return ``text`` in one line, with what could act on a terminal written as Python does.

    A line break becomes ``\\n``, an escape character ``\\x1b``; letters of all scripts stay.
    """
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        character.encode("unicode_escape").decode() if _is_unsafe(character) else character
        for character in text
    )


def escaped_json(text: str) -> str:
    """Return JSON of the same meaning, with what could act on a terminal as ``\\uXXXX``."""
    return "".join(
        json.dumps(character)[1:-1] if _is_unsafe(character) else character for character in text
    )
