"""Entropy coding: lossless for any codes, the same integers and bytes everywhere."""

import hashlib
import os
import subprocess
import sys

import numpy as np
import pytest

from espnet2.gan_codec.bscodec.entropy import integer_network, range_coder
from espnet2.gan_codec.bscodec.entropy.integer_network import PRECISION, weights
from espnet2.gan_codec.bscodec.entropy.predictor import Predictor, PredictorError
from fuzz.predictors import coder, predictor_tensors

from . import reference

SIZES = (16, 1000)
# of a block of 300 frames by a predictor that is large enough for a BLAS to use its threads
GOLDEN = "6652d09911ab8846513863aecadcf2d8e7f1162fefa39f763bae84ce18b58fe3"
SCRIPT = """
import hashlib
import numpy as np
from espnet2.gan_codec.bscodec.entropy.predictor import Predictor
from espnet2.gan_codec.bscodec.entropy.range_coder import RangeCoder
from fuzz.predictors import predictor_tensors
codes = np.arange(2 * 300).reshape(1, 2, 300) * 7919 % 1000 % np.array([[16], [1000]])
coder = RangeCoder(Predictor(predictor_tensors(width=384, depth=48), "0" * 64))
payload = coder.encode(codes)
assert (coder.decode([payload], [300], 1, 2)[0] == codes).all()
print(hashlib.sha256(payload).hexdigest())
"""


def random_codes(channels, num_frames, num_bands=2, seed=0):
    rng = np.random.default_rng(seed)
    codes = [rng.integers(0, size, (channels, num_frames)) for size in SIZES[:num_bands]]
    return np.stack(codes, axis=1)


@pytest.mark.parametrize("num_bands", [1, 2])
@pytest.mark.parametrize("channels", [1, 3])
def test_blocks_of_any_length_come_back(channels, num_bands):
    blocks = [random_codes(channels, n, num_bands, n) for n in range(24, 0, -1)]
    payloads = [coder().encode(block) for block in blocks]
    lengths = [block.shape[-1] for block in blocks]
    together = coder().decode(payloads, lengths, channels, num_bands)
    for block, payload, length, found in zip(blocks, payloads, lengths, together, strict=True):
        assert np.array_equal(found, block)
        alone = coder().decode([payload], [length], channels, num_bands)
        assert np.array_equal(alone[0], block)


def test_likely_codes_take_few_bytes_and_unlikely_ones_come_back_too():
    likely = np.zeros((1, 2, 400), dtype=np.int64)
    unlikely = np.stack([np.full((1, 400), size - 1) for size in SIZES], axis=1)
    few, many = coder().encode(likely), coder().encode(unlikely)
    assert len(few) < 400 * 14 / 8 / 5 and len(many) > 400 * 14 / 8
    found = coder().decode([few, many], [400, 400], 1, 2)
    assert np.array_equal(found[0], likely) and np.array_equal(found[1], unlikely)


@pytest.mark.parametrize("channels", [1, 2])
def test_the_document_s_arithmetic_gives_the_same_codes(channels):
    codes = random_codes(channels, 9)
    found = reference.decode(predictor_tensors(), coder().encode(codes), channels, 2, 9)
    assert np.array_equal(found, codes)


def test_no_other_bytes_are_taken_for_a_block():
    codes = random_codes(1, 12)
    payload = coder().encode(codes)
    others = [
        bytes([*payload[:i], payload[i] ^ 1, *payload[i + 1 :]]) for i in range(len(payload))
    ]
    others += [payload + bytes(4), payload[:-4], payload[:-1], b"", b"\xff" * len(payload)]
    for other in others:
        assert coder().decode([other, payload], [12, 12], 1, 2)[0] is None
    beside = coder().decode([others[0], payload], [12, 12], 1, 2)
    assert np.array_equal(beside[1], codes)  # a damaged block does not touch the others


def test_weights_are_whole_and_sum_up_with_every_choice_possible():
    rng = np.random.default_rng(0)
    for logits in (
        rng.integers(-3000, 3000, (50, 64)),
        np.zeros((1, 7), int),
        np.array([[0, 10**6]]),
    ):
        found = weights(logits)
        assert (found == found.astype(np.int64)).all() and found.min() >= 0
        assert (found.sum(axis=1) == 2**PRECISION - logits.shape[1]).all()
        assert ((found + 1).max(axis=1) <= (found + 1).min(axis=1) * 2**12 * 1.3).all()


def test_powers_are_rounded_down_roots():
    powers = integer_network.POWERS
    assert [int(p) for p in powers] == reference.POWERS
    assert powers[0] == 1 << 16 and powers[-1] == 16


def test_sums_are_exact_in_any_order_and_type():
    tensors = predictor_tensors(width=384, depth=48)
    network = Predictor(tensors, "").networks[1]
    rng = np.random.default_rng(0)
    x = rng.choice([-127, 127], (40, network.input.weight.shape[1])).astype(np.float32)
    for row in range(0, 40, 2):  # as large as sums can be
        x[row] = np.sign(tensors["1.input.weight"][row] + 0.5) * 127
    exact = x.astype(np.int64) @ tensors["1.input.weight"].T.astype(np.int64)
    expected = integer_network.rounded(exact + tensors["1.input.bias"], 9)
    order = rng.permutation(x.shape[1])
    assert np.array_equal(network.input.sums(x, 9), expected)
    assert np.array_equal(x[:, order] @ network.input.weight[:, order].T, exact)
    assert np.array_equal([network.input.sums(row[None], 9)[0] for row in x], expected)


@pytest.mark.parametrize(
    ("threads", "kernels"), [("1", ""), ("4", ""), ("1", "Prescott"), ("4", "Haswell")]
)
def test_bytes_are_the_same_with_other_threads_and_kernels(threads, kernels):
    settings = {f"{name}_NUM_THREADS": threads for name in ("OMP", "OPENBLAS", "MKL")}
    if kernels:
        settings["OPENBLAS_CORETYPE"] = kernels  # other ways to sum
    run = [sys.executable, "-c", SCRIPT]
    done = subprocess.run(run, env={**os.environ, **settings}, capture_output=True, text=True)
    assert done.stdout.strip() == GOLDEN, done.stderr


def test_bytes_do_not_depend_on_how_many_frames_are_predicted_at_once(monkeypatch):
    codes = random_codes(2, 50)
    payload = coder().encode(codes)
    monkeypatch.setattr(range_coder, "_ROWS", 6)
    assert coder().encode(codes) == payload
    assert hashlib.sha256(payload).hexdigest()[:8] == "e3b3c0d0"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("0.vectors", np.full((16, 4), -128, np.int8)),
        ("0.slots", np.zeros(16, np.int32)),
        ("0.slots", np.arange(16, dtype=np.int32) + 1),
        ("0.input.weight", np.zeros((16, 3), np.int8)),
        ("0.hidden.bias", np.full(16, 1 << 30, np.int32)),
        ("1.groups.weight", np.zeros((32, 8), np.float32)),
        ("1.codes.bias", np.zeros((0, 0), np.int32)),
        ("3.vectors", np.zeros((16, 4), np.int8)),
    ],
)
def test_other_tensors_are_no_predictor(tmp_path, name, value):
    from safetensors.numpy import save

    tensors = predictor_tensors()
    path = tmp_path / "codes.safetensors"
    about = {"kind": "bscodec code predictor 1", "model": "0" * 64}
    path.write_bytes(save(tensors, about))
    assert Predictor.load(path).fingerprint == Predictor(tensors, "").fingerprint
    path.write_bytes(save({**tensors, name: value}, about))
    with pytest.raises(PredictorError, match="codes.safetensors: no code predictor") as error:
        Predictor.load(path)
    assert "\n" not in str(error.value)
