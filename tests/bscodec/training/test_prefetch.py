"""Batches from a thread are the factory's, in order; its errors are the training's."""

import threading

import pytest
import torch

from espnet2.gan_codec.bscodec.training.prefetch import PrefetchIterFactory


class Factory:
    def __init__(self, make):
        self.build_iter = make


def numbered(epoch, shuffle=None):
    for i in range(20):
        yield [f"{epoch}-{i}"], {"audio": torch.full((2, 3), float(i))}


def test_all_batches_come_in_order():
    batches = PrefetchIterFactory(Factory(numbered)).build_iter(4)
    with pytest.raises(TypeError):
        len(batches)
    got = list(batches)
    assert [names for names, _ in got] == [[f"4-{i}"] for i in range(20)]
    assert all((batch["audio"] == i).all() for i, (_, batch) in enumerate(got))


def test_the_length_is_the_sources():
    source = list(numbered(1))
    assert len(PrefetchIterFactory(Factory(lambda epoch, shuffle: source)).build_iter(1)) == 20


def test_an_error_comes_after_the_batches_before_it():
    def fail(epoch, shuffle=None):
        yield from list(numbered(epoch))[:3]
        raise OSError("disk gone")

    count = 0
    with pytest.raises(OSError, match="disk gone"):
        for _ in PrefetchIterFactory(Factory(fail)).build_iter(1):
            count += 1
    assert count == 3


def test_who_stops_early_leaves_no_thread():
    before = threading.active_count()
    batches = iter(PrefetchIterFactory(Factory(numbered)).build_iter(1))
    next(batches)
    batches.close()
    assert threading.active_count() == before
