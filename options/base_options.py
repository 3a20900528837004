"""Options of every entry script: the run, its data, its networks; and base classes for the rest.

A field's name is the flag's spelling, which follows the reference implementation (hence the
camel case). A boolean that is true by default is switched off with `--no_<name>`. Upper bounds are
there to catch slips of the finger, far above what any network has been trained with.
"""

from __future__ import annotations

import math
import re
import string
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal, Self

from pix2pixhd.options.crn_options import crn_problems
from pix2pixhd.options.fields import Range, expected, fits, flat, types_of
from pix2pixhd.options.flags import as_flag
from pix2pixhd.options.generator_options import (
    Channels,
    Count,
    Filters,
    GeneratorOptions,
    Halvings,
    Natural,
    Pixels,
)
from pix2pixhd.options.spade_options import default_noise, spade_problems

ValueRange = tuple[float, float]


def parse_range(text: str | None) -> ValueRange | None:
    """LOW,HIGH as numbers; ValueError where they are none, or not in this order."""
    if text is None:
        return None
    low, high = (float(word) for word in text.split(","))
    if not -math.inf < low < high < math.inf:
        raise ValueError(text)
    return low, high


@dataclass(frozen=True)
class RunOptions:
    """The run: where it is kept and what it computes on."""

    name: str = "label2city"
    """Experiment; names its folders below --checkpoints_dir and --results_dir."""
    checkpoints_dir: str = "./checkpoints"
    """Folder that holds one folder per experiment."""
    gpu_ids: str = "0"
    """GPUs as a comma list, each with a process of its own; -1: the CPU; -1,-1: two processes on
    the CPU. Under torchrun leave it out: each process takes its own GPU."""
    local_rank: int = 0
    """Set by old launchers of several processes; those also set LOCAL_RANK, which counts."""
    seed: Annotated[int, Range(0, 2**63 - 1)] = 0
    """Seed of initial weights, order and flips of images, drawn styles and starts of k-means."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Of the networks' convolutions; statistics and losses are float32 always. auto: bf16 on GPUs
    that have it, and on a CPU if a stopwatch says that it is faster there; else fp32. fp16 needs
    CUDA. A run that goes on keeps what it began with."""
    fp16: bool = False
    """The same as --precision fp16, with a gradient scaler in training."""
    data_type: Literal[32, 16, 8] = 32
    """Bits of the numbers in the networks: 32, or 16 for the same as --fp16. 8 has no effect."""
    compile: bool = False
    """Compile with torch.compile, on a GPU: training steps, or networks that render; takes minutes
    at the start."""
    tf_log: bool = False
    """Also write TensorBoard logs, to <checkpoints_dir>/<name>/logs."""
    display_winsize: Annotated[int, Range(16, 100_000)] = 512
    """Width of the pictures in web pages, in pixels."""
    verbose: bool = False
    """Print the networks, layer by layer."""
    niter_fix_global: Natural = 0
    """Epochs at the start that train only the outermost local enhancer (--netG local), or the last
    two modules (--netG crn)."""

    @property
    def flags(self) -> str:
        """What names the run on a command line."""
        named = as_flag("name", self.name)
        if self.checkpoints_dir == RunOptions.checkpoints_dir:
            return named
        return f"{named} {as_flag('checkpoints_dir', self.checkpoints_dir)}"

    @property
    def folder(self) -> Path:
        """Of the run's weights, state, options and logs."""
        return Path(self.checkpoints_dir) / self.name


@dataclass(frozen=True)
class DataOptions:
    """The data: which files, resized and cropped how, in batches of how many."""

    dataroot: str = "./datasets/cityscapes/"
    """Holds <phase>_label, <phase>_inst and <phase>_img; <phase>_A and _B with --label_nc 0. Or
    Cityscapes as it is downloaded: gtFine and leftImg8bit."""
    dataset_mode: Literal["aligned"] = "aligned"
    """How files become samples; aligned: one file of each kind of map, paired by name."""
    max_dataset_size: Count | None = None
    """Use only the first so many images."""
    ignore_label: Annotated[int, Range(0, 2**31 - 1)] | None = None
    """Label value that means "nothing known here" (often 255): no label channel is set there."""
    resize_or_crop: Literal[
        "scale_width", "scale_width_and_crop", "resize_and_crop", "crop", "none"
    ] = "scale_width"
    """scale_width: width to --loadSize, aspect ratio kept; resize_and_crop: to a square of
    --loadSize; crop, none: as the file is. Where the name has crop, training takes a random square
    of --fineSize; all else takes the whole image, at the same scale."""
    loadSize: Pixels = 1024
    """Width in pixels that images are scaled to."""
    fineSize: Pixels = 512
    """Side in pixels of the random crop, for the modes that crop."""
    flip: bool = True
    """Mirror training images left to right, at random."""
    augment: bool = False
    """Also turn all maps of a training sample at random, by up to 5 degrees, enlarge them by up to
    a fifth more than that needs, and change brightness, contrast and saturation of its photograph
    by up to a fifth: for small data sets."""
    batchSize: Annotated[int, Range(1, 100_000)] = 1
    """Images per step, of all processes together; test.py: at once, in each process."""
    serial_batches: bool = False
    """Take the images in order, not shuffled."""
    nThreads: Annotated[int, Range(0, 1024)] | None = None
    """Processes that load images, by default as many as there are cores, 8 at most; 0 loads them in
    the main process."""
    cache: str | None = None
    """Folder to keep decoded and resized images in, uncompressed: quicker to read, but large."""
    value_range: str | None = None
    """LOW,HIGH: what is black and what is white in image files of more than 8 bits; by default
    0,65535 for 16 bits and 0,1 for floating point."""
    input_range: str | None = None
    """The same of input images (<phase>_A, <phase>_extra); by default as --value_range."""
    output_bits: Literal[8, 16, 32] | None = None
    """Bits of each value in result files, 32 being floating point; by default as many as the
    photographs have that the run was trained on."""
    label_names: str | None = None
    """File of the labels' names, and colours if you like, for pages and messages: JSON, CSV, lines
    `128 64 128 road`, or a name a line."""

    @property
    def ranges(self) -> dict[str, ValueRange | None]:
        """Black and white of files of more than 8 bits by the map that they are: `image`, `label`
        (with --label_nc 0) and `extra`; None: what their type says."""
        of_images = parse_range(self.value_range)
        of_inputs = parse_range(self.input_range) or of_images
        return {"image": of_images, "label": of_inputs, "extra": of_inputs}


@dataclass(frozen=True)
class ModelOptions(GeneratorOptions):
    """The networks, and what goes into them."""

    model: Literal["pix2pixHD"] = "pix2pixHD"
    """The model."""
    label_nc: Annotated[int, Range(0, 65_536)] = 35
    """Number of labels; 0: the input is an image, not a label map."""
    input_nc: Channels = 3
    """Channels of the input image, for --label_nc 0."""
    output_nc: Channels = 3
    """Channels of the output image."""
    extra_nc: Annotated[int, Range(0, 512)] = 0
    """Channels of a further input image, from <phase>_extra, beside the labels; 0: none."""
    instance: bool = True
    """Use instance maps; their boundaries are an input channel."""
    instance_feat: bool = False
    """Encoded instance features as further input."""
    label_feat: bool = False
    """Encoded features as further input, one per label."""
    feat_num: Annotated[int, Range(1, 4096)] = 3
    """Channels of the encoded features."""
    load_features: bool = False
    """Read precomputed feature maps from <phase>_feat."""
    n_downsample_E: Halvings = 4
    """Times the encoder halves the resolution."""
    nef: Filters = 16
    """Filters in the encoder's first layer."""
    n_clusters: Annotated[int, Range(1, 65_536)] = 10
    """Clusters of features per label; test.py looks for the file of that many."""

    @property
    def uses_features(self) -> bool:
        """Whether the generator takes features as part of its input."""
        return self.instance_feat or self.label_feat

    @property
    def takes_style(self) -> bool:
        """Whether features, or the noise of --use_vae, can be those of a photograph."""
        return self.uses_features or self.use_vae


@dataclass(frozen=True)
class ProgramOptions:
    """Options of any entry script."""

    run: RunOptions = field(default_factory=RunOptions)
    data: DataOptions = field(default_factory=DataOptions)
    model: ModelOptions = field(default_factory=ModelOptions)

    def resolved(self) -> Self:
        """The same, but where several flags say one thing, one field has the answer: that is
        `run.precision` for --fp16 and --data_type 16. Contradictions stay, for `problems`. And
        `model.z_dim` is that of the generator where nothing else was said."""
        run, model = self.run, self.model
        asks_fp16 = run.precision == "auto" and (run.fp16 or run.data_type == 16)
        if asks_fp16 or run.precision == "fp16":
            # Later nobody asks --fp16, but tools that read the reference's opt.txt do.
            run = replace(run, precision="fp16", fp16=True)
        model = replace(model, z_dim=model.z_dim or default_noise(model))
        return replace(self, run=run, model=model)

    def problems(self) -> Iterator[str]:
        """Values out of range and contradictions between flags, one line each; none if sound."""
        types, run, data = types_of(type(self)), self.run, self.data
        for name, value in flat(self).items():
            if not fits(value, types[name]):
                yield f"--{name} {value}: must be {expected(types[name])}"
        if not re.fullmatch(r"-1(,-1)*|\d+(,\d+)*", run.gpu_ids):
            yield f"--gpu_ids {run.gpu_ids!r}: must be a list such as 0 or 0,1, or -1 for CPU"
        elif (ids := run.gpu_ids.split(","))[0] != "-1" and len(set(ids)) < len(ids):
            yield f"--gpu_ids {run.gpu_ids}: names a GPU twice; each process needs its own"
        if run.precision not in ("auto", "fp16") and (run.fp16 or run.data_type == 16):
            flag, other = ("fp16", "no_fp16") if run.fp16 else ("data_type 16", "data_type 32")
            flags = f"--precision {run.precision} with --{flag}"
            yield f"{flags}: they contradict each other; give --{other}"
        if not run.name or run.name == "." or ".." in run.name.split("/"):
            yield f"--name {run.name!r}: must be a folder's name, below --checkpoints_dir"
        if data.resize_or_crop.endswith("_and_crop") and data.fineSize > data.loadSize:
            sizes = f"--fineSize {data.fineSize} with --loadSize {data.loadSize}"
            yield f"{sizes}: the crop exceeds the image; lower --fineSize or raise --loadSize"
        if data.cache == "":
            yield "--cache '': must be a folder's name; leave the flag out for no cache"
        for name in ("value_range", "input_range"):
            try:
                parse_range(text := getattr(data, name))
            except ValueError:
                yield f"--{name} {text!r}: must be two numbers LOW,HIGH, such as 0,4095"
        yield from _model_problems(self.model)
        if data.ignore_label is not None and self.model.label_nc == 0:
            yield "--ignore_label with --label_nc 0: there is no label map to ignore values of"


@dataclass(frozen=True)
class TrainedRunOptions(ProgramOptions):
    """Base of a program that uses a trained run and inherits its networks: see `parse_for_run`."""

    ema: bool = True
    """Take the average of the weights where the run kept one (see --ema_half_life of training)."""

    def run_problems(self) -> Iterator[str]:
        """As `problems`, for what the run's networks are not made for: once those are known."""
        yield from ()


def _model_problems(model: ModelOptions) -> Iterator[str]:
    per_instance, per_label = model.instance_feat, model.label_feat
    if per_instance and per_label:
        yield "--instance_feat with --label_feat: features are of one kind; drop one"
    if per_instance and not model.instance:
        remedy = "drop --no_instance, or take --label_feat"
        yield f"--instance_feat with --no_instance: instances need their maps; {remedy}"
    if per_label and model.label_nc == 0:
        yield "--label_feat with --label_nc 0: there are no labels; take --instance_feat"
    if model.label_color and model.label_nc == 0:
        yield "--label_color with --label_nc 0: the input is an image already; drop --label_color"
    colours, digits = model.label_colors, 6 * model.label_nc
    if colours and (len(colours) != digits or set(colours) - set(string.hexdigits)):
        shown = colours if len(colours) <= 12 else f"{colours[:12]}..."
        yield f"--label_colors {shown}: must be {digits} hexadecimal digits, 6 for each label"
    yield from spade_problems(model)
    if model.z_dim and not model.use_vae and model.uses_features:
        kind = "instance_feat" if per_instance else "label_feat"
        yield f"--z_dim {model.z_dim} with --{kind}: features are drawn already; drop one"
    yield from crn_problems(model)
    if model.load_features and not model.uses_features:
        yield "--load_features: the networks take no features; add --instance_feat or --label_feat"
