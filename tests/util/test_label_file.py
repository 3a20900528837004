"""Entries of files of labels: names, colours and numbers."""

from __future__ import annotations

from pathlib import Path

import pytest

from pix2pixhd.util.errors import UserError
from pix2pixhd.util.label_file import Entry, read_entries
from pix2pixhd.util.labels import label_set


def entries_of(folder: Path, text: str) -> list[Entry]:
    (folder / "file").write_text(text, encoding="utf-8")
    return read_entries(folder / "file", "--flag")


@pytest.mark.parametrize(
    "text",
    [
        '{"sky": "#010203", "a car": ["4", 5, "6"]}',
        '[{"name": "sky", "color": [1, 2, 3]}, {"name": "a car", "colour": "040506"}]',
        "1 2 3 sky\n  4\t5  6\t\ta car \n",
        "\ufeffRed,Green,Blue,Class\n1,2,3,sky\n\n4, 5, 6, a car\n",
        '"b"\t"g"\t"r"\t"name"\t"label"\n3\t2\t1\tsky\t\n6\t5\t4\ta car\tc\n',
    ],
)
def test_names_and_colours(tmp_path: Path, text: str) -> None:
    wanted = [Entry("sky", ((1, 2, 3),), 0, None), Entry("a car", ((4, 5, 6),), 1, None)]
    assert entries_of(tmp_path, text) == wanted


@pytest.mark.parametrize(
    "text",
    ['["sky", "a car"]', " sky\n\na car \n", "name\nsky\na car", "name;id\nsky;0\na car;1"],
)
def test_names_alone(tmp_path: Path, text: str) -> None:
    assert entries_of(tmp_path, text) == [Entry("sky", (), 0, None), Entry("a car", (), 1, None)]


def test_all_that_an_entry_may_hold(tmp_path: Path) -> None:
    text = (
        '[{"name": "car", "id": "7", "color": [1, 2, 3], "also": [[4, 5, 6]], "source": 9},'
        ' {"name": "car", "id": -1, "source": "a web site"}]'
    )
    car = Entry("car", ((1, 2, 3), (4, 5, 6)), 7, 9)
    assert entries_of(tmp_path, text) == [car, Entry("car", (), -1, None)]
    assert [e.name for e in entries_of(tmp_path, '{"car": null, "car": null}')] == ["car", "car"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("1 2 3 sky\n4 x 6 car", 'entry 1 (car): colour [4, "x", 6], expected red, green and blue'),
        ("1 2 3 sky\n4 5 6", "entry 1 has 3 columns, expected 4 (r,g,b,name)"),
        ("sky, blue\ncar", 'begins with "sky, blue", expected JSON such as'),
        ("name;id\na;0\nb;\n", "entry 1 (b) has no id, but others have; give each an id, or none"),
        (" \n", "no entries, expected JSON such as"),
    ],
)
def test_wrong_entries(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(UserError) as error:
        entries_of(tmp_path, text)
    [line] = error.value.problems
    assert line.startswith(f"--flag {tmp_path / 'file'}: {said}")


@pytest.mark.parametrize("text", ["sky\nroad\n", "0 0 9 sky\n9 9 0 road\n"])
def test_label_names_of_lines(tmp_path: Path, text: str) -> None:
    (tmp_path / "names.txt").write_text(text)
    labels = label_set(2, str(tmp_path / "names.txt"))
    assert labels.names == ("sky", "road")
    if text[0] == "0":
        assert labels.colours.tolist() == [[0, 0, 9], [9, 9, 0]]
