"""The command line: argv to a dataclass by tyro, and its complaints in one line each."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Sequence
from typing import TypeVar

import tyro

from util.errors import UserError

Options = TypeVar("Options")


def read_argv(
    kind: type[Options], argv: Sequence[str], default: Options, source: str = ""
) -> Options:
    """The options that argv says, and the defaults where it says nothing.

    Exits with 0 after --help.

    Raises:
        UserError: argv is at fault; one line, which begins with `source`.
    """
    messages = io.StringIO()
    try:
        with contextlib.redirect_stderr(messages):
            return tyro.cli(
                kind,
                args=list(argv),
                default=default,
                config=(tyro.conf.OmitArgPrefixes,),
                use_underscores=True,
            )
    except SystemExit as stop:
        if stop.code:
            exit_with([source + _one_line(messages.getvalue())])
        raise


def _one_line(box: str) -> str:
    """The text of tyro's framed message, without the frame and without its pointer to --help."""
    lines = [re.sub(r"[│╭╮╰╯─]|-{4,}", " ", line).strip() for line in box.splitlines()]
    text = " ".join(line for line in lines[1:] if line)
    return text.split("For full helptext")[0].strip()


def exit_with(found: Sequence[str]) -> None:
    """
    Raises:
        UserError: there are problems; one line each.
    """
    if found:
        raise UserError(found)
