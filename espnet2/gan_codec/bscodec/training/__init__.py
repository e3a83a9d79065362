"""The training step: the same losses and gradients as published, in less time and memory.

``seanet`` runs SEANet with ``snake``'s own backward, and ``adversary`` lets the two turns share the
discriminator's passes.
"""
