"""The code predictor's training: what codes need, found from codes whose entropy is known."""

import math

import code_entropy
import numpy as np
import pytest
import torch
from code_networks import BandNetwork, codebook_order

from espnet2.gan_codec.bscodec.entropy.predictor import PAST, Predictor
from espnet2.gan_codec.bscodec.entropy.range_coder import RangeCoder

SIZE = 16


@pytest.fixture
def books():
    torch.manual_seed(0)
    return [torch.randn(SIZE, 4), torch.randn(SIZE, 4), torch.randn(SIZE, 4)]


def test_neighbours_in_the_order_of_a_codebook_are_alike():
    vectors = torch.tensor([[3.0, 0], [0, 0], [2, 0.1], [1, 0.1]])
    order = codebook_order(vectors).tolist()
    assert set(order[:2]) in ({1, 3}, {0, 2}) and sorted(order) == [0, 1, 2, 3]


def test_codes_that_follow_from_others_need_almost_no_bits_and_random_ones_all(books):
    first = torch.randint(SIZE, (4000,))
    # the highest band is none of the business of those below it
    codes = torch.stack([first, (3 * first + 1) % SIZE, torch.randint(SIZE, (4000,))], dim=1)
    codes[:PAST] = codes[2000 : 2000 + PAST] = code_entropy.NO_CODE
    known, held_out = codes[:3000], codes[3000:]
    tensors, found = {}, []
    for band in range(2):
        network = BandNetwork(books[: band + 1])
        code_entropy.train(network, known, 250, 512)
        tensors |= {f"{band}.{name}": value for name, value in network.integers().items()}
        predictor = Predictor(tensors, "0" * 64)
        found.append(code_entropy.integer_bits(predictor, held_out, band))
        assert abs(found[-1] - code_entropy.float_bits(network, held_out)) < 0.05
    assert found[0] > 0.95 * math.log2(SIZE)  # nothing tells the lower band's
    assert found[1] < 0.5
    by_frequency = code_entropy.frequency_bits(known[PAST:2000, 2], held_out[:, 2], SIZE)
    assert abs(by_frequency - math.log2(SIZE)) < 0.1
    block = held_out.T[None, :2].numpy()
    payload = RangeCoder(predictor).encode(block)
    assert np.isclose(8 * len(payload) / 1000, sum(found), rtol=0.02)
