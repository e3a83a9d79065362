"""The training step: the same losses and gradients as published, in less time and memory.

``seanet`` runs SEANet with ``snake``'s own backward, ``adversary`` lets both turns share the
discriminator's passes.
"""
