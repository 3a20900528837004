"""How a program ends: with which exit code, and what it says where something went wrong."""

from __future__ import annotations

import contextlib
import errno
import io
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Sequence
from importlib import metadata
from typing import NoReturn, TypeVar

import pix2pixhd
from pix2pixhd.engine.stop_signal import discard
from pix2pixhd.engine.world import World, read_world
from pix2pixhd.util.errors import UserError

Result = TypeVar("Result")

# Seconds that a process leaves to the others to say why all end: launchers, ours and torchrun, end
# all processes sooner than that once one has failed.
ECHO_DELAY = 4.0

SHARED_MEMORY = (
    "/dev/shm is full ({}): loading processes hand over their batches there; give --nThreads 0 or "
    "fewer of them, or more shared memory (docker run --shm-size 8g)"
)

OUT_OF_MEMORY = (
    "the device's memory is full ({}); lower --fineSize, --loadSize, --batchSize or --ngf, or give "
    "--checkpoint_activations in training, --tile in rendering"
)

UNWRITABLE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)

# Of exchanges between processes, which break off when one of them ends.
LOST = ("connection closed by peer", "connection reset by peer", "remote process exited")

# For PyTorch, which looks when it is loaded.
ENVIRONMENT = {
    # Idle threads of OpenMP are soon to sleep, not to spin on cores that loading processes need; to
    # sleep at once would cost small networks a third of their time.
    "GOMP_SPINCOUNT": "10000",
    # Large tensors get pages of 2 MB where Linux has them, not 512 page faults for each of those.
    "THP_MEM_ALLOC_ENABLE": "1",
}


def parse_command_line(parse: Callable[[Sequence[str]], Result]) -> Result:
    """The options of `python PROGRAM ...`; exits over mistakes, before PyTorch is loaded, which
    takes seconds. Of several processes the first alone prints, such as help; --version exits."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)

    def parsed() -> Result:
        told = sys.stdout if read_world().is_main else io.StringIO()
        with contextlib.redirect_stdout(told):
            if "--version" in sys.argv[1:]:
                print(versions())
                sys.exit()
            return parse(sys.argv[1:])

    options = run_program(parsed)
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # no traceback of a half-loaded PyTorch
    return options


def versions() -> str:
    """Of this program and of what it stands on, without loading PyTorch."""
    python = ".".join(map(str, sys.version_info[:3]))
    torch = metadata.version("torch")
    return f"pix2pixhd {pix2pixhd.__version__}, PyTorch {torch}, Python {python}"


def run_program(main: Callable[[], Result]) -> Result:
    """Run an entry script; user mistakes become `error:` lines on stderr and exit code 2.

    Ctrl-C exits with 130 and a reader that went away (`| head`) with 141, as shells expect, both
    without a traceback. Anything else is a broken invariant of ours and keeps its traceback.

    What several processes notice, such as a missing folder, is told once: rank 0 tells at once,
    the others only if they are still alive a while later, because nobody else did.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # see parse_command_line
        signal.signal(signal.SIGINT, signal.default_int_handler)
    world = World()
    try:
        world = read_world()
        try:
            return main()
        finally:
            if sys.stdout:  # to notice here, not at the very end, that nobody reads
                sys.stdout.flush()
    except SystemExit as stop:
        if world.size > 1 and isinstance(stop.code, int | None):
            exit_at_once(stop.code or 0)
        raise
    except (Exception, KeyboardInterrupt) as error:
        code, lines = _explained(error, world)
        if code == 1 and world.size == 1:
            raise
        if isinstance(error, OSError):  # Python would try once more, at the end, to print
            with contextlib.suppress(OSError, ValueError, AttributeError):
                discard(sys.stdout.fileno())
        if code == 1 and not lines:
            traceback.print_exc()
        elif lines and (code == 1 or not world.is_main):
            time.sleep(ECHO_DELAY)
        rank = "" if world.is_main else f"[rank {world.rank}] "
        for line in lines:
            print(f"error: {rank}{line}", file=sys.stderr)
        # Of several processes none waits for the others, and a half-made loader would complain.
        if world.size > 1 or _is_of_shared_memory(error):
            exit_at_once(code)
        sys.exit(code)
    finally:
        _end_children()


def exit_at_once(code: int) -> NoReturn:
    """End this process and those that load for it, with what was printed, but without more.

    Python's own farewells may wait for other processes in vain, and threads of Gloo that they find
    at work make them abort.
    """
    _end_children()
    with contextlib.suppress(OSError, AttributeError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _explained(error: BaseException, world: World) -> tuple[int, Sequence[str]]:
    """The exit code, and lines that say why; 1 without any is a broken invariant of ours."""
    lines = str(error).splitlines()
    if isinstance(error, UserError):
        return 2, error.problems
    if isinstance(error, KeyboardInterrupt):
        return 128 + signal.SIGINT, []
    if isinstance(error, BrokenPipeError):
        return 128 + signal.SIGPIPE, []
    if _is_of_shared_memory(error):
        return 2, [SHARED_MEMORY.format(lines[-1])]
    if "OutOfMemoryError" in type(error).__name__:  # PyTorch's, which is not loaded here
        return 2, [OUT_OF_MEMORY.format(lines[0])]
    is_of_disk = isinstance(error, OSError) and error.errno in UNWRITABLE
    if is_of_disk and getattr(error, "filename", None) is None:  # as it is not of files
        return 2, [f"standard output cannot be written ({error})"]
    if world.size > 1 and any(sign in str(error).lower() for sign in LOST):
        return 1, [f"this process ends, as another one did ({lines[0]})"]
    return 1, []


def _is_of_shared_memory(error: BaseException) -> bool:
    """Whether /dev/shm is full: found by a loading process, or on making its queues."""
    if isinstance(error, RuntimeError):
        return "shared memory" in str(error)
    frames = traceback.extract_tb(error.__traceback__)
    is_of_queues = any("multiprocessing" in frame.filename for frame in frames)
    return isinstance(error, OSError) and error.errno == errno.ENOSPC and is_of_queues


def _end_children() -> None:
    """End loading processes: they leave SIGTERM to us, and Python would wait for them forever."""
    children = multiprocessing.active_children()
    if children:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch's handler would complain
    for child in children:
        child.kill()
