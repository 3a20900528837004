import numpy as np
import pytest

from pix2pixhd.util.errors import UserError
from pix2pixhd.util.labels import IGNORED, PAPERS, label_palette, label_set


def test_cityscapes_labels_have_their_own_colours():
    palette = label_palette(35)
    assert palette.shape == (35, 3) and not palette[:5].any()
    for name, label, colour in [
        ("road", 7, (128, 64, 128)),
        ("building", 11, (70, 70, 70)),
        ("vegetation", 21, (107, 142, 35)),
        ("person", 24, (220, 20, 60)),
        ("car", 26, (0, 0, 142)),
        ("bicycle", 33, (119, 11, 32)),
    ]:
        assert tuple(palette[label]) == colour, name


@pytest.mark.parametrize("n", [1, 2, 12, 34, 150, 300])
def test_other_palettes_are_distinct(n):
    palette = label_palette(n).astype(int)
    assert len({IGNORED, *map(tuple, palette)}) == n + 1
    steps = np.abs(np.diff(palette, axis=0)).sum(1)
    assert (steps > 100).all(), "neighbours look alike"
    assert (label_palette(n) == palette).all()


def test_a_palette_is_a_copy():
    label_palette(7)[:] = 99
    assert not (label_palette(7) == 99).any()


def test_more_labels_than_colours_repeat():
    assert label_palette(5000).shape == (5000, 3)


def test_cityscapes_labels_have_their_names():
    labels = label_set(35)
    assert len(labels) == len(labels.names) == 35
    assert labels.describe(26) == "label 26 (car)" and labels.describe(-1) == "label -1"
    assert label_set(12).describe(3) == "label 3"


@pytest.mark.parametrize("n", [1, 2, 12, 34, 150, 1000])
def test_generated_colours_are_told_from_what_is_around_them(n):
    palette = label_palette(n)
    assert not palette[0].any()
    for around in (IGNORED, (0, 0, 0), *PAPERS):
        apart = np.abs(palette[1:].astype(int) - around)
        assert (apart.max(axis=1) > 20).all(), around
    dark = max(luminance(np.array(paper)) for paper in PAPERS[2:])
    assert ((luminance(palette[1:]) + 0.05) / (dark + 0.05) > 1.6).all()


def luminance(colours):
    return (colours / 255) ** 2.2 @ np.array([0.2126, 0.7152, 0.0722])


NAMES = '["sky", "road", "a car"]'
RGB = '{"sky": [1, 2, 3], "road": [4, 5, 6], "a car": [7, 8, 9]}'


@pytest.mark.parametrize(
    "text",
    [
        RGB,
        '{"sky": "#010203", "road": "#040506", "a car": "070809"}',
        '[{"name": "sky", "color": [1, 2, 3]}, {"name": "road", "colour": [4, 5, 6]},'
        ' {"name": "a car", "color": [7, 8, 9], "also": [[0, 0, 0]]}]',
        '[{"name": "a car", "color": [7, 8, 9], "id": 2}, {"name": "none", "id": 255},'
        ' {"name": "road", "color": [4, 5, 6], "id": 1}, {"name": "out", "id": -1},'
        ' {"name": "sky", "color": [1, 2, 3], "id": 0}]',
        "name,r,g,b\nsky,1,2,3\n\nroad,4,5,6\na car,7,8,9\n",
        "\ufeffid; Name; Red; Green; Blue\r\n1;road;4;5;6\r\n0;sky;1;2;3\r\n2;a car;7;8;9\r\n",
    ],
)
def test_a_file_names_and_colours_labels(tmp_path, text):
    file = tmp_path / "labels"
    file.write_text(text, encoding="utf-8")
    labels = label_set(3, str(file))
    assert labels.names == ("sky", "road", "a car")
    assert labels.colours.tolist() == [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
    assert labels.colours.dtype == np.uint8 and labels.describe(2) == "label 2 (a car)"


@pytest.mark.parametrize(
    ("text", "given"),
    [
        (NAMES, {}),
        ('{"sky": null, "road": [0, 0, 1], "car": null}', {1: [0, 0, 1]}),
        ("name,r,g,b\nsky,181,255,105\nroad,,,\ncar,,,", {0: [181, 255, 105]}),
    ],
)
def test_missing_colours_are_unlike_those_given(tmp_path, text, given):
    file = tmp_path / "labels"
    file.write_text(text)
    colours = label_set(3, str(file)).colours.astype(int)
    if 0 not in given:
        assert not colours[0].any()
    for label, colour in given.items():
        assert colours[label].tolist() == colour
    for made in {1, 2} - given.keys():
        others = np.delete(colours, made, axis=0)
        assert (np.abs(others - colours[made]).max(axis=1) > 60).all()


WRONG = [
    (None, "cannot be read (No such file or directory); check the path"),
    (b"\xff\xfe\x00", "cannot be read (it is no text)"),
    (b"", "no entries, expected JSON such as"),
    (b"road\ncar\n", "names 2 labels, expected labels 0 to 2"),
    (b"name,r,g\na,1,2", "expected JSON such as"),
    (b'["a", "b"', "not sound JSON"),
    (b"[" * 10**5, "not sound JSON"),
    (b'["a", 3, "c"]', "entry 1 is 3, expected a name"),
    (b'["a", ["b"], "c"]', 'entry 1 is ["b"], expected a name'),
    (b'[{"id": 0}]', "entry 0 has no name"),
    (b'["a", "b"]', "names 2 labels, expected labels 0 to 2 (--label_nc 3)"),
    (b'["a", "b", "c", "d"]', "names 4 labels, expected labels 0 to 2 (--label_nc 3)"),
    (b'{"a": null, "b": [1, 2], "c": null}', "entry 1 (b): colour [1, 2], expected red, green"),
    (b'{"a": [0, 0, 256]}', "entry 0 (a): colour [0, 0, 256], expected red, green and blue from 0"),
    (b'{"a": [0, 0, 0.5]}', "entry 0 (a): colour [0, 0, 0.5]"),
    (b'{"a": "red"}', 'entry 0 (a): colour "red"'),
    (b'{"a": {"r": 1}}', "entry 0 (a): colour"),
    (b"name,r,g,b\na,1,2,x", 'entry 0 (a): colour [1, 2, "x"]'),
    (b"name,r,g,b\na,1,2,", "entry 0 (a): colour [1, 2, null]"),
    (b"name,r,g,b\na,1,2", "entry 0 has 3 columns, expected 4"),
    (b"name,id\na,0\nb,0\nc,1", "entry 1 (b) has id 0, as a has; ids must differ"),
    (b"name,id\na,0\nb,\nc,1", "entry 1 (b) has no id, but others have"),
    (b"name,id\na,0\nb,one\nc,1", 'entry 1 (b): id "one", expected a whole number'),
    (b"name,id\na,0\nb,2\nc,3", "names 3 labels, none with id 1, expected labels 0 to 2"),
]


@pytest.mark.parametrize(("content", "message"), WRONG)
def test_files_that_name_no_labels(tmp_path, content, message):
    file = tmp_path / "labels.json"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UserError) as error:
        label_set(3, str(file))
    [line] = error.value.problems
    assert line.startswith(f"--label_names {file}: ") and message in line and "\n" not in line


def test_an_image_has_no_labels_to_name(tmp_path):
    with pytest.raises(UserError, match="--label_nc 0: the input has no labels"):
        label_set(0, str(tmp_path))
