"""The options of CRN and of trainings without discriminators."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pix2pixhd.options.crn_options import parse_balance
from pix2pixhd.options.fields import replaced
from pix2pixhd.options.parsing import given_flags, parse_train
from pix2pixhd.options.saved import options_texts, saved_options
from pix2pixhd.options.test_options import TestOptions
from pix2pixhd.options.train_options import TrainOptions, defaults_beside
from pix2pixhd.util.errors import UserError

WITHOUT = {"no_gan_loss": True, "lambda_L1": 1.0}
CRN = {"netG": "crn", "no_gan_loss": True, "crn_loss": True}
NO_GAN = {"pool_size": 3, "gan_loss": "hinge", "diffaug": "color"}
NO_GAN |= {"update_order": "G_first", "spectral_norm": "GD"}


def problems(values: dict[str, Any]) -> list[str]:
    return list(replaced(TrainOptions(), values).resolved().problems())


@pytest.mark.parametrize(
    ("values", "start"),
    [
        ({"no_gan_loss": True, "vgg_loss": False}, "--no_gan_loss: no loss is left"),
        ({"no_gan_loss": True, "output_nc": 4}, "--no_gan_loss: no loss is left"),
        *(
            (WITHOUT | {name: value}, f"--{name} {value} with --no_gan_loss: there are no disc")
            for name, value in NO_GAN.items()
        ),
        ({"crn_loss": True, "vgg_loss": False}, "--crn_loss with --no_vgg_loss"),
        ({"crn_loss": True, "output_nc": 4}, "--crn_loss with --output_nc 4"),
        ({"crn_balance": "300p"}, "--crn_balance 300p: must be 256p, 512p"),
        ({"crn_balance": "1,2,3,4,5"}, "--crn_balance 1,2,3,4,5: must be"),
        ({"crn_balance": "1,2,3,4,5,0"}, "--crn_balance 1,2,3,4,5,0: must be"),
        ({"netG": "crn", "num_images": 9}, "--num_images 9: no other loss than --crn_loss"),
        (CRN | {"lambda_L1": 1.0, "num_images": 9}, "--num_images 9: no other loss"),
        (CRN | {"netG": "global", "num_images": 9}, "--num_images 9 with --netG global"),
        (CRN | {"label_nc": 0, "num_images": 9}, "--num_images 9 with --label_nc 0"),
        ({"netG": "crn", "crn_height": 300}, "--crn_height 300: must be 8 or 16 or 32"),
    ],
)
def test_contradictions_are_one_line(values: dict[str, Any], start: str) -> None:
    (problem,) = problems(values)
    assert problem.startswith(start)


def test_what_does_not_contradict() -> None:
    for values in ({"no_gan_loss": True}, WITHOUT | {"vgg_loss": False}, CRN | {"num_images": 9}):
        assert not problems(values)
    beside = {"crn_loss": True, "netD": "segmentation"}
    assert defaults_beside(replaced(TrainOptions(), beside)).loss.vgg_loss


def test_balances() -> None:
    assert parse_balance("gta") == "gta"
    assert parse_balance("1, 2,3,4,5,0.5") == (1, 2, 3, 4, 5, 0.5)


@pytest.mark.parametrize("file", ["options.json", "opt.txt"])
def test_no_gan_loss_is_no_gan_loss_switched_off(
    file: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its name begins as those of booleans that are true by default."""
    monkeypatch.chdir(tmp_path)
    options = replaced(TrainOptions(), CRN)
    options.run.folder.mkdir(parents=True)
    (options.run.folder / file).write_text(options_texts(options)[file])
    saved = saved_options(options.run)
    assert (saved["no_gan_loss"], saved["gan_loss"]) == (True, "lsgan")
    assert given_flags(["--no_gan_loss", "--no_no_gan_loss"]) == {"no_gan_loss"}
    with pytest.raises(UserError, match=r"^--no_no_gan_loss: .* was trained with --no_gan_loss"):
        parse_train(["--continue_train", "--no_no_gan_loss"])


def test_styles_are_the_images_of_the_run() -> None:
    for styles, images, starts in ((3, 3, ()), (4, 3, ("--styles 4: the run makes 3 images",))):
        options = replaced(TestOptions(), {"styles": styles, "num_images": images})
        found = list(options.run_problems())
        assert len(found) == len(starts)
        assert all(map(str.startswith, found, starts))
