"""Several processes of one program: who is who, and starting them without torchrun.

Nothing here loads PyTorch, so that a mistake on the command line is told at once.
"""

from __future__ import annotations

import math
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import FrameType

from engine.stop_signal import SAME_WISH, heard_signals, leave_dead_terminal
from util.errors import LOST_OTHERS, UserError

NAMES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")  # as launchers give them
STARTER = "PIX2PIXHD_STARTER"  # the process that started those of `run_in_processes`
ASKED_TO_STOP = tuple(128 + number for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP))
PATIENCE = 5.0  # seconds from SIGTERM to SIGKILL for the companions of a process that failed
SAVING = 300.0  # the same after a process that was asked to stop: another may be saving


@dataclass(frozen=True)
class World:
    """The processes that run one program together, and which of them this is."""

    rank: int = 0
    size: int = 1
    local_rank: int = 0  # among those on this machine
    local_size: int = 1

    @property
    def is_main(self) -> bool:
        """Whether this is the process that writes, prints and decides."""
        return self.rank == 0


def world(environment: Mapping[str, str] = os.environ) -> World:
    """What a launcher such as torchrun says in RANK, WORLD_SIZE, LOCAL_RANK, LOCAL_WORLD_SIZE.

    Raises:
        UserError: the variables are there, but make no sense.
    """
    given = {name: environment.get(name, "") for name in NAMES}
    if not (given["RANK"] and given["WORLD_SIZE"]):
        return World()
    given["LOCAL_RANK"] = given["LOCAL_RANK"] or given["RANK"]
    given["LOCAL_WORLD_SIZE"] = given["LOCAL_WORLD_SIZE"] or given["WORLD_SIZE"]
    found = ", ".join(f"{name}={value}" for name, value in given.items())
    if not all(value.isascii() and value.isdigit() for value in given.values()):
        raise UserError(f"{found}: expected whole numbers; unset RANK, or start with torchrun")
    rank, size, local_rank, local_size = (int(value) for value in given.values())
    if not (rank < size and local_rank < local_size):
        raise UserError(
            f"{found}: expected ranks below the number of processes; unset RANK, or start with "
            "torchrun"
        )
    if size > 1 and not (environment.get("MASTER_ADDR") and environment.get("MASTER_PORT")):
        raise UserError(
            f"{found}: one of {size} processes, but MASTER_ADDR and MASTER_PORT do not say where "
            "to meet the others; unset WORLD_SIZE, or start with torchrun"
        )
    return World(rank, size, local_rank, local_size)


def launched() -> bool:
    """Whether a launcher started this process beside others."""
    return world().size > 1


def launch_id(environment: Mapping[str, str] = os.environ) -> str | None:
    """What stays the same when torchrun restarts its processes, else None."""
    if "TORCHELASTIC_RUN_ID" not in environment:
        return None
    name = environment["TORCHELASTIC_RUN_ID"]
    # "none" is torchrun's default; then its process tells one launch from another.
    return f"process {os.getppid()}" if name == "none" else name


def restarted_launch(environment: Mapping[str, str] = os.environ) -> str | None:
    """The `launch_id`, if torchrun started this process anew after one failed."""
    is_first = environment.get("TORCHELASTIC_RESTART_COUNT", "0") in ("", "0")
    return None if is_first else launch_id(environment)


def run_in_processes(count: int, command: Sequence[str]) -> int:
    """Run a command in `count` processes that know each other; all end when one fails.

    SIGINT, SIGTERM and SIGHUP are passed on. The processes have sessions of their own, so that
    Ctrl-C on a terminal reaches them once, and they end when this one is killed.

    Returns:
        The exit code of the first that failed, as shells give it, or 0.
    """
    watch = _Watch()
    shared = _environment(count)
    for rank in range(count):
        numbered = shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)}
        watch.children.append(subprocess.Popen(command, env=numbered, start_new_session=True))
    return watch.until_the_end()


def is_ours() -> bool:
    """Whether `run_in_processes` started this process."""
    return STARTER in os.environ


def follow_the_starter() -> None:
    """Send this process SIGTERM when the launcher that started it is gone, even by kill -9, and
    SIGKILL if it has not ended a good while after that."""
    if not launched():
        return
    starter = int(os.environ.get(STARTER, os.getppid()))

    def wait() -> None:
        while os.getppid() == starter:
            time.sleep(1.0)
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(SAVING)
        os.kill(os.getpid(), signal.SIGKILL)

    threading.Thread(target=wait, name="starter", daemon=True).start()


def _environment(count: int) -> dict[str, str]:
    """What all processes are told."""
    # A launcher of this one process alone is none of theirs.
    outside = {k: v for k, v in os.environ.items() if not k.startswith(("TORCHELASTIC_", "ROLE_"))}
    return {
        "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // count)),
        **outside,
        **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _free_port()},
        **{"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)},
        STARTER: str(os.getpid()),
    }


def _free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


class _Watch:
    """Waits for processes, passes signals on, and ends the others when one fails."""

    def __init__(self) -> None:
        self.children: list[subprocess.Popen[bytes]] = []
        self._asked: int | None = None  # the first signal passed on
        self._asked_at = 0.0
        self._kill_at = math.inf
        for number in heard_signals():
            signal.signal(number, self._pass_on)

    def until_the_end(self) -> int:
        """Returns the code of the first that failed, or 0."""
        while (code := self._first_failure()) is None:
            if all(child.poll() == 0 for child in self.children):
                return 0
            if time.monotonic() > self._kill_at:  # one of them hears nothing, the others wait
                self._send(signal.SIGKILL)
            time.sleep(0.05)
        if self._asked is not None or code in ASKED_TO_STOP:
            self._wait(SAVING)
        self._send(signal.SIGTERM)
        self._wait(PATIENCE)
        self._send(signal.SIGKILL)
        self._wait(PATIENCE)
        return code

    def _first_failure(self) -> int | None:
        """The code of the process that failed; not of those that only lost it."""
        codes = [child.poll() for child in self.children]
        for rank, code in enumerate(codes):
            if code is not None and code < 0:
                if self._asked is not None:
                    return 128 + self._asked
                name = signal.Signals(-code).name
                print(f"error: process {rank} was ended by {name}", file=sys.stderr, flush=True)
                return 128 - code
            if code and code != LOST_OTHERS:
                return code
        return LOST_OTHERS if None not in codes and any(codes) else None

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if number == signal.SIGHUP:
            leave_dead_terminal()
        if self._asked is None:
            self._asked, self._asked_at = number, now
        elif now - self._asked_at > SAME_WISH:
            self._kill_at = now + PATIENCE
        self._send(signal.Signals(number))

    def _send(self, number: signal.Signals) -> None:
        for child in self.children:
            if child.poll() is None:
                child.send_signal(number)

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < min(deadline, self._kill_at):
            if all(child.poll() is not None for child in self.children):
                return
            time.sleep(0.05)
