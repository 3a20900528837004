"""The one kind of error that is printed without a traceback: a mistake that a user can mend."""

from __future__ import annotations

import multiprocessing
import signal
import sys
from collections.abc import Callable, Iterable


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


def run_program(main: Callable[[], None]) -> None:
    """Run an entry script; user mistakes become `error:` lines on stderr and exit code 2.

    Ctrl-C exits with 130 and a reader that went away (`| head`) with 141, as shells expect, both
    without a traceback. Anything else is a broken invariant of ours and keeps its traceback.
    """
    try:
        main()
    except UserError as error:
        for problem in error.problems:
            print(f"error: {problem}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
    except BrokenPipeError:
        sys.exit(128 + signal.SIGPIPE)
    finally:
        _end_children()


def _end_children() -> None:
    """End loading processes: they leave SIGTERM to us, and Python would wait for them forever."""
    children = multiprocessing.active_children()
    if children:
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # PyTorch's handler would complain
    for child in children:
        child.kill()
