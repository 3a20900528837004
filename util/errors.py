"""The one kind of error that is printed without a traceback: a mistake that a user can mend."""

from __future__ import annotations

import contextlib
import errno
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Iterable
from typing import NoReturn, TypeVar

Result = TypeVar("Result")

LOST_OTHERS = 75  # exit code of one of several processes that ends because another one did
ECHO_DELAY = 2.0  # seconds; a launcher ends all processes sooner than that once one has failed


class UserError(ValueError):
    """A mistake outside the program: a wrong file, flag or folder.

    Each problem is one line that names the file or flag, the value found, the range expected
    and the likely fix.

    Args:
        problems: one line, or several when they are reported together.
    """

    def __init__(self, problems: str | Iterable[str]) -> None:
        self.problems = [problems] if isinstance(problems, str) else list(problems)
        super().__init__("\n".join(self.problems))


def run_program(main: Callable[[], Result]) -> Result:
    """Run an entry script; user mistakes become `error:` lines on stderr and exit code 2.

    Ctrl-C exits with 130 and a reader that went away (`| head`) with 141, as shells expect, both
    without a traceback. Anything else is a broken invariant of ours and keeps its traceback. Of
    several processes, those that merely lost another one exit with LOST_OTHERS.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_DFL:  # see start.py
        signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        try:
            return main()
        finally:
            if sys.stdout:  # to notice here, not at the very end, that nobody reads
                sys.stdout.flush()
    except UserError as error:
        if not _is_first():
            time.sleep(ECHO_DELAY)
        for problem in error.problems:
            print(f"error: {problem}", file=sys.stderr)
        _exit(2)
    except SystemExit as stop:
        if _is_one_of_several() and isinstance(stop.code, int | None):
            exit_at_once(stop.code or 0)
        raise
    except KeyboardInterrupt:
        _exit(128 + signal.SIGINT)
    except BrokenPipeError:
        _discard_output()
        _exit(128 + signal.SIGPIPE)
    except Exception as error:
        if _is_of_output(error):
            _discard_output()
            print(f"error: standard output cannot be written ({error})", file=sys.stderr)
            _exit(2)
        if not _is_one_of_several():
            raise
        if _is_loss_of_others(error):
            reason = str(error).splitlines()[0]
            if "TORCHELASTIC_RUN_ID" in os.environ:  # our own launcher says what happened
                rank = os.environ.get("RANK")
                print(f"process {rank} ends, as another one did ({reason})", file=sys.stderr)
            _exit(LOST_OTHERS)
        traceback.print_exc()
        _exit(1)
    finally:
        _end_children()


def _is_of_output(error: Exception) -> bool:
    """Whether it is what is printed that found no room; files name themselves in a UserError."""
    is_full = isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EIO)
    return is_full and getattr(error, "filename", None) is None


def _discard_output() -> None:
    """Python would try once more, at the end, to write what it could not."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _exit(code: int) -> NoReturn:
    """Exit; one of several processes without farewells, for which it would wait in vain."""
    if _is_one_of_several():
        exit_at_once(code)
    sys.exit(code)


def exit_at_once(code: int) -> NoReturn:
    """End this process and those that load for it, with what was printed, but without more."""
    _end_children()
    with contextlib.suppress(OSError, AttributeError):
        sys.stdout.flush()
        sys.stderr.flush()
    os._exit(code)


def _is_one_of_several() -> bool:
    return os.environ.get("WORLD_SIZE", "1") != "1"


def _is_first() -> bool:
    """Whether it is for this process to tell what all processes notice."""
    return os.environ.get("RANK", "0") == "0"


def _is_loss_of_others(error: Exception) -> bool:
    """Whether an exchange between processes broke off, as it does when one of them ends."""
    signs = ("connection closed by peer", "connection reset by peer", "remote process exited")
    return isinstance(error, RuntimeError) and any(sign in str(error).lower() for sign in signs)


def _end_children() -> None:
    """End loading processes: they leave SIGTERM to us, and Python would wait for them forever."""
    children = multiprocessing.active_children()
    if children:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch's handler would complain
    for child in children:
        child.kill()
