"""Keeping in float32 what loses too much in half precision, whatever autocast the trainer sets."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch


def in_float32(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return ``function`` with autocast off, and with float32 for its half-precision tensors.

    Spectrograms, logarithms and distances to a codebook have a range or a resolution that
    float16 and bfloat16 do not.  Without autocast nothing changes.
    """

    @functools.wraps(function)
    def run(*args: Any, **kwargs: Any) -> Any:
        device = next((t.device.type for t in _tensors(args)), "cpu")
        if not torch.is_autocast_enabled(device):
            return function(*args, **kwargs)
        with torch.autocast(device, enabled=False):
            return function(*_to_float32(args), **_to_float32(kwargs))

    return run


def _tensors(value: Any):
    if isinstance(value, torch.Tensor):
        yield value
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _tensors(item)


def _to_float32(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.float() if value.dtype in (torch.float16, torch.bfloat16) else value
    if isinstance(value, dict):
        return {key: _to_float32(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_to_float32(item) for item in value)
    return value
