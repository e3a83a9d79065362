"""Checks of a configuration's values, which raise :class:`ConfigError` in one line."""

from __future__ import annotations

import reprlib
import sys
from collections.abc import Mapping, Sequence
from typing import Any

MAX_NAMED = 8  # of unknown keys
_REPR = reprlib.Repr()  # of values in messages: shortened
_REPR.maxlist = _REPR.maxtuple = _REPR.maxdict = 16
_REPR.maxstring = _REPR.maxother = 80


class ConfigError(ValueError):
    """A configuration that cannot be built: one line, naming the key and what was expected."""


def require(condition: bool, key: str, expected: str, value: Any) -> None:
    """Raise :class:`ConfigError`, unless ``condition`` holds, that names ``codec_conf.<key>``."""
    if not condition:
        raise ConfigError(f"codec_conf.{key}: expected {expected}, got {_REPR.repr(value)}")


def positive_int(key: str, value: Any) -> None:
    """Raise :class:`ConfigError` unless ``value`` is an integer above 0."""
    ok = isinstance(value, int) and not isinstance(value, bool) and value > 0
    require(ok, key, "a positive integer", value)


def is_number(value: Any) -> bool:
    """Whether ``value`` is a finite number, and no integer beyond all floats."""
    is_real = isinstance(value, (int, float)) and not isinstance(value, bool)
    return is_real and abs(value) <= sys.float_info.max


def number(key: str, value: Any) -> None:
    """Raise :class:`ConfigError` unless ``value`` is a number from 0 on."""
    require(is_number(value) and value >= 0, key, "a number >= 0", value)


def boolean(key: str, value: Any) -> None:
    """Raise :class:`ConfigError` unless ``value`` is true or false."""
    require(isinstance(value, bool), key, "true or false", value)


def choice(key: str, value: Any, choices: Sequence[str | None]) -> None:
    """Raise :class:`ConfigError` unless ``value`` is one of ``choices``."""
    require(value in choices, key, "one of " + ", ".join(c or "null" for c in choices), value)


def mapping(key: str, value: Any) -> None:
    """Raise :class:`ConfigError` unless ``value`` is a mapping."""
    require(isinstance(value, Mapping), key, "a mapping of keyword arguments", value)


def check_keys(key: str, given: Mapping[str, Any], known: Sequence[str]) -> None:
    """Raise :class:`ConfigError` if ``given`` holds a key that is not in ``known``."""
    unknown = sorted(_REPR.repr(name) for name in set(given) - set(known))
    if unknown:
        where = f"codec_conf.{key}" if key else "codec_conf"
        more = f" and {len(unknown) - MAX_NAMED} more" if len(unknown) > MAX_NAMED else ""
        raise ConfigError(
            f"{where}: unknown key {', '.join(unknown[:MAX_NAMED])}{more}; "
            f"known keys are {', '.join(sorted(known))}"
        )
