"""The one kind of error that is printed without a traceback: a mistake that a user can mend."""

from __future__ import annotations

from collections.abc import Iterable


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
