"""BSCodec under the name that users and configs know."""

from espnet2.gan_codec.bscodec.model.bscodec import BSCodec

__all__ = ["BSCodec"]
