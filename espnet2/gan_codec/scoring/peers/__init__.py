"""Other codecs, put through the same utterances in the same run: one module a codec.

``peer`` says what a peer is, ``opus``, ``encodec`` and ``dac`` are those that there are,
``bscodec`` puts this project's own codec among them, and ``coding`` puts all utterances through.
"""

from espnet2.gan_codec.scoring.peers.coding import code_all

__all__ = ["code_all"]
