"""What the options of --netG spade and oasis mean, and the contradictions between them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from pix2pixhd.options.base_options import ModelOptions
    from pix2pixhd.options.train_options import TrainOptions

SPADE = ("spade", "oasis")  # generators of SPADE's blocks

DOUBLINGS = {"normal": 5, "more": 6, "most": 7}


class SpadeNorm(NamedTuple):
    """How blocks of SPADE normalise."""

    is_spectral: bool  # their convolutions' weights are divided by their spectral norm
    kind: str  # of normalisation: syncbatch, batch or instance
    kernel: int  # side of the kernels that see the labels


def parse_norm_G(text: str) -> SpadeNorm:
    """Such as spectralspadesyncbatch3x3; ValueError where it is nothing of the kind."""
    found = re.fullmatch(r"(spectral)?spade(syncbatch|batch|instance)(\d)x(\d)", text)
    if found is None or found[3] != found[4] or int(found[3]) % 2 == 0:
        raise ValueError(text)
    return SpadeNorm(found[1] is not None, found[2], int(found[3]))


def parse_crop_size(text: str) -> tuple[int, int]:
    """Width and height of WIDTHxHEIGHT, or of a square's side; ValueError where it is neither."""
    found = re.fullmatch(r"(\d+)(?:x(\d+))?", text)
    if found is None:
        raise ValueError(text)
    return int(found[1]), int(found[2] or found[1])


def default_noise(model: ModelOptions) -> int:
    """Numbers of noise where --z_dim says nothing, as published."""
    if model.netG == "spade" and model.use_vae:
        return 256
    return 64 if model.netG == "oasis" and not model.uses_features else 0


def spade_problems(model: ModelOptions) -> Iterator[str]:
    """Contradictions, one line each."""
    if model.netG in SPADE:
        try:
            parse_norm_G(model.norm_G)
        except ValueError:
            yield (
                f"--norm_G {model.norm_G!r}: must be spectral or nothing, spade, then syncbatch, "
                "batch or instance, then the size of kernels; such as spectralspadesyncbatch3x3"
            )
    if not model.use_vae:
        return
    if model.netG != "spade":
        remedy = "add --netG spade, or drop it"
        yield f"--use_vae with --netG {model.netG}: only SPADE's generator takes it; {remedy}"
        return
    if model.uses_features:
        kind = "instance_feat" if model.instance_feat else "label_feat"
        yield f"--use_vae with --{kind}: both encode the real image; drop one"
    stride = 2 ** DOUBLINGS[model.num_upsampling_layers]
    try:
        sides = parse_crop_size(model.crop_size)
        is_sound = min(sides) > 0 and not any(side % stride for side in sides)
    except ValueError:
        is_sound = False
    if not is_sound or set(sides) == {stride}:
        yield (
            f"--use_vae with --crop_size {model.crop_size!r}: must be the images' WIDTHxHEIGHT, "
            f"multiples of {stride} (--num_upsampling_layers {model.num_upsampling_layers}) and "
            f"larger than {stride}x{stride}, such as 512x256"
        )


def spade_training_problems(options: TrainOptions) -> Iterator[str]:
    """Contradictions with how it is trained, one line each."""
    yield from _other_sizes(options)
    spectral, named = options.discriminator.spectral_norm, f"--netG {options.model.netG}"
    if options.model.netG in SPADE:
        if spectral == "GD":
            remedy = "take --spectral_norm D"
            yield f"--spectral_norm GD with {named}: of its generator --norm_G says it; {remedy}"
        if options.schedule.checkpoint_activations:
            remedy = "drop --checkpoint_activations"
            yield f"--checkpoint_activations with {named}: it has no such blocks; {remedy}"
    kind = options.discriminator.netD, options.discriminator.norm_D
    if kind == ("multiscale", "spectralinstance") and spectral != "none":
        both = f"--spectral_norm {spectral} with --norm_D spectralinstance"
        yield f"{both}: weights would be divided twice; drop --spectral_norm"


def _other_sizes(options: TrainOptions) -> Iterator[str]:
    """Images that --use_vae would not be made for, as far as flags tell."""
    model, data = options.model, options.data
    if not model.use_vae or any(spade_problems(model)):
        return
    made_for = parse_crop_size(model.crop_size)
    stride = 2 ** DOUBLINGS[model.num_upsampling_layers]
    flag, side = "loadSize", data.loadSize
    if "crop" in data.resize_or_crop:
        flag, side = "fineSize", data.fineSize
    filled = side + -side % stride
    known = {"scale_width": made_for[:1], "none": ()}.get(data.resize_or_crop, made_for)
    if any(other != filled for other in known):
        both = f"--use_vae with --crop_size {model.crop_size} and --{flag} {side}"
        yield f"{both}: images would be of another size; give both the same"
