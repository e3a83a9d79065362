"""The page of a scoring run: ``plots`` lays numbers out, ``examples`` picks clips to listen to,
``page`` puts it together. ``original_decoded`` and ``templates`` serve the demonstration too.
"""

from espnet2.gan_codec.scoring.report.page import build_report

__all__ = ["build_report"]
