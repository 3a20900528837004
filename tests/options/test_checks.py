"""What a mistake on the command line costs: one line each."""

from __future__ import annotations

from pathlib import Path

import pytest

from options.parsing import parse_test, parse_train
from util.errors import UserError


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def errors(capsys: pytest.CaptureFixture[str]):
    """The lines of the mistake; nothing is printed yet."""

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


@pytest.mark.parametrize(
    ("line", "start"),
    [
        ("--niter_fix_global -1", "--niter_fix_global -1: must be 0 or more"),
        ("--seed -1", "--seed -1"),
        ("--seed 9223372036854775808", "--seed 9223372036854775808: must be less than 2^63"),
        ("--display_winsize 8", "--display_winsize 8: must be 16 or more"),
        ("--gpu_ids 0;1", "--gpu_ids '0;1'"),
        ("--gpu_ids -2", "--gpu_ids '-2'"),
        ("--gpu_ids 0,", "--gpu_ids '0,'"),
        ("--name ..", "--name '..'"),
        ("--name=", "--name ''"),
        ("--loadSize 0", "--loadSize 0"),
        ("--fineSize 0", "--fineSize 0"),
        ("--batchSize 0", "--batchSize 0: must be 1 or more"),
        ("--max_dataset_size 0", "--max_dataset_size 0"),
        ("--nThreads -1", "--nThreads -1"),
        ("--ignore_label -1", "--ignore_label -1"),
        ("--ignore_label 255 --label_nc 0", "--ignore_label with --label_nc 0"),
        (
            "--resize_or_crop resize_and_crop --loadSize 256",
            "--fineSize 512 with --loadSize 256",
        ),
        (
            "--resize_or_crop scale_width_and_crop --loadSize 256",
            "--fineSize 512 with --loadSize 256",
        ),
        ("--label_nc -1", "--label_nc -1"),
        ("--n_blocks_global -1", "--n_blocks_global -1"),
        ("--n_blocks_local -1", "--n_blocks_local -1"),
        ("--ngf 0", "--ngf 0"),
        ("--n_downsample_global 0", "--n_downsample_global 0"),
        ("--n_local_enhancers 0", "--n_local_enhancers 0"),
        ("--input_nc 2", "--input_nc 2: image files carry 1 or 3 channels"),
        ("--output_nc 4", "--output_nc 4: image files carry 1 or 3 channels"),
    ],
)
@pytest.mark.parametrize("program", ["train", "test"])
def test_shared_ranges_and_contradictions(line: str, start: str, program: str, errors) -> None:
    (problem,) = errors(line, program)
    assert problem.startswith(start)


@pytest.mark.parametrize(
    ("line", "start"),
    [
        ("--num_D 0", "--num_D 0"),
        ("--n_layers_D 0", "--n_layers_D 0"),
        ("--ndf 0", "--ndf 0"),
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
        ("--niter 0 --niter_decay 0", "--niter 0 with --niter_decay 0"),
        ("--continue_train --load_pretrain x", "--continue_train with --load_pretrain"),
        ("--vgg_weights x.pth --no_vgg_loss", "--vgg_weights with --no_vgg_loss"),
        ("--max_dataset_size 3 --batchSize 4", "--max_dataset_size 3 with --batchSize 4"),
    ],
)
def test_ranges_and_contradictions_of_training(line: str, start: str, errors) -> None:
    (problem,) = errors(line)
    assert problem.startswith(start)


def test_how_many_is_at_least_one(errors) -> None:
    (problem,) = errors("--how_many 0", "test")
    assert problem.startswith("--how_many 0: must be 1 or more")


@pytest.mark.parametrize("program", ["train", "test"])
def test_all_problems_are_reported_at_once(program: str, errors) -> None:
    found = errors("--batchSize 0 --ngf 0 --input_nc 2 --gpu_ids x", program)
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
        "--niter_fix_global 3 --netG local",
        "--niter 0 --niter_decay 1",
        "--max_dataset_size 4 --batchSize 4",
        "--nThreads 0 --label_nc 1 --n_blocks_global 0 --lambda_feat 0 --beta1 0 --lr 0",
        "--ignore_label 255",
    ],
)
def test_limits_are_allowed(line: str) -> None:
    parse_train(line.split())


def test_the_enhancer_alone_is_asked_of_a_training(errors) -> None:
    (problem,) = errors("--niter_fix_global 3", "train")
    assert problem.startswith("--niter_fix_global 3 with --netG global")
    assert parse_test(["--niter_fix_global", "3"]).run.niter_fix_global == 3
