"""The recipes in scripts/: their options, networks of that kind, and batches of that size."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from models import create_model
from models.perceptual import VGGPerceptualLoss, load_vgg_weights
from models.pix2pixhd import Batch, Pix2PixHDModel
from options.parsing import parse_train
from options.train_options import TrainOptions
from scripts.benchmarks.timing import Settings
from util.errors import UserError

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = ROOT / "scripts"
RECIPES = ("train_512p", "train_512p_feat", "train_1024p_24G", "train_1024p_12G")
FRAME = (2048, 1024)  # width and height of the images that the recipes are for
BLOCK = 32  # side of the squares that synthetic maps are made of, in pixels
INSTANCES = 60
SMALLER = 8  # on a CPU, so many times are images' sides smaller than the recipe's,
NARROWER = 4  # and its networks narrower
VGG_WEIGHTS = ROOT.parent / "shared" / "weights" / "vgg19_features_fp16.pth"


def recipe_options(name: str, flags: tuple[str, ...] = ()) -> TrainOptions:
    """The options of the training that scripts/<name>.sh starts; exits where a flag is no flag.

    Raises:
        UserError: there is no such recipe.
    """
    file = SCRIPTS / f"{name}.sh"
    text = file.read_text().replace("\\\n", " ") if file.is_file() else ""
    found = re.search(r"^ *python train\.py (.*)$", text, re.M)
    if not found:
        there = sorted(path.stem for path in SCRIPTS.glob("train_*.sh"))
        raise UserError(f"--recipes {name}: no such recipe; there are {', '.join(there)}")
    words = [word for word in shlex.split(found[1], comments=True) if word != "$@"]
    return parse_train([*words, *flags])


def timed_recipe(name: str, settings: Settings) -> tuple[TrainOptions, tuple[int, int]]:
    """Options of a recipe to time, and width and height of its images.

    On a CPU both are smaller than the recipe's, unless flags say otherwise; the facts tell.

    Raises:
        UserError: there is no such recipe.
    """
    options = recipe_options(name)
    narrower: tuple[str, ...] = ()
    size = recipe_size(recipe_options(name, settings.recipe_flags))
    if settings.device.type == "cpu":
        widths = {"ngf": options.model.ngf, "ndf": options.discriminator.ndf}
        widths["nef"] = options.model.nef
        for flag, width in widths.items():
            narrower += (f"--{flag}", str(width // NARROWER))
        size = size[0] // SMALLER, size[1] // SMALLER
        settings.facts["on a CPU"] = (
            f"images' sides are {SMALLER} times smaller than the recipes', "
            f"networks {NARROWER} times narrower; --size and --train_flags set others"
        )
    return recipe_options(name, (*narrower, *settings.recipe_flags)), settings.size or size


def recipe_size(options: TrainOptions) -> tuple[int, int]:
    """Width and height of the images that the options make of a frame of `FRAME`."""
    data = options.data
    if data.resize_or_crop.endswith("crop"):
        return data.fineSize, data.fineSize
    if data.resize_or_crop == "scale_width":
        return data.loadSize, data.loadSize * FRAME[1] // FRAME[0]
    return FRAME


def synthetic_batch(
    options: TrainOptions, size: tuple[int, int], device: torch.device, seed: int = 0
) -> Batch:
    """A batch as the data set would give it, on the device, of maps of random squares.

    Args:
        options: say which maps there are, and how many samples.
        size: width and height in pixels.
        device: where the tensors go.
        seed: of the random values.
    """
    random = torch.Generator().manual_seed(seed)
    width, height = size
    model, count = options.model, options.data.batchSize

    def blocks(below: int, dtype: torch.dtype) -> Tensor:
        small = (count, 1, -(-height // BLOCK), -(-width // BLOCK))
        values = torch.randint(0, below, small, generator=random).float()
        large = F.interpolate(values, scale_factor=float(BLOCK), mode="nearest")
        return large[..., :height, :width].contiguous().to(dtype)

    def noise(channels: int) -> Tensor:
        return torch.rand((count, channels, height, width), generator=random) * 2 - 1

    nc = model.label_nc
    batch = {"label": blocks(nc, torch.uint8) if nc else noise(model.input_nc)}
    if model.instance or model.instance_feat:
        batch["inst"] = blocks(INSTANCES, torch.int32)
    batch["image"] = noise(model.output_nc)
    if model.load_features:
        batch["feat"] = noise(model.feat_num)
    return {name: value.to(device) for name, value in batch.items()}


def vgg_weights(settings: Settings) -> tuple[dict[str, Tensor], str]:
    """Weights for the perceptual loss, and what they are; the time does not depend on them.

    Raises:
        UserError: the file that was asked for cannot be read.
    """
    file = settings.vgg_weights or (VGG_WEIGHTS if VGG_WEIGHTS.is_file() else None)
    if file:
        weights = load_vgg_weights(str(file))
        return {name: weight.float() for name, weight in weights.items()}, file.name
    return random_vgg_weights(), "random"


def random_vgg_weights() -> dict[str, Tensor]:
    """Weights of VGG19's shapes, of a size that keeps activations of about one variance."""
    from torchvision.models import vgg19

    with torch.device("meta"):
        state = vgg19().features[: VGGPerceptualLoss.LAYERS[-1] + 1].state_dict()
    random = torch.Generator().manual_seed(0)
    weights = {}
    for name, meta in state.items():
        weight = torch.zeros(meta.shape)
        if weight.ndim == 4:
            fan_in = weight[0].numel()
            weight = torch.randn(meta.shape, generator=random) * (2 / fan_in) ** 0.5
        weights[f"features.{name}"] = weight
    return weights


def build_model(
    options: TrainOptions,
    weights: dict[str, Tensor],  # for the perceptual loss
    checkpoint_activations: bool = False,
) -> Pix2PixHDModel:
    """The model to train that the options describe, on the CPU, with weights of their seed."""
    # Whatever file the options name, or torchvision would fetch, is not needed here.
    loss = replace(options.loss, vgg_loss=False, vgg_weights=None)
    model = create_model(
        options.model,
        options.discriminator,
        loss,
        options.run.seed,
        checkpoint_activations=checkpoint_activations,
    )
    if options.loss.vgg_loss:
        model.vgg = VGGPerceptualLoss(weights)
    return model
