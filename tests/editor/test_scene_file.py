"""Scenes in files: as they were, or refused; and what others read."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from street_scene import CAR, HOUSE, SKY, TREE, rectangle, state, street

from pix2pixhd.data.decode import read_ids, read_photo
from pix2pixhd.data.feature_maps import read_feature_map
from pix2pixhd.editor import operations as edit
from pix2pixhd.editor import scene_file
from pix2pixhd.editor.scene import Scene
from pix2pixhd.editor.scene_file import export, load_scene, save_scene
from pix2pixhd.util.errors import UserError


def edited() -> Scene:
    """With steps of several changes, of vectors, and undone ones."""
    image = np.arange(240, dtype=np.uint8).reshape(8, 10, 3)
    scene = street(image=image, name="street_1", run="mine", ignored=255)
    scene.apply(edit.paint(scene, rectangle(0, 0, 2, 2), HOUSE))
    scene.apply(edit.paint(scene, rectangle(1, 0, 3, 2), HOUSE), extend=True)
    scene.apply(edit.set_style(scene, [SKY, HOUSE], [1 / 3, -2]))
    scene.apply(edit.add_object(scene, rectangle(6, 0, 8, 5), CAR, [5, 6]))
    scene.reset()
    scene.undo()
    scene.undo()
    return scene


def painted() -> Scene:
    scene = street()
    scene.apply(edit.paint(scene, rectangle(0, 0, 2, 2), HOUSE))
    return scene


@pytest.mark.parametrize(
    "scene",
    [
        street(),
        painted(),
        edited(),
        street(inst=None, feat_num=0, vectors=None),
        street(by_label=True, vectors={TREE: [1, 2]}),
        Scene(picture=np.zeros((3, 4, 2), np.uint8), inst=np.ones((3, 4), int)),
    ],
    ids=["untouched", "painted", "edited", "labels", "by label", "picture"],
)
def test_a_loaded_scene_is_the_saved_one(scene: Scene, tmp_path: Path) -> None:
    save_scene(scene, tmp_path / "folder/scene.npz")
    loaded = load_scene(tmp_path / "folder/scene.npz")
    for name in ("label_nc", "feat_num", "by_label", "ignored", "name", "run", "shape", "styled"):
        assert getattr(loaded, name) == getattr(scene, name)
    assert (loaded.image is None) == (scene.image is None)
    assert scene.image is None or np.array_equal(loaded.image, scene.image)
    assert not loaded.history.is_open
    for way in (Scene.redo, Scene.undo):
        while True:  # through the whole history
            assert state(loaded) == state(scene)
            ours, others = way(scene), way(loaded)
            assert [change.box for change in ours] == [change.box for change in others]
            if not ours:
                break
    loaded.reset()
    assert loaded.start.keys() == scene.start.keys() and not loaded.history.done


def damaged(change: Callable[[dict[str, Any]], object]) -> bytes:
    """The file of the edited scene with its arrays changed."""
    file = io.BytesIO()
    with np.load(io.BytesIO(whole())) as archive:
        arrays = dict(archive)
    change(arrays)
    np.savez_compressed(file, **arrays)
    return file.getvalue()


def whole() -> bytes:
    from tempfile import TemporaryDirectory

    with TemporaryDirectory() as folder:
        save_scene(edited(), Path(folder) / "scene.npz")
        return (Path(folder) / "scene.npz").read_bytes()


def put(name: str, at: Any, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(arrays: dict[str, Any]) -> None:
        arrays[name][at] = value

    return change


def head(**changes: Any) -> Callable[[dict[str, Any]], None]:
    def change(arrays: dict[str, Any]) -> None:
        found = json.loads(arrays["head"].tobytes()) | changes
        arrays["head"] = np.frombuffer(json.dumps(found).encode(), np.uint8)

    return change


@pytest.mark.parametrize(
    ("change", "found"),
    [
        (head(version=2), "version 2, expected 1"),
        (head(label_nc=-1), "with --label_nc -1"),
        (head(label_nc=3), "label 3: expected 0 to 2"),
        (head(label_nc=True), "label_nc is True"),
        (head(feat_num=10**9), "values of"),
        (head(name=["../../etc/passwd"]), "name is"),
        (head(undone=99), "steps that change nothing"),
        (put("set_label", 0, 77), "label 77: expected 0 to 4"),
        (put("pixels", 0, -1), "pixels outside"),
        (put("pixels", 3, 80), "pixels outside"),
        (put("pixels", 1, 0), "out of order"),
        (put("change_pixels", 0, 10**9), "do not add up"),
        (put("change_pixels", 0, -3), "do not add up"),
        (put("steps", 0, 10**9), "do not add up"),
        (put("change_vectors", 0, 9), "not a scene"),
        (put("start_vectors", 0, np.nan), "finite"),
        (put("set_vectors", 0, np.inf), "finite"),
        (lambda arrays: arrays.pop("pixels"), "pixels"),
        (lambda arrays: arrays.update(head=np.array([{}], object)), "not a scene; take"),
        (lambda arrays: arrays.update(start_label=np.zeros((8, 10))), "another kind"),
        (lambda arrays: arrays.update(start_inst=np.zeros((8, 9), np.int32)), r"\[8, 9\]"),
        (lambda arrays: arrays.update(image=np.zeros((8, 10), np.uint8)), "another kind"),
        (lambda arrays: arrays.update({f"a{n}": 0 for n in range(40)}), "arrays"),
    ],
)
def test_a_hostile_file_is_refused(
    change: Callable[[dict[str, Any]], object], found: str, tmp_path: Path
) -> None:
    path = tmp_path / "scene.npz"
    path.write_bytes(damaged(change))
    with pytest.raises(UserError, match=found) as error:
        load_scene(path)
    assert len(error.value.problems) == 1 and str(error.value).startswith(f"{path}: ")


def test_a_damaged_file_is_refused(tmp_path: Path) -> None:
    path, content = tmp_path / "scene.npz", whole()
    middle = len(content) // 2
    for cut in (b"", b"PK", b"\x93NUMPY", content[:middle], content[:middle] + b"!" * middle):
        path.write_bytes(cut)
        with pytest.raises(UserError, match="not a scene"):
            load_scene(path)
    with pytest.raises(UserError, match="no such file"):
        load_scene(tmp_path / "other.npz")


def test_a_small_file_of_large_arrays_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bomb.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("head.npy", bytes(2**22))
    with pytest.raises(UserError, match="4194304 bytes of arrays, expected at most 1000"):
        load_scene(path, limit=1000)
    header = b"{'descr': '<i4', 'fortran_order': False, 'shape': (1000000000000,), }"
    with zipfile.ZipFile(path, "w") as archive:  # its header promises more than there is
        prefix = b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little")
        archive.writestr("head.npy", prefix + header)
    with pytest.raises(UserError, match="not a scene"):
        load_scene(path)


@pytest.mark.parametrize(
    ("name", "count", "limit", "found"),
    [
        ("change_pixels", 2**14, 2**24, r"at most 16384 are read; begin anew"),
        ("set_ids", 2**14, 2**24, "at most 16384"),
        ("head", 2**14, 2**24, "at most 16384"),
        ("change_pixels", 2**14, 2**32, "steps that change nothing"),
        ("steps", 2**14, 2**32, "steps that change nothing"),
    ],
)
def test_a_small_file_of_many_parts_is_refused_before_they_are_made(
    name: str,
    count: int,
    limit: int,
    found: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = tmp_path / "scene.npz"
    path.write_bytes(damaged(lambda arrays: arrays.update({name: np.zeros(count, np.int32)})))
    monkeypatch.setattr(scene_file, "_scene_of", None)
    with pytest.raises(UserError, match=found) as error:
        load_scene(path, limit)
    assert len(error.value.problems) == 1


def test_an_export_is_read_as_data(tmp_path: Path) -> None:
    scene = edited()
    before, after = np.zeros((8, 10, 3), np.uint8), np.full((8, 10, 3), 200, np.uint8)
    files = export(scene, tmp_path, before=before, after=after)
    names = ["label.png", "inst.png", "features.npz", "image.png", "before_after.png"]
    assert [file.name for file in files] == names == sorted(names, key=names.index)
    assert {file.name for file in tmp_path.iterdir()} == {*names}
    label, inst = read_ids(files[0], "label"), read_ids(files[1], "instance")
    assert (label.mode, inst.mode) == ("L", "I;16")
    assert np.array_equal(label, scene.label) and np.array_equal(inst, scene.inst)
    maps = scene.features().transpose(2, 0, 1).astype(np.float16)
    assert np.array_equal(read_feature_map(files[2], 2), maps.astype(np.float32))
    assert np.array_equal(Image.open(files[3]), after)
    assert np.array_equal(Image.open(files[4]), np.concatenate([before, after], axis=1))


def test_an_export_of_ids_beyond_16_bits(tmp_path: Path) -> None:
    inst = np.array([[70000, -1]])
    scene = Scene(np.zeros((1, 2), int), inst, label_nc=1)
    export(Scene(np.zeros((1, 2), int), abs(inst) // 70, label_nc=1), tmp_path)
    files = export(scene, tmp_path)
    assert {file.name for file in tmp_path.iterdir()} == {"label.png", "inst.tif"}
    assert np.array_equal(read_ids(files[1], "instance"), inst)


@pytest.mark.parametrize(
    ("channels", "name"), [(1, "label.png"), (3, "label.png"), (5, "label.npy")]
)
def test_an_export_of_a_picture(channels: int, name: str, tmp_path: Path) -> None:
    picture = np.arange(12 * channels, dtype=np.uint8).reshape(3, 4, channels)
    [file] = export(Scene(picture=picture), tmp_path)
    assert file.name == name
    assert np.array_equal(read_photo(file, channels, "label"), picture.transpose(2, 0, 1))
