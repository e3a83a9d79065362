"""A small corpus to tokenize, and looks at what became of it."""

from pathlib import Path

import soundfile

from ..experiments import tree, write_audio

RATES = (24000, 16000, 24000, 44100, 24000)
LENGTHS = (5000, 1, 12000, 9999, 700, 24000, 320, 5000, 3001, 48000, 77)


def write_corpus():
    """Write files of all kinds and lengths, one sample included, and their list, wav.scp."""
    lines = []
    for i, samples in enumerate(LENGTHS):
        channels = 2 if i % 4 else None
        write_audio(f"in/utt{i}.wav", samples, RATES[i % len(RATES)], channels)
        lines.append(f"utt{i} in/utt{i}.wav\n")
    Path("wav.scp").write_text("".join(lines))


def contents(folder):
    """Bytes of all files below ``folder``, by name."""
    return {name: Path(folder, name).read_bytes() for name in tree(folder)}


def audio(name):
    """Samples and rate of an utterance."""
    return soundfile.read(f"in/{name}.wav", dtype="float32")
