"""A corpus as discrete tokens: shards of codes, their index, and the reader.

``manifest`` reads what is to be encoded and plans the shards, ``coding`` turns audio into codes,
``shards`` keeps them on disk, ``workers`` runs the processes, ``index`` joins all shards, and
``reader`` gives the codes back. The layout is described in ``docs/tokens.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from espnet2.gan_codec.bscodec.tokens.reader import Tokens, read_tokens

__all__ = ["Tokens", "read_tokens"]


def __getattr__(name: str) -> Any:
    """Import the reader on first use: writing shards does not need it."""
    if name in __all__:
        from espnet2.gan_codec.bscodec.tokens import reader

        return getattr(reader, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
