import errno
import fcntl
import multiprocessing
import os
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pix2pixhd.util.errors import UserError
from pix2pixhd.util.files import replacing

ROOT = Path(__file__).parents[2]


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "page.html"
    path.write_bytes(b"old")
    with pytest.raises(ZeroDivisionError), replacing(path) as file:
        file.write(b"half of the n")
        raise ZeroDivisionError
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_files_get_the_usual_permissions_and_any_name_that_fits(tmp_path):
    path = tmp_path / "new folder" / ("x" * 251 + ".png")
    with replacing(path, durable=True) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"
    umask = os.umask(0)
    os.umask(umask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o666 & ~umask


def test_an_unwritable_place_is_a_users_error_that_names_it(tmp_path):
    (tmp_path / "file").write_text("in the way")
    path = tmp_path / "file" / "page.html"
    with (
        pytest.raises(UserError, match=r"file/page.html: cannot be written .*a file is where"),
        replacing(path),
    ):
        pass


WRITE = """
import sys, time
from pathlib import Path
from pix2pixhd.util.files import replacing
with replacing(Path(sys.argv[1])) as file:
    file.write(b"half of the new, and more than what comes next")
    file.flush()
    print("written", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("name", ["latest_state.pth", "x" * 251 + ".pth"], ids=["short", "long"])
def test_what_a_killed_save_leaves_is_gone_with_the_next(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(b"old")
    for _ in range(2):  # the second one takes over the file of the first
        process = subprocess.Popen(
            [sys.executable, "-c", WRITE, str(path)], stdout=subprocess.PIPE, cwd=ROOT
        )
        assert process.stdout.readline() == b"written\n"
        process.kill()
        process.wait()
        process.stdout.close()
        assert path.read_bytes() == b"old"
        (left,) = set(tmp_path.iterdir()) - {path}
        assert left.read_bytes().startswith(b"half")
    with replacing(path) as file:
        file.write(b"new")
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]


def test_writers_of_the_same_file_do_not_meet(tmp_path):
    path = tmp_path / "map"
    with replacing(path) as first, replacing(path) as second:
        first.write(b"first")
        second.write(b"second, the longer one")
        assert len(list(tmp_path.iterdir())) == 2
    assert path.read_bytes() == b"first"  # which was done last
    assert list(tmp_path.iterdir()) == [path]


def write_over_and_over(path, byte):
    for _ in range(200):
        with replacing(path) as file:
            for _ in range(4):
                file.write(bytes([byte]) * 20_000)


def test_processes_and_threads_that_write_one_file_at_once(tmp_path):
    path = tmp_path / "map"
    write_over_and_over(path, 0)
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_over_and_over, args=(path, n)) for n in range(3)]
    writers += [threading.Thread(target=write_over_and_over, args=(path, n)) for n in (3, 4)]
    for writer in writers:
        writer.start()
    seen = set()
    while any(writer.is_alive() for writer in writers):
        content = path.read_bytes()
        assert len(content) == 80_000 and len(set(content)) == 1
        seen.add(content[0])
    for writer in writers:
        writer.join()
        assert getattr(writer, "exitcode", 0) == 0
    assert len(seen) > 1
    assert list(tmp_path.iterdir()) == [path]


def test_a_file_system_without_locks(tmp_path, monkeypatch):
    def refuse(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    test_writers_of_the_same_file_do_not_meet(tmp_path)
