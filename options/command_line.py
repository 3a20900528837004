"""The command line: argv to a dataclass by tyro, its help and its complaints."""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import io
import re
from collections.abc import Sequence
from typing import get_type_hints

import tyro
from docstring_parser import parse_from_object
from tyro.constructors import ConstructorRegistry, StructConstructorSpec, StructFieldSpec
from tyro.constructors import StructTypeInfo as TypeInfo

from pix2pixhd.options.base_options import ProgramOptions, TrainedRunOptions
from pix2pixhd.options.fields import Options
from pix2pixhd.util.errors import UserError

REGISTRY = ConstructorRegistry()


def read_argv(argv: Sequence[str], default: Options) -> Options:
    """The options that argv says, and the defaults where it says nothing; --help exits with 0.

    Raises:
        UserError: argv is at fault.
    """
    messages = io.StringIO()
    try:
        with contextlib.redirect_stderr(messages):
            return tyro.cli(
                type(default),
                args=list(argv),
                default=default,
                description=f"{inspect.getdoc(type(default))} --version prints the version.",
                config=(tyro.conf.OmitArgPrefixes,),
                use_underscores=True,
                registry=REGISTRY,
            )
    except SystemExit as stop:
        if stop.code:
            raise UserError(_one_line(messages.getvalue())) from None
        raise


def _one_line(box: str) -> str:
    """The text of tyro's framed message, without the frame, headings and the pointer to --help."""
    lines = [re.sub(r"[│╭╮╰╯─]|-{4,}", " ", line).strip() for line in box.splitlines()]
    text = " ".join(line for line in lines[1:] if line)
    text = re.sub(r"typing\.Annotated\[(\w+), [^\]]*\]", r"\1", text)  # a type with its range
    text = text.split("For full helptext")[0].removeprefix("Error parsing ")
    return text.replace(" Argument helptext:", ";").strip()


@REGISTRY.struct_rule
def _with_flowing_help(info: TypeInfo) -> StructConstructorSpec | None:
    """A dataclass as tyro takes it anyway, but for its help: of docstrings tyro keeps the line
    breaks, so that sentences would break in the source's width and in the terminal's."""
    if not dataclasses.is_dataclass(info.type):
        return None
    bases = [kind for kind in info.type.__mro__ if dataclasses.is_dataclass(kind)]
    parameters = [one for kind in bases for one in parse_from_object(kind).params]
    texts = {p.arg_name: " ".join(p.description.split()) for p in parameters if p.description}
    hints = get_type_hints(info.type, include_extras=True)
    if issubclass(info.type, TrainedRunOptions):
        # The run brings those of all programs along: what this one does is what one looks for.
        common = get_type_hints(ProgramOptions)
        hints = dict(sorted(hints.items(), key=lambda hint: hint[0] in common))
    fields = (
        StructFieldSpec(name, kind, getattr(info.default, name), helptext=texts.get(name))
        for name, kind in hints.items()
    )
    return StructConstructorSpec(info.type, fields=tuple(fields))
