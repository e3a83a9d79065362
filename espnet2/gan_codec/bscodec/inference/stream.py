"""What the engine's streams have in common: push some in, get out what is determined by now.

A stream computes the same as its module does on the whole signal, chunk by chunk: every
convolution carries the samples that its next window still needs, every LSTM its state, and what
the end of the signal can change (reflection, padding) is held back until the end is known.
"""

from __future__ import annotations

import json
import os
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence

import torch

State = dict[str, torch.Tensor | int | float | bool | None]

UNKNOWN = 1 << 62  # inputs, known only at the end of the signal


class Stream(ABC):
    """One module's computation over signals that arrive in chunks.

    A batch of signals advances together, sample by sample.  Subclasses name the attributes that
    make up their state in ``state_keys`` and the streams inside of them in ``children``;
    ``state`` and ``restore`` then work by themselves.  In every tensor of a state the batch is
    the first dimension, so that rows can be picked (:func:`pick_rows`).
    """

    state_keys: tuple[str, ...] = ()

    @property
    def children(self) -> Mapping[str, Stream]:
        """The streams that this one is made of, by name."""
        return {}

    @abstractmethod
    def push(self, x: torch.Tensor, last: bool = False) -> torch.Tensor:
        """Take the next chunk (B, C_in, n), n >= 0, and return (B, C_out, m), m >= 0.

        All that is returned put together equals the module's output for the whole signal.
        ``last`` says that the signal ends with this chunk: nothing may be pushed after it.
        """

    def inputs_for(self, outputs: int) -> int:
        """Return how many inputs have to be in before that many outputs can be out.

        That is away from the ends: at its end a signal gives all it has, and reflection at its
        start may ask for more.
        """
        return outputs

    def state(self) -> State:
        """Return a copy of all that the stream remembers: tensors and numbers by name."""
        values: State = {}
        for name in self.state_keys:
            value = getattr(self, name)
            values[name] = value.detach().clone() if isinstance(value, torch.Tensor) else value
        for name, part in self.children.items():
            values.update({f"{name}.{key}": value for key, value in part.state().items()})
        return values

    def restore(self, state: State) -> None:
        """Go on from what ``state`` returned, in this or in another stream of the same module.

        The batch need not be the one that this stream was made for.

        Raises:
            ValueError: it is the state of another kind of stream.
        """
        own = self.state()
        if set(state) != set(own) or not all(_is_alike(own[key], state[key]) for key in own):
            raise ValueError("this is the state of another kind of stream")
        for name in self.state_keys:
            value = state[name]
            setattr(self, name, value.clone() if isinstance(value, torch.Tensor) else value)
        for name, part in self.children.items():
            start = f"{name}."
            part.restore({k[len(start) :]: v for k, v in state.items() if k.startswith(start)})


def _is_alike(own: object, value: object) -> bool:
    """Whether a value may take another's place in a state; what is not there yet is None."""
    if isinstance(own, torch.Tensor) and isinstance(value, torch.Tensor):
        return own.dim() == value.dim() and own.dtype == value.dtype
    kinds = {type(own), type(value)}
    return len(kinds) == 1 or kinds == {type(None), torch.Tensor}


class Chain(Stream):
    """Streams one after the other."""

    def __init__(self, streams: Sequence[Stream]) -> None:
        self.streams = list(streams)

    @property
    def children(self) -> Mapping[str, Stream]:
        return {str(i): stream for i, stream in enumerate(self.streams)}

    def push(self, x: torch.Tensor, last: bool = False) -> torch.Tensor:
        for stream in self.streams:
            x = stream.push(x, last)
        return x

    def inputs_for(self, outputs: int) -> int:
        for stream in reversed(self.streams):
            outputs = stream.inputs_for(outputs)
        return outputs


class ChannelsLast(Chain):
    """Streams of signals (B, n, C) one after the other; (B, C, n) goes in and comes out."""

    def push(self, x: torch.Tensor, last: bool = False) -> torch.Tensor:
        return super().push(x.mT, last).mT


class WholeSignal(Stream):
    """Any module as a stream: it waits for the end, as nothing is known of the module's reach."""

    state_keys = ("buffer",)

    def __init__(self, module: Callable[[torch.Tensor], torch.Tensor], out_channels: int) -> None:
        self.module, self.out_channels = module, out_channels
        self.buffer: torch.Tensor | None = None

    def inputs_for(self, outputs: int) -> int:
        return UNKNOWN

    def push(self, x: torch.Tensor, last: bool = False) -> torch.Tensor:
        self.buffer = x if self.buffer is None else torch.cat([self.buffer, x], dim=2)
        if not last:
            return x.new_zeros(len(x), self.out_channels, 0)
        whole, self.buffer = self.buffer, None
        return self.module(whole)


def pick_rows(state: State, rows: Sequence[int]) -> State:
    """Return the state of the streams numbered ``rows`` of a batch."""
    return {
        key: value[list(rows)] if isinstance(value, torch.Tensor) else value
        for key, value in state.items()
    }


def save_state(state: State, path: str | os.PathLike) -> None:
    """Write a state to a safetensors file; its numbers go into the header, as JSON."""
    from safetensors.torch import save_file

    tensors = {k: v.cpu().contiguous() for k, v in state.items() if isinstance(v, torch.Tensor)}
    numbers = {k: v for k, v in state.items() if k not in tensors}
    save_file(tensors, os.fspath(path), metadata={"numbers": json.dumps(numbers)})


def load_state(path: str | os.PathLike) -> State:
    """Read what :func:`save_state` wrote.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no state.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(os.fspath(path), framework="pt") as file:
            numbers = json.loads((file.metadata() or {})["numbers"])
            return {key: file.get_tensor(key) for key in file.keys()} | numbers  # noqa: SIM118
    except (SafetensorError, KeyError, ValueError) as error:
        raise ValueError(f"{os.fspath(path)}: holds no state of a stream") from error
