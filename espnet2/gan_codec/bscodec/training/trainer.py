"""ESPnet's GAN trainer, with samples of the codec and with checkpoints that survive a kill.

The plug-in makes it the trainer of ESPnet's codec task, for all of its codecs. It trains as the
stock one does.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch

from espnet2.gan_codec.bscodec.training.checkpoints import atomic_checkpoints
from espnet2.gan_codec.bscodec.training.prefetch import PrefetchIterFactory
from espnet2.gan_codec.bscodec.training.samples import is_due, make_sample, publish
from espnet2.iterators.abs_iter_factory import AbsIterFactory
from espnet2.iterators.sequence_iter_factory import SequenceIterFactory
from espnet2.torch_utils.device_funcs import to_device
from espnet2.train.distributed_utils import DistributedOption
from espnet2.train.gan_trainer import GANTrainer
from espnet2.train.reporter import SubReporter


class CodecTrainer(GANTrainer):
    """``GANTrainer`` for models whose audio can be coded and decoded.

    In place of attention plots, which codecs do not have, ``--num_att_plot`` validation
    utterances are coded and decoded: see :mod:`espnet2.gan_codec.bscodec.training.samples`.
    """

    @classmethod
    def run(
        cls,
        *,
        train_iter_factory: AbsIterFactory,
        valid_iter_factory: AbsIterFactory,
        plot_attention_iter_factory: AbsIterFactory | None,
        trainer_options: Any,
        distributed_option: DistributedOption,
        **arguments: Any,
    ) -> None:
        """Train; the arguments are those of ESPnet's ``Trainer.run``.

        Raises:
            ValueError: a ``skip_discriminator_prob`` that ESPnet cannot follow on several ranks.
        """
        if distributed_option.distributed:
            check_skipping(trainer_options.skip_discriminator_prob, trainer_options.ngpu)
        if plot_attention_iter_factory is not None:
            plot_attention_iter_factory = whole_utterances(
                valid_iter_factory, plot_attention_iter_factory
            )
        if trainer_options.ngpu > 0:
            train_iter_factory = PrefetchIterFactory(train_iter_factory)
        with atomic_checkpoints():
            super().run(
                train_iter_factory=train_iter_factory,
                valid_iter_factory=valid_iter_factory,
                plot_attention_iter_factory=plot_attention_iter_factory,
                trainer_options=trainer_options,
                distributed_option=distributed_option,
                **arguments,
            )

    @classmethod
    def plot_attention(
        cls,
        model: torch.nn.Module,
        output_dir: Path | None,
        summary_writer: Any | None,
        iterator: Iterable[tuple[list[str], dict[str, torch.Tensor]]],
        reporter: SubReporter,
        options: Any,
    ) -> None:
        """Publish samples of this epoch; what goes wrong is a warning and does not end training.

        ESPnet calls it on rank 0 alone, after every epoch's validation.
        """
        epoch = reporter.get_epoch()
        if options.no_forward_run or not is_due(epoch, options.max_epoch):
            return
        folder = Path(options.output_dir) / "images" / "samples"
        model.eval()
        try:
            for names, batch in iterator:
                batch = to_device(batch, "cuda" if options.ngpu > 0 else "cpu")
                lengths = batch["audio_lengths"].tolist()
                for name, audio, length in zip(names, batch["audio"], lengths, strict=True):
                    sample = make_sample(model, name, audio[:length])
                    publish(sample, epoch, folder, summary_writer)
        except Exception as error:
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            logging.warning(f"no samples of epoch {epoch}: {reason}")


def check_skipping(probability: float, ngpu: int) -> None:
    """Refuse what breaks ESPnet 202511's skipping of discriminator steps on several ranks.

    Each rank draws a number of its own, so that some would skip a step in which others wait for
    them; and what they exchange is on a GPU, so that ranks without one stop.

    Raises:
        ValueError: in one line.
    """
    key = f"skip_discriminator_prob: {probability:g}"
    if 0 < probability < 1:
        raise ValueError(f"{key}: expected 0 or 1 when several processes train together")
    if probability > 0 and ngpu == 0:
        raise ValueError(f"{key}: expected 0 when several processes train on CPUs")


def whole_utterances(valid: AbsIterFactory, plot: AbsIterFactory) -> AbsIterFactory:
    """Return a factory of as many utterances as ``plot`` has, spread over those of ``valid``.

    ESPnet's own takes the first ones, which in a sorted list are likely to be from one source, and
    cuts them into chunks if training does. Factories of another kind than expected are left as
    they are.
    """
    # the chunk iterator wraps a sequence iterator
    valid = getattr(valid, "per_sample_iter_factory", valid)
    plot = getattr(plot, "per_sample_iter_factory", plot)
    if not (isinstance(valid, SequenceIterFactory) and isinstance(plot, SequenceIterFactory)):
        return plot
    names = [name for batch in valid.sampler for name in batch]
    count = min(len(plot.sampler), len(names))
    chosen = [names[(2 * i + 1) * len(names) // (2 * count)] for i in range(count)]
    return SequenceIterFactory(
        valid.dataset, [[name] for name in chosen], collate_fn=valid.collate_fn
    )
