"""What is trained: the codec as ESPnet's model, its networks, quantizers, losses and config."""
