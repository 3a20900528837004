"""The parts that generators, discriminators and encoder are made of."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.utils.checkpoint import checkpoint

BatchNorm = nn.modules.batchnorm._BatchNorm  # of all kinds, synchronised ones too

NormLayer = Callable[[int], nn.Module]

# All take a number of channels. Instance normalisation has neither parameters nor running
# statistics, so that checkpoints hold convolutions only.
NORM_LAYERS: dict[str, NormLayer] = {
    "instance": lambda channels: InstanceNorm(channels),
    "batch": lambda channels: nn.BatchNorm2d(channels, affine=True),
    "none": nn.Identity,
}


@dataclass(frozen=True)
class Layers:
    """What all layers of a generator or an encoder have in common."""

    norm: NormLayer = NORM_LAYERS["instance"]
    upsample: str = "deconv"  # or resize: nearest pixels and a convolution double the resolution
    pad_down: str = "zero"  # or reflect: padding of the convolutions that halve it
    use_dropout: bool = False  # in residual blocks


PUBLISHED = Layers()  # those of published checkpoints


class InstanceNorm(nn.InstanceNorm2d):
    """Instance normalisation with statistics in float32, whatever the precision of [N, C, H, W]."""

    def forward(self, input: Tensor) -> Tensor:
        if input.is_contiguous():
            return super().forward(input)
        # PyTorch does it by way of a copy with channels first. Of a single image it is the same as
        # normalising the batch, which PyTorch does in any memory format.
        images = [
            F.batch_norm(image, None, None, training=True, eps=self.eps) for image in input.split(1)
        ]
        return torch.cat(images) if len(images) > 1 else images[0]


class ReflectionPad(nn.ReflectionPad2d):
    """Reflection padding in the precision of [N, C, H, W]: on a CPU, autocast would take float32.

    What it returns is laid out in memory as what it is given.
    """

    def forward(self, input: Tensor) -> Tensor:
        if input.is_cuda and not input.is_contiguous() and not torch.compiler.is_compiling():
            return reflect_channels_last(input, self.padding[0])
        with torch.autocast(input.device.type, enabled=False):
            return super().forward(input)


def reflect_channels_last(x: Tensor, padding: int) -> Tensor:
    """Reflection padding of [N, C, H, W], which PyTorch does on CUDA by way of copies with channels
    first: rows, then columns, each of a tensor that is contiguous."""
    count, channels, height, width = x.shape
    sides, tall = (0, 0, padding, padding), height + 2 * padding
    rows = x.permute(0, 2, 3, 1).reshape(count, 1, height, width * channels)
    rows = F.pad(rows, sides, mode="reflect").view(1, count * tall, width, channels)
    columns = F.pad(rows, sides, mode="reflect").view(count, tall, -1, channels)
    return columns.permute(0, 3, 1, 2)


class Convolution(nn.Conv2d):
    """A convolution whose bias need not be added, see `normalised`.

    Where `needs_alignment`, channels are filled up with zeros, in the weights on the fly.

    Attributes:
        is_final: its weights will not change any more: a CPU's library, which computes from weights
            arranged for the size of the input, then arranges them once for a size.
    """

    adds_bias = True
    is_final = False
    _arranged: tuple[torch.Size, Tensor] | None = None  # for inputs of this size

    def forward(self, input: Tensor) -> Tensor:
        if self.is_final and not (torch.is_grad_enabled() or torch.compiler.is_compiling()):
            return self._with_arranged_weight(input.to(self.weight.dtype))
        weight, bias = self.weight, self.bias if self.adds_bias else None
        lacks_in, lacks_out = (-n % ALIGNMENT for n in (self.in_channels, self.out_channels))
        if not (lacks_in or lacks_out) or not needs_alignment(input):
            return F.conv2d(input, weight, bias, self.stride, self.padding)
        input = F.pad(input, (0, 0, 0, 0, 0, lacks_in))
        weight = F.pad(weight, (0, 0, 0, 0, 0, lacks_in, 0, lacks_out))
        bias = None if bias is None else F.pad(bias, (0, lacks_out))
        output = F.conv2d(input, weight, bias, self.stride, self.padding)
        return output[:, : self.out_channels]

    def _with_arranged_weight(self, input: Tensor) -> Tensor:
        assert not isinstance(self.padding, str)
        how = (self.padding, self.stride, self.dilation, self.groups)
        if self._arranged is None or self._arranged[0] != input.shape:
            arrange = torch.ops.mkldnn._reorder_convolution_weight
            self._arranged = input.shape, arrange(self.weight, *how, input.shape)
        bias = self.bias if self.adds_bias else None
        convolve = torch.ops.mkldnn._convolution_pointwise
        return convolve(input, self._arranged[1], bias, *how, "none", [], "")


class SpectralConvolution(Convolution):
    """A convolution whose weight is divided by its spectral norm while its network trains, by
    `spectral.normalise_as_published`; for a network of which that is a part, not an option."""


class ReflectedConvolution(Convolution):
    """A 3x3 convolution with reflection padding of [N, C, H, W], which it may enlarge before."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        stride: int = 1,
        scale: int = 1,  # times H and W are enlarged, each pixel being repeated
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size=3, stride=stride)
        self.scale, self.pad = scale, ReflectionPad(1)

    def forward(self, input: Tensor) -> Tensor:
        # Enlarged for all to see: the transposed convolution of 4x4 that comes to the same has
        # fewer products, but took a CPU up to five times as long in bfloat16.
        if self.scale > 1:
            input = F.interpolate(input, scale_factor=self.scale, mode="nearest")
        return super().forward(self.pad(input))


ALIGNMENT = 8  # tensor cores take channels by so many in half precision


def needs_alignment(input: Tensor) -> bool:
    """Whether a convolution of the input is fast with channels in multiples of ALIGNMENT alone."""
    is_half = torch.is_autocast_enabled("cuda") or input.dtype in (torch.float16, torch.bfloat16)
    return input.is_cuda and is_half


class TransposedConvolution(nn.ConvTranspose2d):
    """A transposed convolution whose bias need not be added, see `normalised`."""

    padding: tuple[int, ...]
    adds_bias = True

    def forward(self, input: Tensor) -> Tensor:  # type: ignore[override]
        bias = self.bias if self.adds_bias else None
        return F.conv_transpose2d(
            input, self.weight, bias, self.stride, self.padding, self.output_padding
        )


AnyConvolution = Convolution | TransposedConvolution


def normalised(convolution: AnyConvolution, norm_layer: NormLayer) -> list[nn.Module]:
    """The convolution and a normalisation of what it returns.

    Instance normalisation takes any bias away again. It is then neither added nor trained, but
    remains a parameter: files have it, and the states of older runs' optimizers.
    """
    norm = norm_layer(convolution.out_channels)
    if isinstance(norm, InstanceNorm):
        convolution.adds_bias = False
        if convolution.bias is not None:
            convolution.bias.requires_grad_(False)
    return [convolution, norm]


class Float32Tanh(nn.Tanh):
    """tanh in float32: from 0.5 to 1, bfloat16 has but 128 values, and pictures of 8 bits have 64,
    so that rounding to both would show."""

    def forward(self, input: Tensor) -> Tensor:
        return torch.tanh(input.float())


class ResnetBlock(nn.Module):
    """Rk: x + F(x), with F two 3x3 convolutions of k filters, the second without ReLU.

    Maps [N, channels, H, W] to the same shape; H and W must be at least 2, as reflection padding
    asks.

    Attributes:
        keeps_activations: if not, those within the block are computed again for the gradient.
    """

    def __init__(
        self,
        channels: int,  # k
        norm_layer: NormLayer,
        use_dropout: bool = False,  # dropout of 0.5 between the two convolutions
    ) -> None:
        super().__init__()
        layers = OrderedDict[str, nn.Module]()
        first, second = (
            normalised(Convolution(channels, channels, kernel_size=3), norm_layer) for _ in range(2)
        )
        layers["0"] = ReflectionPad(1)
        layers["1"], layers["2"] = first
        layers["3"] = nn.ReLU(inplace=True)
        if use_dropout:
            # A name instead of a number: the keys of the convolutions stay those of checkpoints
            # made without dropout, and of the reference, which reads the flag but ignores it.
            layers["dropout"] = nn.Dropout(0.5)
        layers["4"] = ReflectionPad(1)
        layers["5"], layers["6"] = second
        self.conv_block = nn.Sequential(layers)
        self.use_dropout = use_dropout
        self.keeps_activations = True

    def forward(self, x: Tensor) -> Tensor:
        if self.keeps_activations or not torch.is_grad_enabled():
            return x + self.conv_block(x)
        context: dict[str, Any] = {}
        if any(isinstance(module, BatchNorm) for module in self.modules()):
            # Given where it is needed alone, since torch.compile does not take it.
            context["context_fn"] = lambda: (nullcontext(), running_statistics_kept(self))
        random = self.use_dropout  # to save its state waits for a GPU
        return x + checkpoint(
            self.conv_block, x, use_reentrant=False, preserve_rng_state=random, **context
        )


@contextmanager
def running_statistics_kept(network: nn.Module) -> Iterator[None]:
    """Batch normalisation does not count what it sees: it has seen it before."""
    norms = [module for module in network.modules() if isinstance(module, BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.momentum = 0.0  # to stop tracking would leave fewer tensors than checkpoint saw before
    try:
        yield
    finally:
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
            if norm.num_batches_tracked is not None:
                norm.num_batches_tracked -= 1


def encoder_decoder(
    in_channels: int,
    out_channels: int,
    filters: int,  # of the first layer, k
    n_downsample: int,  # times the resolution is halved, and doubled again
    layers: Layers,
    n_blocks: int = 0,  # residual blocks at the lowest resolution
) -> nn.Sequential:
    """c7s1-k, d2k, d4k, ..., R, ..., u2k, uk, c7s1: from [N, in_channels, H, W] to
    [N, out_channels, H, W] in [-1, 1]; H and W are multiples of 2^n_downsample, from twice it."""
    widths = [filters * 2**level for level in range(n_downsample + 1)]
    modules = first_convolution(in_channels, filters, layers)
    for width in widths[:-1]:
        modules += downsampling(width, layers)
    modules += residual_blocks(widths[-1], n_blocks, layers)
    for width in reversed(widths[:-1]):
        modules += upsampling(width, layers)
    return nn.Sequential(*modules, *output_convolution(filters, out_channels))


def first_convolution(in_channels: int, filters: int, layers: Layers) -> list[nn.Module]:
    """c7s1-k: 7x7 convolution with reflection padding, normalisation, ReLU."""
    convolution = Convolution(in_channels, filters, kernel_size=7)
    return [ReflectionPad(3), *normalised(convolution, layers.norm), nn.ReLU(inplace=True)]


def downsampling(filters: int, layers: Layers) -> list[nn.Module]:
    """dk with k = 2 * `filters`: 3x3 convolution of stride 2, normalisation, ReLU."""
    if layers.pad_down == "reflect":
        convolution: Convolution = ReflectedConvolution(filters, filters * 2, stride=2)
    else:
        convolution = Convolution(filters, filters * 2, kernel_size=3, stride=2, padding=1)
    return [*normalised(convolution, layers.norm), nn.ReLU(inplace=True)]


def residual_blocks(channels: int, count: int, layers: Layers) -> list[nn.Module]:
    """Rk, `count` times, with k = `channels`."""
    return [ResnetBlock(channels, layers.norm, layers.use_dropout) for _ in range(count)]


def upsampling(filters: int, layers: Layers) -> list[nn.Module]:
    """uk with k = `filters`: 3x3 transposed convolution of stride 1/2, or a convolution of the
    enlarged input (Odena et al. 2016), normalisation, ReLU."""
    if layers.upsample == "resize":
        convolution: AnyConvolution = ReflectedConvolution(filters * 2, filters, scale=2)
    else:
        convolution = TransposedConvolution(filters * 2, filters, 3, 2, padding=1, output_padding=1)
    return [*normalised(convolution, layers.norm), nn.ReLU(inplace=True)]


def output_convolution(filters: int, out_channels: int) -> list[nn.Module]:
    """The last c7s1: 7x7 convolution with reflection padding, tanh, no normalisation."""
    return [ReflectionPad(3), Convolution(filters, out_channels, kernel_size=7), Float32Tanh()]


def average_pool() -> nn.AvgPool2d:
    """Halves a picture: the pyramids of local enhancers and discriminators are made with it."""
    return nn.AvgPool2d(kernel_size=3, stride=2, padding=1, count_include_pad=False)
