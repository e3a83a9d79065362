"""The study of tones: its weights load, and do what its README says."""

from pathlib import Path

TONES = Path(__file__).resolve().parents[2] / "egs2/bscodec/codec1/study/tones"


def test_the_weights_of_the_tone_study_load_and_keep_a_tone_in_its_place():
    from espnet2.gan_codec.bscodec import Codec
    from espnet2.gan_codec.scoring.probe.measure import measure
    from espnet2.gan_codec.scoring.probe.signals import battery

    study, packaged = (Codec.from_pretrained(name, "cpu") for name in (str(TONES), "bscodec-mini"))
    assert study.bands == packaged.bands and study.fingerprint != packaged.fingerprint
    probe = next(p for p in battery(24000, {}, (7010.0,)) if p.level == -23)
    found, before = (
        measure(probe, codec.decode(codec.encode(probe.audio, 24000)), 24000)
        for codec in (study, packaged)
    )
    assert found.share > 0.9 > 0.5 > before.share
    assert -20 < found.level_error and before.level_error < -40
