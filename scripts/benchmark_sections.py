"""What `benchmark.py` times: training, rendering, loading, pooling."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
import torchvision
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from pix2pixhd.data import create_dataset, create_loader
from pix2pixhd.engine.builders import build_model
from pix2pixhd.engine.compiled import compiled_step
from pix2pixhd.engine.optimizers import Optimizers
from pix2pixhd.engine.render import render
from pix2pixhd.engine.runtime import Runtime, runtime_on
from pix2pixhd.engine.step import train_step
from pix2pixhd.models import create_generator
from pix2pixhd.models.conditioning import image_to_float
from pix2pixhd.models.perceptual import VGGPerceptualLoss
from pix2pixhd.models.segments import instance_average
from pix2pixhd.options.base_options import RunOptions
from pix2pixhd.options.parsing import parse_train
from pix2pixhd.options.train_options import TrainOptions
from pix2pixhd.util.batch import Batch
from pix2pixhd.util.errors import UserError
from scripts.checkout import SCRIPTS, time_checkout
from scripts.plain_step import PlainStep
from scripts.timing import Build, Settings, Timed, Way, compare, time_calls

IMAGES = 8  # of an epoch of the loader


# Weights of a VGG19 for the perceptual loss, whose time does not depend on them.
random_vgg19 = functools.cache(lambda: torchvision.models.vgg19().state_dict())


@dataclass(frozen=True)
class Recipe:
    """What a script of ours trains, at the scale of the benchmark."""

    flags: list[str]  # of train.py
    options: TrainOptions
    batch: Batch


def networks(section: str, settings: Settings) -> list[Timed]:
    """Training steps, the released one against ours; or renderings of label maps, with the encoder
    before the generator where a recipe has features.

    Raises:
        UserError: there is no such recipe, or the checkout cannot be used.
    """
    device, found = torch.device(settings.device), []
    checkpoints = settings.checkpoint_activations and section == "training"
    runtimes = {
        (precision, compiles): runtime_on(device, RunOptions(precision=precision, compile=compiles))
        for precision in settings.precision
        for compiles in sorted({False, settings.compile})
    }
    for name in settings.recipe:
        recipe = read_recipe(name, section, settings)
        ways: dict[str, Way] = {}
        for how, convolutions in float32_ways(device).items():
            if settings.against:
                own = recipe.flags, recipe.options, recipe.batch, settings.against, convolutions
                ways[f"reference checkout, {how}"] = partial(time_checkout, section, *own)
            if section == "training":
                plain = partial(build, "plain step", recipe, Runtime(device))
                ways[f"plain step, {how}"] = networks_way(plain, convolutions)
        for ((precision, compiles), (runtime, _)), again in itertools.product(
            runtimes.items(), sorted({False, checkpoints})
        ):
            build_ours = partial(build, section, recipe, runtime, again)
            chosen = "by default: " * (precision == "auto")
            more = ", --compile" * compiles + ", --checkpoint_activations" * again
            is_full = runtime.dtype == torch.float32
            hows = float32_ways(device) if is_full else {runtime.precision: "tf32"}
            for how, convolutions in hows.items():
                ways[f"ours, {chosen}{how}{more}"] = networks_way(build_ours, convolutions)
        batch, _, height, width = recipe.batch.label.shape
        found += compare(f"{name}, {width}x{height}", ways, settings, images=batch)
    return found


def float32_ways(device: torch.device) -> dict[str, str]:
    """How convolutions of float32 can be computed, by name: PyTorch's default on a GPU first."""
    return {"TF32": "tf32", "fp32": "ieee"} if device.type == "cuda" else {"fp32": "ieee"}


def networks_way(build: Build, convolutions: str) -> Way:
    """Time a build, with its convolutions of float32 in tf32 or ieee, as cuDNN calls them."""

    def way(device: str, samples: int) -> Timed:
        cudnn: Any = torch.backends.cudnn
        before, cudnn.conv.fp32_precision = cudnn.conv.fp32_precision, convolutions
        try:
            return time_calls(build, device, samples, counts=True)
        finally:
            cudnn.conv.fp32_precision = before

    return way


def read_recipe(name: str, section: str, settings: Settings) -> Recipe:
    """The training that scripts/<name>.sh starts, if there is one. Exits with 2 where --train_flags
    are wrong."""
    there = {path.stem: path.read_text() for path in sorted(SCRIPTS.glob("train_*.sh"))}
    if name not in there:
        raise UserError(f"--recipe {name}: no such recipe; there are {', '.join(there)}")
    [line] = re.findall(r"^python train\.py (.*)$", there[name], re.M)
    # The public code renders with no features but encoded ones.
    left = {"$@"} | ({"--load_features"} if section == "rendering" else set())
    flags = [flag for flag in shlex.split(line) if flag not in left]
    # A step at full size takes a minute on a CPU.
    full, scale = parse_train(flags), settings.scale or (8 if settings.device == "cpu" else 1)
    # Half as much as the images: a step of narrower networks would be all overhead.
    widths = {"ngf": full.model.ngf, "ndf": full.discriminator.ndf, "nef": full.model.nef}
    for flag, width in widths.items():
        flags += [f"--{flag}", str(max(1, width // max(1, scale // 2)))]
    flags += shlex.split(settings.train_flags)
    options = parse_train(flags)
    data, size = options.data, (2048, 1024)  # of Cityscapes' files
    if data.resize_or_crop.endswith("crop"):
        size = data.fineSize, data.fineSize
    elif data.resize_or_crop == "scale_width":
        size = data.loadSize, data.loadSize // 2
    with torch.device("meta"):
        stride = create_generator(options.model).stride
    # Ours would fill images up to a multiple of the stride; the public code cannot.
    width, height = (stride * max(2, side // scale // stride) for side in size)
    return Recipe(flags, options, synthetic_batch(options, width, height))


def synthetic_batch(options: TrainOptions, width: int, height: int) -> Batch:
    """A batch as the loader gives it: label and instance maps of rectangles, images of noise."""
    model, count = options.model, options.data.batchSize
    random = torch.Generator().manual_seed(0)
    labels = torch.randint(max(1, model.label_nc), (count, 1, 8, 16), generator=random)
    ids = labels * 1000 + torch.randint(3, labels.shape, generator=random)

    def blocks(values: Tensor, dtype: torch.dtype) -> Tensor:
        return F.interpolate(values.float(), size=(height, width), mode="nearest").to(dtype)

    def noise(channels: int) -> Tensor:
        shape = (count, channels, height, width)
        return torch.randint(256, shape, generator=random, dtype=torch.uint8)

    return Batch(
        label=blocks(labels, torch.uint8) if model.label_nc else noise(model.input_nc),
        path=["synthetic"] * count,
        inst=blocks(ids, torch.int32),
        image=noise(model.output_nc),
        feat=image_to_float(noise(model.feat_num)) if model.load_features else None,
    )


def build(
    what: str,  # training, rendering, or the plain step
    recipe: Recipe,
    runtime: Runtime,
    checkpoints: bool = False,  # of activations
) -> Callable[[], object]:
    """Networks of a recipe; the call takes a step with the batch, or renders it."""
    torch.compiler.reset()  # earlier ways would count towards the compiler's limit of versions
    schedule = dataclasses.replace(recipe.options.schedule, checkpoint_activations=checkpoints)
    options = dataclasses.replace(recipe.options, schedule=schedule)
    has_vgg = options.loss.vgg_loss and what != "rendering"
    vgg = VGGPerceptualLoss(random_vgg19()) if has_vgg else None
    renders = what == "rendering"
    model = runtime.prepare(build_model(options, vgg), renders_only=renders)
    batch = recipe.batch.to(runtime.device)
    if renders:
        return torch.inference_mode()(runtime.autocast()(partial(render, model, batch)))
    if what == "plain step":
        return partial(PlainStep(model, schedule.lr, schedule.beta1), batch)
    scales = runtime.dtype == torch.float16
    optimizers = Optimizers(model, schedule.lr, schedule.beta1, scale_gradients=scales)
    compute = compiled_step(model, runtime)
    return partial(train_step, model, optimizers, runtime, batch, compute=compute)


def loading(settings: Settings) -> list[Timed]:
    """Epochs of PNG triples as large as Cityscapes', with and without --cache. They are in the
    system's memory after the warm-up: the time of a disk is not in here."""
    width, height = (side // (settings.scale or 1) for side in (2048, 1024))
    flags = ["--loadSize", str(width // 2), *shlex.split(settings.train_flags)]
    ways: dict[str, Way] = {}
    with TemporaryDirectory() as folder:
        write_scenes(Path(folder), width, height)
        for workers in settings.workers:
            own = [*flags, "--dataroot", folder, "--nThreads", str(workers)]
            ways[f"PNG, {workers} workers"] = partial(load, own)
            ways[f"--cache, {workers} workers"] = partial(load, [*own, "--cache", f"{folder}/c"])
        case = f"{IMAGES} images of {width}x{height}, {' '.join(flags)}"
        return compare(case, ways, settings, IMAGES, device="cpu")


def load(flags: list[str], device: str, samples: int) -> Timed:
    """Time epochs of training images."""
    options = parse_train(flags)
    dataset = create_dataset(options.data, options.model, phase="train", seed=0, is_train=True)
    loader = create_loader(dataset, options.data, seed=0, is_train=True)
    return time_calls(lambda: lambda: [None for _ in loader], device, samples)


def write_scenes(root: Path, width: int, height: int, count: int = IMAGES) -> None:
    """Write label maps, instance maps and photographs, as PNG, into folders of the phase train."""
    random = np.random.default_rng(0)
    for number in range(count):
        label = random.integers(35, size=(32, 64))
        colours = Image.fromarray(random.integers(256, size=(32, 64, 3)).astype(np.uint8))
        smooth = np.asarray(colours.resize((width, height), Image.Resampling.BICUBIC))
        # Without noise photographs would be decoded too quickly: so much, in gray levels, makes
        # files about as long as Cityscapes'.
        photo = smooth + random.normal(scale=0.7, size=smooth.shape)
        rows, columns = np.arange(height) * 32 // height, np.arange(width) * 64 // width
        maps: dict[str, np.ndarray] = {
            "label": label.astype(np.uint8)[rows][:, columns],
            "inst": (label * 1000 + 1).astype(np.uint16)[rows][:, columns],
            "img": photo.clip(0, 255).astype(np.uint8),
        }
        for name, pixels in maps.items():
            folder = root / f"train_{name}"
            folder.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(folder / f"{number}.png")


def pooling(settings: Settings) -> list[Timed]:
    """Instance-wise average pooling of one image, forward and backward, against a loop."""
    width, height = (side // (settings.scale or 1) for side in (1024, 512))
    found = []
    for grid in ((5, 5), (20, 25)):  # a quiet street, and more than the fullest has
        ids = torch.arange(grid[0] * grid[1]).view(1, 1, *grid).float()
        ids = F.interpolate(ids, size=(height, width), mode="nearest").int()
        features = torch.randn(1, 3, height, width, generator=torch.Generator().manual_seed(0))
        maps = features.to(settings.device).requires_grad_(), ids.to(settings.device)
        ways = {
            average.__name__: partial(time_calls, partial(build_pooling, average, *maps))
            for average in (loop_average, instance_average)
        }
        found += compare(f"{len(ids.unique())} instances, {width}x{height}", ways, settings)
    return found


def build_pooling(
    average: Callable[[Tensor, Tensor], Tensor], features: Tensor, ids: Tensor
) -> Callable[[], object]:
    """The call makes an average, [N, C, H, W] and [N, 1, H, W] to [N, C, H, W], and a gradient."""
    return lambda: torch.autograd.grad(average(features, ids), features, features.detach())


def loop_average(features: Tensor, ids: Tensor) -> Tensor:
    """The plain way to pool: one instance after the other, by its mask.

    The released code also loops over the channels, which is slower still.
    """
    average = torch.zeros_like(features)
    for sample in range(len(ids)):
        for id_ in ids[sample].unique().tolist():
            mask = ids[sample, 0] == id_
            average[sample][:, mask] = features[sample][:, mask].mean(1, keepdim=True)
    return average
