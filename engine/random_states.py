"""PyTorch's random states, of the CPU and of this process's accelerator."""

from __future__ import annotations

from typing import Any

import torch


def random_states() -> dict[str, Any]:
    """As they are now."""
    # Of this process's GPU alone: to ask the others would take memory on each of them.
    on_gpu = [torch.cuda.get_rng_state()] if torch.cuda.is_initialized() else []
    on_mps = torch.mps.get_rng_state() if torch.backends.mps.is_available() else None
    return {"cpu": torch.get_rng_state(), "cuda": on_gpu, "mps": on_mps}


def set_random_states(states: dict[str, Any]) -> None:
    """As they were when `random_states` was called."""
    torch.set_rng_state(states["cpu"])
    if torch.cuda.is_initialized() and states["cuda"]:
        torch.cuda.set_rng_state(states["cuda"][0])
    if torch.backends.mps.is_available() and states.get("mps") is not None:
        torch.mps.set_rng_state(states["mps"])
