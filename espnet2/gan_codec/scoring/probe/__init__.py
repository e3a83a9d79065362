"""Probe signals through a codec: what becomes of tones, sweeps, clicks, noise and levels.

``signals`` makes them, ``measure`` compares what comes back, ``report`` writes table and picture.
"""
