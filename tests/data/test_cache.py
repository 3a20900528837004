"""When maps come from the cache, and when they are made again."""

from __future__ import annotations

import json
import multiprocessing
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from cached_sets import assert_same, files, forbid_reading
from PIL import Image
from tiny_scenes import pixels, problems_of

from pix2pixhd.data import create_dataset, transforms
from pix2pixhd.data.cache import Cache, ResizedMap
from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.options.base_options import DataOptions, ModelOptions, ProgramOptions
from pix2pixhd.util.errors import UserError

MakeSet = Callable[..., Path]
OpenSet = Callable[..., AlignedDataset]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "made" / "cache"


def test_floating_point_is_kept_in_the_narrowest_type(folder: Path, tmp_path: Path) -> None:
    """Whole numbers are in their own, which decides the type of the sample."""
    source = tmp_path / "source"
    source.touch()
    for values, size in (
        (np.array([0, 255], np.uint8), 1),
        (np.array([0, 255], np.uint16), 2),
        (np.array([0, 255], np.int32), 4),
        (np.array([0.5, -1], np.float32), 2),
        (np.array([0.1, 1e30], np.float32), 4),
    ):
        made = ResizedMap(values.reshape(1, 1, 2), (2, 1))
        content = f"{values.dtype} {values}"
        Cache(folder).get(source, content, lambda made=made: made)
        kept = Cache(folder).get(source, content, lambda: pytest.fail("made again"))
        np.testing.assert_array_equal(kept.planes, made.planes)
        assert (kept.planes.itemsize, kept.source_size) == (size, (2, 1))


@pytest.mark.parametrize("name", ["label", "inst", "img"])
def test_a_source_that_changed_is_read_again(
    make_set: MakeSet, open_set: OpenSet, folder: Path, name: str
) -> None:
    root = make_set(count=1, size=(40, 24))
    cached = open_set(root, cache=folder)
    cached[0]
    path = root / f"train_{name}/000.png"
    then = path.stat().st_mtime_ns
    Image.fromarray(pixels(name, 3, (40, 24))).save(path)
    os.utime(path, ns=(then + 1, then + 1))
    assert_same(cached, open_set(root))
    assert len(files(folder)) == 6  # nothing of the old state is left


def test_a_source_of_the_same_age_and_another_length_is_read_again(
    make_set: MakeSet, open_set: OpenSet, folder: Path
) -> None:
    root = make_set(count=1, size=(40, 24))
    cached = open_set(root, cache=folder)
    cached[0]
    path = root / "train_inst/000.png"
    then = path.stat().st_mtime_ns
    Image.fromarray(np.full((24, 40), 7, np.uint16)).save(path)
    os.utime(path, ns=(then, then))
    assert (cached[0].inst == 7).all()


def test_another_library_reads_again(
    make_set: MakeSet, open_set: OpenSet, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cached = open_set(make_set(count=1), cache=folder)
    cached[0]
    forbid_reading(cached, monkeypatch)
    cached[0]
    monkeypatch.setattr("PIL.__version__", "0.0")
    with pytest.raises(AssertionError, match="decoded"):
        cached[0]


def test_labels_outside_the_range_are_not_kept(
    make_set: MakeSet, open_set: OpenSet, folder: Path
) -> None:
    cached = open_set(make_set(count=1), label_nc=4, cache=folder)
    for _ in range(2):
        with pytest.raises(UserError, match="label 4 found"):
            cached[0]
    assert not files(folder)


def test_a_source_that_is_gone(make_set: MakeSet, open_set: OpenSet, folder: Path) -> None:
    root = make_set(count=1)
    cached = open_set(root, cache=folder)
    cached[0]
    (root / "train_inst/000.png").unlink()
    with pytest.raises(UserError, match=r"train_inst/000\.png: No such file"):
        cached[0]


Damage = Callable[[bytes], bytes]
ARRAYS: dict[str, Damage] = {
    "empty": lambda content: b"",
    "the header alone": lambda content: content[:128],
    "a byte short": lambda content: content[:-1],
    "a byte long": lambda content: content + b"\0",
}
SIDECARS: dict[str, Damage] = {
    "empty": lambda content: b"",
    "a byte short": lambda content: content[:-1],
    "no text": lambda content: b"\xff" * len(content),
    "no object": lambda content: b"3",
    "other keys": lambda content: b"{}",
    "another stamp": lambda content: content.replace(b'"stamp": [', b'"stamp": [1'),
    "no size": lambda content: content.replace(b'"size": [', b'"size": 5, "": ['),
    "no type": lambda content: content.replace(b'"descr": "', b'"descr": "x'),
    "pickled objects": lambda content: content.replace(b'"descr": "', b'"descr": "O", "": "'),
    "a shape beyond the array": lambda content: content.replace(b'"shape": [', b'"shape": [9'),
    "no shape": lambda content: content.replace(b'"shape": [', b'"shape": 5, "": ['),
}
DAMAGES = [(".npy", *item) for item in ARRAYS.items()]
DAMAGES += [(".json", *item) for item in SIDECARS.items()]


@pytest.mark.parametrize(("ending", "name", "damage"), DAMAGES)
def test_a_damaged_file_is_made_again(
    make_set: MakeSet,
    open_set: OpenSet,
    folder: Path,
    ending: str,
    name: str,
    damage: Damage,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    root = make_set(count=1)
    cached = open_set(root, cache=folder)
    cached[0]
    sound = {path: path.read_bytes() for path in files(folder)}
    for path in files(folder):
        if path.suffix == ending:
            path.write_bytes(damage(sound[path]))
    assert {path: path.read_bytes() for path in files(folder)} != sound
    assert_same(cached, open_set(root), range(1))
    assert {path: path.read_bytes() for path in files(folder)} == sound
    forbid_reading(cached, monkeypatch)
    cached[0]


@pytest.mark.parametrize("killed", [False, True])
def test_a_process_late_with_an_older_state_spoils_nothing(
    folder: Path, tmp_path: Path, killed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It has read the source before a change, and writes its array after the new one's sidecar."""
    source = tmp_path / "source"
    old, new = (ResizedMap(np.full((1, 2, 2), value, np.uint8), (2, 2)) for value in (7, 8))

    def make_late() -> ResizedMap:
        source.write_text("new")
        Cache(folder).get(source, "", lambda: new)
        if killed:
            monkeypatch.setattr(json, "dumps", lambda entry: pytest.fail("killed"))
        return old

    source.touch()
    if killed:
        with pytest.raises(pytest.fail.Exception):
            Cache(folder).get(source, "", make_late)
        monkeypatch.undo()
    else:
        Cache(folder).get(source, "", make_late)
    np.testing.assert_array_equal(Cache(folder).get(source, "", lambda: new).planes, new.planes)


def test_killed_between_array_and_sidecar(
    make_set: MakeSet, open_set: OpenSet, folder: Path
) -> None:
    root = make_set(count=1)
    cached = open_set(root, cache=folder)
    cached[0]
    sound = files(folder)
    for path in sound:
        if path.suffix == ".json":
            path.unlink()
    assert_same(cached, open_set(root))
    assert files(folder) == sound


def fill(dataset: AlignedDataset, start: Any, results: Any) -> None:
    start.wait()
    for _ in range(3):
        sums = [int(dataset[n].inst.sum()) for n in range(len(dataset))]
    results.put(sums)


def test_two_processes_fill_one_cache(
    make_set: MakeSet, open_set: OpenSet, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = make_set(count=20, size=(60, 40))
    context = multiprocessing.get_context("fork")
    start, results = context.Barrier(2), context.Queue()
    cached = open_set(root, cache=folder)
    both = [context.Process(target=fill, args=(cached, start, results)) for _ in range(2)]
    for process in both:
        process.start()
    sums = [results.get(timeout=60) for _ in both]
    for process in both:
        process.join()
    plain = open_set(root)
    assert sums == [[int(plain[n].inst.sum()) for n in range(20)]] * 2
    assert sorted(path.suffix for path in files(folder)) == [".json"] * 60 + [".npy"] * 60
    forbid_reading(cached, monkeypatch)
    for n in range(20):
        assert torch.equal(cached[n].image, plain[n].image)


def test_a_crop_reads_its_part_of_the_file(folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.touch()
    whole = np.arange(3 * 40 * 60, dtype=np.int32).reshape(3, 40, 60)
    cache = Cache(folder)
    cache.get(source, "", lambda: ResizedMap(whole, (60, 40)))
    planes = cache.get(source, "", lambda: pytest.fail("made again")).planes
    assert isinstance(planes, np.memmap)
    drawn = transforms.CropAndFlip((60, 40), (9, 7, 30, 21), flip=True)
    crop = transforms.crop_and_flip(planes, drawn, np.dtype(np.int32))
    np.testing.assert_array_equal(crop, whole[:, 7:21, 9:30][..., ::-1])


def test_a_place_where_no_folder_can_be(make_set: MakeSet, open_set: OpenSet) -> None:
    root = make_set(count=1)
    file = root / "train_img/000.png"
    message = rf"^--cache {file}: .*cannot be written.*leave out --cache"
    with pytest.raises(UserError, match=message):
        open_set(root, cache=file)


def test_a_cache_that_cannot_be_written(
    make_set: MakeSet, open_set: OpenSet, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Permissions do not stop root, so a file stands where a folder should be."""
    root = make_set(count=1)
    cached = open_set(root, cache=folder)
    for number in range(256):
        (folder / f"{number:02x}").touch()
    with pytest.raises(UserError) as caught:
        cached[0]
    (line,) = caught.value.problems
    assert line.startswith(f"--cache {folder}: {folder}/")
    assert "cannot be written (" in line
    assert line.endswith("leave out --cache")


def test_the_check_before_training_reads_the_files(
    make_set: MakeSet, open_set: OpenSet, folder: Path
) -> None:
    root = make_set(count=1)
    cached = open_set(root, cache=folder)
    cached[0]
    path = root / "train_img/000.png"
    state = path.stat()
    path.write_bytes(b"\0" * state.st_size)
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    assert cached[0].image is not None
    assert len(problems_of(cached)) == 1


def test_the_flag(make_set: MakeSet, folder: Path) -> None:
    root = make_set(count=1)
    data = DataOptions(dataroot=str(root), cache=str(folder), loadSize=16)
    create_dataset(data, ModelOptions(), phase="train", seed=0, is_train=True)[0]
    assert len(files(folder)) == 6


def test_the_flag_without_a_folder() -> None:
    (line,) = ProgramOptions(data=DataOptions(cache="")).problems()
    assert line.startswith("--cache '': must be a folder's name")
