"""What the first of the two steps over a batch leaves to the second."""

from __future__ import annotations

import dataclasses

import torch

from espnet2.gan_codec.bscodec.model.generator import GeneratorOutput
from espnet2.gan_codec.bscodec.training.shared_discriminator import DiscriminatorOutputs


def is_same_batch(source: torch.Tensor, version: int, audio: torch.Tensor) -> bool:
    """Whether ``audio`` is what ``source``, which is still held, was at that version of it."""
    same = source.data_ptr() == audio.data_ptr() and source.shape == audio.shape
    return same and version == audio._version


@dataclasses.dataclass
class StepCache:
    """The generator's output for a batch, and perhaps the discriminator's passes over it.

    Attributes:
        source: the batch's audio, and ``version`` of its contents.
        output: the generator's output.
        has_graph: the generator step may still go backward through it.
        discriminator: its outputs for the batch, which its own step can use.
    """

    source: torch.Tensor
    version: int
    output: GeneratorOutput
    has_graph: bool
    discriminator: DiscriminatorOutputs | None = None

    @classmethod
    def of_discriminator(cls, audio: torch.Tensor, output: GeneratorOutput) -> StepCache:
        """Leave the output with its graph, for the generator step to go backward through."""
        return cls(audio, audio._version, output, has_graph=True)

    @classmethod
    def of_generator(cls, audio: torch.Tensor, output: GeneratorOutput) -> StepCache:
        """Leave the output without its graph, which the generator's own backward uses up."""
        kept = GeneratorOutput(
            audio=output.audio.detach(),
            bands=None,
            bands_hat=None,
            quantizer_loss=output.quantizer_loss.detach(),
            codes=output.codes,
        )
        return cls(audio, audio._version, kept, has_graph=False)

    def is_of(self, audio: torch.Tensor) -> bool:
        """Whether ``audio`` is the batch that this step was of, unchanged since."""
        return is_same_batch(self.source, self.version, audio)
