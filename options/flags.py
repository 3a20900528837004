"""Options as the flags that give them."""

from __future__ import annotations

import shlex
from collections.abc import Collection, Mapping
from typing import Any

from pix2pixhd.options.fields import changed


def as_words(values: Mapping[str, Any]) -> list[str]:
    """The words of a command line that say these values, {flag: value}."""
    words = []
    for name, value in values.items():
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no_{name}")
        elif str(value).startswith("-"):  # would be read as a flag of its own
            words.append(f"--{name}={value}")
        else:
            words += [f"--{name}", str(value)]
    return words


def as_flag(name: str, value: Any) -> str:
    """An option as it is typed in a shell: --ngf 8, --no_flip."""
    return shlex.join(as_words({name: value}))


def changed_flags(
    values: Mapping[str, Any], defaults: Mapping[str, Any], always: Collection[str]
) -> str:
    """The flags of what differs from the defaults, to be copied into a shell.

    Args:
        values, defaults: {flag: value}, as of `options.fields.flat`.
        always: flags that are named whatever their value, before the others.
    """
    named = {name: values[name] for name in always}
    return shlex.join(as_words(named | changed(values, defaults)))
