"""The fields of grouped options: their names, values and types.

A field's type says what it admits, and is asked in the same words for a flag and for a file.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Mapping
from typing import Annotated, Any, Literal, TypeVar, get_args, get_origin, get_type_hints

Options = TypeVar("Options")


@dataclasses.dataclass(frozen=True)
class Range:
    """The range of a number, both ends included, as in `Annotated[int, Range(1, 12)]`."""

    least: float
    most: float = sys.float_info.max  # so that infinity and not-a-number are in no range

    def __str__(self) -> str:
        is_open = self.most == sys.float_info.max
        return f"of {self.least} or more" if is_open else f"from {self.least} to {self.most}"


def fits(value: Any, hint: Any) -> bool:
    """Whether a value is of a type, and in its range.

    Strict, as our own files are typed: "3" is no number, nor is True. A whole number is a real one.
    """
    if get_origin(hint) is Annotated:
        plain, limits = get_args(hint)
        return fits(value, plain) and limits.least <= value <= limits.most
    if get_origin(hint) is Literal:
        return any(value == choice and type(value) is type(choice) for choice in get_args(hint))
    if members := get_args(hint):  # of a union, such as int | None
        return any(fits(value, member) for member in members)
    return type(value) is hint or (hint is float and type(value) is int)


def expected(hint: Any) -> str:
    """What fits a type, in words; that a field may be left empty goes without saying."""
    words = {bool: "true or false", int: "a whole number", float: "a finite number", str: "text"}
    if get_origin(hint) is Annotated:
        plain, limits = get_args(hint)
        return f"{words[plain]} {limits}"
    if get_origin(hint) is Literal:
        return " or ".join(map(str, get_args(hint)))
    return words[hint] if hint in words else expected(get_args(hint)[0])


def types_of(kind: Any) -> dict[str, Any]:
    """The type of each field of a dataclass, whatever group it is in: {flag: type}."""
    types: dict[str, Any] = {}
    for name, hint in get_type_hints(kind, include_extras=True).items():
        types |= types_of(hint) if dataclasses.is_dataclass(hint) else {name: hint}
    return types


def flat(options: Any) -> dict[str, Any]:
    """The value of each field, whatever group it is in: {flag: value}."""
    values: dict[str, Any] = {}
    for name, value in vars(options).items():
        values |= flat(value) if dataclasses.is_dataclass(value) else {name: value}
    return values


def changed(values: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The values, {flag: value}, that differ from those in `defaults`, which has all of them."""
    return {name: value for name, value in values.items() if value != defaults[name]}


def replaced(options: Options, values: Mapping[str, Any]) -> Options:
    """The same options with the fields in `values` changed, whatever group they are in."""
    changes = {
        name: replaced(old, values) if dataclasses.is_dataclass(old) else values.get(name, old)
        for name, old in vars(options).items()
    }
    return dataclasses.replace(options, **changes)  # type: ignore[type-var]
