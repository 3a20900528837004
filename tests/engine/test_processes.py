"""Processes that belong together: started together, told who they are, ended together."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from engine.processes import World, launch_id, restarted_launch, world

from util.errors import UserError

ROOT = Path(__file__).resolve().parents[2]

STARTER = (
    "import sys; from engine.processes import run_in_processes; "
    "sys.exit(run_in_processes(int(sys.argv[1]), [sys.executable, *sys.argv[2:]]))"
)


def start(count: int, program: str, *arguments: str | Path) -> subprocess.Popen[str]:
    """`count` processes of a Python program, which finds `rank` and `os` ready."""
    program = f"import os, sys, time\nrank = int(os.environ['RANK'])\n{program}"
    return subprocess.Popen(
        [sys.executable, "-c", STARTER, str(count), "-c", program, *map(str, arguments)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_who_is_who() -> None:
    assert world({}) == World(0, 1, 0, 1)
    assert world({}).is_main
    meeting = {"MASTER_ADDR": "here", "MASTER_PORT": "1"}
    given = {"RANK": "5", "WORLD_SIZE": "8", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "4"} | meeting
    assert world(given) == World(5, 8, 1, 4)
    assert not world(given).is_main
    assert world({"RANK": "", "WORLD_SIZE": ""}) == World()
    for wrong in ({"RANK": "one"}, {"RANK": "8"}, {"LOCAL_RANK": "4"}, {"MASTER_PORT": ""}):
        with pytest.raises(UserError, match=r"RANK=.*WORLD_SIZE=8"):
            world(given | wrong)


def test_a_launch_has_a_name_that_restarts_share() -> None:
    assert launch_id({}) is None
    assert launch_id({"TORCHELASTIC_RUN_ID": "abc"}) == "abc"
    assert str(os.getppid()) in (launch_id({"TORCHELASTIC_RUN_ID": "none"}) or "")
    first = {"TORCHELASTIC_RUN_ID": "abc", "TORCHELASTIC_RESTART_COUNT": "0"}
    assert restarted_launch(first) is None
    assert restarted_launch(first | {"TORCHELASTIC_RESTART_COUNT": "2"}) == "abc"
    assert restarted_launch({}) is None


def test_processes_know_each_other() -> None:
    names = ("RANK", "LOCAL_RANK", "WORLD_SIZE", "LOCAL_WORLD_SIZE", "MASTER_ADDR")
    out, err = start(2, f"print([os.environ[n] for n in {names}])").communicate(timeout=30)
    assert err == ""
    assert sorted(out.splitlines()) == [
        "['0', '0', '2', '2', '127.0.0.1']",
        "['1', '1', '2', '2', '127.0.0.1']",
    ]


def test_one_that_fails_ends_all_with_its_traceback() -> None:
    began = time.monotonic()
    process = start(3, "time.sleep(60) if rank != 1 else no_such_name")
    _, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert "NameError" in err and err.count("Traceback") == 1
    assert time.monotonic() - began < 20


def test_the_code_is_that_of_the_one_that_failed_not_of_those_that_lost_it() -> None:
    process = start(2, "sys.exit(75) if rank == 0 else time.sleep(0.5) or sys.exit(2)")
    process.communicate(timeout=30)
    assert process.returncode == 2


def test_one_that_is_killed_ends_all_and_is_named() -> None:
    process = start(2, "time.sleep(60) if rank != 1 else os.kill(os.getpid(), 9)")
    _, err = process.communicate(timeout=30)
    assert process.returncode == 137
    assert err == "error: process 1 was ended by SIGKILL\n"


def test_one_that_hears_no_signal_is_killed(tmp_path: Path) -> None:
    deaf = "import signal; signal.signal(15, signal.SIG_IGN); open(sys.argv[1], 'w'); "
    wait = f"{deaf}time.sleep(60)"
    fail = "\n    while not os.path.exists(sys.argv[1]): time.sleep(0.01)\n    sys.exit(3)"
    process = start(2, f"if rank == 0: {wait}\nelse:{fail}", tmp_path / "ready")
    process.communicate(timeout=30)
    assert process.returncode == 3


def test_the_second_signal_ends_those_that_hear_nothing() -> None:
    deaf = "import signal; signal.signal(2, signal.SIG_IGN); os.write(1, b'ready\\n'); "
    process = start(2, f"{deaf}time.sleep(60)")
    assert process.stdout is not None
    for _ in range(2):
        assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGINT)
    time.sleep(1.5)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=30)
    assert (process.returncode, err) == (130, "")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_signals_are_passed_on_and_waited_for(
    number: signal.Signals, code: int, tmp_path: Path
) -> None:
    """The first process needs a second longer, as one that saves."""
    program = """
import signal
def stop(number, frame):
    time.sleep(1.0 if rank == 0 else 0.0)
    open(f"{sys.argv[1]}/saved{rank}", "w").close()
    sys.exit(128 + number)
[signal.signal(n, stop) for n in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)]
os.write(1, b"ready\\n")
time.sleep(60)
"""
    process = start(2, program, tmp_path)
    assert process.stdout is not None
    for _ in range(2):
        assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    process.communicate(timeout=30)
    assert process.returncode == code
    assert {file.name for file in tmp_path.iterdir()} == {"saved0", "saved1"}


def test_they_end_when_their_starter_is_killed(tmp_path: Path) -> None:
    program = """
from engine.processes import follow_the_starter
follow_the_starter()
os.write(1, b"ready\\n")
try:
    time.sleep(60)
finally:
    open(f"{sys.argv[1]}/left{rank}", "w").close()
"""
    program = "import signal\nsignal.signal(15, lambda *_: sys.exit(0))\n" + program
    process = start(2, program, tmp_path)
    assert process.stdout is not None
    for _ in range(2):
        assert process.stdout.readline() == "ready\n"
    process.kill()
    deadline = time.monotonic() + 20
    while len(list(tmp_path.iterdir())) < 2:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.communicate()
