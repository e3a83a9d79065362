"""BSCodec, a band-split neural audio codec for speech, sound and music."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from espnet2.gan_codec.bscodec.versions import say_if_newer

if TYPE_CHECKING:
    from espnet2.gan_codec.bscodec.bscodec import BSCodec
    from espnet2.gan_codec.bscodec.codec import Codec

__all__ = ["BSCodec", "Codec"]

_HOMES = {
    "BSCodec": "espnet2.gan_codec.bscodec.bscodec",
    "Codec": "espnet2.gan_codec.bscodec.codec",
}

say_if_newer()


def __getattr__(name: str) -> Any:
    """Import on first use, so that reading a file's header does not cost an import of torch."""
    if name in _HOMES:
        import importlib

        return getattr(importlib.import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
