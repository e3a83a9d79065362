"""What holds for every test: one thread (small models gain nothing from more), GPUs on demand."""

import os

import pytest
from hypothesis import settings

# Before torch is imported, and for the processes that tests start.
for library in ("OMP", "MKL", "OPENBLAS", "NUMBA"):
    os.environ.setdefault(f"{library}_NUM_THREADS", "1")

settings.register_profile("default", deadline=None)  # no test is a matter of time
settings.load_profile("default")


def pytest_collection_modifyitems(items):
    needy = [item for item in items if item.get_closest_marker("cuda")]
    if needy:
        import torch

        if not torch.cuda.is_available():
            for item in needy:
                item.add_marker(pytest.mark.skip(reason="no GPU here"))
