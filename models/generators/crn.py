"""The cascaded refinement network (Chen and Koltun, ICCV 2017), which was trained without GAN."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pix2pixhd.models.blocks import Convolution
from pix2pixhd.models.generators.base import Generator, joined

if TYPE_CHECKING:
    from pix2pixhd.options.base_options import ModelOptions

COARSEST = 4  # rows that the first module sees of an image as high as the network is made for
NGF = 64  # --ngf of the published widths


class Refinement(nn.Module):
    """Two 3x3 convolutions, each followed by layer normalisation and LeakyReLU."""

    def __init__(self, in_channels: int, filters: int) -> None:
        super().__init__()
        self.conv1 = Convolution(in_channels, filters, kernel_size=3, padding=1, bias=False)
        self.norm1 = layer_norm(filters)
        self.conv2 = Convolution(filters, filters, kernel_size=3, padding=1, bias=False)
        self.norm2 = layer_norm(filters)

    def forward(self, x: Tensor) -> Tensor:
        x = F.leaky_relu(self.norm1(self.conv1(x)), 0.2, inplace=True)
        return F.leaky_relu(self.norm2(self.conv2(x)), 0.2, inplace=True)


class CRN(Generator):
    """Modules at 4, 8, 16, ... rows of the image that it is made for. Each sees the label map at
    its own resolution, every pixel the mean of those that it stands for, and what comes from the
    module before, enlarged. Of another height, all resolutions are so much lower or higher.

    The last convolution has no activation: outputs may leave [-1, 1], and are clipped where they
    become pictures. Of `num_images` images at once, number j is `image(outputs, j)`.

    Modules and output are named by their rows, so that a network grown by further modules takes
    over those that it has (`--load_pretrain`).
    """

    def __init__(
        self,
        in_channels: int,  # of maps and features together
        widths: Sequence[int],  # filters of the modules, from the coarsest
        out_channels: int = 3,  # of an image
        num_images: int = 1,
        noise_dim: int = 0,  # further input channels
    ) -> None:
        super().__init__()
        self.stride, self.noise_dim = 2 ** (len(widths) - 1), noise_dim
        self.num_images, self.least_strides = num_images, 1
        self.rows = [COARSEST * 2**level for level in range(len(widths))]
        in_channels, below = in_channels + noise_dim, 0
        for rows, width in zip(self.rows, widths, strict=True):
            self.add_module(f"module{rows}", Refinement(below + in_channels, width))
            below = width
        self._output = f"output{self.rows[-1]}"
        output = nn.Conv2d(below, out_channels * num_images, kernel_size=1)
        nn.init.zeros_(output.bias)  # type: ignore[arg-type]
        self.add_module(self._output, output)
        # What the authors train when they grow the network to 1024 rows.
        self.outermost_prefixes = (*(f"module{rows}." for rows in self.rows[-2:]), self._output)

    def forward(
        self, maps: Tensor, features: Tensor | None = None, noise: Tensor | None = None
    ) -> Tensor:
        pyramid = [joined(maps, features, noise)]
        for _ in self.rows[1:]:
            pyramid.append(F.avg_pool2d(pyramid[-1], 2))  # [N, C, H / 2, W / 2], ...
        x = self.get_submodule(f"module{COARSEST}")(pyramid.pop())
        for rows in self.rows[1:]:
            seen = pyramid.pop()
            size = seen.shape[-2:]
            x = F.interpolate(x, size, mode="bilinear", align_corners=True)
            x = self.get_submodule(f"module{rows}")(torch.cat([x, seen.to(x.dtype)], dim=1))
        output = self.get_submodule(self._output)
        assert isinstance(output, nn.Conv2d) and output.bias is not None
        # In float32, as `Float32Tanh` of other generators: pictures have more bits than bfloat16.
        with torch.autocast(x.device.type, enabled=False):
            return F.conv2d(x.float(), output.weight.float(), output.bias.float())

    def renamed(self, weights: Mapping[str, Any]) -> Mapping[str, Any]:
        """A state dict under the names of the published TensorFlow checkpoints, whose kernels are
        [height, width, in, out], as one of this network; any other as it is."""
        if not any(re.fullmatch(PUBLISHED, name) for name in map(str, weights)):
            return weights
        found = {}
        for name, value in weights.items():
            if match := re.fullmatch(PUBLISHED, str(name)):  # else an optimizer's
                rows, number, what = match.groups()
                kind, parameter = PARTS[what]
                part = f"output{rows}" if number == "100" else f"module{rows}.{kind}{number}"
                is_kernel = isinstance(value, Tensor) and value.dim() == 4
                found[f"{part}.{parameter}"] = value.permute(3, 2, 0, 1) if is_kernel else value
        return found


PUBLISHED = r"g_(\d+)_conv(1|2|100)/(weights|biases|LayerNorm/beta|LayerNorm/gamma)(?::0)?"
PARTS = {
    "weights": ("conv", "weight"),
    "biases": ("conv", "bias"),
    "LayerNorm/gamma": ("norm", "weight"),
    "LayerNorm/beta": ("norm", "bias"),
}


def layer_norm(channels: int) -> nn.GroupNorm:
    """Over channels, rows and columns of an image together, as TensorFlow has it (Ba et al. 2016);
    gain and bias for each channel."""
    return nn.GroupNorm(1, channels, eps=1e-12)


def published_width(rows: int) -> int:
    """Filters of the module that sees so many rows; beyond 1024, which nobody published, 8."""
    return {128: 512, 256: 512, 512: 128, 1024: 32, 2048: 8}.get(rows, 1024)


def build_crn(options: ModelOptions, map_channels: int, feature_channels: int) -> Generator:
    levels = (options.crn_height // COARSEST).bit_length()
    rows = [COARSEST * 2**level for level in range(levels)]
    return CRN(
        map_channels + feature_channels,
        widths=[max(1, published_width(r) * options.ngf // NGF) for r in rows],
        out_channels=options.output_nc,
        num_images=options.num_images,
        noise_dim=options.z_dim,
    )
