"""Mel distance: the distance of two utterances' mel spectrograms."""

from espnet2.gan_codec.scoring.metrics.auraloss_metric import AuralossMetric, import_auraloss


class MelDistance(AuralossMetric):
    """``auraloss.freq.MelSTFTLoss`` with its defaults, at 24 kHz.

    Magnitudes |X| of 1024-sample Hann windows, 256 samples apart, in 128 mel bands:
    ``||Y - X||_F / ||Y||_F + mean |ln Y - ln X|`` with Y the reference.

    Source: spectral convergence, Arik et al. 2018 (arXiv 1808.06719); log magnitude and their
    sum, Yamamoto et al. 2020 (arXiv 1910.11480); auraloss, Steinmetz and Reiss 2020.
    """

    name = "mel"

    def __init__(self) -> None:
        super().__init__(import_auraloss().MelSTFTLoss(sample_rate=self.sampling_rate))
