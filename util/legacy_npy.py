"""Reads `.npy` files of pickled dictionaries without executing anything that is in them.

A pickle is a program. NumPy's own constructors trust it (with false flags, a dtype takes bytes for
addresses of objects), so what it calls only takes notes, and we make the arrays from the notes.
"""

import io
import pickle
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pix2pixhd.util.errors import UserError

MAGIC = b"\x93NUMPY"
# NumPy 2 renamed numpy.core; the last two are how bytes are written for Python 2 to read.
_ALLOWED = re.compile(
    r"numpy\.(ndarray|dtype|_?core\.multiarray\.(_reconstruct|scalar))"
    r"|_codecs\.encode|__builtin__\.bytes"
)


class _RefusedError(Exception):
    """Something in the file is no data; says what."""


class _Call:
    """Notes of a call: its name and arguments, and the state that the result is given."""

    state: Any = None

    def __init__(self, name: str, *arguments: Any) -> None:
        self.name, self.arguments = name, arguments

    def __setstate__(self, state: Any) -> None:
        self.state = state


def _make_list(length: int, unpickler: Any) -> None:
    unpickler.stack[-length:] = [unpickler.stack[-length:]]


# The one written in Python: the other reserves as much memory as the file says.
class _Unpickler(pickle._Unpickler):
    # Lists for tuples: to hash a tuple that is nested deeply enough ends the interpreter.
    dispatch = pickle._Unpickler.dispatch.copy()
    dispatch[pickle.TUPLE[0]] = dispatch[pickle.LIST[0]]
    for _length, _code in enumerate((pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3), start=1):
        dispatch[_code[0]] = partial(_make_list, _length)
    del dispatch[pickle.BYTEARRAY8[0]]  # reserves what the file says here, too

    def find_class(self, module: str, name: str) -> Any:
        if not _ALLOWED.fullmatch(f"{module}.{name}"):
            raise _RefusedError(f"{module}.{name}")
        return partial(_Call, name)

    def persistent_load(self, pid: Any) -> Any:
        raise _RefusedError("a reference to another file")


def load_legacy_npy(path: Path) -> dict[Any, Any]:
    """The dictionary in a file that `numpy.save` made of one: to arrays or plain values.

    Raises:
        UserError: there is no such file, it is damaged, or it holds anything else.
    """
    try:
        content = path.read_bytes()
        noted = _noted(io.BytesIO(content))
        made: dict[int, Any] = {}
        size = 0
        for note in [*noted, *noted.values()]:
            if id(note) not in made:  # a file can mention an array, or its bytes, a million times
                made[id(note)] = _value(note)
                size += getattr(made[id(note)], "nbytes", 0)
            if size > len(content):
                raise _RefusedError("arrays of more bytes than the file")
        return {made[id(key)]: made[id(note)] for key, note in noted.items()}
    except FileNotFoundError as error:
        raise UserError(f"there is no file {path}; check the path") from error
    except _RefusedError as error:
        raise UserError(
            f"{path}: refused, nothing in it was executed: it holds more than dictionaries and "
            f"arrays of numbers ({error})"
        ) from error
    except Exception as error:  # the file decides with what the unpickler's functions are called
        reason = (str(error).splitlines() or [type(error).__name__])[0].strip().rstrip(".")
        raise UserError(
            f"{path}: cannot be read ({reason}); the file is truncated or of another format, take "
            "an intact copy"
        ) from error


def _noted(file: io.BytesIO) -> dict[Any, Any]:
    """The dictionary, with notes of its arrays."""
    lib = np.lib.format
    is_first = lib.read_magic(file) == (1, 0)
    shape, _, dtype = (lib.read_array_header_1_0 if is_first else lib.read_array_header_2_0)(file)
    if dtype != np.dtype(object) or shape != ():
        raise ValueError(f"an array of {dtype}, shape {shape}, expected a pickled dictionary")
    # latin1: strings of Python 2 were bytes, which it maps one to one.
    noted = _Unpickler(file, encoding="latin1").load()
    if isinstance(noted, _Call) and noted.name == "_reconstruct":
        _, _, _, _, [noted] = noted.state  # the array of one object
    if not isinstance(noted, dict):
        raise _RefusedError(f"a {getattr(noted, 'name', type(noted).__name__)}")
    return noted


def _value(note: Any) -> Any:
    """A plain value itself, or the array or number that a note stands for."""
    is_huge = isinstance(note, int) and note.bit_length() > 64
    if isinstance(note, int | float | str | bytes | None) and not is_huge:
        return note
    match getattr(note, "name", type(note).__name__):
        case "_reconstruct":
            _, shape, dtype, fortran, data = note.state
        case "scalar":
            (dtype, data), shape, fortran = note.arguments, (), False
        case other:
            raise _RefusedError(f"{other} in the dictionary")
    code = dtype.state[1] + dtype.arguments[0]
    if not re.fullmatch(r"[<>|](b1|[iu][1248]|f[248])", code):
        raise _RefusedError(f"an array of {code[:20]!r}")
    if isinstance(data, _Call):  # bytes for Python 2
        data = "".join(data.arguments[:1])
    flat = np.frombuffer(data.encode("latin1") if isinstance(data, str) else data, code)
    array = flat.astype(flat.dtype.newbyteorder("=")).reshape(shape, order="F" if fortran else "C")
    return array if array.shape else array.item()
