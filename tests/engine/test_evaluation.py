"""What is evaluated and how it is told: pairs, their pixels, settings, protocols."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pix2pixhd.engine.checkpoint_choice import features_of, read_checkpoint
from pix2pixhd.engine.evaluation import Subject, as_json, common_protocol, table
from pix2pixhd.engine.image_pairs import Pair, Reader, check_pairs, pairs_of_folders
from pix2pixhd.engine.measuring import choose_metrics, measure_all, offered
from pix2pixhd.engine.runtime import Runtime
from pix2pixhd.metrics import METRICS, Figure, Measurement, MetricSettings, Sample
from pix2pixhd.metrics.pixels import L1
from pix2pixhd.options.fields import replaced
from pix2pixhd.options.test_options import TestOptions
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.image import save_image, save_values
from pix2pixhd.util.labels import label_set

CPU = torch.device("cpu")


def pictures(folder: Path, *names: str, size: tuple[int, int] = (12, 8)) -> Path:
    for number, name in enumerate(names):
        level = np.full((size[1], size[0], 3), 20 * number, np.uint8)
        save_image(level, folder / name)
    return folder


def test_galleries_and_data_sets_are_paired(tmp_path: Path) -> None:
    endings = ("input_label", "real_image", "synthesized_image", "synthesized_image_2")
    gallery = pictures(tmp_path / "images", *(f"{n}_{e}.png" for n in "ab" for e in endings))
    pictures(gallery / "thumbs", "a_synthesized_image.jpg")
    pictures(gallery / "evaluation_thumbs", "c_synthesized_image.jpg")
    city = pictures(tmp_path / "city", "x/a_leftImg8bit.png", "x/b_leftImg8bit.png")
    labels = pictures(tmp_path / "ids", "a_gtFine_labelIds.png", "b_gtFine_labelIds.png")
    one, two = pairs_of_folders(gallery, city / "x", labels)
    assert (one.name, two.name) == ("a", "b")
    assert [file.name for file in one.files] == [
        "a_synthesized_image.png",
        "a_leftImg8bit.png",
        "a_gtFine_labelIds.png",
        "a_synthesized_image_2.png",
    ]
    assert one.offers == {"real", "label", "others"}
    assert pairs_of_folders(gallery, gallery)[1].real == gallery / "b_real_image.png"
    sample = Reader()(pairs_of_folders(gallery, gallery)[1], CPU)
    assert sample.others is not None and sample.others.shape == (2, 3, 8, 12)
    torch.testing.assert_close(sample.others[:1], sample.fake)
    with pytest.raises(UserError, match=r"city.* lacks 2 images \(a, b\)"):
        pairs_of_folders(gallery, city)


def test_files_of_other_kinds_stand_beside_those_that_are_meant(tmp_path: Path) -> None:
    fake = pictures(tmp_path / "fake", "a.png", "b.png")
    kinds = ("color", "instanceIds", "labelIds", "labelTrainIds")
    ids = pictures(tmp_path / "ids", *(f"{n}_gtFine_{kind}.png" for n in "ab" for kind in kinds))
    real = pictures(tmp_path / "real", *(f"{n}_{kind}.png" for n in "ab" for kind in ("img", "L")))
    for pair in pairs_of_folders(fake, real, ids):
        assert pair.label == ids / f"{pair.name}_gtFine_labelIds.png"
        assert pair.real == real / f"{pair.name}_img.png"
    more = pictures(tmp_path / "more", "a_img.png", "a_image.png", "b_img.png")
    with pytest.raises(UserError, match="images are paired by name"):
        pairs_of_folders(fake, more)


def test_gray_is_compared_with_colours_as_colours(tmp_path: Path) -> None:
    colours = np.random.default_rng(0).integers(0, 256, (8, 12, 3), np.uint8)
    gray = colours.mean(axis=2).astype(np.uint8)
    for name, values in (("colours", colours), ("gray", gray)):
        Image.fromarray(values).save(tmp_path / f"{name}.png")
    sample = Reader()(Pair("a", tmp_path / "gray.png", tmp_path / "colours.png"), CPU)
    assert sample.real is not None and sample.fake.shape == sample.real.shape == (1, 3, 8, 12)
    both = torch.from_numpy(np.stack([np.stack([gray] * 3), colours.transpose(2, 0, 1)]))
    expected = both.float() / 127.5 - 1
    torch.testing.assert_close(torch.cat([sample.fake, sample.real]), expected)


def test_two_files_of_one_name_are_told(tmp_path: Path) -> None:
    fake = pictures(tmp_path / "fake", "a.png", "a.jpg")
    with pytest.raises(UserError, match=r"a.jpg and a.png have one name|a.png and a.jpg have"):
        pairs_of_folders(fake, fake)


@pytest.mark.parametrize("kind", ["uint8", "uint16", "float32", "ranged"])
def test_pixels_are_those_that_metrics_take(kind: str, tmp_path: Path) -> None:
    unit = np.linspace(0, 1, 96, dtype=np.float32).reshape(1, 8, 12)
    low, high, dtype = {
        "uint8": (0, 255, np.uint8),
        "uint16": (0, 65535, np.uint16),
        "float32": (0, 1, np.float32),
        "ranged": (100, 4000, np.uint16),
    }[kind]
    values = low + unit * (high - low)
    file = tmp_path / ("a.tif" if kind == "float32" else "a.png")
    save_values((values if kind == "float32" else values.round()).astype(dtype), file)
    reader = Reader(value_range=(100, 4000) if kind == "ranged" else None)
    fake = reader(Pair("a", file), CPU).fake
    assert fake.dtype == torch.float32 and fake.shape == (1, 1, 8, 12)
    np.testing.assert_allclose(fake[0].numpy(), 2 * unit - 1, atol=1.01 / (high - low) + 1e-6)


def test_the_most_frequent_size_comes_first(tmp_path: Path) -> None:
    folder = pictures(tmp_path, "a.png", "b.png")
    pictures(folder, "c.png", size=(20, 10))
    pairs = pairs_of_folders(folder, folder)
    assert check_pairs(pairs) == [(12, 8), (20, 10)]


def test_other_settings_are_measured_again_only_for_what_they_serve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measured = []

    class Other(L1):
        """A row that nobody has told which settings it takes."""

        name = "other"

        def measure(self, sample: Sample) -> Measurement:
            measured.append(type(self).__name__)
            return super().measure(sample)

    class Backed(Other):
        name = "lpips"

    monkeypatch.setitem(METRICS, "other", Other)
    monkeypatch.setitem(METRICS, "lpips", Backed)
    folder = pictures(tmp_path / "images", "a.png", "b.png")
    pairs, runtime = pairs_of_folders(folder, folder), Runtime(CPU)
    (weights := tmp_path / "weights.pth").write_text("one")

    def measure(settings: MetricSettings) -> list[str]:
        measured.clear()
        chosen = choose_metrics("other,lpips", settings, offered(pairs), runtime)
        kept = tmp_path / "kept"
        measure_all(pairs, chosen, Reader(), kept, runtime, may_lack=False)
        return sorted(set(measured))

    assert measure(MetricSettings()) == ["Backed", "Other"]
    assert measure(MetricSettings()) == []
    assert measure(MetricSettings(segmenter=folder)) == ["Other"]
    assert measure(MetricSettings(lpips_backbone=weights)) == ["Backed", "Other"]
    weights.write_text("others")
    assert measure(MetricSettings(lpips_backbone=weights)) == ["Backed", "Other"]
    assert measure(MetricSettings(labels=label_set(3), lpips_backbone=weights)) == ["Other"]


def subject(count: int = 2) -> Subject:
    protocol = {
        "split": "test",
        "scaling": "as files are",
        "features": "drawn",
        "checkpoint": {"file": "7_net_G.pth", "hash": "0abc", "chosen": "epoch 7"},
    }
    pairs = [Pair(f"s/{n}", Path(f"{n}.png")) for n in range(count)]
    return Subject("run", pairs, Path("out"), None, protocol)


def test_figures_as_json_and_as_a_table() -> None:
    nothing = float("nan")
    figures = {
        "kid": Figure(0.25, "lower", {"resampling": "clean"}, beside={"standard_error": 0.125}),
        "grid": Figure(
            nothing, "lower", {}, [1.0, nothing], by_class={"road": nothing}, warning="too small"
        ),
    }
    common = common_protocol(subject(), [(8, 4), (4, 2)])
    report = as_json(subject(), common, figures)
    kid, grid = report["metrics"]["kid"], report["metrics"]["grid"]
    assert grid["value"] is None and grid["per_image"] == {"s/0": 1.0, "s/1": None}
    assert grid["by_class"] == {"road": None}
    assert kid["protocol"] == {**common, "resampling": "clean"}
    assert kid["quote"] == (
        "run: kid 0.25, standard error 0.125 (lower is better); 2 images of test at 8x4, 4x2; "
        "scaling: as files are; features: drawn; checkpoint: 7_net_G.pth (0abc), epoch 7; "
        "resampling clean"
    )
    assert table(report["metrics"]).splitlines() == [
        "metric  value  beside                better",
        "kid      0.25  standard_error 0.125  lower",
        "grid        -                        lower",
        "grid: too small",
    ]


@pytest.mark.parametrize(
    ("epoch", "chosen"),
    [
        ("latest", "latest of the training, in epoch 3, after 40 images of it"),
        ("20", "epoch 20, named by the user"),
        ("best", "called best, by whom and on what is not known"),
    ],
)
def test_checkpoints_are_told(epoch: str, chosen: str, tmp_path: Path) -> None:
    changes = {"name": "run", "checkpoints_dir": str(tmp_path), "which_epoch": epoch}
    (folder := tmp_path / "run").mkdir()
    (folder / "iter.txt").write_text("3\n40\n")
    (folder / f"{epoch}_net_G.pth").write_bytes(b"raw")
    (folder / f"{epoch}_net_G_ema.pth").write_bytes(b"average")
    told, warning = read_checkpoint(replaced(TestOptions(), changes))
    assert (told["file"], told["chosen"]) == (f"{epoch}_net_G_ema.pth", chosen)
    assert len(told["hash"]) == 12 and not warning
    raw, _ = read_checkpoint(replaced(TestOptions(), changes | {"ema": False}))
    assert raw["file"] == f"{epoch}_net_G.pth" and raw["hash"] != told["hash"]


def test_a_damaged_note_of_the_best_is_told(tmp_path: Path) -> None:
    (tmp_path / "best_net_G.pth").write_bytes(b"")
    (tmp_path / "best.json").write_text("[]")
    changes = {"name": tmp_path.name, "checkpoints_dir": str(tmp_path.parent)}
    with pytest.raises(UserError, match=r"best\.json: expected metric, value, epoch and phase"):
        read_checkpoint(replaced(TestOptions(), changes | {"which_epoch": "best"}))


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({}, "label maps only"),
        ({"label_nc": 0}, "input images only"),
        ({"label_feat": True}, "drawn"),
        ({"z_dim": 4}, "label maps and drawn noise"),
        ({"use_vae": True, "z_dim": 4, "use_encoded_image": True}, "of the real image"),
        ({"label_feat": True, "use_encoded_image": True}, "of the real image"),
        ({"label_feat": True, "style_from": "a.png"}, "of one photograph, a.png"),
    ],
)
def test_where_features_are_from(changes: dict[str, object], told: str) -> None:
    assert features_of(replaced(TestOptions(), changes)) == told


def test_numbers_that_json_lacks_are_null() -> None:
    report = as_json(subject(1), common_protocol(subject(1), []), {"l1": Figure(math.inf, "lower")})
    assert report["metrics"]["l1"]["value"] is None
