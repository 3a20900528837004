"""Options that every entry script shares: the run, its data and its networks.

A field's name is the flag's spelling, which follows the reference implementation (hence the
camel case). A boolean that is true by default is switched off with `--no_<name>`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ResizeOrCrop = Literal["scale_width", "scale_width_and_crop", "resize_and_crop", "crop", "none"]


@dataclass(frozen=True)
class RunOptions:
    """The run: where it is kept and what it computes on."""

    name: str = "label2city"
    """Experiment; names its folders below --checkpoints_dir and --results_dir."""

    checkpoints_dir: str = "./checkpoints"
    """Folder that holds one folder per experiment."""

    gpu_ids: str = "0"
    """GPUs as a comma list; -1 for the CPU. Of several (0,1,2,3) each has a process of its own;
    -1,-1 is two processes on the CPU. Under torchrun leave it out: each process takes its own."""

    seed: int = 0
    """Seed of all that is random: initial weights, order and augmentation of images; the styles
    that a rendering draws; the starts of k-means."""

    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """Of the networks' convolutions; statistics and losses are float32 always. auto: bf16 on GPUs
    that have it, else fp32. fp16 needs CUDA; bf16 on a CPU is taken only if it is faster there."""

    fp16: bool = False
    """The same as --precision fp16, with a gradient scaler in training."""

    data_type: Literal[32, 16, 8] = 32
    """Bits of the numbers in the networks: 32, or 16 for the same as --fp16. 8 has no effect."""

    compile: bool = False
    """Compile the networks with torch.compile: takes minutes at the start."""

    local_rank: int = 0
    """Set by old launchers of several processes; those also set LOCAL_RANK, which counts."""

    tf_log: bool = False
    """Also write TensorBoard logs, to <checkpoints_dir>/<name>/logs."""

    display_winsize: int = 512
    """Width of the pictures in web pages, in pixels."""

    niter_fix_global: int = 0
    """Epochs at the start that train only the outermost local enhancer (--netG local)."""

    verbose: bool = False
    """Print the networks, layer by layer."""


@dataclass(frozen=True)
class DataOptions:
    """The data: which files, resized and cropped how, in batches of how many."""

    dataroot: str = "./datasets/cityscapes/"
    """Holds <phase>_label, <phase>_inst and <phase>_img; <phase>_A and _B with --label_nc 0."""

    dataset_mode: Literal["aligned"] = "aligned"
    """How files become samples; aligned: one file of each kind of map, paired by name."""

    resize_or_crop: ResizeOrCrop = "scale_width"
    """scale_width: width to --loadSize, aspect ratio kept; resize_and_crop: to a square of
    --loadSize; crop: as the file is; each with a random crop to a square of --fineSize, where the
    name has crop; none: as the file is."""

    loadSize: int = 1024
    """Width in pixels that images are scaled to."""

    fineSize: int = 512
    """Side in pixels of the random crop, for the modes that crop."""

    batchSize: int = 1
    """Images per step, of all processes together; test.py: at once, in each process."""

    serial_batches: bool = False
    """Take the images in order, not shuffled."""

    flip: bool = True
    """Mirror training images left to right, at random."""

    ignore_label: int | None = None
    """Label value that means "nothing known here" (often 255): no label channel is set there."""

    nThreads: int = 2
    """Processes that load images; 0 loads them in the main process."""

    max_dataset_size: int | None = None
    """Use only the first so many images."""

    cache: str | None = None
    """Folder to keep decoded and resized images in, uncompressed: quicker to read, but large."""


@dataclass(frozen=True)
class ModelOptions:
    """The networks, and what goes into them."""

    model: Literal["pix2pixHD"] = "pix2pixHD"
    """The model."""

    label_nc: int = 35
    """Number of labels; 0: the input is an image, not a label map."""

    input_nc: int = 3
    """Channels of the input image (1 or 3), for --label_nc 0."""

    output_nc: int = 3
    """Channels of the output image (1 or 3)."""

    instance: bool = True
    """Use instance maps; their boundaries are an input channel."""

    netG: Literal["global", "local"] = "global"
    """Generator: the global one, or with local enhancers around it for twice the resolution."""

    ngf: int = 64
    """Filters in the generator's first layer (of the outermost enhancer)."""

    n_downsample_global: int = 4
    """Times the global generator halves the resolution."""

    n_blocks_global: int = 9
    """Residual blocks in the global generator."""

    n_local_enhancers: int = 1
    """Local enhancers; each doubles the resolution (--netG local)."""

    n_blocks_local: int = 3
    """Residual blocks in each local enhancer."""

    norm: Literal["instance", "batch"] = "instance"
    """Normalisation after the convolutions."""

    use_dropout: bool = False
    """Dropout of 0.5 in the residual blocks."""

    instance_feat: bool = False
    """Encoded instance features as further input."""

    label_feat: bool = False
    """Encoded features as further input, one per label."""

    feat_num: int = 3
    """Channels of the encoded features."""

    load_features: bool = False
    """Read precomputed feature maps from <phase>_feat."""

    n_downsample_E: int = 4
    """Times the encoder halves the resolution."""

    nef: int = 16
    """Filters in the encoder's first layer."""

    n_clusters: int = 10
    """Clusters of features per label; test.py looks for the file of that many."""
