"""What a mistake on the command line costs: a UserError with one line for each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pix2pixhd.options.base_options import ProgramOptions
from pix2pixhd.options.parsing import parse_test, parse_train
from pix2pixhd.util.errors import UserError


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def errors(capsys: pytest.CaptureFixture[str]):
    """The problems that a command line is refused for; nothing is printed yet."""

    def lines(line: str, program: str = "train") -> list[str]:
        with pytest.raises(UserError) as caught:
            (parse_train if program == "train" else parse_test)(line.split())
        assert capsys.readouterr() == ("", "")
        assert not any("\n" in problem for problem in caught.value.problems)
        return caught.value.problems

    return lines


@pytest.mark.parametrize("program", ["train", "test"])
@pytest.mark.parametrize(
    ("line", "named"),
    [
        ("--colour red", ["--colour"]),
        ("--netG locl", ["--netG", "locl", "global", "local"]),
        ("--norm layer", ["--norm", "layer", "instance", "batch"]),
        ("--ngf many", ["--ngf", "many"]),
        ("--ngf 1.5", ["--ngf", "1.5"]),
        ("--max_dataset_size inf", ["--max_dataset_size", "- int: invalid", "inf"]),
        ("--ngf", ["--ngf", "Missing value"]),
        ("--fp16 yes", ["yes"]),
        ("--data_type 12", ["--data_type", "12", "32", "16"]),
        ("stray", ["stray"]),
    ],
)
def test_what_cannot_be_parsed_is_one_line(
    line: str, named: list[str], program: str, errors
) -> None:
    (problem,) = errors(line, program)
    assert all(word in problem for word in named)
    assert not set(problem) & set("│╭╮╰╯─")
    assert "Error parsing" not in problem and "helptext" not in problem


@pytest.mark.parametrize(
    ("line", "start"),
    [
        ("--niter_fix_global -1", "--niter_fix_global -1: must be a whole number of 0 or more"),
        ("--seed -1", "--seed -1"),
        ("--seed 9223372036854775808", "--seed 9223372036854775808: must be a whole number from 0"),
        ("--display_winsize 8", "--display_winsize 8: must be a whole number from 16 to 100000"),
        ("--gpu_ids 0;1", "--gpu_ids '0;1'"),
        ("--gpu_ids -2", "--gpu_ids '-2'"),
        ("--gpu_ids 0,", "--gpu_ids '0,'"),
        ("--name ..", "--name '..'"),
        ("--name=", "--name ''"),
        ("--loadSize 0", "--loadSize 0"),
        ("--fineSize 0", "--fineSize 0"),
        ("--batchSize 0", "--batchSize 0: must be a whole number from 1 to 100000"),
        ("--max_dataset_size 0", "--max_dataset_size 0"),
        ("--nThreads -1", "--nThreads -1"),
        ("--ignore_label -1", "--ignore_label -1"),
        ("--ignore_label 255 --label_nc 0", "--ignore_label with --label_nc 0"),
        ("--label_nc -1", "--label_nc -1"),
        ("--label_nc 0 --label_color", "--label_color with --label_nc 0"),
        ("--label_nc 2 --label_colors 00ff00", "--label_colors 00ff00: must be 12 hexadecimal"),
        ("--label_nc 1 --label_colors 00fg00", "--label_colors 00fg00: must be 6 hexadecimal"),
        ("--n_blocks_global -1", "--n_blocks_global -1"),
        ("--n_blocks_local -1", "--n_blocks_local -1"),
        ("--ngf 0", "--ngf 0"),
        ("--n_downsample_global 0", "--n_downsample_global 0"),
        ("--n_local_enhancers 0", "--n_local_enhancers 0"),
        # What no network is built with, by a slip of the finger or of malice.
        ("--label_nc 1099511627776", "--label_nc 1099511627776: must be a whole number from 0 to"),
        ("--n_downsample_global 30", "--n_downsample_global 30: must be a whole number from 1 to"),
        ("--n_blocks_global 1000000000", "--n_blocks_global 1000000000"),
        ("--n_blocks_local 1000000000", "--n_blocks_local 1000000000"),
        ("--n_local_enhancers 40", "--n_local_enhancers 40"),
        ("--n_downsample_E 30", "--n_downsample_E 30"),
        ("--ngf 100000000", "--ngf 100000000"),
        ("--nef 100000000", "--nef 100000000"),
        ("--feat_num 100000000", "--feat_num 100000000"),
        ("--loadSize 100000000", "--loadSize 100000000"),
        ("--nThreads 100000", "--nThreads 100000"),
        ("--input_nc 0", "--input_nc 0: must be a whole number from 1 to 512"),
        ("--output_nc 513", "--output_nc 513: must be a whole number from 1 to 512"),
        ("--extra_nc -1", "--extra_nc -1: must be a whole number from 0 to 512"),
        ("--value_range 9", "--value_range '9': must be two numbers LOW,HIGH, such as 0,4095"),
        ("--value_range 1,1", "--value_range '1,1'"),
        ("--input_range 0,inf", "--input_range '0,inf'"),
    ],
)
@pytest.mark.parametrize("program", ["train", "test"])
def test_shared_ranges_and_contradictions(line: str, start: str, program: str, errors) -> None:
    (problem,) = errors(line, program)
    assert problem.startswith(start)


@pytest.mark.parametrize(
    ("line", "start"),
    [
        ("--resize_or_crop resize_and_crop --loadSize 256", "--fineSize 512 with --loadSize 256"),
        (
            "--resize_or_crop scale_width_and_crop --loadSize 256",
            "--fineSize 512 with --loadSize 256",
        ),
        ("--gan_loss hinge --no_lsgan", "--gan_loss hinge with --no_lsgan"),
        ("--eval_freq -1", "--eval_freq -1"),
        ("--eval_images 0", "--eval_images 0"),
        ("--num_D 0", "--num_D 0"),
        ("--n_layers_D 0", "--n_layers_D 0"),
        ("--ndf 0", "--ndf 0"),
        ("--num_D 100", "--num_D 100"),
        ("--n_layers_D 100", "--n_layers_D 100"),
        ("--print_freq 0", "--print_freq 0"),
        ("--display_freq 0", "--display_freq 0"),
        ("--save_latest_freq 0", "--save_latest_freq 0"),
        ("--save_epoch_freq 0", "--save_epoch_freq 0"),
        ("--pool_size -1", "--pool_size -1"),
        ("--lambda_feat -1", "--lambda_feat -1.0: must be a finite number of 0 or more"),
        ("--lambda_feat nan", "--lambda_feat nan"),
        ("--lr inf", "--lr inf"),
        ("--lr -0.1", "--lr -0.1"),
        ("--niter -1", "--niter -1"),
        ("--niter_decay -1", "--niter_decay -1"),
        ("--beta1 1", "--beta1 1.0"),
        ("--beta1 -0.5", "--beta1 -0.5"),
        ("--init_gain 0", "--init_gain 0: must be above 0"),
        ("--init_gain -1", "--init_gain -1.0: must be a finite number"),
        ("--niter 0 --niter_decay 0", "--niter 0 with --niter_decay 0"),
        ("--continue_train --load_pretrain x", "--continue_train with --load_pretrain"),
        ("--which_epoch 20", "--which_epoch 20: of which weights? add --continue_train or"),
        ("--vgg_weights x.pth --no_vgg_loss", "--vgg_weights with --no_vgg_loss"),
        ("--max_dataset_size 3 --batchSize 4", "--max_dataset_size 3 with --batchSize 4"),
        ("--netD segmentation --label_nc 0", "--netD segmentation with --label_nc 0"),
        ("--netD segmentation --pool_size 50", "--netD segmentation with --pool_size 50"),
        (
            "--netD basic --norm_D spectralinstance",
            "--norm_D spectralinstance with --netD basic",
        ),
        (
            "--diffaug color,cut",
            "--diffaug cut: must be a comma list of color, translation, cutout",
        ),
    ],
)
def test_ranges_and_contradictions_of_training(line: str, start: str, errors) -> None:
    (problem,) = errors(line)
    assert problem.startswith(start)


def test_how_many_is_at_least_one(errors) -> None:
    (problem,) = errors("--how_many 0", "test")
    assert problem.startswith("--how_many 0: must be a whole number of 1 or more")


@pytest.mark.parametrize("program", ["train", "test"])
def test_all_problems_are_reported_at_once(program: str, errors) -> None:
    found = errors("--batchSize 0 --ngf 0 --input_nc 0 --gpu_ids x", program)
    flags = [line.split()[0] for line in found]
    assert sorted(flags) == [
        "--batchSize",
        "--gpu_ids",
        "--input_nc",
        "--ngf",
    ]


@pytest.mark.parametrize(
    "line",
    [
        "--fineSize 512 --loadSize 256",  # scale_width does not crop
        "--niter 0 --niter_decay 1",
        "--max_dataset_size 4 --batchSize 4",
        "--nThreads 0 --label_nc 1 --n_blocks_global 0 --lambda_feat 0 --beta1 0 --lr 0",
        "--ignore_label 255",
        "--diffaug color,translation,cutout --pool_size 50",
    ],
)
def test_limits_are_allowed(line: str) -> None:
    parse_train(line.split())


@pytest.mark.parametrize("line", ["--resize_or_crop resize_and_crop", "--resize_or_crop=crop"])
def test_a_size_that_nobody_crops_to_is_not_refused(line: str) -> None:
    parse_test([*line.split(), "--loadSize", "256"])


@pytest.mark.parametrize(
    ("line", "loss"),
    [
        ("", "lsgan"),
        ("--no_lsgan", "vanilla"),
        ("--lsgan", "lsgan"),
        ("--gan_loss vanilla", "vanilla"),
        ("--gan_loss vanilla --no_lsgan", "vanilla"),
        ("--gan_loss hinge", "hinge"),
    ],
)
def test_one_field_has_the_gan_loss(line: str, loss: str) -> None:
    options = parse_train(line.split()).loss
    assert (options.gan_loss, options.lsgan) == (loss, loss != "vanilla")


@pytest.mark.parametrize("parse", [parse_train, parse_test])
@pytest.mark.parametrize(
    ("line", "precision"),
    [
        ("", "auto"),
        ("--precision bf16", "bf16"),
        ("--fp16", "fp16"),
        ("--data_type 16", "fp16"),
        ("--data_type 8", "auto"),
        ("--precision fp16 --fp16", "fp16"),
    ],
)
def test_one_field_has_the_precision(
    line: str, precision: str, parse: Callable[[list[str]], ProgramOptions]
) -> None:
    run = parse(line.split()).run
    assert (run.precision, run.fp16) == (precision, precision == "fp16")
