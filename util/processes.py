"""Several processes of one program: who is who, and starting them without torchrun.

Nothing here loads PyTorch, so that a mistake on the command line is told at once.
"""

from __future__ import annotations

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

from util.errors import UserError

LIFELINE = "PIX2PIXHD_LIFELINE"  # names a pipe that closes when the process that started us dies
ASKED_TO_STOP = (128 + signal.SIGINT, 128 + signal.SIGTERM)
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
    names = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    if "RANK" not in environment or "WORLD_SIZE" not in environment:
        return World()
    defaults = {"LOCAL_RANK": environment["RANK"], "LOCAL_WORLD_SIZE": environment["WORLD_SIZE"]}
    values = [environment.get(name, defaults.get(name, "")) for name in names]
    if not all(value.isascii() and value.isdigit() for value in values):
        found = ", ".join(f"{name}={value}" for name, value in zip(names, values, strict=True))
        raise UserError(f"{found}: expected whole numbers; unset RANK, or start with torchrun")
    return World(*map(int, values))


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

    SIGINT and SIGTERM are passed on. The processes have sessions of their own, so that Ctrl-C on a
    terminal reaches them once, and they end when this one is killed.

    Returns:
        The exit code of the first that failed, as shells give it, or 0.
    """
    lifeline, ours = os.pipe()
    shared = _environment(count, lifeline)
    children = [
        subprocess.Popen(
            command,
            env=shared | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            start_new_session=True,
            pass_fds=(lifeline,),
        )
        for rank in range(count)
    ]
    os.close(lifeline)
    try:
        return _Watch(children).until_the_end()
    finally:
        os.close(ours)


def follow_the_starter() -> None:
    """Send this process SIGTERM when the process that started it is gone, even by kill -9."""
    if LIFELINE not in os.environ:
        return
    pipe = int(os.environ.pop(LIFELINE))

    def wait() -> None:
        os.read(pipe, 1)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="lifeline", daemon=True).start()


def _environment(count: int, lifeline: int) -> dict[str, str]:
    """What all processes are told."""
    # A launcher of this one process alone is none of theirs.
    outside = {k: v for k, v in os.environ.items() if not k.startswith(("TORCHELASTIC_", "ROLE_"))}
    return {
        "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 1) // count)),
        **outside,
        **{"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": _free_port()},
        **{"WORLD_SIZE": str(count), "LOCAL_WORLD_SIZE": str(count)},
        LIFELINE: str(lifeline),
    }


def _free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


class _Watch:
    """Waits for processes, passes signals on, and ends the others when one fails."""

    def __init__(self, children: list[subprocess.Popen[bytes]]) -> None:
        self.children = children
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._pass_on)

    def until_the_end(self) -> int:
        """Returns the code of the first that failed, or 0."""
        while (code := self._first_failure()) is None:
            if all(child.poll() == 0 for child in self.children):
                return 0
            time.sleep(0.05)
        if code in ASKED_TO_STOP:
            self._wait(SAVING)
        self._send(signal.SIGTERM)
        self._wait(PATIENCE)
        self._send(signal.SIGKILL)
        self._wait(PATIENCE)
        return code

    def _first_failure(self) -> int | None:
        for rank, child in enumerate(self.children):
            code = child.poll()
            if code is not None and code < 0:
                name = signal.Signals(-code).name
                print(f"error: process {rank} was ended by {name}", file=sys.stderr, flush=True)
                return 128 - code
            if code:
                return code
        return None

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self._send(signal.Signals(number))

    def _send(self, number: signal.Signals) -> None:
        for child in self.children:
            if child.poll() is None:
                child.send_signal(number)

    def _wait(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(c.poll() is None for c in self.children):
            time.sleep(0.05)
