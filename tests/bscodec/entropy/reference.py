"""The arithmetic of docs/bitstream.md once more, in Python's integers, one number at a time."""

import numpy as np

PAST = 6
WORD = 1 << 32


def power(drop):
    """The largest x with x^16 <= 2^(256 - drop)."""
    low, high = 0, 1 << 17
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if middle**16 <= 1 << (256 - drop) else (low, middle)
    return low


POWERS = [power(drop) for drop in range(193)]


class Words:
    """A range decoder."""

    def __init__(self, payload):
        self.words = [int(w) for w in np.frombuffer(payload, "<u4")]
        self.point = 0
        for _ in range(2):
            self.shift()
        self.low, self.range = 0, (1 << 64) - 1

    def shift(self):
        self.point = (self.point * WORD + (self.words.pop(0) if self.words else 0)) % (1 << 64)

    def choose(self, frequencies):
        scale = self.range >> 24
        target = ((self.point - self.low) % (1 << 64)) // scale
        symbol = cumulative = 0
        while target >= cumulative + frequencies[symbol]:
            cumulative += frequencies[symbol]
            symbol += 1
        frequency = frequencies[symbol]
        self.low = (self.low + scale * cumulative) % (1 << 64)
        self.range = scale * frequency
        if self.range < WORD:
            self.low, self.range = self.low * WORD % (1 << 64), self.range * WORD
            self.shift()
        return symbol


def layer(tensors, name, x, shift, which=()):
    weight, bias = tensors[f"{name}.weight"], tensors[f"{name}.bias"]
    for index in which:
        weight, bias = weight[index], bias[index]
    return [
        (sum(int(w) * v for w, v in zip(row, x, strict=True)) + int(b) + (1 << shift - 1)) >> shift
        for row, b in zip(weight, bias, strict=True)
    ]


def clip(values, low):
    return [min(max(v, low), 127) for v in values]


def frequencies(logits):
    powers = [POWERS[min(max(logits) - logit, 192)] for logit in logits]
    scale = ((1 << 24) - len(logits) << 20) // sum(powers)
    found = [1 + (p * scale >> 20) for p in powers]
    found[logits.index(max(logits))] += (1 << 24) - sum(found)
    return found


def decode(tensors, payload, channels, num_bands, num_frames):
    """Codes (channels, bands, frames) of a payload."""
    words = Words(payload)
    bands = [
        {k[2:]: v for k, v in tensors.items() if k.startswith(f"{b}.")} for b in range(num_bands)
    ]
    codes = np.zeros((channels, num_bands, num_frames), dtype=np.int64)

    def vectors(channel, frame, upto):
        found = []
        for b, band in enumerate(bands[:upto]):
            known = band["vectors"][codes[channel, b, frame]] if frame >= 0 else 0
            found += [int(v) for v in known + np.zeros(band["vectors"].shape[1], int)]
        return found

    for frame in range(num_frames):
        for b, band in enumerate(bands):
            queries, groups = [], []
            low_bits = (len(band["vectors"]) - 1).bit_length() // 2
            for channel in range(channels):
                x = [v for i in range(PAST) for v in vectors(channel, frame - PAST + i, b + 1)]
                x += vectors(channel, frame, b)
                hidden = clip(layer(band, "input", x, 9), 0)
                hidden = clip(layer(band, "hidden", hidden, 8), 0)
                queries.append(layer(band, "query", hidden, 8))
                half = len(queries[-1]) // 2
                logits = layer(band, "groups", clip(queries[-1][:half], -127), 6)
                groups.append(words.choose(frequencies(logits)))
            for channel, (query, group) in enumerate(zip(queries, groups, strict=True)):
                offsets = [int(v) for v in band["offsets"][group]]
                query = clip([a + o for a, o in zip(query[half:], offsets, strict=True)], -127)
                place = words.choose(frequencies(layer(band, "codes", query, 6, (group,))))
                slot = (group << low_bits) + place
                codes[channel, b, frame] = list(band["slots"]).index(slot)
    return codes
