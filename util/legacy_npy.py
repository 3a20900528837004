"""Reads `.npy` files of pickled dictionaries without executing anything that is in them.

A pickle is a program that calls what it names. Here the few names that NumPy's own pickles need
lead to stand-ins that only take notes; NumPy's constructors are never called by the file, as some
of them trust what they are given.
"""

from __future__ import annotations

import io
import math
import pickle
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from util.errors import UserError

MAGIC = b"\x93NUMPY"


def load_legacy_npy(path: Path) -> dict[Any, Any]:
    """The dictionary in a file that `numpy.save` made of one.

    Returns:
        Plain values to numeric arrays or plain values.

    Raises:
        UserError: there is no such file, it is damaged, or it holds anything else.
    """
    try:
        # All of it at once: a pickle that announces more bytes than follow gets what there is.
        file = io.BytesIO(path.read_bytes())
        shape, dtype = _header(file)
        if dtype != np.dtype(object) or shape != ():
            found = f"an array of {dtype}, shape {shape}"
            raise UserError(f"{path}: holds {found}, expected a pickled dictionary")
        # latin1: strings of Python 2 were bytes, which it maps one to one.
        noted = _Unpickler(file, encoding="latin1").load()
        return _resolved(noted.item() if isinstance(noted, _Array) else noted)
    except UserError:
        raise
    except FileNotFoundError as error:
        raise UserError(f"there is no file {path}; check the path") from error
    except _RefusedError as error:
        raise UserError(
            f"{path}: refused, nothing in it was executed: it holds more than dictionaries and "
            f"arrays of numbers ({error})"
        ) from error
    # The file decides what the unpickler and our stand-ins are called with, so anything can go
    # wrong there.
    except Exception as error:
        raise UserError(
            f"{path}: cannot be read ({_first_line(error)}); the file is truncated or of another "
            "format, take an intact copy"
        ) from error


class _RefusedError(Exception):
    """Something in the file is no data; says what."""


def _header(file: io.BytesIO) -> tuple[tuple[int, ...], np.dtype[Any]]:
    version = np.lib.format.read_magic(file)
    read = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }.get(version)
    if read is None:
        raise ValueError(f"version {version} of the format")
    shape, _, dtype = read(file)
    return shape, dtype


# The one written in Python: the other reserves as much memory as the file says.
class _Unpickler(pickle._Unpickler):
    def find_class(self, module: str, name: str) -> Callable[..., Any]:
        # A new function each time: a pickle can set attributes of what it is given.
        def array(*_: Any) -> _Array:
            return _Array()

        def dtype(code: Any, *_: Any) -> _Dtype:
            return _Dtype(code)

        def scalar(kind: _Dtype, data: Any) -> _Array:
            return _Array(kind, (), False, data)

        def encode(text: str, encoding: str) -> bytes:
            # Python 3's way to put bytes into a pickle that Python 2 can read.
            if encoding != "latin1":
                raise _RefusedError(f"_codecs.encode to {encoding!r}")
            return text.encode("latin1")

        def no_bytes() -> bytes:
            return b""  # and those of length zero have a way of their own

        def ndarray(*_: Any) -> NoReturn:
            raise _RefusedError("numpy.ndarray called")

        allowed: dict[tuple[str, str], Callable[..., Any]] = {
            ("numpy.core.multiarray", "_reconstruct"): array,
            ("numpy.core.multiarray", "scalar"): scalar,
            ("numpy", "ndarray"): ndarray,
            ("numpy", "dtype"): dtype,
            ("_codecs", "encode"): encode,
            ("__builtin__", "bytes"): no_bytes,
        }
        # NumPy 2 renamed numpy.core.
        found = allowed.get((module.replace("numpy._core.", "numpy.core."), name))
        if found is None:
            raise _RefusedError(f"{module}.{name}")
        return found

    def persistent_load(self, pid: Any) -> NoReturn:
        raise _RefusedError("a reference to another file")


class _Dtype:
    """Notes of a `numpy.dtype` in a pickle: numbers, or objects, in either byte order."""

    def __init__(self, code: Any) -> None:
        if not isinstance(code, str) or not re.fullmatch(r"b1|[iu][1248]|f[248]|O[48]?", code):
            raise _RefusedError(f"an array of {str(code)[:20]!r}")
        self.code = code
        self.order = "="

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        order = state[1]
        if order not in ("<", ">", "|", "="):
            raise ValueError(f"byte order {order!r}")
        self.order = order

    def numeric(self) -> np.dtype[Any]:
        assert not self.code.startswith("O")
        return np.dtype(self.order + self.code)


class _Array:
    """Notes of a `numpy.ndarray` or a NumPy number in a pickle."""

    def __init__(
        self,
        dtype: _Dtype | None = None,
        shape: tuple[int, ...] = (),
        fortran: bool = False,  # the first index runs fastest
        data: Any = b"",  # bytes, or a list of objects
    ) -> None:
        self.dtype, self.shape, self.fortran, self.data = dtype, shape, fortran, data
        self.made: np.ndarray | None = None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, self.shape, self.dtype, self.fortran, self.data = state

    def item(self) -> Any:
        """The one object of an array of objects without dimensions."""
        if self.shape != () or not isinstance(self.data, list) or len(self.data) != 1:
            raise ValueError("an array of objects")
        return self.data[0]

    def array(self) -> np.ndarray:
        """The array of numbers; always the same, as a file can mention it a million times."""
        if self.made is None:
            if not isinstance(self.dtype, _Dtype) or self.dtype.code.startswith("O"):
                raise _RefusedError("an array of objects in the dictionary")
            # In a pickle of Python 2, bytes are a string.
            data = self.data.encode("latin1") if isinstance(self.data, str) else self.data
            dtype = self.dtype.numeric()
            if not all(isinstance(side, int) and side >= 0 for side in self.shape):
                raise ValueError(f"shape {self.shape}")
            if len(data) != math.prod(self.shape) * dtype.itemsize:
                raise ValueError(f"{len(data)} bytes for an array of shape {self.shape}")
            flat = np.frombuffer(data, dtype).astype(dtype.newbyteorder("="))
            self.made = flat.reshape(self.shape, order="F" if self.fortran else "C")
        return self.made


def _resolved(noted: Any) -> dict[Any, Any]:
    """The dictionary that the notes describe."""
    if not isinstance(noted, dict):
        raise _RefusedError(f"a {_kind(noted)}")
    return {_value(key): _value(item) for key, item in noted.items()}


def _value(noted: Any) -> Any:
    if isinstance(noted, _Array):
        return noted.array() if noted.shape else noted.array().item()
    if noted is None or isinstance(noted, bool | int | float | str | bytes):
        return noted
    raise _RefusedError(f"a {_kind(noted)} in the dictionary")


def _kind(value: Any) -> str:
    return type(value).__name__.strip("_").lower()


def _first_line(error: BaseException) -> str:
    lines = str(error).splitlines()
    return lines[0].strip().rstrip(".") if lines else type(error).__name__
