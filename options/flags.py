"""Options as the flags that give them."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from typing import Any


def changed_flags(
    values: Mapping[str, Any],
    defaults: Mapping[str, Any],
    always: Collection[str] = ("name", "dataroot"),
) -> str:
    """The flags of what differs from the defaults, to be copied into a shell.

    Args:
        values, defaults: {flag: value}, as of `options.fields.flat`.
        always: flags that are named whatever their value, before the others.
    """
    changed = [name for name in values if name not in always and values[name] != defaults[name]]
    return " ".join(_flag(name, values[name]) for name in (*always, *changed))


def _flag(name: str, value: Any) -> str:
    if isinstance(value, bool):
        return f"--{name}" if value else f"--no_{name}"
    # A value that begins with a minus would be read as a flag of its own.
    return f"--{name}{'=' if str(value).startswith('-') else ' '}{shlex.quote(str(value))}"
