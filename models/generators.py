"""Generators: from the condition to an image. To add one: a class, and a row in GENERATORS."""

from __future__ import annotations

from torch import Tensor, nn

from models.blocks import (
    NORM_LAYERS,
    ResnetBlock,
    downsampling,
    first_convolution,
    output_convolution,
    pyramid_pooling,
    upsampling,
)


class Generator(nn.Module):
    """Maps [N, in_channels, H, W] to [N, out_channels, H, W] in [-1, 1].

    H and W must be multiples of `stride`, and at least twice as large.
    """

    stride: int
    # Names begin so of the parameters that train alone during --niter_fix_global, if any do.
    outermost_prefixes: tuple[str, ...] = ()


class GlobalGenerator(Generator):
    """G1 of the paper (section 3.2), after Johnson et al. 2016: down, residual blocks, up."""

    def __init__(
        self,
        in_channels: int,  # of the condition
        out_channels: int = 3,  # of the image
        ngf: int = 64,  # filters of the first layer
        n_downsample: int = 4,  # times the resolution is halved
        n_blocks: int = 9,  # residual blocks
        norm: str = "instance",  # a row of NORM_LAYERS
        use_dropout: bool = False,  # in the residual blocks
    ) -> None:
        super().__init__()
        self.stride = 2**n_downsample
        norm_layer = NORM_LAYERS[norm]
        layers = first_convolution(in_channels, ngf, norm_layer)
        for level in range(n_downsample):
            layers += downsampling(ngf * 2**level, norm_layer)
        widest = ngf * 2**n_downsample
        layers += [ResnetBlock(widest, norm_layer, use_dropout) for _ in range(n_blocks)]
        for level in reversed(range(n_downsample)):
            layers += upsampling(ngf * 2**level, norm_layer)
        layers += output_convolution(ngf, out_channels)
        self.model = nn.Sequential(*layers)

    def forward(self, condition: Tensor) -> Tensor:
        return self.model(condition)

    def without_output(self) -> nn.Sequential:
        """The network up to its last feature map, [N, ngf, H, W]."""
        output_layers = 3  # padding, convolution, tanh
        return self.model[:-output_layers]


class LocalEnhancer(Generator):
    """G2 of the paper (section 3.2) around G1; each of its stages doubles the resolution.

    Stage n of N has the base width ngf * 2^(N-n) and G1 has ngf * 2^N. The input of a stage's
    residual blocks is its own features plus the last features of what lies inside it. Only the
    outermost stage, N, has an output layer.
    """

    def __init__(
        self,
        in_channels: int,  # of the condition
        out_channels: int = 3,  # of the image
        ngf: int = 32,  # filters of the first layer of the outermost stage
        n_downsample: int = 4,  # of the global generator
        n_blocks: int = 9,  # residual blocks of the global generator
        n_local_enhancers: int = 1,  # N
        n_blocks_local: int = 3,  # residual blocks of each stage
        norm: str = "instance",  # a row of NORM_LAYERS
        use_dropout: bool = False,  # in the residual blocks
    ) -> None:
        super().__init__()
        self.stride = 2 ** (n_downsample + n_local_enhancers)
        self.n_local_enhancers = n_local_enhancers
        self.outermost_prefixes = (f"model{n_local_enhancers}_",)
        norm_layer = NORM_LAYERS[norm]
        # `model` and `model<n>_<part>` are the names that published checkpoints have.
        self.model = GlobalGenerator(
            in_channels,
            out_channels,
            ngf * 2**n_local_enhancers,
            n_downsample,
            n_blocks,
            norm,
            use_dropout,
        ).without_output()
        for n in range(1, n_local_enhancers + 1):
            width = ngf * 2 ** (n_local_enhancers - n)
            front = first_convolution(in_channels, width, norm_layer)
            front += downsampling(width, norm_layer)
            back: list[nn.Module] = [
                ResnetBlock(width * 2, norm_layer, use_dropout) for _ in range(n_blocks_local)
            ]
            back += upsampling(width, norm_layer)
            if n == n_local_enhancers:
                back += output_convolution(width, out_channels)
            self.add_module(f"model{n}_1", nn.Sequential(*front))
            self.add_module(f"model{n}_2", nn.Sequential(*back))
        self.downsample = pyramid_pooling()

    def forward(self, condition: Tensor) -> Tensor:
        pyramid = [condition]
        for _ in range(self.n_local_enhancers):
            pyramid.append(self.downsample(pyramid[-1]))
        features = self.model(pyramid.pop())
        for n in range(1, self.n_local_enhancers + 1):
            front, back = getattr(self, f"model{n}_1"), getattr(self, f"model{n}_2")
            features = back(front(pyramid.pop()) + features)
        return features


GENERATORS: dict[str, type[Generator]] = {
    "global": GlobalGenerator,
    "local": LocalEnhancer,
}
