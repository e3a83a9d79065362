"""Entropy coding of codes: integer networks that predict them, and a range coder."""
