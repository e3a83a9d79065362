"""Draw the figures of docs/how_it_works.md from the code: ``make figures``."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from svg import Axes, Picture

from espnet2.gan_codec.bscodec import Codec
from espnet2.gan_codec.bscodec.model.filterbank import MDCTFilterbank, STFTFilterbank
from espnet2.gan_codec.bscodec.model.quantizers.simvq import SimVQ

RATE = 24000
PUBLISHED = ((0, 2000), (2000, 4000), (4000, 12000))


def responses(filterbank: torch.nn.Module, shifts: int = 32) -> np.ndarray:
    """The power that each band passes at each frequency, (bands, 16385), for a click.

    The mean over clicks at ``shifts`` places, since a split by frames depends on where in a frame
    the click is.
    """
    size, total = 1 << 15, 0.0
    for shift in range(shifts):
        click = torch.zeros(1, 1, size)
        click[..., size // 2 + 37 * shift] = 1
        bands = filterbank.waveforms(filterbank.analysis(click))
        waves = torch.cat(bands, dim=1)[0, :, :size]
        total = total + torch.fft.rfft(waves).abs().square()
    return (total / shifts).numpy()


def split(codec: Codec, path: Path) -> None:
    """What each band holds, of the published split and of bscodec-mini's."""
    picture = Picture(720, 420, "Power of each band against frequency, for the two splits")
    published = STFTFilterbank(PUBLISHED, RATE)
    mini = codec.model.generator.filterbank
    assert isinstance(mini, MDCTFilterbank)
    edges = [f"{edge:g}" for _, edge in codec.bands[:-1]]
    for top, title, filterbank in (
        (38, "published: masks on an STFT, edges at 2000 and 4000 Hz", published),
        (240, f"bscodec-mini: ranges of MDCT bins, edges at {', '.join(edges)} Hz", mini),
    ):
        axes = Axes(picture, (58, top, 625, 130), (50, 12000), (-80, 3), log=True)
        name = "Hz" if top > 200 else ""
        axes.ticks((50, 100, 200, 500, 1000, 2000, 4000, 12000), (-80, -60, -40, -20, 0), name, "")
        picture.text(58, top - 12, f"{title} (dB)", "title", "start")
        for i, power in enumerate(responses(filterbank)):
            frequency = np.linspace(0, RATE / 2, len(power))
            # the largest of each of 300 steps of the logarithmic axis
            steps = np.geomspace(50, 12000, 301)
            which = np.searchsorted(frequency, steps)
            level = [
                10 * np.log10(power[a : max(b, a + 1)].max() + 1e-12)
                for a, b in zip(which, which[1:], strict=False)
            ]
            axes.line(zip(steps, level, strict=False), f"c{i}")
    picture.write(path / "split.svg")


def simvq(path: Path) -> None:
    """Latents of two numbers, and SimVQ's codes before and after its map has been trained."""
    torch.manual_seed(2)
    shape = torch.tensor([[1.1, 0.5], [0.2, 0.25]])
    latents = torch.randn(600, 2) @ shape
    quantizer = SimVQ(128, 2, 2).train()
    with torch.no_grad():
        quantizer.code_transform.weight.copy_(torch.tensor([[0.1, 0.4], [-0.4, 0.2]]))
    picture = Picture(720, 300, "Latents and codes of SimVQ before and after training of its map")
    optimizer = torch.optim.Adam(quantizer.parameters(), 0.02)
    x = latents.t()[None]
    for left, steps in ((20, 0), (380, 400)):
        for _ in range(steps):
            _, _, loss = quantizer(x)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        with torch.no_grad():
            quantized, codes, _ = quantizer(x)
            error = (quantized - x).square().sum(1).mean() / x.square().sum(1).mean()
            every = quantizer.decode(torch.arange(128)[None])[0].t()
        used = len(codes.unique())
        axes = Axes(picture, (left, 44, 320, 220), (-3.2, 3.2), (-2.2, 2.2))
        for point in latents[::3].tolist():
            picture.dot(*axes.at(*point), 1.5, "d0")
        for point in every.tolist():
            picture.dot(*axes.at(*point), 2.5, "d2")
        when = f"after {steps} steps of W" if steps else "before training"
        picture.text(left + 160, 24, when, "title")
        share = f"{used} of 128 codes in use, error {10 * np.log10(error):.1f} dB"
        picture.text(left + 160, 284, share, "soft")
    picture.text(700, 44, "latents", "d0", "end")
    picture.text(700, 62, "codes W c", "d2", "end")
    picture.write(path / "simvq.svg")


def streams(codec: Codec, seconds: float = 1.6, chunk: int = 480) -> dict[str, list]:
    """How much audio is coded, and decoded, after each chunk of 20 ms: pairs (in, out) in s."""
    encoder, decoder = codec.stream_encoder(), codec.stream_decoder()
    encoded, decoded = [(0.0, 0.0)], [(0.0, 0.0)]
    audio = torch.randn(1, round(seconds * RATE), generator=torch.Generator().manual_seed(1))
    frames = samples = 0
    for begin in range(0, audio.shape[1], chunk):
        codes = encoder.push(audio[:, begin : begin + chunk] / 10)
        frames += codes.shape[2]
        samples += decoder.push(codes).shape[1]
        now = min(begin + chunk, audio.shape[1]) / RATE
        encoded.append((now, frames * codec.model.hop_length / RATE))
        decoded.append((now, samples / RATE))
    codes = encoder.flush()
    frames += codes.shape[2]
    samples += decoder.push(codes).shape[1]
    samples += decoder.flush(num_samples=audio.shape[1]).shape[1]
    encoded.append((seconds, frames * codec.model.hop_length / RATE))
    decoded.append((seconds, samples / RATE))
    return {"codes": encoded, "audio": decoded}


def steps_of(pairs: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Corners of a staircase."""
    corners = [pairs[0]]
    for (_, before), (x, y) in zip(pairs, pairs[1:], strict=False):
        corners += [(x, before), (x, y)]
    return corners


def streaming(codec: Codec, path: Path) -> None:
    """What a layer keeps between chunks, and when codes and audio of a live signal are out."""
    picture = Picture(720, 430, "Inputs that a layer keeps between chunks; delay of streams")
    picture.text(58, 22, "a convolution over three inputs, in chunks", "title", "start")
    for i in range(12):
        kept = i in (4, 5)
        x = 140 + 34 * i + (14 if i > 5 else 0)
        picture.box(x, 84, 28, 22, "kept" if kept else "box")
        if 0 < i < 11:
            picture.box(x, 44, 28, 22)
            for to in (-1, 0, 1):
                other = 140 + 34 * (i + to) + (14 if i + to > 5 else 0)
                kind = "c2" if i in (5, 6) else "ink faint"
                picture.line([(other + 14, 84), (x + 14, 66)], kind)
    picture.text(120, 60, "outputs", "soft", "end")
    picture.text(120, 100, "inputs", "soft", "end")
    picture.text(240, 126, "chunk 1", "soft")
    picture.text(458, 126, "chunk 2", "soft")
    picture.text(360, 148, "the last two inputs of chunk 1 are kept: the state", "d2")

    axes = Axes(picture, (58, 200, 625, 180), (0, 1.6), (0, 1.6))
    axes.ticks([0, 0.4, 0.8, 1.2, 1.6], [0, 0.4, 0.8, 1.2, 1.6], "s of audio that is in", "")
    picture.text(58, 186, "bscodec-mini, live, in chunks of 20 ms: s of audio that are out",
                 "title", "start")  # fmt: skip
    axes.line([(0, 0), (1.6, 1.6)], "ink dash")
    measured = streams(codec)
    axes.line(steps_of(measured["codes"]), "c0")
    axes.line(steps_of(measured["audio"]), "c2")
    delay = codec.stream_encoder().lookahead / RATE
    both = delay + codec.stream_decoder().lookahead * codec.model.hop_length / RATE
    picture.text(*axes.at(1.02, 0.78), f"codes, {1000 * delay:.0f} ms late", "d0")
    picture.text(*axes.at(1.05, 0.12), f"audio, {1000 * both:.0f} ms late", "d2", "start")
    picture.write(path / "streaming.svg")


def main() -> None:
    """Draw all of them."""
    path = Path(sys.argv[1] if len(sys.argv) > 1 else Path(__file__).parent)
    codec = Codec.from_pretrained("bscodec-mini", "cpu")
    split(codec, path)
    simvq(path)
    streaming(codec, path)


if __name__ == "__main__":
    main()
