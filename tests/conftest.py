"""Settings of all tests; pytest puts this folder on the path: `from shared_data import shared`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch
from torch import distributed as dist

# Networks in tests are tiny: a second thread waits more than it works, most of all where several
# test runs share a runtime.
torch.set_num_threads(1)


@pytest.fixture
def process_group() -> Iterator[None]:
    """Of this process alone."""
    dist.init_process_group("gloo", store=dist.HashStore(), rank=0, world_size=1)
    yield
    dist.destroy_process_group()
