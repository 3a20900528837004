"""The generator of OASIS (Schönfeld, Sushko et al., "You Only Need Adversarial Supervision for
Semantic Image Synthesis", ICLR 2021): SPADE's blocks, which see noise beside the labels."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from pix2pixhd.models.generators.base import Generator
from pix2pixhd.models.generators.spade import SpadeGenerator, Stage
from pix2pixhd.options.spade_options import parse_norm_G

if TYPE_CHECKING:
    from pix2pixhd.options.base_options import ModelOptions

WIDTHS = (16, 16, 16, 8, 4, 2, 1)  # of the blocks, in units of ngf


class OasisGenerator(SpadeGenerator):
    """As SPADE's, with one noise vector an image joined to the labels in all layers that see them
    (its "3D noise", section 3.4)."""

    def renamed(self, weights: Mapping[str, Any]) -> Mapping[str, Any]:
        named = {
            name.replace("body.", "body_").replace(".first_norm.", ".param_free_norm."): value
            for name, value in weights.items()
        }
        return super().renamed(named)


def build_oasis(options: ModelOptions, map_channels: int, feature_channels: int) -> Generator:
    stages = [Stage(f"body_{n}", *ends, doubles=n > 0) for n, ends in enumerate(pairwise(WIDTHS))]
    norm = parse_norm_G(options.norm_G)
    maps = map_channels + feature_channels
    return OasisGenerator(maps, options.output_nc, options.ngf, stages, norm, options.z_dim)
