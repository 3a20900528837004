"""What a user sees of a mistake, and with which exit code."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from programs import tiny_run, write_tiny_data

import pix2pixhd
from pix2pixhd.engine.program import ECHO_DELAY, parse_command_line, run_program, versions
from pix2pixhd.util.errors import UserError

ROOT = Path(__file__).resolve().parents[2]


def raising(error: BaseException) -> Callable[[], None]:
    def main() -> None:
        raise error

    return main


@pytest.mark.parametrize(
    ("problems", "lines"),
    [
        ("a.png: empty", ["error: a.png: empty"]),
        (["a.png: empty", "b.png: empty"], ["error: a.png: empty", "error: b.png: empty"]),
        ((problem for problem in ["one"]), ["error: one"]),
    ],
)
def test_mistakes_are_lines_on_stderr(
    problems: str | list[str], lines: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        run_program(raising(UserError(problems)))
    assert caught.value.code == 2
    printed = capsys.readouterr()
    assert printed.err.splitlines() == lines
    assert printed.out == ""


@pytest.mark.parametrize(("error", "code"), [(KeyboardInterrupt(), 130), (BrokenPipeError(), 141)])
def test_interruptions_are_quiet(
    error: BaseException, code: int, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        run_program(raising(error))
    assert caught.value.code == code
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("error", [ValueError("ours"), AssertionError(), OSError("disk")])
def test_our_own_mistakes_keep_their_traceback(error: Exception) -> None:
    with pytest.raises(type(error)) as caught:
        run_program(raising(error))
    assert caught.value is error


def test_a_program_that_ends_well_does_not_exit() -> None:
    run_program(lambda: None)


@pytest.mark.parametrize("program", ["train.py", "test.py"])
def test_a_rank_without_an_address_is_one_line(program: str) -> None:
    done = subprocess.run(
        [sys.executable, program],
        cwd=ROOT,
        env=os.environ | {"RANK": "0", "WORLD_SIZE": "2"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: RANK=0, WORLD_SIZE=2: expected ")
    assert done.stderr.count("\n") == 1


def test_a_later_rank_tells_its_own_mistake_on_the_command_line() -> None:
    """Not at once: rank 0 may see it too, and then the launcher ends this one meanwhile."""
    process = subprocess.Popen(
        [sys.executable, "train.py", "--ngf", "0"],
        cwd=ROOT,
        env=os.environ | {"RANK": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "x", "MASTER_PORT": "1"},
        stderr=subprocess.PIPE,
        text=True,
    )
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(ECHO_DELAY / 2)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err.startswith("error: [rank 1] --ngf") and err.count("\n") == 1


def test_a_full_disk_under_standard_output_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        run_program(raising(OSError(errno.ENOSPC, "No space left on device")))
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("error: standard output cannot be written")


@pytest.mark.parametrize("size", ["4k", pytest.param("64k", marks=pytest.mark.slow)])
def test_a_full_shared_memory_is_named(size: str, tmp_path: Path) -> None:
    """A file system of that size in its place holds no semaphore, or no batch."""
    own = f"mount -t tmpfs -o size={size} tmpfs /dev/shm"
    if subprocess.run(["unshare", "-rm", "sh", "-c", own], capture_output=True).returncode:
        pytest.skip("no mounts of its own for a process here")
    write_tiny_data(tmp_path, size=(256, 128))
    flags = [*tiny_run(tmp_path), "--nThreads", "2", "--niter", "1"]
    done = subprocess.run(
        [
            *("unshare", "-rm", "sh", "-c", f'{own}; exec "$@"', "sh"),
            *(sys.executable, "train.py", *flags),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2, done.stderr
    (line,) = done.stderr.splitlines()
    assert line.startswith("error: /dev/shm is full (") and "--nThreads 0" in line


PROGRAMS = (
    "train.py",
    "test.py",
    "encode_features.py",
    "precompute_feature_maps.py",
    "check_data.py",
)


@pytest.mark.parametrize("script", PROGRAMS)
def test_every_program_tells_its_version(script: str) -> None:
    done = subprocess.run(
        [sys.executable, script, "--version"], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"{versions()}\n"
    ours = pix2pixhd.__version__
    assert done.stdout.startswith(f"pix2pixhd {ours}, PyTorch {torch.__version__.split('+')[0]}")


@pytest.mark.parametrize(("rank", "printed"), [("0", "read\n"), ("1", "")])
def test_of_several_processes_the_first_prints_what_parsing_finds(
    rank: str, printed: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    world = {"RANK": rank, "WORLD_SIZE": "2", "MASTER_ADDR": "localhost", "MASTER_PORT": "1"}
    for name, value in world.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "argv", ["train.py", "a"])
    handler = signal.getsignal(signal.SIGINT)
    try:
        assert parse_command_line(lambda argv: [print("read"), argv][1]) == ["a"]
    finally:
        signal.signal(signal.SIGINT, handler)
    assert capsys.readouterr().out == printed
