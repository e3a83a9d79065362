"""A model whose weights are finite but huge: what it decodes to is refused if it is no audio."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ..experiments import (
    make_noise,
    rewrite,
    tree,
    write_audio,
    write_experiment,
)


@pytest.fixture
def wild(workplace):
    """A model that encodes as ever, and whose decoders overflow."""

    def enlarge(weights):
        return {
            name: torch.full_like(value, 1e30) if ".decoders." in name else value
            for name, value in weights.items()
        }

    write_experiment(Path("exp/wild"))
    rewrite(Path("exp/wild"), enlarge)
    write_audio("a.wav")
    return "exp/wild"


@pytest.mark.parametrize("options", ["", "--float", "--float --rate 16000"])
def test_samples_that_are_not_finite_are_one_line(bscodec, wild, options):
    assert bscodec(f"encode a.wav --model {wild}").status == 0
    before = tree()
    result = bscodec(f"decode a.bsc -o b.wav --model {wild} {options}")
    assert result.status == 1
    assert result.errors == ["bscodec: error: b.wav: decoded sample at 0.000 s is NaN or infinite"]
    assert tree() == before


def test_the_codec_gives_none_either(wild):
    from espnet2.gan_codec.bscodec import Codec
    from espnet2.gan_codec.bscodec.format.signals import CodecError

    codec = Codec.from_pretrained(wild, "cpu")
    encoded = codec.encode(make_noise(), 24000)
    with pytest.raises(CodecError, match="^decoded audio holds NaN or infinite samples$"):
        codec.decode(encoded)


def test_a_block_says_where_it_is_not_finite(tmp_path):
    from espnet2.gan_codec.bscodec.format.audio import AudioError, write_audio

    for shape in ((2400,), (2400, 2)):
        bad = np.zeros(shape, dtype=np.float32)
        bad[1200] = np.inf
        with (
            pytest.raises(AudioError, match=r"a.wav: decoded sample at 0.150 s is NaN"),
            write_audio(tmp_path / "a.wav", 24000, 4800, True, bad[0].size) as writer,
        ):
            writer.append(np.zeros(shape, dtype=np.float32))
            writer.append(bad)
        assert list(tmp_path.iterdir()) == []
