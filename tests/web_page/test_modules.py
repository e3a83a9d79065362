"""The page's own modules in Node, against the package's."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
import soxr

from espnet2.gan_codec.bscodec.format.audio import resampled_length, write_audio
from espnet2.gan_codec.bscodec.format.bitstream import BitstreamError, EncodedAudio

READ_AND_WRITE = """
import fs from "node:fs";
import { packBsc, unpackBsc } from "SRC/bitstream.js";
const results = process.argv.slice(1).map((path) => {
  try {
    const { header, codes } = unpackBsc(new Uint8Array(fs.readFileSync(path)));
    fs.writeFileSync(path, packBsc(header, codes));
    return { header, codes: codes.map((row) => [...row]) };
  } catch (error) {
    return { error: error.message, kind: error.constructor.name };
  }
});
console.log(JSON.stringify(results));
"""


def encoded(seed: int, num_samples: int, **fields) -> EncodedAudio:
    """Random codes below a header with these fields."""
    values = {
        "sampling_rate": 24000,
        "hop_length": 400,
        "bands": ((0, 120), (120, 2400), (2400, 12000)),
        "codebook_sizes": (8192, 8192, 4096),
        "model": "bscodec-mini",
        "fingerprint": "7ef844bd",
        **fields,
    }
    generator = np.random.default_rng(seed)
    frames = -(-num_samples // values["hop_length"])
    rows = [generator.integers(0, size, frames) for size in values["codebook_sizes"]]
    codes = np.stack(rows)
    channels = values.get("num_channels", 1)
    if channels > 1:
        codes = np.stack([np.roll(codes, shift, axis=1) for shift in range(channels)])
    return EncodedAudio(num_samples=num_samples, codes=codes, **values)


FILES = {
    "one frame": encoded(0, 1),
    "three blocks": encoded(1, 24000 * 25 + 7),
    "resampled": encoded(2, 24000, original_rate=44100, original_samples=44100),
    "channels": encoded(3, 30000, num_channels=3),
    "spelled out": encoded(
        *(4, 22050),
        sampling_rate=22050,
        hop_length=256,
        model="grün",
        bands=((0, 1000.5), (1000.5, 11025)),
        codebook_sizes=(1000, 131072),
    ),
    "stages": encoded(
        5, 5000, bands=((0, 12000), (0, 12000), (0, 12000)), codebook_sizes=(1024,) * 3
    ),
    "large codebook": encoded(6, 900, bands=((0, 12000),), codebook_sizes=(2**32,)),
}


def test_bsc_files_are_read_and_written_as_the_package_does(node, tmp_path):
    paths = []
    for name, file in FILES.items():
        paths.append(tmp_path / f"{name}.bsc")
        paths[-1].write_bytes(file.dumps())
    results = json.loads(node(READ_AND_WRITE, *paths))
    for path, file, result in zip(paths, FILES.values(), results, strict=True):
        assert "error" not in result, (path.name, result)
        assert path.read_bytes() == file.dumps(), path.name
        assert result["codes"] == file.codes.reshape(-1, file.num_frames).tolist()
        assert result["header"]["numSamples"] == file.num_samples
        assert [tuple(band) for band in result["header"]["bands"]] == list(file.bands)
        assert result["header"]["originalRate"] == file.original_rate


def test_damaged_bsc_files_are_refused_where_the_package_refuses_them(node, tmp_path):
    """Every byte of a small file changed, the file cut at every byte, and bytes put behind it."""
    good = encoded(7, 2000).dumps()
    damaged = [good[:at] + bytes([good[at] ^ 0x20]) + good[at + 1 :] for at in range(len(good))]
    damaged += [good[:at] for at in range(len(good))] + [good + b"\0", b"RIFF", good[:3] + b"\4"]
    paths, expected = [], []
    for number, data in enumerate(damaged):
        paths.append(tmp_path / f"{number}.bsc")
        paths[-1].write_bytes(data)
        with pytest.raises(BitstreamError) as caught:
            EncodedAudio.load(paths[-1])
        expected.append(str(caught.value).removeprefix(f"{paths[-1]}: "))
    results = json.loads(node(READ_AND_WRITE, *paths))
    for data, line, result in zip(damaged, expected, results, strict=True):
        assert result["kind"] == "BitstreamError", (data, result)
        # the command also says which seconds a damaged block is, and reads a version more
        said = result["error"].partition(": this page")[0]
        assert said.partition(" is damaged")[0].partition(" (")[0] in line


def test_wav_files_have_the_bytes_of_the_command(node, tmp_path):
    samples = np.random.default_rng(0).normal(0, 0.5, 5000).astype(np.float32)
    samples[:8] = [1, -1, 2, -2, 0.5 / 32768, 1.5 / 32768, -0.5 / 32768, -1.5 / 32768]
    (tmp_path / "a.f32").write_bytes(samples.tobytes())
    node(
        """
        import fs from "node:fs";
        import { writeWav } from "SRC/wav.js";
        const [, from, to] = process.argv;
        const samples = new Float32Array(new Uint8Array(fs.readFileSync(from)).buffer);
        fs.writeFileSync(to, writeWav(samples, 24000));
        """,
        tmp_path / "a.f32",
        tmp_path / "a.wav",
    )
    with write_audio(tmp_path / "b.wav", 24000, len(samples)) as writer:
        writer.append(samples)
    assert (tmp_path / "a.wav").read_bytes() == (tmp_path / "b.wav").read_bytes()


# the largest difference to soxr, as a part of the loudest sample; 48 kHz is exact to a float
RATES = {48000: 1e-6, 44100: 2e-3, 32000: 1e-3, 16000: 1e-3, 8000: 1e-3, 96000: 1e-2, 44101: 1e-2}


def test_resampling_is_that_of_soxr(node, tmp_path):
    paths: list[Path] = []
    signals = {}
    for rate in RATES:
        length = rate // 2 + 7
        noise = np.random.default_rng(rate).normal(0, 0.2, length)
        signals[rate] = (noise * np.hanning(length)).astype(np.float32)
        paths.append(tmp_path / f"{rate}.f32")
        paths[-1].write_bytes(signals[rate].tobytes())
    node(
        """
        import fs from "node:fs";
        import { resample } from "SRC/resample.js";
        for (const path of process.argv.slice(1)) {
          const samples = new Float32Array(new Uint8Array(fs.readFileSync(path)).buffer);
          const rate = Number(path.match(/([0-9]+)[.]f32$/)[1]);
          fs.writeFileSync(path, resample(samples, rate, 24000));
        }
        """,
        *paths,
    )
    for path, (rate, tolerance) in zip(paths, RATES.items(), strict=True):
        ours = np.frombuffer(path.read_bytes(), np.float32)
        theirs = soxr.resample(signals[rate], rate, 24000, quality="HQ")
        assert len(ours) == resampled_length(len(signals[rate]), rate, 24000)
        shared = min(len(ours), len(theirs))
        error = np.abs(ours[:shared] - theirs[:shared]).max() / np.abs(theirs).max()
        assert error < tolerance, (rate, error)


def test_the_rate_of_a_compressed_file_is_seen(node, tmp_path):
    sound = np.random.default_rng(1).normal(0, 0.1, 44100)
    kinds = {"flac": "PCM_24", "ogg": "VORBIS", "mp3": None, "opus": "OPUS"}
    paths = [tmp_path / f"a.{suffix}" for suffix in kinds]
    for path, kind in zip(paths, kinds.values(), strict=True):
        rate = 48000 if kind == "OPUS" else 22050
        form = "OGG" if path.suffix == ".opus" else None
        soundfile.write(path, sound, rate, kind, format=form)
    results = node(
        """
        import fs from "node:fs";
        import { look } from "SRC/browser_decode.js";
        const read = (path) => look(new Uint8Array(fs.readFileSync(path)));
        console.log(JSON.stringify(process.argv.slice(1).map(read)));
        """,
        *paths,
    )
    assert json.loads(results) == [
        {"rate": 22050, "numSamples": 44100, "bits": 24},
        {"rate": 22050},
        {"rate": 22050},
        {"rate": 48000},
    ]
