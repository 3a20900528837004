"""Options of the generators, and the types of options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pix2pixhd.options.fields import Range

Count = Annotated[int, Range(1)]
Natural = Annotated[int, Range(0)]
Pixels = Annotated[int, Range(1, 100_000)]  # of a side of an image
Filters = Annotated[int, Range(1, 8192)]
Blocks = Annotated[int, Range(0, 1000)]
Channels = Annotated[int, Range(1, 512)]
Halvings = Annotated[int, Range(1, 12)]  # the last one leaves a pixel of 4096

PIX2PIX = ("unet_256", "unet_128")  # generators that render as they train


@dataclass(frozen=True)
class GeneratorOptions:
    """The generator: which, and its sizes."""

    netG: Literal["global", "local", "unet", "unet_256", "unet_128", "crn", "spade", "oasis"] = (
        "global"
    )
    """Generator: the global one; local: with local enhancers around it for twice the resolution;
    unet: a U-Net of the global one's layers, whose edges are straighter in small images; unet_256,
    unet_128: pix2pix's; or that of CRN, SPADE or OASIS."""
    ngf: Filters = 64
    """Filters in the generator's first layer (of the outermost enhancer)."""
    n_downsample_global: Halvings = 4
    """Times the global generator halves the resolution."""
    n_blocks_global: Blocks = 9
    """Residual blocks in the global generator."""
    n_local_enhancers: Annotated[int, Range(1, 8)] = 1
    """Local enhancers; each doubles the resolution (--netG local)."""
    n_blocks_local: Blocks = 3
    """Residual blocks in each local enhancer."""
    norm: Literal["instance", "batch"] = "instance"
    """Normalisation after the convolutions."""
    use_dropout: bool = False
    """Dropout of 0.5 in the residual blocks; in three blocks of --netG unet_256 (two of unet_128),
    whose only noise it is."""
    upsample: Literal["deconv", "resize"] = "deconv"
    """How generator and encoder double the resolution. deconv: a transposed convolution, as
    published; resize: the nearest pixel repeated, then a convolution, which leaves no grid."""
    pad_down: Literal["zero", "reflect"] = "zero"
    """Padding of the convolutions that halve the resolution in generator and encoder: zeros, as
    published, or reflection, which some bright blobs do not survive. Weights do not tell: say it
    where they come without the run's options.json."""
    label_color: bool = False
    """Labels enter the networks as colours, in three channels, in place of a channel for each."""
    label_colors: str = ""
    """Those colours, RRGGBB of one label after the other; by default those of --label_names, or of
    the pictures of label maps. A run keeps the ones that it was trained with."""
    z_dim: Annotated[int, Range(0, 4096)] = 0
    """Numbers of noise for each image as further input, for runs without features: test.py --styles
    draws several; 0: none, but 64 of --netG oasis."""
    num_upsampling_layers: Literal["normal", "more", "most"] = "normal"
    """Times --netG spade doubles the resolution: 5, 6 or 7."""
    norm_G: str = "spectralspadesyncbatch3x3"
    """Of --netG spade and oasis: `spectral` or nothing, `spade`, how it normalises (`syncbatch`,
    `batch` or `instance`), and the size of the kernels that see the labels, such as `3x3`."""
    use_vae: bool = False
    """An encoder of --netG spade draws --z_dim numbers (by default 256) from the real image;
    test.py draws them from N(0, 1)."""
    crop_size: str = ""
    """WIDTHxHEIGHT, or one number for squares: the images that --use_vae is for, whose first layer
    is made for one size."""
    crn_height: Literal[8, 16, 32, 64, 128, 256, 512, 1024, 2048] = 256
    """Rows of the images that --netG crn is made for: it starts from a grid of 4 rows, and doubles
    that up to here. Its widths are the published ones with --ngf 64, else in proportion."""
    num_images: Annotated[int, Range(1, 64)] = 1
    """Images that --netG crn makes of a label map at once (its diversity loss)."""
