"""Short utterances: originals, and what two make-believe codecs have made of them."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 24000
COUNT = 12  # utterances on the page of scores


def voice(seconds: float, seed: int = 0) -> np.ndarray:
    """Harmonics whose level comes and goes like syllables: (T,) float32."""
    time = np.arange(int(seconds * RATE)) / RATE
    rng = np.random.default_rng(seed)
    pitch = 2 * np.pi * np.cumsum(130 + 20 * np.sin(2 * np.pi * 0.7 * time + seed)) / RATE
    tone = sum(np.sin(k * pitch) / k for k in range(1, 30))
    syllables = np.clip(np.sin(2 * np.pi * 3 * time + seed), 0, None)
    audio = 0.2 * tone * syllables + 1e-3 * rng.standard_normal(len(time))
    return audio.astype(np.float32)


def noisy(audio: np.ndarray, level: float, seed: int = 1) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(len(audio))
    return (audio + level * noise).astype(np.float32)


@pytest.fixture(scope="session")
def utterances(tmp_path_factory) -> Path:
    """Folders ref, good and bad with four WAV files each, two of them speech and two music."""
    root = tmp_path_factory.mktemp("utterances")
    for folder in ("ref", "good", "bad"):
        (root / folder).mkdir()
    for i, name in enumerate(["speech_a", "speech_b", "music_c", "music_d"]):
        audio = voice(1.5 + 0.1 * i, seed=i)
        for folder, level in (("ref", 0.0), ("good", 0.002), ("bad", 0.05)):
            soundfile.write(root / folder / f"{name}.wav", noisy(audio, level, i), RATE)
    return root


@pytest.fixture(scope="session")
def scored(tmp_path_factory):
    """A folder of results: two systems with codes, one of whose names tries to leave the page."""
    from espnet2.bin.gan_codec_score import main

    root = tmp_path_factory.mktemp("scored")
    for folder in ("ref", "one", "two", "codes"):
        (root / folder).mkdir()
    lines = []
    for i in range(COUNT):
        name = f"speech_{i}" if i % 2 else f"music_{i}"
        audio = voice(8.5 if i == 3 else 1.2, seed=i)
        soundfile.write(root / "ref" / f"{name}.wav", audio, RATE)
        for folder, level in (("one", 0.001 * (i + 1)), ("two", 0.05)):
            if (folder, i) != ("two", 5):
                soundfile.write(root / folder / f"{name}.wav", noisy(audio, level), RATE)
        np.save(root / "codes" / f"{name}.npy", np.arange(180).reshape(2, 90) % 30)
        lines.append(f"{name} {root}/codes/{name}.npy\n")
    (root / "codes" / "codec.scp").write_text("".join(lines))
    words = ["--ref", str(root / "ref"), "--outdir", str(root / "out")]
    for name, folder in (("two", "two"), ("<i>one&", "one")):
        words += ["--hyp", f"{name}={root / folder}", "--codes", f"{name}={root}/codes/codec.scp"]
    words += ["--codebook-sizes", "32,1024"]
    assert main([*words, "--metrics", "SI-SDR,mel"]) == 0
    return root / "out"
