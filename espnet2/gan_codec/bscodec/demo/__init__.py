"""The demonstration: clips are coded and decoded, scored, and laid out on one page.

``clips`` finds the audio, ``run`` codes and scores it, ``results`` makes rows and tables of that,
and ``report`` writes the page.
"""
