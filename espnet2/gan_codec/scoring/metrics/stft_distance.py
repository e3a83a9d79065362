"""STFT distance: the distance of two utterances' spectrograms."""

from espnet2.gan_codec.scoring.metrics.auraloss_metric import AuralossMetric, import_auraloss


class STFTDistance(AuralossMetric):
    """``auraloss.freq.STFTLoss`` with its defaults, at 24 kHz.

    Magnitudes |X| of 1024-sample Hann windows, 256 samples apart:
    ``||Y - X||_F / ||Y||_F + mean |ln Y - ln X|`` with Y the reference. One resolution; the mean
    over three of ``MultiResolutionSTFTLoss`` lies up to 4 % lower on audio coded by Opus.

    Source: as for :class:`~espnet2.gan_codec.scoring.metrics.mel_distance.MelDistance`.
    """

    name = "STFT"

    def __init__(self) -> None:
        super().__init__(import_auraloss().STFTLoss())
