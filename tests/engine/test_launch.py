"""Processes that belong together: started together, told who they are, ended together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from pix2pixhd.engine.launch import processes_to_start

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import os, signal, sys, time
from pix2pixhd.engine.launch import launch

def main(words):
    rank = int(os.environ["RANK"])
    {body}

if __name__ == "__main__":
    launch(main, {words!r}, sys.argv[1])
"""
Start = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def start(tmp_path: Path) -> Start:
    """Starts `count` processes of a function body, which finds `rank`, `words` and modules."""

    def start(count: int, body: str, **options: object) -> subprocess.Popen[str]:
        program = tmp_path / "program.py"
        program.write_text(PROGRAM.format(body=body, words=[str(tmp_path)]))
        return subprocess.Popen(
            [sys.executable, str(program), ",".join(["-1"] * count)],
            env=os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # as a terminal has it
            **options,  # type: ignore[call-overload]
        )

    return start


def wait_until(process: subprocess.Popen[str], line: str, times: int = 2) -> None:
    assert process.stdout is not None
    for _ in range(times):
        assert process.stdout.readline() == f"{line}\n"


def children_of(process: subprocess.Popen[str]) -> list[int]:
    found = subprocess.run(["pgrep", "-P", str(process.pid)], capture_output=True)
    return [int(number) for number in found.stdout.split()]


def wait_until_loading(process: subprocess.Popen[str]) -> None:
    """Two processes, and multiprocessing's tracker, are there, and not beyond loading PyTorch."""
    while len(children_of(process)) < 3:
        time.sleep(0.01)
    time.sleep(0.3)


def expect_none_left(tmp_path: Path, seconds: float) -> None:
    """No process has the program, which lies in `tmp_path`, or its pipes."""
    deadline = time.monotonic() + seconds
    while found := subprocess.run(["pgrep", "-f", str(tmp_path)], capture_output=True).stdout:
        assert time.monotonic() < deadline, found
        time.sleep(0.05)


@pytest.mark.parametrize(
    ("gpu_ids", "gpus", "count"),
    [("0", 4, 0), ("-1", 0, 0), ("-1,-1", 0, 2), ("0,1,3", 4, 3), ("0,1", 0, 0), ("0,4", 4, 0)],
)
def test_processes_to_start(
    gpu_ids: str, gpus: int, count: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: gpus)
    assert processes_to_start(gpu_ids) == count
    for name, value in (("RANK", "0"), ("WORLD_SIZE", "1")):
        monkeypatch.setenv(name, value)
    assert processes_to_start(gpu_ids) == count  # a launcher of one process leaves that to us
    for name, value in (("WORLD_SIZE", "2"), ("MASTER_ADDR", "x"), ("MASTER_PORT", "1")):
        monkeypatch.setenv(name, value)
    assert processes_to_start(gpu_ids) == 0  # a launcher did it already


def test_processes_know_who_they_are_and_what_to_do(start: Start, tmp_path: Path) -> None:
    body = """
    import multiprocessing
    from pix2pixhd.engine.world import read_world
    os.write(1, f"{words} {read_world()} {multiprocessing.get_start_method()}\\n".encode())"""
    out, err = start(2, body).communicate(timeout=60)
    assert err == ""
    method = subprocess.run(
        [sys.executable, "-c", "import multiprocessing as m; print(m.get_start_method())"],
        capture_output=True,
        text=True,
    ).stdout
    for rank, line in enumerate(sorted(out.splitlines(keepends=True))):
        assert line.startswith(f"['{tmp_path}'] World(rank={rank}, size=2, local_rank={rank}, ")
        assert line.endswith(f" {method}")  # of loading processes


@pytest.mark.slow
def test_one_that_fails_ends_all_with_its_traceback(start: Start) -> None:
    """Another one waits for it, and a third one hears no SIGTERM."""
    body = """
    import torch.distributed as dist
    dist.init_process_group("gloo")
    dist.barrier()
    if rank == 1:
        no_such_name
    if rank == 2:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        time.sleep(60)
    dist.barrier()"""
    process = start(3, body)
    wait = time.monotonic()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert err.splitlines()[-1] == "NameError: name 'no_such_name' is not defined"
    assert err.count("Traceback") == 1
    assert time.monotonic() - wait < 30  # most of it loads PyTorch


@pytest.mark.slow
def test_one_that_is_killed_ends_all_and_is_named(start: Start) -> None:
    process = start(2, "time.sleep(60) if rank != 1 else os.kill(os.getpid(), 9)")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 137
    assert err == "error: process 1 terminated with signal SIGKILL\n"


TELL = "from pix2pixhd.util.errors import UserError"


@pytest.mark.parametrize(
    ("who", "line"),
    [
        pytest.param("True", "error: a.png: no\n", marks=pytest.mark.slow),
        ("rank == 1", "error: [rank 1] a.png: no\n"),
    ],
)
def test_a_mistake_is_told_once_by_whoever_sees_it(start: Start, who: str, line: str) -> None:
    process = start(2, f"{TELL}\n    if {who}: raise UserError('a.png: no')\n    time.sleep(60)")
    assert process.communicate(timeout=60) == ("", line)
    assert process.returncode == 2


SAVING = """
    from pix2pixhd.engine.stop_signal import StopSignal
    with StopSignal() as stop:
        os.write(1, b"ready\\n")
        while not stop.received:
            time.sleep(0.01)
        time.sleep(1.5 if rank == 0 else 0)
        open(f"{words[0]}/saved{rank}", "w").close()
    sys.exit(128 + stop.received)"""


@pytest.mark.parametrize(
    ("number", "code", "to_all"),
    [
        (signal.SIGINT, 130, True),
        pytest.param(signal.SIGTERM, 143, False, marks=pytest.mark.slow),
        pytest.param(signal.SIGTERM, 143, True, marks=pytest.mark.slow),
        pytest.param(signal.SIGHUP, 129, False, marks=pytest.mark.slow),
    ],
)
def test_signals_are_passed_on_and_waited_for(
    number: signal.Signals, code: int, to_all: bool, start: Start, tmp_path: Path
) -> None:
    """Ctrl-C comes to the process group, a batch system's signal to the parent or to everyone."""
    process = start(2, SAVING)
    wait_until(process, "ready")
    for child in children_of(process) if to_all else ():
        os.kill(child, number)
    os.killpg(process.pid, number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (code, "", "")
    assert {file.name for file in tmp_path.glob("saved*")} == {"saved0", "saved1"}


@pytest.mark.slow
def test_a_second_sigterm_does_not_abort_a_save(start: Start, tmp_path: Path) -> None:
    process = start(2, SAVING)
    wait_until(process, "ready")
    process.terminate()
    time.sleep(1.2)
    process.terminate()
    process.communicate(timeout=60)
    assert process.returncode == 143
    assert len(list(tmp_path.glob("saved*"))) == 2


@pytest.mark.slow
def test_the_second_ctrl_c_ends_those_that_hear_nothing(start: Start) -> None:
    deaf = "signal.signal(2, signal.SIG_IGN); os.write(1, b'ready\\n'); time.sleep(60)"
    process = start(2, deaf)
    wait_until(process, "ready")
    process.send_signal(signal.SIGINT)
    time.sleep(1.2)
    process.send_signal(signal.SIGINT)
    assert process.communicate(timeout=20) == ("", "")
    assert process.returncode == 130


@pytest.mark.slow
def test_ctrl_c_while_pytorch_is_loaded_is_quiet(start: Start) -> None:
    process = start(2, "time.sleep(60)")
    wait_until_loading(process)
    os.killpg(process.pid, signal.SIGINT)
    assert process.communicate(timeout=60) == ("", "")
    assert process.returncode == 130


@pytest.mark.slow
@pytest.mark.parametrize("is_early", [False, True])
def test_they_end_when_their_parent_is_killed(start: Start, tmp_path: Path, is_early: bool) -> None:
    """Also if it dies before PyTorch has asked the kernel to tell them, and if SIGINT is ignored,
    as shells have it for what they run in the background."""
    ignore = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)}
    process = start(2, "os.write(1, b'ready\\n'); time.sleep(60)", **ignore)
    if is_early:
        wait_until_loading(process)
    else:
        wait_until(process, "ready")
    process.kill()
    process.communicate(timeout=20)  # until nobody has its pipes
    expect_none_left(tmp_path, seconds=1)
