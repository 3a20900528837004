"""Options written as flags are read back as they were."""

from __future__ import annotations

import shlex

import pytest

from pix2pixhd.options.fields import flat
from pix2pixhd.options.flags import changed_flags
from pix2pixhd.options.parsing import parse_train
from pix2pixhd.options.train_options import TrainOptions

LINES = (
    "--name label2city --dataroot ./datasets/cityscapes/",
    "--name a --dataroot 'with blanks & more' --gpu_ids=-1,-1 --netG local --ngf 8",
    "--name a --dataroot b --no_flip --value_range=-1,1 --no_vgg_loss --niter 3 --lr 1e-05",
    "--name a --dataroot b --ignore_label 255 --instance_feat --gan_loss hinge",
)


@pytest.mark.parametrize("line", LINES)
def test_what_differs_from_the_defaults(line: str) -> None:
    options = parse_train(shlex.split(line))
    assert changed_flags(flat(options), flat(TrainOptions()), ("name", "dataroot")) == line
