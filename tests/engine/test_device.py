"""The device that is asked for, or the one line that says why not."""

from __future__ import annotations

import pytest
import torch

from pix2pixhd.engine.runtime import choose_device
from pix2pixhd.engine.world import World
from pix2pixhd.util.errors import UserError


@pytest.fixture
def runtime(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """A machine without any GPU."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    return monkeypatch


def with_gpus(runtime: pytest.MonkeyPatch, count: int) -> None:
    runtime.setattr(torch.cuda, "is_available", lambda: True)
    runtime.setattr(torch.cuda, "device_count", lambda: count)


def test_without_a_gpu_one_line_says_so(runtime: pytest.MonkeyPatch) -> None:
    device, (note,) = choose_device("0")
    assert device == torch.device("cpu")
    assert note == "--gpu_ids 0: there is no GPU here, running on the CPU"


def test_the_cpu_needs_no_line(runtime: pytest.MonkeyPatch) -> None:
    assert choose_device("-1") == (torch.device("cpu"), [])
    with_gpus(runtime, 1)
    assert choose_device("-1") == (torch.device("cpu"), [])


def test_cuda(runtime: pytest.MonkeyPatch) -> None:
    with_gpus(runtime, 2)
    assert choose_device("1") == (torch.device("cuda", 1), [])
    with pytest.raises(UserError, match="one GPU for each"):
        choose_device("1,0")  # by a program that was not started by engine.launch
    with pytest.raises(UserError, match=r"--gpu_ids 2: .* GPUs 0 to 1"):
        choose_device("2")


def test_apple(runtime: pytest.MonkeyPatch) -> None:
    runtime.setattr(torch.backends.mps, "is_available", lambda: True)
    assert choose_device("0") == (torch.device("mps"), [])
    device, (note,) = choose_device("0,1")
    assert device == torch.device("mps")
    assert "Apple" in note


def test_each_process_has_a_gpu_of_its_own(runtime: pytest.MonkeyPatch) -> None:
    with_gpus(runtime, 4)
    second = World(rank=5, size=8, local_rank=1)
    assert choose_device("0", second) == (torch.device("cuda", 1), [])
    assert choose_device("2,3", second) == (torch.device("cuda", 3), [])
    for gpu_ids, world in (("1", second), ("0,1,2", World(1, 2, 1))):
        with pytest.raises(UserError, match=f"--gpu_ids {gpu_ids}: names .* LOCAL_RANK=1"):
            choose_device(gpu_ids, world)
    with_gpus(runtime, 1)
    with pytest.raises(UserError, match="LOCAL_RANK=1 on a machine with 1 GPU"):
        choose_device("0", second)


def test_without_a_local_rank_machines_are_alike(runtime: pytest.MonkeyPatch) -> None:
    """PyTorchJob starts a pod for each process; others fill one machine after another."""
    with_gpus(runtime, 4)
    sixth = World(rank=5, size=8, local_rank=None)
    assert choose_device("0", sixth) == (torch.device("cuda", 1), [])
    assert choose_device("2,3", sixth) == (torch.device("cuda", 3), [])
    with_gpus(runtime, 1)
    assert choose_device("0", sixth) == (torch.device("cuda", 0), [])


def test_processes_without_gpus_run_on_the_cpu(runtime: pytest.MonkeyPatch) -> None:
    runtime.setattr(torch.backends.mps, "is_available", lambda: True)
    device, (note,) = choose_device("0", World(rank=0, size=2))
    assert device == torch.device("cpu")  # Apple's GPU is one
    assert "running on the CPU" in note
