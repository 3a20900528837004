import os
import stat

import pytest

from util.errors import UserError
from util.files import replacing


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
    with pytest.raises(UserError, match=r"file/page.html: cannot be written"), replacing(path):
        pass
