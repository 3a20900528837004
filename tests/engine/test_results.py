"""Where results go, and the command that the page gives."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from pix2pixhd.engine.results import command, ways_apart
from pix2pixhd.options.parsing import parse_test, parse_train
from pix2pixhd.options.saved import options_texts
from pix2pixhd.options.test_options import TestOptions


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def save_run(*flags: str) -> None:
    """A run that was trained with these flags."""
    folder = Path("checkpoints/street")
    folder.mkdir(parents=True)
    options = parse_train(["--name", "street", *flags])
    (folder / "options.json").write_text(options_texts(options)["options.json"])


def options_of(*flags: str) -> tuple[TestOptions, TestOptions]:
    return parse_test(["--name", "street", *flags]), parse_test(["--name", "street"])


def test_a_rendering_without_pix2pix_s_dropout_has_a_folder_of_its_own() -> None:
    save_run("--netG", "unet_256")
    assert list(ways_apart(*options_of("--eval", "--seed", "3"))) == ["eval"]


@pytest.mark.parametrize(
    ("flags", "parts"),
    [
        ("", []),
        # What a rendering is of, where it goes and what it runs on do not set it apart.
        ("--how_many 3 --results_dir r --gpu_ids -1 --dataroot d --image_format jpg", []),
        ("--loadSize 256 --resize_or_crop scale_width_and_crop --n_clusters 7", []),  # its own
        ("--loadSize 512", ["512wide"]),
        ("--resize_or_crop resize_and_crop", ["256square"]),
        ("--resize_or_crop none", ["unscaled"]),
        ("--resize_or_crop crop --loadSize 300", ["unscaled"]),
        ("--tile 64", ["tile64"]),
        ("--styles 3", ["3styles"]),
        ("--use_encoded_image", ["encoded"]),
        ("--use_encoded_image --seed 3", ["encoded"]),  # nothing is drawn
        ("--seed 3", ["seed3"]),
        ("--n_clusters 20", ["clusters_020"]),
        ("--cluster_path features_clustered_020.npy", ["clusters_020"]),
        ("--cluster_path features_clustered_007.npy", []),
        ("--cluster_path other/mine.npz", ["clusters_mine"]),
        ("--cluster_path other/features_clustered_007.npz", ["clusters_007"]),
        ("--style_from data/test_img/night.png", ["style_night"]),
        ("--style_from data/train_img/night.png", ["style_train_night"]),
        ("--style_from c/leftImg8bit/test/ulm/ulm_01.png", ["style_ulm_01"]),
        ("--style_from c/leftImg8bit/train/ulm/ulm_01.png", ["style_train_ulm_01"]),
        ("--phase val --style_from data/val_B/night.png", ["style_night"]),
        ("--style_from data/test_img/ulm/ulm_01.png", ["style_ulm_01"]),
        ("--style_from data/test_img/ulm/01.png", ["style_ulm_01"]),
        ("--styles 2 --tile 64 --loadSize 512 --seed 3", ["512wide", "tile64", "2styles", "seed3"]),
    ],
)
def test_each_way_of_rendering_has_a_folder_of_its_own(flags: str, parts: list[str]) -> None:
    own = "--instance_feat --loadSize 256 --fineSize 64 --resize_or_crop scale_width_and_crop"
    save_run(*own.split(), "--n_clusters", "7")
    assert list(ways_apart(*options_of(*flags.split()))) == parts


@pytest.mark.parametrize("has_average", [True, False])
def test_without_the_average_that_a_run_has(has_average: bool) -> None:
    save_run()
    if has_average:
        Path("checkpoints/street/7_net_G_ema.pth").touch()
    for flags, parts in (("--no_ema", ["no_ema"]), ("", []), ("--no_ema --which_epoch 6", [])):
        options = options_of("--which_epoch", "7", *flags.split())
        assert list(ways_apart(*options)) == (parts if has_average else [])


def test_another_padding_of_weights_without_options() -> None:
    assert list(ways_apart(*options_of("--pad_down", "reflect"))) == ["pad_reflect"]


def test_no_features_no_draws() -> None:
    save_run()
    assert ways_apart(*options_of("--seed", "3", "--cluster_path", "c.npz")) == {}


def test_draws_of_noise_have_folders_too() -> None:
    save_run("--z_dim", "4")
    drawn = options_of("--styles", "2", "--seed", "3", "--cluster_path", "c.npz")
    assert list(ways_apart(*drawn)) == ["2styles", "seed3"]


def test_several_images_of_a_label_map_have_a_folder_too() -> None:
    save_run("--netG", "crn", "--num_images", "3", "--no_gan_loss", "--crn_loss")
    assert list(ways_apart(*options_of("--styles", "2", "--seed", "3"))) == ["2images"]


def test_scripts_for_published_weights_keep_their_folder() -> None:
    """As `--resize_or_crop none` in test_1024p.sh, of weights without saved options."""
    ways = ways_apart(
        *options_of("--resize_or_crop", "none", "--loadSize", "2048", "--tile", "512")
    )
    assert list(ways) == ["tile512"]


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ("", ""),
        ("--how_many 50 --loadSize 256", ""),  # what is so anyway
        ("--loadSize 512 --styles 2", " --styles 2 --loadSize 512"),
        ("--no_flip --use_encoded_image", " --use_encoded_image --no_flip"),
        ("--dataroot 'my data'", " --dataroot 'my data'"),
    ],
)
def test_the_command_says_what_differs(flags: str, expected: str) -> None:
    save_run("--instance_feat", "--loadSize", "256")
    found = command(*options_of(*shlex.split(flags)))
    assert found == f"python test.py --name street{expected}"


def test_the_command_makes_the_same_options() -> None:
    save_run("--instance_feat", "--loadSize", "256")
    flags = "--checkpoints_dir ./checkpoints/. --gpu_ids -1,-1 --output_bits 16"
    options, own = options_of(*flags.split(), "--which_epoch", "5", "--no_plain_folders")
    words = shlex.split(command(options, own))
    assert words[:2] == ["python", "test.py"] and "--checkpoints_dir" in words
    assert parse_test(words[2:]) == options
    launched = replace(options, run=replace(options.run, local_rank=1))
    assert shlex.split(command(launched, own)) == words
