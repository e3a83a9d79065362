"""How a model is trained: trainer, GAN step, fused operations, augmentation, checkpoints, samples.

``gan_step`` is what the model calls; ``trainer`` is ESPnet's with samples and atomic checkpoints.
"""
