"""What weights of SPADE's and OASIS's generators tell of them, as published or as saved here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

FIRST = {"spade": "head_0.norm_0", "oasis": "body.0.norm_0"}


def read_spade(weights: Mapping[str, Any]) -> dict[str, Any]:
    """Options of a generator, and the `channels` that it sees labels in; empty of any other kind.

    Weights saved here do not tell whether they were divided, which rendering need not know. Whether
    the lowest resolution is a 32nd or a 64th leaves no trace, nor does the size of the only
    images of a variational auto-encoder.
    """
    named = {n.replace("body_", "body."): w for n, w in weights.items() if torch.is_tensor(w)}
    netG = next((one for one, first in FIRST.items() if f"{first}.mlp_gamma.weight" in named), "")
    layers = [f"{FIRST.get(netG)}.{layer}" for layer in ("mlp_shared.0", "mlp_gamma")]
    needed = [f"{layer}.weight" for layer in (*layers, "fc", "conv_img")]
    if not named.keys() >= {*needed}:
        return {}
    shared, gamma, fc, last = (named[name].shape for name in needed)
    side = shared[-1]
    kind = "syncbatch" if any(name.endswith("running_mean") for name in named) else "instance"
    options: dict[str, Any] = {
        "netG": netG,
        "ngf": gamma[0] // 16,
        "channels": shared[1],
        "output_nc": last[0],
        "norm_G": f"spectralspade{kind}{side}x{side}",
    }
    if netG == "oasis":
        options["z_dim"] = 64  # as published: the weights tell the sum of labels and noise
    if "up_4.conv_0.bias" in named:
        options["num_upsampling_layers"] = "most"
    if len(fc) == 2:
        options |= {"use_vae": True, "z_dim": fc[1]}
    return options
