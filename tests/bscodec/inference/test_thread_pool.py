"""Bands on threads of their own: all of the work is done, and the caller's settings come back."""

import os
import threading

import pytest
import torch

from espnet2.gan_codec.bscodec.inference import thread_pool
from espnet2.gan_codec.bscodec.inference.streaming_codec import StreamDecoder, StreamEncoder

from .chunked import push_chunks, relative, spread_codes


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def count(to, seen, name):
    for i in range(to):
        seen.append((name, i, torch.get_num_threads(), torch.is_grad_enabled()))
        yield


def test_all_jobs_end_and_each_keeps_its_order(two_threads):
    for threads in (1, 2, 5):
        seen = []
        lengths = {"a": 5, "b": 1, "c": 0, "d": 3}
        thread_pool.run_jobs([count(n, seen, name) for name, n in lengths.items()], threads)
        for name, length in lengths.items():
            assert [i for n, i, *_ in seen if n == name] == list(range(length))
        assert not any(grad for *_, grad in seen)
        assert {n for _, _, n, _ in seen} == {2 if threads == 1 else 1}
        assert torch.get_num_threads() == 2


@pytest.mark.parametrize(("network", "threads"), [("spectral", 1), ("seanet", 2)])
def test_small_networks_take_one_thread_and_give_the_callers_back(
    two_threads, make_codec, network, threads
):
    codec = spread_codes(make_codec(network))
    seen = []
    encoder = StreamEncoder(codec)
    analysis_push = encoder.analysis.push

    def push(*args):
        seen.append(torch.get_num_threads())
        return analysis_push(*args)

    encoder.analysis.push = push
    encoder.push(torch.zeros(1, 3000))
    assert seen == [threads] and torch.get_num_threads() == 2
    with pytest.raises(ValueError, match="NaN"):
        encoder.push(torch.full((1, 10), torch.nan))
    assert torch.get_num_threads() == 2


def in_new_thread(function):
    results = []
    thread = threading.Thread(target=lambda: results.append(function()))
    thread.start()
    thread.join()
    return results[0]


def test_threads_that_begin_meanwhile_take_over_the_callers_number(two_threads):
    """Torch gives a new thread the number that any thread has set last."""
    is_inside, may_end, ends = threading.Event(), threading.Event(), []

    def other():
        with thread_pool.at_most_threads(1):
            is_inside.set()
            may_end.wait()
        ends.append(torch.get_num_threads())

    with thread_pool.at_most_threads(1):
        thread = threading.Thread(target=other)
        thread.start()
        is_inside.wait()
    may_end.set()
    thread.join()
    assert ends == [2] and torch.get_num_threads() == 2
    assert in_new_thread(torch.get_num_threads) == 2


def test_one_thread_asked_for_stays_one(two_threads):
    torch.set_num_threads(1)
    with thread_pool.at_most_threads(2, for_bands=8), thread_pool.at_most_threads(2):
        assert torch.get_num_threads() == 1
        assert thread_pool.schedule(8, 1000, torch.device("cpu"))[0] == 1
    assert torch.get_num_threads() == 1 == in_new_thread(torch.get_num_threads)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_process_has_threads_of_its_own(two_threads):
    """Whatever another thread did in the parent, and even in the middle of the parent's work."""
    with thread_pool.at_most_threads(1), thread_pool._section:
        child = os.fork()
        if not child:
            section = thread_pool._section
            is_free = section.acquire(blocking=False)
            os._exit(0 if is_free and not thread_pool._callers else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert torch.get_num_threads() == 2


def test_an_error_reaches_the_caller_and_leaves_no_thread(two_threads):
    def fail():
        yield
        raise KeyError("band")

    before = threading.active_count()
    with pytest.raises(KeyError, match="band"):
        thread_pool.run_jobs([count(3, [], "a"), fail(), count(3, [], "b")], 2)
    assert threading.active_count() == before
    assert torch.get_num_threads() == 2


def test_a_second_caller_does_its_jobs_itself(two_threads):
    seen = []

    def other():
        thread_pool.run_jobs([count(2, seen, threading.get_ident())], 2)
        yield

    thread_pool.run_jobs([other(), other()], 2)
    assert len(seen) == 4
    assert torch.get_num_threads() == 2


@pytest.mark.parametrize("network", ["seanet", "spectral"])
@pytest.mark.parametrize("inference", [False, True])
def test_threads_change_no_code(make_codec, two_threads, network, inference):
    codec = spread_codes(make_codec(network))
    x = 0.3 * torch.randn(1, 40000)

    def code():
        encoder, decoder = StreamEncoder(codec), StreamDecoder(codec)
        with torch.inference_mode(inference):
            codes = push_chunks(encoder, x, 30000)
            audio = push_chunks(decoder, codes, 90)
        whole = codec.encode(x)
        with torch.no_grad():
            return codes, audio, whole, codec.decode(whole)[:, 0]

    parallel = code()
    torch.set_num_threads(1)
    alone = code()
    assert torch.equal(parallel[0], alone[0]) and torch.equal(parallel[2], alone[2])
    assert torch.equal(parallel[0], parallel[2])
    assert relative(parallel[1], alone[1]) < 1e-5 and relative(parallel[3], alone[3]) < 1e-5
