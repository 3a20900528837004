"""Networks that no machine could hold are refused before anything is allocated."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from programs import run_test, run_train, tiny_run, write_tiny_data
from torch import nn

from pix2pixhd.engine.memory import memory_of, peak_gpu_memory, require_memory
from pix2pixhd.util.errors import UserError

CPU = torch.device("cpu")
ROOT = Path(__file__).resolve().parents[2]


def test_what_fits_is_returned_without_memory() -> None:
    network = require_memory(lambda: nn.Linear(1000, 1000), CPU)
    assert network.weight.is_meta


def test_copies_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pix2pixhd.engine.memory.memory_of", lambda device: 10 * 4 * 1_001_000)
    require_memory(lambda: nn.Linear(1000, 1000), CPU, copies=10)
    with pytest.raises(UserError, match=r"would take 0\.0 GiB .* there are 0\.0 GiB; lower --ngf"):
        require_memory(lambda: nn.Linear(1000, 1000), CPU, copies=11)


FAULTS = """
import ctypes, resource, sys, torch
PR_SET_THP_DISABLE = 41
assert ctypes.CDLL(None).prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0) == 0  # else one fault for 2 MB
from pix2pixhd.engine.memory import keep_freed_memory
if sys.argv[1] == "keep":
    keep_freed_memory(torch.device("cpu"))
for _ in range(20):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.ones(2**24)
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) * resource.getpagesize())
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="malloc is not glibc's")
@pytest.mark.parametrize(("how", "setting"), [("leave", ""), ("keep", ""), ("keep", "131072")])
def test_a_tensor_takes_the_memory_of_the_one_before(how: str, setting: str) -> None:
    """Of 64 MB, after a few: they are not handed out by the system again, unless a user says so."""
    asked = {"MALLOC_MMAP_THRESHOLD_": setting} if setting else {}
    run = [sys.executable, "-c", FAULTS, how]
    faulted = int(subprocess.check_output(run, env=os.environ | asked, cwd=ROOT))
    assert (faulted < 2**22) == (how == "keep" and not setting)


def test_this_machine_has_memory() -> None:
    assert 2**28 < memory_of(CPU) < 2**50


def test_more_than_any_number_holds() -> None:
    with pytest.raises(UserError, match="more than can be counted"):
        require_memory(lambda: nn.Linear(2**40, 2**40), CPU)


def test_training_refuses_them(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    outcome = run_train(*tiny_run(tmp_path), "--ngf", "8192")
    assert outcome.code == 2
    assert "would take" in outcome.err and "lower --ngf" in outcome.err
    assert len(outcome.err.splitlines()) == 1
    assert not (tmp_path / "ck").exists()


def test_rendering_refuses_them_too(tmp_path: Path) -> None:
    data = write_tiny_data(tmp_path, phase="test")
    folder = tmp_path / "ck/published"
    folder.mkdir(parents=True)
    (folder / "latest_net_G.pth").write_bytes(b"")
    (folder / "opt.txt").write_text("ngf: 8192\nlabel_nc: 5\n")
    outcome = run_test(
        *("--name", "published", "--checkpoints_dir", tmp_path / "ck", "--dataroot", data),
        *("--gpu_ids", "-1"),
    )
    assert outcome.code == 2
    assert "would take" in outcome.err


def test_gpu_memory_is_asked_of_gpus_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "max_memory_allocated", lambda device: 3 * 2**30)
    assert peak_gpu_memory(torch.device("cuda", 0)) == 3.0
    assert peak_gpu_memory(torch.device("cpu")) is None
