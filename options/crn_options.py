"""What the options of --netG crn and of its training mean, and the contradictions between them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pix2pixhd.options.fields import flat
from pix2pixhd.options.flags import as_flag

if TYPE_CHECKING:
    from pix2pixhd.options.base_options import ModelOptions
    from pix2pixhd.options.train_options import TrainOptions


def parse_balance(text: str) -> str | tuple[float, ...]:
    """--crn_balance: a name, or six numbers; ValueError where it is neither."""
    if text in ("256p", "512p", "gta", "measured"):
        return text
    found = tuple(float(word) for word in text.split(","))
    if len(found) != 6 or not all(0 < number < math.inf for number in found):
        raise ValueError(text)
    return found


def crn_problems(model: ModelOptions) -> Iterator[str]:
    """Contradictions, one line each."""
    if model.num_images == 1:
        return
    remedy = "drop --num_images"
    if model.netG != "crn":
        both = f"--num_images {model.num_images} with --netG {model.netG}"
        yield f"{both}: only --netG crn makes several images at once; add --netG crn, or {remedy}"
    if model.label_nc == 0:
        both = f"--num_images {model.num_images} with --label_nc 0"
        yield f"{both}: each label is left to one of them, and there are none; {remedy}"


def crn_training_problems(options: TrainOptions) -> Iterator[str]:
    """Contradictions with how it is trained, one line each."""
    loss, images, channels = options.loss, options.model.num_images, options.model.output_nc
    has_vgg = loss.vgg_loss and channels in (1, 3)
    if loss.no_gan_loss:
        yield from _without_gan(options)
        if not (loss.lambda_L1 or has_vgg):
            why = "no loss is left, as there is no perceptual loss either"
            yield f"--no_gan_loss: {why}; drop it, or add --lambda_L1 100"
    if loss.crn_loss and not has_vgg:
        other = f"--output_nc {channels}" if loss.vgg_loss else "--no_vgg_loss"
        yield f"--crn_loss with {other}: VGG19 cannot look at the images; drop one"
    if images > 1 and (not (loss.no_gan_loss and loss.crn_loss) or loss.lambda_L1):
        alone = "no other loss than --crn_loss is for several images"
        yield f"--num_images {images}: {alone}; add --no_gan_loss --crn_loss, without --lambda_L1"
    try:
        parse_balance(loss.crn_balance)
    except ValueError:
        kinds = "256p, 512p, gta, measured, or six numbers above 0 such as 1,1.6,2.3,1.8,2.8,0.08"
        yield f"--crn_balance {loss.crn_balance}: must be {kinds}"


def _without_gan(options: TrainOptions) -> Iterator[str]:
    names = {"netD", "spectral_norm", "gan_loss", "diffaug", "pool_size", "update_order"}
    defaults = flat(type(options)())
    for name, value in flat(options).items():
        if name in names and value != defaults[name]:
            flag = as_flag(name, value)
            yield f"{flag} with --no_gan_loss: there are no discriminators; drop one"
