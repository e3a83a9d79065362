"""The training step: the same losses and gradients as published, in less time and memory.

``seanet`` runs SEANet with ``snake``'s own backward, ``adversary`` and ``turns`` let both turns
share the passes of discriminator and generator, ``objectives`` has the terms of the loss.
"""
