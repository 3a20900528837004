"""Settings of all tests; pytest puts this folder on the path: `from shared_data import shared`."""

from __future__ import annotations

import torch

# Networks in tests are tiny: a second thread waits more than it works, most of all where several
# test runs share a runtime.
torch.set_num_threads(1)
