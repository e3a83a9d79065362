"""The fast SEANet equals ESPnet's, whole and in chunks, whatever its settings and the lengths."""

import copy

import pytest
import torch

from espnet2.gan_codec.bscodec.inference.fast_seanet import FastDecoder, FastEncoder
from espnet2.gan_codec.bscodec.inference.products import NotSupported
from espnet2.gan_codec.bscodec.inference.stream import load_state, pick_rows, save_state
from espnet2.gan_codec.shared.decoder.seanet import SEANetDecoder
from espnet2.gan_codec.shared.encoder.seanet import SEANetEncoder

from .chunked import push_chunks, relative

EXACT = 1e-10  # of float64; a wrong sample anywhere is at 1e-3 or more
SNAKE = {"activation": "Snake", "activation_params": {}}
SETTINGS = [
    SNAKE,
    {"true_skip": True},  # ELU, with ESPnet's other defaults
    SNAKE | {"causal": True, "norm": "none"},
    SNAKE | {"causal": True, "true_skip": True, "lstm": 0},
    {"pad_mode": "constant", "compress": 1},
    {"pad_mode": "constant", "causal": True},
]
SHAPES = [  # ratios, kernel size, residual kernel size, last kernel size, dilation base
    ([3, 2], 7, 5, 7, 2),
    ([2, 5], 3, 3, 5, 3),
    ([4], 5, 7, 1, 1),
    ([1, 2], 1, 4, 2, 2),
]


def build(plain, shape=SHAPES[0], dtype=torch.float64, **changes):
    """A tiny seeded network, each Snake with its own alpha."""
    torch.manual_seed(0)
    ratios, kernel, residual, last, dilation = shape
    settings = {"dimension": 6, "n_filters": 4, "n_residual_layers": 2, "ratios": ratios}
    settings |= {"kernel_size": kernel, "residual_kernel_size": residual}
    settings |= {"last_kernel_size": last, "dilation_base": dilation}
    module = plain(**settings | changes).to(dtype).eval()
    with torch.no_grad():
        for name, parameter in module.named_parameters():
            if name.endswith("alpha"):
                parameter.uniform_(0.5, 2)
    return module


def pairs(shape=SHAPES[0], dtype=torch.float64, **changes):
    """Encoder and decoder with their fast forms and an input of 80 samples or frames."""
    for plain, fast, channels in (
        (SEANetEncoder, FastEncoder, 1),
        (SEANetDecoder, FastDecoder, 6),
    ):
        module = build(plain, shape, dtype, **changes)
        yield module, fast(module), torch.randn(2, channels, 80, dtype=dtype)


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("changes", SETTINGS)
@torch.no_grad()
def test_whole_signals_of_every_length(shape, changes):
    for module, fast, x in pairs(shape, **changes):
        for length in (*range(1, 32), 80):
            assert relative(fast(x[..., :length]), module(x[..., :length])) < EXACT, length


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("changes", SETTINGS)
@torch.no_grad()
def test_pieces_equal_the_whole(shape, changes):
    for module, fast, x in pairs(shape, **changes):
        for length in (1, 2, 5, 9, 17, 30, 80):
            whole = module(x[..., :length])
            for size in (1, 3, 8, 20):
                chunks = push_chunks(fast.stream(2), x[..., :length], size)
                assert relative(chunks, whole) < EXACT, (length, size)


@torch.no_grad()
def test_an_end_without_samples_and_pieces_of_nothing():
    for module, fast, x in pairs(**SNAKE):
        stream = fast.stream(2)
        nothing = x[..., :0]
        parts = [stream.push(p) for p in (nothing, x[..., :50], nothing, x[..., 50:])]
        parts.append(stream.push(nothing, last=True))
        assert relative(torch.cat(parts, dim=2), module(x)) < EXACT
        assert fast.stream(2).push(nothing, last=True).shape[2] == 0
        with pytest.raises(ValueError, match="empty signal"):
            fast(nothing)


@torch.no_grad()
def test_a_decoder_ends_with_its_final_activation():
    module = build(SEANetDecoder, final_activation="Tanh")
    x = torch.randn(1, 6, 20, dtype=torch.float64)
    assert relative(push_chunks(FastDecoder(module).stream(1), x, 3), module(x)) < EXACT


@torch.no_grad()
def test_a_causal_decoder_may_trim_on_both_sides():
    for ratio in (0.0, 0.3, 1.0):
        module = build(SEANetDecoder, causal=True, trim_right_ratio=ratio)
        x = torch.randn(1, 6, 20, dtype=torch.float64)
        assert relative(push_chunks(FastDecoder(module).stream(1), x, 3), module(x)) < EXACT


@torch.no_grad()
def test_several_audio_channels_and_long_lstm_pieces():
    for plain, fast, channels in (
        (SEANetEncoder, FastEncoder, 2),
        (SEANetDecoder, FastDecoder, 6),
    ):
        module = build(plain, channels=2, **SNAKE)
        x = torch.randn(3, channels, 400, dtype=torch.float64)
        for size in (7, 150, 400):  # by single LSTM steps, and many at once
            assert relative(push_chunks(fast(module).stream(3), x, size), module(x)) < EXACT


@torch.no_grad()
def test_a_long_signal_is_run_in_chunks(monkeypatch):
    for module, fast, x in pairs(**SNAKE):
        monkeypatch.setattr(type(fast), "chunk", 30)
        assert relative(fast(x), module(x)) < EXACT


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("causal", [False, True])
@torch.no_grad()
def test_outputs_come_as_soon_as_they_are_determined(shape, causal):
    for _, fast, _ in pairs(shape, causal=causal, pad_mode="constant", **SNAKE):
        stream = fast.stream(1)
        channels = 1 if isinstance(fast, FastEncoder) else 6
        given = 0
        for taken in range(1, 120):
            given += stream.push(torch.randn(1, channels, 1, dtype=torch.float64)).shape[2]
            assert stream.inputs_for(given) <= taken or not given
            assert taken < stream.inputs_for(given + 1)


@torch.no_grad()
def test_what_is_given_out_does_not_depend_on_what_follows():
    for _, fast, x in pairs(**SNAKE):
        streams = fast.stream(2), fast.stream(2)
        common = [stream.push(x[..., :60]) for stream in streams]
        assert torch.equal(*common)
        ends = [s.push(e, last=True) for s, e in zip(streams, (x[..., 60:], 9 * x), strict=True)]
        assert not torch.equal(ends[0], ends[1][..., : ends[0].shape[2]])


@torch.no_grad()
def test_a_stream_goes_on_from_its_saved_state(tmp_path):
    for module, fast, x in pairs(**SNAKE):
        for cut in (0, 1, 4, 20, 50):
            stream = fast.stream(2)
            start = stream.push(x[..., :cut])
            save_state(stream.state(), tmp_path / "state")
            stream.push(torch.randn_like(x))  # the saved state is a copy
            other = fast.stream(2)
            other.restore(load_state(tmp_path / "state"))
            whole = torch.cat([start, other.push(x[..., cut:], last=True)], dim=2)
            assert relative(whole, module(x)) < EXACT, cut


@torch.no_grad()
def test_a_row_of_a_batch_goes_on_alone():
    for module, fast, x in pairs(**SNAKE):
        stream, alone = fast.stream(2), fast.stream(1)
        start = stream.push(x[..., :40])
        alone.restore(pick_rows(stream.state(), [1]))
        whole = torch.cat([start[1:], alone.push(x[1:, :, 40:], last=True)], dim=2)
        assert relative(whole, module(x[1:])) < EXACT


@torch.no_grad()
def test_memory_does_not_grow():
    for _, fast, x in pairs(**SNAKE):
        stream = fast.stream(2)

        def size(stream=stream):
            return sum(v.numel() for v in stream.state().values() if torch.is_tensor(v))

        stream.push(x)
        after_one = size()
        for _ in range(20):
            stream.push(x)
        assert size() <= after_one


def test_the_fast_form_follows_the_weights():
    for module, fast, x in pairs(**SNAKE):
        other = copy.deepcopy(module.state_dict())
        optimizer = torch.optim.SGD(module.parameters(), lr=0.1)
        before = fast(x)
        module(x).square().mean().backward()
        optimizer.step()
        stepped = module(x).detach()
        assert relative(fast(x), stepped) < EXACT < relative(before, stepped)
        module.load_state_dict(other)
        assert relative(fast(x), before) < EXACT
        bias = module.model[0].conv.conv.bias
        module.model[0].conv.conv.bias = torch.nn.Parameter(bias.detach() + 1)
        assert relative(fast(x), module(x).detach()) < EXACT


def test_the_plain_module_is_left_as_it_was():
    for module, fast, x in pairs(**SNAKE):
        before = copy.deepcopy(module.state_dict())
        y = fast(x)
        assert not y.requires_grad
        after = module.state_dict()
        assert before.keys() == after.keys()
        assert all(torch.equal(before[key], after[key]) for key in before)
        module(x).sum().backward()
        assert all(p.grad is not None for p in module.parameters())


def test_the_older_weight_norm_is_folded_too():
    module = build(SEANetEncoder, norm="none")
    for layer in module.modules():
        if isinstance(layer, torch.nn.Conv1d):
            torch.nn.utils.weight_norm(layer)
            torch.nn.init.constant_(layer.weight_g, 0.7)  # the forward pass has yet to see it
    fast = FastEncoder(module)
    x = torch.randn(1, 1, 50, dtype=torch.float64)
    assert relative(fast(x), module(x).detach()) < EXACT


@pytest.mark.parametrize(
    "changes",
    [
        {"norm": "time_group_norm"},
        {"norm": "spectral_norm"},
        {"pad_mode": "replicate"},
        {"activation": "PReLU", "activation_params": {}},
    ],
)
def test_other_settings_are_not_covered(changes):
    with pytest.raises(NotSupported):
        FastEncoder(build(SEANetEncoder, **changes))
    with pytest.raises(NotSupported):
        FastDecoder(build(SEANetDecoder, **changes))


def test_other_modules_are_not_covered():
    with pytest.raises(NotSupported, match="expected SEANetEncoder, got SEANetDecoder"):
        FastEncoder(build(SEANetDecoder))
    with pytest.raises(NotSupported, match="float16"):
        FastEncoder(build(SEANetEncoder, dtype=torch.float16))
