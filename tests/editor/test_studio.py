"""Scenes opened, rendered and edited with runs of every kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from programs import run_test, write_tiny_data
from tiny_studio import BY_INSTANCE, OF_FEATURES, make_run, open_studio, read

from pix2pixhd.editor import studio as studio_module
from pix2pixhd.editor.operations import paint, set_pixels, set_style
from pix2pixhd.editor.studio import Studio
from pix2pixhd.util.batch import Batch
from pix2pixhd.util.errors import UserError

KINDS: dict[str, dict[str, Any]] = {
    "instances": BY_INSTANCE,
    "labels": {"label_feat": True, **OF_FEATURES},
    "flat": {"instance": False, "label_feat": True, **OF_FEATURES},
    "plain": {},
    "noise": {"z_dim": 3, "instance": False},
    "extra": {"extra_nc": 1},
    "picture": {"label_nc": 0, "input_nc": 1, "instance": False},
    "styled picture": {"label_nc": 0, "input_nc": 1, **BY_INSTANCE},
}
WITH_FEATURES = ("instances", "labels", "flat", "styled picture")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("studio")
    write_tiny_data(root, count=2)
    data = write_tiny_data(root, phase="test", count=2, size=(44, 20))
    for number in range(2):
        photo = Image.fromarray(read(root, "img", number))
        for kind, picture in {
            "extra": photo.convert("L"),
            "A": photo.convert("L"),
            "B": photo,
        }.items():
            (data / f"test_{kind}").mkdir(exist_ok=True)
            picture.save(data / f"test_{kind}/scene_{number}.png")
    # An instance of two labels: features by label are of the label map then.
    label = read(root, "label", 1).copy()
    label[4:10, 5:9] = 4
    Image.fromarray(label).save(data / "test_label/scene_1.png")
    for kind, changes in KINDS.items():
        make_run(root, kind, clusters=kind in WITH_FEATURES, **changes)
    return root


def plainly(studio: Studio, root: Path, *, of_photo: bool) -> np.ndarray:
    """The second image by the renderer, of which other tests show that it is test.py's."""
    maps = {kind: read(root, kind, 1) for kind in ("label", "inst", "extra", "A", "img")}
    model, options = studio.renderer, studio.model_options
    return model(
        maps["label"] if options.label_nc else maps["A"],
        maps["inst"] if options.instance else None,
        extra=maps["extra"] if options.extra_nc else None,
        image=maps["img"] if of_photo else None,
        name="scene_1",
    )


@pytest.mark.parametrize("kind", KINDS)
def test_an_untouched_scene_is_rendered_as_it_is_elsewhere(root: Path, kind: str) -> None:
    studio = open_studio(root, kind)
    assert studio.names == ["scene_0", "scene_1"]
    scene = studio.open("scene_1")
    rendering = studio.render(scene)
    assert rendering.image.dtype == np.uint8 and rendering.seconds > 0
    has_features = kind in WITH_FEATURES
    assert np.array_equal(rendering.image, plainly(studio, root, of_photo=has_features))
    assert np.array_equal(scene.image, read(root, "img", 1))
    assert bool(studio.notes) != (kind in ("instances", "labels", "flat"))
    preview = studio.render(scene, preview=True)
    assert preview.image.shape == rendering.image.shape and preview.is_preview


def test_an_untouched_scene_is_what_test_py_renders(root: Path) -> None:
    studio = open_studio(root, "instances")
    image = studio.render(studio.open("scene_1")).image
    where = "--name", "instances", "--checkpoints_dir", root / "ck", "--gpu_ids", "-1"
    to = "--results_dir", root / "results", "--nThreads", "0", "--precision", "fp32"
    assert run_test(*where, *to, "--use_encoded_image").code == 0
    [file] = (root / "results").glob("*/*/images/scene_1_synthesized_image.png")
    assert np.array_equal(image, np.asarray(Image.open(file)))


@pytest.mark.parametrize("kind", WITH_FEATURES)
def test_without_photographs_styles_are_drawn_as_elsewhere(root: Path, kind: str) -> None:
    photos = root / "data" / ("test_B" if "picture" in kind else "test_img")
    photos.rename(root / "away")
    try:
        studio = open_studio(root, kind)
        image = studio.render(studio.open("scene_1")).image
    finally:
        (root / "away").rename(photos)
    assert np.array_equal(image, plainly(studio, root, of_photo=False))


def fed(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[np.ndarray, ...]]:
    """Renders, and returns what the generator was given: label, instances and features, each
    [..., H, W]."""
    seen: list[tuple[np.ndarray, ...]] = []
    real = studio_module.render

    def render(model, batch: Batch, features, noise):  # type: ignore[no-untyped-def]
        seen.append((batch.label[0, 0].numpy(), batch.inst[0, 0].numpy(), features[0].numpy()))
        return real(model, batch, features, noise)

    monkeypatch.setattr(studio_module, "render", render)

    def of(scene, **how):  # type: ignore[no-untyped-def]
        studio.render(scene, **how)
        return seen[-1]

    return of


def test_an_edit_changes_its_pixels_of_the_input_alone(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = open_studio(root, "instances")
    look = fed(studio, monkeypatch)
    scene = studio.open("scene_1")
    before, image = look(scene), studio.render(scene)
    target = scene.instance_at(3, 3)
    scene.apply(set_style(scene, target, [0.5, -0.5]))
    label, inst, features = look(scene)
    inside = scene.inst == target
    assert np.array_equal(label, before[0]) and np.array_equal(inst, before[1])
    assert (features[:, inside] == [[0.5], [-0.5]]).all()
    assert np.array_equal(features[:, ~inside], before[2][:, ~inside])
    change = studio.difference(image, studio.render(scene))
    assert change.shape == scene.shape and change.dtype == np.uint8 and change.max() > 0
    scene.undo()
    mask = np.zeros(scene.shape, bool)
    mask[8:12, 20:30] = True
    scene.apply(paint(scene, mask, 3, "new"))
    label, inst, features = look(scene)
    assert (label[mask] == 3).all() and len(np.unique(inst[mask])) == 1
    [style] = np.unique(features[:, mask], axis=1).T  # drawn, as nobody gave one
    assert any(np.allclose(style, centre) for centre in studio.styles.centres(3))
    for now, then in zip((label, inst, features), before, strict=True):
        assert np.array_equal(now[..., ~mask], then[..., ~mask])
    scene.reset()
    assert np.array_equal(studio.render(scene).image, image.image)
    small = look(scene, preview=True)
    for now, then in zip(small, before, strict=True):
        assert np.array_equal(now, then[..., ::2, ::2])


def test_a_preview_is_wanted_after_a_slow_rendering(
    root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    studio = open_studio(root, "plain")
    scene = studio.open("scene_0")
    clock = iter([0.0, 0.21, 1.0, 1.001, 2.0, 2.19])
    # Its own, as other threads read the clock, too.
    monkeypatch.setattr(studio_module, "time", SimpleNamespace(perf_counter=lambda: next(clock)))
    wanted = []
    for preview in (False, True, False):
        studio.render(scene, preview)
        wanted.append(studio.wants_preview)
    assert wanted == [True, True, False]


def test_pictures_are_drawn_on(root: Path) -> None:
    studio = open_studio(root, "picture")
    scene = studio.open("scene_1")
    before = studio.render(scene).image
    scene.apply(set_pixels(scene, np.ones(scene.shape, bool), 255))
    assert not np.array_equal(studio.render(scene).image, before)
    assert "no labels" in studio.notes[-1]
    with pytest.raises(UserError, match="objects: the run has no labels"):
        studio.objects()
    drawn = studio.upload(scene.picture)
    assert studio.render(drawn).image.shape == (20, 44, 3)


def test_uploaded_maps(root: Path) -> None:
    studio = open_studio(root, "instances")
    label = np.zeros((9, 12), np.uint8)
    label[1:3, 1:3] = label[5:8, 6:9] = 2
    scene = studio.upload(label)
    assert scene.inst[0, 0] == 0 and {2001, 2002} == set(scene.inst[label == 2].tolist())
    assert scene.vectors.keys() == {0, 2001, 2002} and scene.image is None
    assert studio.render(scene).image.shape == (9, 12, 3)
    given = studio.upload(label, label.astype(int) + 7)
    assert given.counts["inst"].keys() == {7, 9}
    refused = {
        "labels? 0 to 4|expected 0 to 4": np.full((4, 4), 5),
        r"shape \[4, 4, 3\], expected \[H, W\]": np.zeros((4, 4, 3), np.uint8),
        "float64 values": np.zeros((4, 4)),
        "at most 16 million": np.broadcast_to(np.uint8(0), (10_000, 10_000)),
    }
    for message, bad in refused.items():
        with pytest.raises(UserError, match=message):
            studio.upload(bad)
    with pytest.raises(UserError, match="inst"):
        studio.upload(label, np.zeros((4, 4), int))
    with pytest.raises(UserError, match="extra"):
        open_studio(root, "extra").upload(label)


@pytest.mark.parametrize("name", ["scene_2", "../test_img/scene_0", "/etc/passwd", ""])
def test_names_that_are_none(root: Path, name: str) -> None:
    studio = open_studio(root, "instances")
    with pytest.raises(UserError, match="not among those of the data set"):
        studio.open(name)
    with pytest.raises(UserError, match="not among those of the data set"):
        studio.styles.style_from_image(name, 1)


def test_what_is_not_there_is_told(root: Path) -> None:
    folder = make_run(root, "bare", **BY_INSTANCE)
    (folder / "latest_net_E.pth").unlink()
    studio = open_studio(root, "bare", phase="nowhere")
    scene = studio.upload(read(root, "label"))
    assert not scene.vectors and studio.render(scene).image.shape == (20, 44, 3)
    told = "\n".join(studio.notes)
    for line in ("no image of the data set", "no encoder", "no such clusters"):
        assert line in told


def test_the_ignored_label_stays_what_it_was(root: Path) -> None:
    make_run(root, "ignoring", ignore_label=3, **KINDS["labels"])
    studio = open_studio(root, "ignoring")
    scene = studio.open("scene_1")
    assert np.array_equal(scene.label, read(root, "label", 1)) and 3 in scene.vectors
    assert np.array_equal(studio.render(scene).image, plainly(studio, root, of_photo=True))


@pytest.mark.parametrize(
    ("kind", "other", "message"),
    [
        ("instances", "plain", "features 0, but this run has 2"),
        ("plain", "noise", "instance maps 0, but this run has 1"),
        ("plain", "picture", "--label_nc 0, but this run has 5"),
    ],
)
def test_scenes_of_other_runs(root: Path, kind: str, other: str, message: str) -> None:
    scene = open_studio(root, other).open("scene_0")
    with pytest.raises(UserError, match=message):
        open_studio(root, kind).render(scene)
