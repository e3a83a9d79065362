"""Inference: fast forms of the networks, and streams that code any length in bounded memory.

``coder`` has the two streams that users see; ``stream`` says what all streams have in common.
"""
