"""What the codes of a model need, estimated from codes whose entropy is known."""

import math

import code_entropy
import pytest
import torch

SIZE = 16


@pytest.fixture
def books():
    torch.manual_seed(0)
    return [torch.randn(SIZE, 4), torch.randn(SIZE, 4)]


def test_windows_hold_every_frame_once_with_those_before_it():
    codes = torch.arange(20).view(2, 10)
    windows = code_entropy.windows_of([codes, codes[:, :1]])
    assert windows.shape == (11, 2, code_entropy.PAST + 1)
    assert torch.equal(windows[:10, :, -1].t(), codes)
    assert windows[9, 0].tolist() == [3, 4, 5, 6, 7, 8, 9]
    assert windows[0, 1].tolist() == [10] * 7 == windows[10, 1].tolist()


def test_codes_that_follow_from_others_need_almost_no_bits_and_random_ones_all(books):
    first = torch.randint(SIZE, (4000,))
    codes = torch.stack([first, (3 * first + 1) % SIZE])
    frames, held_out = (code_entropy.windows_of([c]) for c in (codes[:, :3000], codes[:, 3000:]))
    found = []
    for band in range(2):
        model = code_entropy.Predictor(books, band)
        code_entropy.train(model, frames, 250)
        found.append(code_entropy.bits(model, held_out))
    assert found[0] > 0.95 * math.log2(SIZE)  # nothing tells the lower band's
    assert found[1] < 0.5
    by_frequency = code_entropy.frequency_bits(codes[1, :3000], codes[1, 3000:], SIZE)
    assert abs(by_frequency - math.log2(SIZE)) < 0.05
