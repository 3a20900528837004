"""Pickled dictionaries: those of every NumPy are read, and nothing in a file is executed."""

from __future__ import annotations

import copyreg
import pickle
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pix2pixhd.util.errors import UserError
from pix2pixhd.util.legacy_npy import load_legacy_npy

ROOT = Path(__file__).parents[2]
ARRAY = np.array([[0.5, -1.25, 3.0], [1e-30, 7.0, -0.0]])


def wrapped(stream: bytes) -> bytes:
    """A pickle of the object array that `numpy.save` makes of a dictionary, with its header."""
    header = b"{'descr': '|O', 'fortran_order': False, 'shape': (), }"
    header = header.ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + stream


def file_of(tmp_path: Path, stream: bytes) -> Path:
    path = tmp_path / "file.npy"
    path.write_bytes(wrapped(stream))
    return path


def pickled(value: Any, protocol: int = 4) -> bytes:
    holder = np.empty((), dtype=object)
    holder[()] = value
    return pickle.dumps(holder, protocol=protocol)


def as_numpy_1(stream: bytes, protocol: int) -> bytes:
    """The same with the module's name in NumPy 1, which is one byte shorter."""
    if protocol < 4:
        return stream.replace(b"numpy._core.", b"numpy.core.")
    size = struct.unpack("<Q", stream[3:11])[0] - 1  # of the frame
    stream = stream[:3] + struct.pack("<Q", size) + stream[11:]
    return stream.replace(b"\x8c\x16numpy._core.multiarray", b"\x8c\x15numpy.core.multiarray")


@pytest.mark.parametrize("protocol", [0, 1, 2, 3, 4])
@pytest.mark.parametrize("numpy_1", [False, True])
def test_pickles_of_every_protocol_and_numpy(protocol: int, numpy_1: bool, tmp_path: Path) -> None:
    stream = pickled({7: ARRAY, 8: ARRAY[:0]}, protocol)
    if numpy_1:
        stream = as_numpy_1(stream, protocol)
        assert b"numpy.core.multiarray" in stream
    found = load_legacy_npy(file_of(tmp_path, stream))
    assert list(found) == [7, 8]
    assert np.array_equal(found[7], ARRAY)
    assert found[8].shape == (0, 3)


@pytest.mark.parametrize("dtype", ["<f8", ">f8", "<f4", ">f2", "|u1", ">i4", "<i8", "|b1"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_every_type_and_order(dtype: str, order: Any, tmp_path: Path) -> None:
    array = np.asarray(np.arange(6).reshape(2, 3), dtype=dtype, order=order)
    path = tmp_path / "file.npy"
    np.save(path, {1: array, 2: array}, allow_pickle=True)
    found = load_legacy_npy(path)
    assert np.array_equal(found[1], array)
    assert found[1].dtype == np.dtype(dtype).newbyteorder("=")
    found[1][0, 0] = 1  # is the caller's own


def test_pickle_of_python_2(tmp_path: Path) -> None:
    """Its strings are bytes: 'U' and 'T' are how protocol 2 writes them."""
    data = ARRAY.astype("<f8").tobytes()
    reconstruct = b"cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n"
    dtype = b"cnumpy\ndtype\nU\x02%sK\x00K\x01\x87R(K\x03U\x01%sNNN" + b"J\xff\xff\xff\xff" * 2
    dtype += b"K%ctb"
    inner = reconstruct + b"K\x00\x85U\x01btR(K\x01K\x02K\x03\x86" + dtype % (b"f8", b"<", 0)
    inner += b"\x89T" + struct.pack("<i", len(data)) + data + b"tb"
    outer = reconstruct + b"K\x00\x85U\x01btR(K\x01)" + dtype % (b"O8", b"|", 63)
    outer += b"\x89]}K\x1a" + inner + b"satb"
    found = load_legacy_npy(file_of(tmp_path, b"\x80\x02" + outer + b"."))
    assert np.array_equal(found[26], ARRAY)


def test_numbers_of_numpy_as_keys(tmp_path: Path) -> None:
    found = load_legacy_npy(file_of(tmp_path, pickled({np.int64(3): ARRAY, 4: np.float32(0.5)})))
    assert np.array_equal(found[3], ARRAY)
    assert found[4] == 0.5


def test_plain_pickle_of_a_dictionary(tmp_path: Path) -> None:
    found = load_legacy_npy(file_of(tmp_path, pickle.dumps({3: ARRAY})))
    assert np.array_equal(found[3], ARRAY)


# ---------------------------------------------------------------- refusals


class Calls:
    """Reduces to a call."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def expect_refusal(path: Path, *words: str) -> None:
    with pytest.raises(UserError) as caught:
        load_legacy_npy(path)
    (line,) = caught.value.problems
    assert "\n" not in line
    for word in (str(path), *words):
        assert word in line


@pytest.mark.parametrize("protocol", [0, 2, 4])
@pytest.mark.parametrize("where", ["key", "value", "whole", "array"])
def test_malicious_file_is_refused_and_not_executed(
    where: str, protocol: int, tmp_path: Path
) -> None:
    touched = tmp_path / "touched"
    payload = Calls(Path.touch, touched)
    values = {"key": {payload: 1}, "value": {1: ARRAY, 2: payload}, "whole": payload}
    value = values.get(where, {1: np.array([payload], dtype=object)})
    expect_refusal(
        file_of(tmp_path, pickled(value, protocol)), "refused, nothing in it was executed"
    )
    assert not touched.exists()


@pytest.mark.parametrize(
    "payload",
    [
        Calls(eval, "1"),
        Calls(getattr, {}, "clear"),
        Calls(np.load, "file"),
        Calls(np.frombuffer, b"12345678"),
        Calls(np.ndarray, (2**40,)),
        Calls(np.dtype, "O,O"),
        Calls(np.dtype, [("field", "f8")]),
        Calls(pickle.loads, b"N."),
        Path,
        {1, 2},
        {"nested": {1: ARRAY}},
        [ARRAY],
        np.array(["text"]),
        np.array([None, {}]),
        np.array([(1, 2.0)], dtype="i4,f8"),
        np.zeros(2, "M8[s]"),
        np.ma.masked_array([1, 2]),
        np.matrix([[1.0]]),
    ],
    ids=lambda value: str(value)[:20],
)
def test_everything_but_arrays_of_numbers_is_refused(payload: Any, tmp_path: Path) -> None:
    expect_refusal(file_of(tmp_path, pickled({1: payload})), "refused")


def test_raw_bytes_are_not_taken_for_objects(tmp_path: Path) -> None:
    """NumPy itself would take these eight bytes for the address of an object."""
    stream = pickled({1: np.zeros(1)}).replace(b"\x8c\x02f8", b"\x8c\x02O8")
    expect_refusal(file_of(tmp_path, stream), "refused", "an array of '<O8'")


def test_persistent_ids_and_extensions_are_refused(tmp_path: Path) -> None:
    expect_refusal(file_of(tmp_path, b"\x80\x02}K\x01K\x02Qs."), "reference to another file")
    copyreg.add_extension("os", "system", 254)
    try:
        expect_refusal(file_of(tmp_path, b"\x80\x02}K\x01\x82\xfes."), "os.system")
    finally:
        copyreg.remove_extension("os", "system", 254)


def test_sizes_that_the_file_does_not_have(tmp_path: Path) -> None:
    bomb = b"\x80\x04}r\xff\xff\xff\xff."  # a memo of 2^32 places, 64 GB in C's unpickler
    assert load_legacy_npy(file_of(tmp_path, bomb)) == {}
    expect_refusal(file_of(tmp_path, b"\x80\x04\x8e" + struct.pack("<Q", 2**50) + b"short."))
    lie = pickled({1: np.zeros((1, 3))}).replace(b"K\x01K\x03\x86", b"K\x09K\x03\x86")
    expect_refusal(file_of(tmp_path, lie), "cannot reshape array of size 3")


def test_an_array_mentioned_often_is_made_once(tmp_path: Path) -> None:
    big = np.zeros(100_000)
    found = load_legacy_npy(file_of(tmp_path, pickled(dict.fromkeys(range(10_000), big))))
    assert all(value is found[0] for value in found.values())


def test_arrays_that_share_their_bytes_do_not_fill_the_memory(tmp_path: Path) -> None:
    """100 MB in a file of 0.2 MB."""
    reduced = np.zeros(12_500).__reduce__()
    sharing = [type("Sharing", (), {"__reduce__": lambda _: reduced})() for _ in range(1000)]
    stream = pickled(dict(enumerate(sharing)))
    assert len(stream) < 200_000
    expect_refusal(file_of(tmp_path, stream), "refused", "arrays of more bytes than the file")


READ_ALL = """
import sys
from pathlib import Path
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.legacy_npy import load_legacy_npy
for path in sorted(Path(sys.argv[1]).iterdir()):
    try:
        load_legacy_npy(path)
    except UserError as error:
        assert len(error.problems) == 1
(peak,) = (line for line in open("/proc/self/status") if line.startswith("VmHWM"))
assert int(peak.split()[1]) < 600_000, peak  # KiB
"""


@pytest.mark.slow
def test_no_file_ends_the_interpreter_or_fills_the_memory(tmp_path: Path) -> None:
    """In another process: flipped bytes, and files made to break pickle's machinery."""
    chance = np.random.default_rng(0)
    for protocol in (0, 2, 4):
        whole = wrapped(pickled({7: ARRAY, 8: ARRAY[:0], 9: np.float32(0.5)}, protocol))
        for number in range(1000):
            damaged = bytearray(whole)
            for place in chance.integers(128, len(whole), 1 + number % 3):
                damaged[place] = chance.integers(256)
            (tmp_path / f"{protocol}_{number}").write_bytes(damaged)
        for end in range(0, len(whole), 7):
            (tmp_path / f"{protocol}_cut_{end}").write_bytes(whole[:end])
    deep = b"\x85" * 3_000_000
    (tmp_path / "hash of a deep tuple").write_bytes(wrapped(b"\x80\x02})" + deep + b"K\x01s."))
    (tmp_path / "deep value").write_bytes(wrapped(b"\x80\x02}K\x01)" + deep + b"s."))
    huge = b"\x80\x05}K\x01\x96" + struct.pack("<Q", 2**30)
    (tmp_path / "huge bytearray").write_bytes(wrapped(huge + b"s."))
    command = [sys.executable, "-c", READ_ALL, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, cwd=ROOT)
    assert done.returncode == 0, done.stderr


def test_no_dictionary(tmp_path: Path) -> None:
    path = tmp_path / "file.npy"
    np.save(path, ARRAY)
    expect_refusal(path, "an array of float64, shape (2, 3)", "expected a pickled dictionary")
    path.write_bytes(b"\x93NUMPY\x09\x00")
    expect_refusal(path, "cannot be read")
    expect_refusal(tmp_path / "none.npy", "there is no file")
    expect_refusal(tmp_path, "cannot be read")
