import numpy as np
import pytest

from pix2pixhd.util.labels import IGNORED, label_palette, label_set


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
