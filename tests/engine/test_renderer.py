"""A trained run called with arrays."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from programs import LABELS, run_encode, run_test, run_train, tiny_run, write_tiny_data

import pix2pixhd
from pix2pixhd.engine.arrays import image_planes
from pix2pixhd.models import create_model
from pix2pixhd.models.conditioning import image_to_float
from pix2pixhd.options.fields import replaced
from pix2pixhd.options.test_options import TestOptions
from pix2pixhd.util.checkpoint import load_tensors, save_tensors
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.image import image_to_values

FEATURES = ("--instance_feat", "--nef", "2", "--n_downsample_E", "1", "--feat_num", "2")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run without features, `tiny`, and one with them and clusters, `styled`."""
    root = tmp_path_factory.mktemp("renderer")
    write_tiny_data(root)
    write_tiny_data(root, phase="test", count=2, size=(20, 12))
    once = ("--niter", "1", "--niter_decay", "0", "--no_html")
    assert run_train(*tiny_run(root), *once).code == 0
    assert run_train(*tiny_run(root, "styled"), *once, *FEATURES).code == 0
    assert run_encode(*where(root, "styled")).code == 0
    return root


def where(root: Path, name: str) -> tuple[str, ...]:
    folder = str(root / "ck")
    return "--name", name, "--checkpoints_dir", folder, "--gpu_ids", "-1", "--nThreads", "0"


def load(root: Path, name: str = "tiny", **how: Any) -> pix2pixhd.Renderer:
    return pix2pixhd.load(name, checkpoints_dir=root / "ck", device="cpu", **how)


def read(root: Path, kind: str, number: int = 0) -> np.ndarray:
    return np.asarray(Image.open(root / f"data/test_{kind}/scene_{number}.png"))


def rendered(root: Path, name: str, *flags: str) -> np.ndarray:
    """What test.py makes of the second image."""
    results = root / f"results{'_'.join(flags)}"
    outcome = run_test(*where(root, name), "--results_dir", results, *flags)
    assert outcome.code == 0, outcome.err
    [file] = results.glob(f"{name}/*/images/scene_1_synthesized_image.png")
    return np.asarray(Image.open(file))


def test_the_average_renders_where_a_run_has_one(root: Path) -> None:
    maps, folder = (read(root, "label"), read(root, "inst")), root / "ck/averaged"
    shutil.copytree(root / "ck/tiny", folder)
    raw = load(root, "averaged")(*maps)
    weights = load_tensors(folder / "latest_net_G.pth")
    average = {name: 0.5 * tensor for name, tensor in weights.items()}
    save_tensors(average, folder / "latest_net_G_ema.pth")
    found = load(root, "averaged")(*maps)
    assert not np.array_equal(found, raw)
    assert np.array_equal(load(root, "averaged", ema=False)(*maps), raw)
    for file, expected in (("latest_net_G_ema", found), ("latest_net_G", raw)):
        model = pix2pixhd.load(folder / f"{file}.pth", device="cpu")
        assert np.array_equal(model(*maps), expected)
        assert model.options.ema == file.endswith("_ema")  # so are the clusters
    (folder / "latest_net_G.pth").rename(folder / "moved.pth")
    for run in ("averaged", folder / "latest_net_G_ema.pth"):
        assert np.array_equal(load(root, run)(*maps), found)
    (folder / "moved.pth").rename(folder / "latest_net_G.pth")
    assert not np.array_equal(*(rendered(root, "averaged", *f) for f in ((), ("--no_ema",))))
    note = (root / "results/averaged/test_latest/index.html").read_text()
    assert "by the average of the weights" in note
    page = root / "results--no_ema/averaged/test_latest_no_ema/index.html"
    assert "without the average of the weights" in page.read_text()


@pytest.mark.parametrize("how", ["name", "file", "file elsewhere"])
def test_it_renders_what_the_program_does(
    root: Path, tmp_path: Path, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if how == "name":
        model = load(root)
    elif how == "file":
        model = pix2pixhd.load(root / "ck/tiny/latest_net_G.pth", device="cpu")
    else:
        file = Path(shutil.copy(root / "ck/tiny/latest_net_G.pth", tmp_path / "mine.pth"))
        sizes = {"ngf": 4, "n_downsample_global": 2, "n_blocks_global": 1}
        model = pix2pixhd.load(file, label_nc=LABELS, **sizes, device="cpu")
    image = model(read(root, "label", 1), read(root, "inst", 1))
    assert capsys.readouterr() == ("", "")
    assert image.shape == (12, 20, 3) and image.dtype == np.uint8
    assert np.array_equal(image, rendered(root, "tiny"))


def test_features_are_of_clusters_of_a_photograph_or_given(root: Path) -> None:
    model = load(root, "styled")
    label, inst, photo = (read(root, kind, 1) for kind in ("label", "inst", "img"))
    drawn = model(label, inst, name="scene_1")
    assert np.array_equal(drawn, rendered(root, "styled"))
    second = model(label, inst, name="scene_1", style=1)
    assert not np.array_equal(drawn, second)
    encoded = model(label, inst, image=photo)
    assert np.array_equal(encoded, rendered(root, "styled", "--use_encoded_image"))
    features = model.encode(photo, label, inst)
    assert features.shape == (12, 20, 2)
    for same in (features, features.transpose(2, 0, 1)):
        assert np.array_equal(model(label, inst, features=same), encoded)


def test_noise_is_what_the_encoder_finds_in_a_photograph(tmp_path: Path) -> None:
    write_tiny_data(tmp_path, count=1, size=(64, 32))
    write_tiny_data(tmp_path, phase="test", count=2, size=(64, 32))
    flags = ("--netG", "spade", "--norm_G", "spadeinstance3x3", "--use_vae", "--crop_size", "64x32")
    more = ("--z_dim", "3", "--ngf", "1", "--ema_half_life", "1", "--no_html")
    run = tiny_run(tmp_path), "--niter", "1", "--niter_decay", "0"
    assert run_train(*run[0], *run[1:], *flags, *more).code == 0
    maps = [[read(tmp_path, kind, n) for kind in ("label", "inst", "img")] for n in range(2)]
    model = load(tmp_path)
    label, inst, photo = maps[1]
    drawn, encoded = model(label, inst, name="scene_1"), model(label, inst, image=photo)
    assert not np.array_equal(drawn, encoded)
    assert np.array_equal(drawn, rendered(tmp_path, "tiny"))
    assert np.array_equal(encoded, rendered(tmp_path, "tiny", "--use_encoded_image"))
    other = tmp_path / "data/test_img/scene_0.png"
    of_other = rendered(tmp_path, "tiny", "--style_from", str(other))
    assert np.array_equal(of_other, model(label, inst, image=maps[0][2]))
    assert not np.array_equal(of_other, encoded)
    assert np.array_equal(of_other, load(tmp_path, style_from=other)(label, inst))
    outcome = run_test(
        *where(tmp_path, "tiny"), "--resize_or_crop", "scale_width", "--loadSize", "96"
    )
    assert outcome.code == 2 and "scene_0.png: scaled to 96x48, and --use_vae" in outcome.err
    assert "stopped" not in outcome.out
    page = tmp_path / "results--use_encoded_image/tiny/test_latest_encoded/index.html"
    assert "noise of the real images" in page.read_text()
    with pytest.raises(UserError, match="image and style: features come from one source"):
        model(label, inst, image=photo, style=1)
    with pytest.raises(UserError, match="features: the run was trained without features"):
        model(label, inst, features=np.zeros((32, 64, 3), np.float32))
    with pytest.raises(UserError, match="image: the run was trained without features"):
        model.encode(photo, label, inst)
    encoder = tmp_path / "ck/tiny/latest_net_E.pth"
    average = encoder.with_stem("latest_net_E_ema")
    save_tensors({n: 0.5 * tensor for n, tensor in load_tensors(average).items()}, average)
    assert not np.array_equal(load(tmp_path)(label, inst, image=photo), encoded)
    average.unlink(), encoder.unlink()
    with pytest.raises(UserError, match="image: it needs the run's encoder"):
        load(tmp_path)(label, inst, image=photo)


def test_noise_is_drawn_by_name_and_style(tmp_path: Path) -> None:
    write_tiny_data(tmp_path, count=1)
    write_tiny_data(tmp_path, phase="test", count=2)
    flags = ("--niter", "1", "--niter_decay", "0", "--no_html", "--z_dim", "3")
    assert run_train(*tiny_run(tmp_path), *flags).code == 0
    model, maps = load(tmp_path), [read(tmp_path, kind, 1) for kind in ("label", "inst")]
    first, second = (model(*maps, name="scene_1", style=style) for style in range(2))
    assert not np.array_equal(first, second)
    assert np.array_equal(first, rendered(tmp_path, "tiny", "--styles", "2"))
    [file] = tmp_path.glob("results*/tiny/test_latest_2styles/images/scene_1_*_image_2.png")
    assert np.array_equal(second, np.asarray(Image.open(file)))
    assert not np.array_equal(first, model(*maps, name="scene_0"))
    assert not np.array_equal(first, load(tmp_path, seed=1)(*maps, name="scene_1"))


def test_labels_without_clusters_are_warned_of_where_they_are_used(root: Path) -> None:
    model = load(root, "styled", cluster_path=str(root / "few.npz"))
    centres = dict(np.load(root / "ck/styled/features_clustered_010.npz"))
    label = read(root, "label")
    missing = int(label[0, 0])
    np.savez(root / "few.npz", **{n: c for n, c in centres.items() if n != f"centres_{missing}"})
    with pytest.warns(UserWarning, match=f"^label {missing} has no clusters") as found:
        model(label, read(root, "inst"))
    assert found[0].filename == __file__


def test_the_ignored_label_and_any_integers(root: Path) -> None:
    label, inst = read(root, "label").astype(np.int64), read(root, "inst")
    holes = np.where(label == label[0, 0], 255, label)
    image = load(root, ignore_label=255)(holes, inst.tolist())
    assert not np.array_equal(image, load(root)(label, inst))


LABEL, INST = np.zeros((8, 12), int), np.zeros((8, 12), np.int32)
PHOTO = np.zeros((8, 12, 3), np.uint8)
WRONG: list[tuple[str, dict[str, Any], str]] = [
    ("tiny", {"label": LABEL + 0.5}, "label: float64 values, expected integers"),
    ("tiny", {"label": PHOTO}, r"label: shape \[8, 12, 3\], expected \[H, W\]"),
    ("tiny", {"label": LABEL[:0]}, r"label: shape \[0, 12\], expected"),
    ("tiny", {"label": LABEL + 7}, "label: holds 7, expected 0 to 4 .*--label_nc 5"),
    ("tiny", {"label": LABEL - 1}, "label: holds -1, expected 0 to 4"),
    ("tiny", {"label": LABEL + 2**40}, "label: holds .*, expected numbers of 32 bits"),
    ("tiny", {"inst": None}, "inst: the run takes an instance map, and none is given"),
    ("tiny", {"inst": INST[:-1]}, r"inst: \[7, 12\] pixels \(H, W\), expected \[8, 12\]"),
    ("tiny", {"inst": INST.astype("<U3")}, "inst: <U3 values, expected integers"),
    ("tiny", {"image": PHOTO}, "image: the run was trained without features"),
    ("tiny", {"features": PHOTO}, "features: the run was trained without features"),
    ("tiny", {"extra": PHOTO}, "extra: the run was trained with --extra_nc 0; leave it out"),
    ("styled", {"image": PHOTO, "features": PHOTO}, "features and image: .* one source"),
    ("tiny", {"style": 1}, "style: the run was trained without features"),
    ("styled", {"image": PHOTO, "style": 1}, "image and style: .* one source"),
    ("styled", {"image": PHOTO * np.nan}, "image: holds NaN or infinity, expected finite numbers"),
    ("styled", {"features": PHOTO}, "features: uint8 values, expected floating point"),
    ("styled", {"features": PHOTO / 1.0}, r"features: .*expected \[H, W, 2\] or \[2, H, W\]"),
    ("styled", {"image": PHOTO.astype(int)}, "image: int64 values, expected uint8, uint16 or"),
    ("styled", {"image": PHOTO[:, :-1]}, r"image: \[8, 11\] pixels"),
]


@pytest.fixture(scope="module")
def models(root: Path) -> dict[str, pix2pixhd.Renderer]:
    return {name: load(root, name) for name in ("tiny", "styled")}


@pytest.mark.parametrize(("name", "given", "message"), WRONG)
def test_wrong_arguments(
    models: dict[str, pix2pixhd.Renderer], name: str, given: dict[str, Any], message: str
) -> None:
    with pytest.raises(pix2pixhd.UserError, match=message) as error:
        models[name](**{"label": LABEL, "inst": INST} | given)
    assert len(error.value.problems) == 1 and "\n" not in str(error.value)


NOT_LOADED: list[tuple[str, dict[str, Any], str]] = [
    ("nobody", {}, "there is no such run; .* has .*styled, tiny"),
    ("tiny", {"epoch": 7}, "no weights of epoch '7'"),
    ("none.pth", {}, "there is no file none.pth"),
    ("tiny", {"ngf": 8}, "--ngf 8: the run 'tiny' .* was trained with --ngf 4"),
    ("tiny", {"help": True}, "help: not an argument"),
    ("tiny", {"which_epoch": 1}, "which_epoch: not an argument"),
    ("tiny", {"loadSize": "wide"}, "loadSize"),
    ("tiny", {"device": "cuda:99"}, "device: cuda:99 cannot be had"),
    ("tiny", {"device": "toaster"}, "device: toaster cannot be had"),
]


@pytest.mark.parametrize(("name", "how", "message"), NOT_LOADED)
def test_what_cannot_be_loaded(root: Path, name: str, how: dict[str, Any], message: str) -> None:
    with pytest.raises(pix2pixhd.UserError, match=message):
        pix2pixhd.load(name, **{"checkpoints_dir": root / "ck", "device": "cpu"} | how)


def test_a_run_without_instances_takes_an_image_of_either_layout(tmp_path: Path) -> None:
    model = untrained(tmp_path, label_nc=0, no_instance=True, extra_nc=1)
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (9, 14, 3), np.uint8)
    extra = random.integers(0, 65536, (9, 14), np.uint16)
    expected = model(image, extra=extra)
    assert expected.shape == (9, 14, 3) and expected.dtype == np.uint8
    for same in (image.transpose(2, 0, 1), image.astype(np.uint16) * 257):
        assert np.array_equal(model(same, extra=extra[..., None] / 65535), expected)
    with pytest.raises(pix2pixhd.UserError, match=r"inst: .* with --no_instance; leave"):
        model(image, INST, extra=extra)
    with pytest.raises(pix2pixhd.UserError, match="extra: the run takes a further input image"):
        model(image)


def test_more_bits_and_channels_come_out_in_the_files_type_and_range(tmp_path: Path) -> None:
    model = untrained(tmp_path, label_nc=2, output_nc=4)
    label = np.eye(8, 12, dtype=bool)
    assert model(label, INST).shape == (8, 12, 4)
    model.options = replaced(model.options, {"output_bits": 16, "value_range": "0,4095"})
    deep = model(label, INST)
    assert deep.dtype == np.uint16 and 255 < deep.max() <= 4095


def untrained(folder: Path, **flags: Any) -> pix2pixhd.Renderer:
    """Networks of random weights, from a file of weights and flags."""
    flags |= {"ngf": 4, "n_downsample_global": 1, "n_blocks_global": 1}
    positive = {"instance": False} if flags.get("no_instance") else {}
    options = replaced(TestOptions(), flags | positive).model
    torch.save(create_model(options).netG.state_dict(), folder / "net.pth")
    return pix2pixhd.load(folder / "net.pth", device="cpu", **flags)


def test_values_that_are_cut_off_are_told(root: Path) -> None:
    model, label, inst = load(root, "styled"), read(root, "label"), read(root, "inst")
    with pytest.warns(UserWarning, match="image: values 0 to 255, cut off outside 0 to 1") as told:
        model(label, inst, image=np.eye(*label.shape)[..., None].repeat(3, 2) * 255)
    assert told[0].filename == __file__


def test_a_notebook_shows_it_in_a_line(root: Path) -> None:
    assert repr(load(root)) == f"Renderer of 'tiny' in {root / 'ck'} on cpu"


@pytest.mark.parametrize("run", [None, 3])
def test_a_run_is_a_name_or_a_path(run: Any) -> None:
    with pytest.raises(pix2pixhd.UserError, match=f"run: {run} is a .*, expected a name or a path"):
        pix2pixhd.load(run)


def test_weights_tell_what_networks_they_are(tmp_path: Path) -> None:
    untrained(tmp_path, label_nc=2, netG="local", n_local_enhancers=2, n_blocks_local=1)
    again = pix2pixhd.load(tmp_path / "net.pth", device="cpu", label_nc=2)
    assert again.options.model.netG == "local" and again.options.model.ngf == 4
    assert again(np.eye(16, 24, dtype=bool), np.zeros((16, 24), int)).shape == (16, 24, 3)
    with pytest.raises(pix2pixhd.UserError, match=r"net.pth: .*--label_nc"):
        pix2pixhd.load(tmp_path / "net.pth", device="cpu")


@pytest.mark.parametrize("bits", [8, 16, 32])
def test_what_goes_in_comes_out(bits: int) -> None:
    kind = {8: np.uint8, 16: np.uint16, 32: np.float32}[bits]
    top = 1.0 if bits == 32 else np.iinfo(kind).max
    values = (np.linspace(0, 1, 24).reshape(2, 3, 4) * top).astype(kind)
    for value_range in (None, (0.0, 0.4 * top)):
        expected = values if value_range is None or bits == 8 else values.clip(0, value_range[1])
        tensor = image_planes("image", values, 4, value_range)
        if not tensor.is_floating_point():
            tensor = image_to_float(tensor)
        back = image_to_values(tensor[0], bits, value_range).transpose(1, 2, 0)
        assert back.dtype == kind and np.allclose(back, expected, rtol=1e-6, atol=1e-6)


def test_importing_the_package_is_quick() -> None:
    code = "import sys, pix2pixhd; assert 'load' in dir(pix2pixhd); print(*sys.modules)"
    modules = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert not {"torch", "numpy", "PIL", "tyro"} & set(modules)
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        getattr(pix2pixhd, "lode")  # noqa: B009


@pytest.mark.parametrize("flag", [{"tile": 64}, {"styles": 2}, {"use_encoded_image": True}])
def test_flags_of_galleries_are_refused(root: Path, flag: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=f"{next(iter(flag))}: is of galleries; each call has"):
        load(root, **flag)


@pytest.mark.parametrize("style", [-1, 1.5, "2"])
def test_a_style_is_a_number(root: Path, style: Any) -> None:
    with pytest.raises(UserError, match=r"style: .*, expected a whole number of 0 or more"):
        load(root)(read(root, "label"), read(root, "inst"), style=style)
