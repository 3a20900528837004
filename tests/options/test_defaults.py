"""The flags that existing scripts rely on: spelling, default, and recipes that still parse."""

from __future__ import annotations

import re
from typing import Any

import pytest
from shared_data import shared

from pix2pixhd.options.fields import flat
from pix2pixhd.options.ineffective import ineffective_flags
from pix2pixhd.options.parsing import parse_test, parse_train

EVERYWHERE: dict[str, Any] = {
    "name": "label2city",
    "gpu_ids": "0",
    "checkpoints_dir": "./checkpoints",
    "model": "pix2pixHD",
    "norm": "instance",
    "use_dropout": False,
    "data_type": 32,
    "verbose": False,
    "fp16": False,
    "local_rank": 0,
    "batchSize": 1,
    "loadSize": 1024,
    "fineSize": 512,
    "label_nc": 35,
    "input_nc": 3,
    "output_nc": 3,
    "dataroot": "./datasets/cityscapes/",
    "resize_or_crop": "scale_width",
    "serial_batches": False,
    "no_flip": False,
    "nThreads": None,  # the reference has 2
    "max_dataset_size": None,
    "display_winsize": 512,
    "tf_log": False,
    "netG": "global",
    "ngf": 64,
    "n_downsample_global": 4,
    "n_blocks_global": 9,
    "n_blocks_local": 3,
    "n_local_enhancers": 1,
    "niter_fix_global": 0,
    "no_instance": False,
    "instance_feat": False,
    "label_feat": False,
    "feat_num": 3,
    "load_features": False,
    "n_downsample_E": 4,
    "nef": 16,
    "n_clusters": 10,
}
TRAINING: dict[str, Any] = {
    "display_freq": 100,
    "print_freq": 100,
    "save_latest_freq": 1000,
    "save_epoch_freq": 10,
    "no_html": False,
    "debug": False,
    "continue_train": False,
    "load_pretrain": "",
    "which_epoch": "latest",
    "phase": "train",
    "niter": 100,
    "niter_decay": 100,
    "beta1": 0.5,
    "lr": 0.0002,
    "num_D": 2,
    "n_layers_D": 3,
    "ndf": 64,
    "lambda_feat": 10.0,
    "no_ganFeat_loss": False,
    "no_vgg_loss": False,
    "no_lsgan": False,
    "pool_size": 0,
}
TESTING: dict[str, Any] = {
    "ntest": None,
    "results_dir": "./results/",
    "aspect_ratio": 1.0,
    "phase": "test",
    "which_epoch": "latest",
    "how_many": 50,
    "cluster_path": "features_clustered_010.npy",
    "use_encoded_image": False,
    "export_onnx": None,
    "engine": None,
    "onnx": None,
}
PROGRAMS = {
    "train": (parse_train, EVERYWHERE | TRAINING),
    "test": (parse_test, EVERYWHERE | TESTING),
}


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """There is no run in ./checkpoints that options could be inherited from."""
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize(
    ("program", "flag"), [(name, flag) for name, (_, table) in PROGRAMS.items() for flag in table]
)
def test_default(program: str, flag: str) -> None:
    parse, table = PROGRAMS[program]
    values = flat(parse([]))
    positive = flag.removeprefix("no_")
    found = values[flag] if positive == flag else not values[positive]
    assert (found, type(found)) == (table[flag], type(table[flag]))


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_switch_can_be_switched(program: str) -> None:
    parse, table = PROGRAMS[program]
    unbuilt = {"instance_feat", "label_feat", "load_features", "use_encoded_image"}
    for flag, default in table.items():
        if isinstance(default, bool) and flag not in unbuilt:
            values = flat(parse([f"--{flag}"]))
            assert values[flag.removeprefix("no_")] is not flag.startswith("no_"), flag


def test_the_tables_name_every_flag_of_the_list() -> None:
    listed = set(re.findall(r"`--(\w+)", shared("cli.md").read_text()))
    assert listed - {"flag"} == set(EVERYWHERE | TRAINING | TESTING)


RECIPES = [
    "--name label2city_512p",
    "--name label2city_512p --batchSize 8 --gpu_ids 0,1,2,3,4,5,6,7",
    "--name label2city_512p --fp16",
    "--name label2city_1024p --netG local --ngf 32 --num_D 3 --niter 50 --niter_decay 50"
    " --load_pretrain checkpoints/label2city_512p/ --niter_fix_global 10 --resize_or_crop crop"
    " --fineSize 1024",
    "--name x --netG local --ngf 32 --num_D 3 --niter_fix_global 20 --resize_or_crop none",
    "--label_nc 0 --no_instance --gpu_ids -1 --tf_log --no_html --no_vgg_loss --pool_size 50",
    "--lr 1e-4 --beta1=0.9 --max_dataset_size 10 --data_type 16 --no_flip --serial_batches",
]


@pytest.mark.parametrize("line", RECIPES)
def test_recipe_parses(line: str) -> None:
    words = line.split()
    values = flat(parse_train(words))
    for flag, word in zip(words, [*words[1:], "--"], strict=True):
        if flag.startswith("--") and "=" not in flag and not word.startswith("--"):
            value = values[flag.removeprefix("--")]
            assert value == type(value)(word), flag


def test_recipe_of_rendering_parses() -> None:
    line = "--name label2city_1024p --netG local --ngf 32 --resize_or_crop none --how_many 3"
    options = parse_test(line.split())
    assert (options.model.netG, options.model.ngf, options.results.how_many) == ("local", 32, 3)


@pytest.mark.parametrize("gpu_ids", ["-1", "0", "3", "0,1,2"])
def test_gpu_ids(gpu_ids: str) -> None:
    assert parse_train(["--gpu_ids", gpu_ids]).run.gpu_ids == gpu_ids
    assert parse_train([f"--gpu_ids={gpu_ids}"]).run.gpu_ids == gpu_ids


def test_debug_is_one_short_epoch_with_everything_shown() -> None:
    options = parse_train(["--debug"])
    assert (options.schedule.niter, options.schedule.niter_decay) == (1, 0)
    assert (options.log.print_freq, options.log.display_freq) == (1, 1)
    assert options.data.max_dataset_size == 10
    assert parse_train(["--debug", "--max_dataset_size", "4"]).data.max_dataset_size == 4
    assert parse_train(["--debug", "--max_dataset_size", "40"]).data.max_dataset_size == 10


def test_flags_without_effect_say_so() -> None:
    assert ineffective_flags(parse_train([])) == []
    assert ineffective_flags(parse_test([])) == []
    lines = ineffective_flags(parse_train(["--local_rank", "1", "--data_type", "8"]))
    assert [line.split(":")[0] for line in lines] == ["--local_rank 1", "--data_type 8"]
    lines = ineffective_flags(parse_test(["--ntest", "5", "--aspect_ratio", "2"]))
    assert [line.split(":")[0] for line in lines] == ["--ntest 5", "--aspect_ratio 2.0"]
    assert all("it has no effect" in line for line in lines)
    lines = ineffective_flags(parse_train(["--lambda_mix", "5"]))
    assert lines == ["--lambda_mix 5.0: it has no effect; LabelMix is of --netD segmentation"]
    line = "--netD segmentation --num_D 3 --n_layers_D 4 --gan_loss hinge --lambda_mix 5"
    lines = ineffective_flags(parse_train(line.split()))
    assert [line.split(":")[0] for line in lines] == [
        *("--num_D 3", "--n_layers_D 4", "--gan_loss hinge")
    ]
    line = (
        "--netD segmentation --lambda_feat 5 --netG unet --n_local_enhancers 2 --n_blocks_local 1"
    )
    lines = ineffective_flags(parse_train(line.split()))
    assert sorted(line.split(":")[0] for line in lines) == [
        *("--lambda_feat 5.0", "--n_blocks_local 1", "--n_local_enhancers 2")
    ]
    line = "--netG unet_256 --netD basic --upsample resize --n_layers_D 5 --label_nc 1"
    line += " --label_colors 00ff00"
    lines = ineffective_flags(parse_train(line.split()))
    assert sorted(line.split(":")[0] for line in lines) == [
        *("--label_colors 00ff00", "--n_layers_D 5", "--upsample resize")
    ]
    assert ineffective_flags(parse_test(["--netG", "unet_128", "--eval"])) == []
    [line] = ineffective_flags(parse_test(["--eval"]))
    assert line == "--eval True: it has no effect; it is of --netG unet_256, unet_128"
    line = "--no_gan_loss --crn_loss --ndf 8 --lr_D 1 --lambda_feat 5"
    lines = ineffective_flags(parse_train(line.split()))
    assert [line.split(":")[0] for line in lines] == ["--ndf 8", "--lr_D 1.0", "--lambda_feat 5.0"]
    line = "--netG crn --no_gan_loss --lambda_L1 1 --norm batch --nef 3 --crop_size 64 --ndf 8"
    lines = ineffective_flags(parse_train(line.split()))
    assert sorted(line.split()[0] for line in lines) == [
        *("--crop_size", "--ndf", "--nef", "--norm")
    ]
    assert ineffective_flags(parse_test(["--crop_size", "64", "--n_local_enhancers", "2"])) == []
    line = "--eval_images 3 --metrics lpips --extractor dinov2"
    lines = ineffective_flags(parse_train(line.split()))
    assert sorted(line.split(":")[0] for line in lines) == [
        *("--eval_images 3", "--extractor dinov2", "--metrics lpips")
    ]
    assert ineffective_flags(parse_train([*line.split(), "--eval_freq", "1"])) == []
    line = "--lambda_feat 5 --no_vgg_loss --netG local --n_local_enhancers 2"
    assert ineffective_flags(parse_train(line.split())) == []


@pytest.mark.parametrize(
    ("line", "matches", "perceives"),
    [
        ("", False, False),
        ("--ganFeat_loss", True, False),
        ("--vgg_loss", False, True),
        ("--vgg_weights vgg.pth", False, True),
        ("--netD multiscale", True, True),
    ],
)
def test_what_goes_with_the_segmentation_discriminator(
    line: str, matches: bool, perceives: bool
) -> None:
    options = parse_train(["--netD", "segmentation", *line.split()])
    assert (options.loss.ganFeat_loss, options.loss.vgg_loss) == (matches, perceives)
    begins_as = ("normal", "none") if "multiscale" in line else ("xavier", "D")
    assert (options.schedule.init, options.discriminator.spectral_norm) == begins_as
