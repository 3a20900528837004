"""The weights of VGG19 for the perceptual loss: from a file, or torchvision's published ones."""

from __future__ import annotations

from http.client import HTTPException
from pathlib import Path
from pickle import UnpicklingError

from torch import Tensor

from pix2pixhd.util.checkpoint import load_tensors
from pix2pixhd.util.errors import UserError


def load_vgg_weights(file: str | None) -> dict[str, Tensor]:
    """VGG19's state dict, from a file or from torchvision's published weights.

    Raises:
        UserError: the file cannot be read, or the weights cannot be fetched.
    """
    if file:
        return load_tensors(Path(file), "--vgg_weights")
    from torchvision.models import VGG19_Weights

    try:
        return VGG19_Weights.IMAGENET1K_V1.get_state_dict(progress=True, check_hash=True)
    except (OSError, HTTPException, RuntimeError, EOFError, UnpicklingError, LookupError) as error:
        # The first two are the network's; the others come of a damaged file in torch's cache.
        raise UserError(
            f"the VGG19 weights for the perceptual loss cannot be fetched ({error!r}); give "
            "--vgg_weights FILE with a copy of torchvision's file, or train with --no_vgg_loss"
        ) from error
