"""Loading weights into BSCodec: old and new spellings, and nothing missing."""

from __future__ import annotations

from typing import Any

from torch import nn

# (old, new) names of torch's two weight-norm implementations
WEIGHT_NORM_NAMES = (
    ("weight_g", "parametrizations.weight.original0"),
    ("weight_v", "parametrizations.weight.original1"),
)


def adapt_state_dict(module: nn.Module, state_dict: dict, prefix: str, *args: Any) -> None:
    """Accept either spelling of weight norm, and checkpoints without the mel filterbanks.

    The filterbanks are constants of the loss, not weights.
    """
    own = {prefix + name for name in module.state_dict()}
    for name in [n for n in state_dict if n.startswith(prefix) and n not in own]:
        for old, new in WEIGHT_NORM_NAMES:
            for given, wanted in ((old, new), (new, old)):
                renamed = name.removesuffix(given) + wanted
                if name.endswith(f".{given}") and renamed in own:
                    state_dict[renamed] = state_dict.pop(name)
    for name, buffer in module.named_buffers():
        if name.startswith("mel_loss."):
            state_dict.setdefault(prefix + name, buffer)


def refuse_partial_load(module: nn.Module, incompatible: Any) -> None:
    """Loading is strict even where the caller says ``strict=False``, as ESPnet does.

    A checkpoint that lacks a weight of the generator would otherwise give a codec that runs
    and makes noise.
    """
    names = [k for k in incompatible.missing_keys if "generator." in k]
    if names:
        listed = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if names[3:] else "")
        raise RuntimeError(f"the checkpoint does not fit this BSCodec config: it lacks {listed}")
