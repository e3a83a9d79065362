"""The page of a scoring run: ``plots`` lays numbers out, ``examples`` picks what is to be heard,
``page`` puts it together. Styles, players and pictures of audio are those of the demonstration.
"""

from espnet2.gan_codec.scoring.report.page import build_report

__all__ = ["build_report"]
