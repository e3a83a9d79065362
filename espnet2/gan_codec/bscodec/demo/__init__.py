"""The demonstration: clips are coded and decoded, scored, and laid out on one page.

``clips`` finds the recordings, ``run`` codes and scores them, ``results`` makes rows and tables of
that, ``pictures`` draws, and ``report`` writes the page.
"""
