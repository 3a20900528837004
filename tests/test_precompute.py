"""Feature maps made by one run and read by another, as a user sees it."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from programs import metrics, run_train, tiny_run, write_tiny_data

from pix2pixhd.data import create_dataset, create_loader
from pix2pixhd.data.feature_maps import read_feature_map
from pix2pixhd.engine.trained import load_trained
from pix2pixhd.options.parsing import parse_precompute
from pix2pixhd.util.checkpoint import load_tensors, save_tensors
from pix2pixhd.util.errors import UserError
from precompute_feature_maps import precompute

FEATURES = ("--nef", "2", "--n_downsample_E", "2", "--feat_num", "3")
ONE_EPOCH = ("--niter", "1", "--niter_decay", "0", "--no_html")
HALF = ("--resize_or_crop", "scale_width", "--loadSize", "16")  # of the files' 32x16
SCENES = 3


LABEL_FEAT = pytest.param("--label_feat", marks=pytest.mark.slow)


@pytest.fixture(scope="module", params=["--instance_feat", LABEL_FEAT])
def trained(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with an encoder, trained at half the size of its files."""
    root = tmp_path_factory.mktemp("precompute")
    write_tiny_data(root, count=SCENES)
    outcome = run_train(*tiny_run(root), *ONE_EPOCH, *FEATURES, *HALF, request.param)
    assert outcome.code == 0, outcome.err
    return root


def words(root: Path, *flags: str) -> list[str]:
    where = ("--name", "tiny", "--checkpoints_dir", str(root / "ck"))
    return [*where, "--gpu_ids", "-1", "--nThreads", "0", "--precision", "fp32", *flags]


def made(root: Path, *flags: str) -> list[Path]:
    """The files that a call makes, in place of those of earlier ones."""
    for file in (root / "data/train_feat").glob("*"):
        file.unlink()
    return sorted(precompute(parse_precompute(words(root, *flags))).iterdir())


def kind(root: Path) -> str:
    """What shares features in the run: inst or label."""
    return "inst" if "instance_feat: True" in (root / "ck/tiny/opt.txt").read_text() else "label"


def test_the_program_writes_a_map_for_each_image(trained: Path) -> None:
    program = Path(__file__).parents[1] / "precompute_feature_maps.py"
    command = [sys.executable, str(program), *words(trained)]
    result = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stderr
    first, last = result.stdout.splitlines()
    assert first == (
        "feature maps: encoded at 16x8, written at 32x16, the size of the label maps' files"
    )
    assert last.endswith("data/train_feat; train with --load_features to use them")
    files = sorted((trained / "data/train_feat").iterdir())
    assert [file.name for file in files] == [f"scene_{n}.npz" for n in range(SCENES)]


def test_maps_are_constant_in_each_instance_and_differ_between_them(trained: Path) -> None:
    for number, file in enumerate(made(trained)):
        features = read_feature_map(file, 3)
        assert features.shape == (3, 16, 32)
        np.testing.assert_array_equal(
            features, features[:, ::2, ::2].repeat(2, axis=1).repeat(2, axis=2)
        )
        path = trained / f"data/train_{kind(trained)}/scene_{number}.png"
        ids = np.asarray(Image.open(path))
        vectors = [features[:, ids == value] for value in np.unique(ids)]
        assert all((pixels == pixels[:, :1]).all() for pixels in vectors)
        assert len({pixels[:, 0].tobytes() for pixels in vectors}) == len(vectors)


def test_maps_are_those_of_the_runs_encoder(trained: Path) -> None:
    file = made(trained)[0]
    options = parse_precompute(words(trained))
    model = load_trained(options.model, trained / "ck/tiny", "latest", "E")
    dataset = create_dataset(options.data, options.model, phase="train", seed=0, is_train=False)
    batch = next(iter(create_loader(dataset, options.data, seed=0, is_train=False)))
    expected = model.encode(batch)[0].detach().numpy().repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(read_feature_map(file, 3), expected, atol=1e-3)


def test_maps_are_those_of_the_average_unless_told_not_to(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    average = trained / "ck/tiny/latest_net_E_ema.pth"
    weights = load_tensors(trained / "ck/tiny/latest_net_E.pth")
    raw = read_feature_map(made(trained)[0], 3)
    save_tensors({name: 2 * tensor for name, tensor in weights.items()}, average)
    averaged, also_raw = (read_feature_map(made(trained, *f)[0], 3) for f in ((), ("--no_ema",)))
    average.unlink()
    assert capsys.readouterr().out.count("not of the average of the encoder") == 1
    assert np.array_equal(also_raw, raw) and not np.array_equal(averaged, raw)


def test_files_of_another_scale_and_size_pair_all_the_same(
    trained: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    files = made(trained, "--loadSize", "12")
    assert "encoded at 12x6, written at 32x16" in (told := capsys.readouterr().out)
    assert "; that is not twice as large, but pairs with them at any --loadSize" in told
    assert read_feature_map(files[0], 3).shape == (3, 16, 32)
    assert read_feature_map(made(trained, "--resize_or_crop", "crop")[0], 3).shape == (3, 16, 32)


@pytest.mark.parametrize("feat_format", ["npz", "png"])
@pytest.mark.parametrize("size", [(), HALF])
def test_training_reads_them(trained: Path, feat_format: str, size: tuple[str, ...]) -> None:
    made(trained, "--feat_format", feat_format)
    name = f"reads_{feat_format}_{len(size)}"
    features = (*FEATURES, "--load_features", "--instance_feat", "--nThreads", "1")
    outcome = run_train(*tiny_run(trained, name), *ONE_EPOCH, *features, *size, "--print_freq", "1")
    assert outcome.code == 0, outcome.err
    lines = metrics(trained / "ck" / name)
    assert len(lines) == SCENES and all(math.isfinite(line["G_GAN"]) for line in lines)
    assert not (trained / "ck" / name / "latest_net_E.pth").exists()


def test_sub_folders_are_kept_and_earlier_files_replaced(trained: Path, tmp_path: Path) -> None:
    write_tiny_data(tmp_path, count=2, phase="val")
    for what in ("label", "inst", "img"):
        folder = tmp_path / f"data/val_{what}"
        (folder / "city").mkdir()
        (folder / "scene_1.png").rename(folder / "city/v1.5.png")
    old = tmp_path / "data/val_feat/scene_0.npz"
    old.parent.mkdir()
    old.write_bytes(b"old")
    flags = words(trained, "--dataroot", str(tmp_path / "data"), "--phase", "val")
    folder = precompute(parse_precompute(flags))
    assert folder == tmp_path / "data/val_feat"
    files = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())
    assert files == ["city/v1.5.npz", "scene_0.npz"]
    assert read_feature_map(old, 3).shape == (3, 16, 32)


def test_what_is_missing_or_in_the_way_is_told(trained: Path, tmp_path: Path) -> None:
    made(trained, "--feat_format", "png")
    with pytest.raises(UserError, match=r"train_feat: holds 3 feature maps of another format, suc"):
        precompute(parse_precompute(words(trained)))
    write_tiny_data(tmp_path, count=1)
    (tmp_path / "data/train_img/scene_0.png").unlink()
    (tmp_path / "data/train_img").rmdir()
    with pytest.raises(UserError, match="train_img: no such folder"):
        precompute(parse_precompute(words(trained, "--dataroot", str(tmp_path / "data"))))
    with pytest.raises(UserError, match="no weights of epoch '7'"):
        precompute(parse_precompute(words(trained, "--which_epoch", "7")))
