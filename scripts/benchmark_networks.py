"""Training steps and renderings of the recipes, for `benchmark.py`."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
import shlex
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor
from torch.nn import functional as F

from engine.optimizers import Optimizers
from engine.render import render
from engine.runtime import Runtime
from engine.step import train_step
from engine.training import build_model
from models import create_generator
from models.conditioning import image_to_float
from models.perceptual import VGGPerceptualLoss
from options.parsing import parse_train
from options.train_options import TrainOptions
from scripts.plain_step import PlainStep
from scripts.timing import Row, Settings, Timed, Way, compare, time_calls
from util.batch import Batch
from util.errors import UserError

SCRIPTS = Path(__file__).resolve().parent
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}


@dataclass(frozen=True)
class Recipe:
    """What a script of ours trains, at the scale of the benchmark."""

    flags: list[str]  # of train.py
    options: TrainOptions
    batch: Batch


def networks(section: str, settings: Settings) -> list[Row]:
    """Training steps, the released one against ours; or renderings of label maps, with the encoder
    before the generator where a recipe has features.

    Raises:
        UserError: there is no such recipe, or the checkout cannot be used.
    """
    device, rows = torch.device(settings.device), []
    for name in settings.recipe:
        recipe = read_recipe(name, section, settings)
        ways: dict[str, Way] = {}
        if settings.against:
            theirs = partial(time_reference, section, recipe, settings.against)
            ways["reference checkout, fp32"] = theirs
        if section == "training":
            plain = partial(build_step, recipe, Runtime(device), plain=True)
            ways["plain step, fp32"] = partial(time_calls, plain)
        for precision in settings.precision:
            # As `train.py` chooses it, but in a precision that may be slow here.
            last = device.type == "cuda" and precision != "fp32"
            runtime = Runtime(device, DTYPES[precision], channels_last=last)
            build = partial(build_step if section == "training" else build_rendering, recipe)
            ours = {f"ours, {precision}": partial(build, runtime)}
            if settings.compile:
                compiled = partial(build, dataclasses.replace(runtime, compiles=True))
                ours[f"ours, {precision}, --compile"] = compiled
            if settings.checkpoint_activations and section == "training":
                again = partial(build, runtime, checkpoints=True)
                ours[f"ours, {precision}, --checkpoint_activations"] = again
            ways |= {way: partial(time_calls, builds) for way, builds in ours.items()}
        batch, _, height, width = recipe.batch.label.shape
        rows += compare(f"{name}, {width}x{height}", ways, settings, images=batch)
    return rows


def read_recipe(name: str, section: str, settings: Settings) -> Recipe:
    """The training that scripts/<name>.sh starts; exits with 2 where --train_flags are wrong.

    Raises:
        UserError: there is no such recipe.
    """
    there = {path.stem: path.read_text() for path in sorted(SCRIPTS.glob("train_*.sh"))}
    if name not in there:
        raise UserError(f"--recipe {name}: no such recipe; there are {', '.join(there)}")
    [line] = re.findall(r"^python train\.py (.*)$", there[name], re.M)
    # The public code renders with no features but encoded ones.
    left = {"$@"} | ({"--load_features"} if section == "rendering" else set())
    flags = [flag for flag in shlex.split(line) if flag not in left]
    full, scale = parse_train(flags), settings.network_scale
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


@functools.cache
def random_vgg19() -> dict[str, Tensor]:
    """Weights of a VGG19 for the perceptual loss, whose time does not depend on them."""
    from torchvision.models import vgg19

    weights: dict[str, Tensor] = vgg19().state_dict()
    return weights


def build_step(
    recipe: Recipe,
    runtime: Runtime,
    plain: bool = False,  # the released step
    checkpoints: bool = False,
) -> Callable[[], object]:
    """Networks and optimizers of a recipe; the call takes a step with the batch."""
    torch.compiler.reset()  # earlier ways would count towards the compiler's limit of versions
    schedule = dataclasses.replace(recipe.options.schedule, checkpoint_activations=checkpoints)
    options = dataclasses.replace(recipe.options, schedule=schedule)
    vgg = VGGPerceptualLoss(random_vgg19()) if options.loss.vgg_loss else None
    model = runtime.prepare(build_model(options, vgg))
    batch = recipe.batch.to(runtime.device)
    if plain:
        return partial(PlainStep(model, schedule.lr, schedule.beta1), batch)
    scales = runtime.dtype == torch.float16
    optimizers = Optimizers(model, schedule.lr, schedule.beta1, scale_gradients=scales)
    return partial(train_step, model, optimizers, runtime, batch)


def build_rendering(recipe: Recipe, runtime: Runtime) -> Callable[[], object]:
    """Networks of a recipe; the call renders the batch."""
    torch.compiler.reset()
    model, batch = runtime.prepare(build_model(recipe.options)), recipe.batch.to(runtime.device)

    def call() -> None:
        with runtime.autocast():
            render(model, batch)

    return call


def time_reference(
    section: str, recipe: Recipe, checkout: Path, device: str, samples: int
) -> Timed:
    """Time the code of a checkout, in a process of its own.

    Raises:
        UserError: it fails, in words of its own.
    """
    gpu = str(torch.device(device).index or 0) if device != "cpu" else "-1"
    flags = [flag for flag in recipe.flags if flag != "--fp16"] + ["--gpu_ids", gpu]
    # As in our ways, all of the networks are trained, from fresh weights.
    flags += ["--load_pretrain", "", "--niter_fix_global", "0"]
    maps = recipe.batch.tensors()
    is_label_map = recipe.options.model.label_nc > 0
    maps["label"] = maps["label"].float() if is_label_map else image_to_float(maps["label"])
    maps["image"] = image_to_float(maps["image"])
    maps.setdefault("feat", torch.zeros(len(recipe.batch.path)))  # as their data set has it
    with TemporaryDirectory() as folder:
        torch.save(maps, f"{folder}/batch.pt")
        task = {
            **{"section": section, "flags": [*flags, "--checkpoints_dir", folder]},
            **{"batch": f"{folder}/batch.pt", "threads": torch.get_num_threads()},
            **{"device": device, "samples": samples},
        }
        ended = subprocess.run(
            [sys.executable, str(SCRIPTS / "reference_step.py"), json.dumps(task)],
            cwd=checkout,
            env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},  # leave it as it is
            capture_output=True,
            text=True,
        )
    if ended.returncode:
        said = (ended.stderr.strip() or f"exit code {ended.returncode}").splitlines()[-1]
        raise UserError(
            f"--against {checkout}: its {section} failed ({said}); "
            "give a checkout of pix2pixHD that runs on this machine"
        )
    return Timed(**json.loads(ended.stdout.splitlines()[-1]))
