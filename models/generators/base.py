"""What every generator is."""

from __future__ import annotations

from torch import nn


class Generator(nn.Module):
    """Maps [N, in_channels, H, W] to [N, out_channels, H, W] in [-1, 1].

    H and W must be multiples of `stride`, and at least twice as large.
    """

    stride: int
    # Names begin so of the parameters that train alone during --niter_fix_global, if any do.
    outermost_prefixes: tuple[str, ...] = ()
