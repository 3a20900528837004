"""Generators: from label maps to an image.

To add one: a file here with a class and the function that builds it from the options, a row in
GENERATORS, and its name (with options of its own, if any) in `options/generator_options.py`.
"""

from __future__ import annotations

from pix2pixhd.models.generators.base import BuildGenerator, Generator, joined
from pix2pixhd.models.generators.crn import CRN, build_crn
from pix2pixhd.models.generators.global_generator import GlobalGenerator, build_global
from pix2pixhd.models.generators.local_enhancer import LocalEnhancer, build_local
from pix2pixhd.models.generators.oasis import build_oasis
from pix2pixhd.models.generators.pix2pix_unet import (
    Pix2PixUNet,
    build_unet_128,
    build_unet_256,
)
from pix2pixhd.models.generators.spade import SpadeGenerator, build_spade
from pix2pixhd.models.generators.unet import UNet, build_unet

GENERATORS: dict[str, BuildGenerator] = {
    "global": build_global,
    "local": build_local,
    "unet": build_unet,
    "unet_256": build_unet_256,
    "unet_128": build_unet_128,
    "crn": build_crn,
    "spade": build_spade,
    "oasis": build_oasis,
}

__all__ = [
    "CRN",
    "GENERATORS",
    "Generator",
    "GlobalGenerator",
    "LocalEnhancer",
    "Pix2PixUNet",
    "SpadeGenerator",
    "UNet",
    "joined",
]
