"""Deep image structure and texture similarity (Ding et al. 2020), as torchmetrics has it."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError

import torch
from torch import Tensor

from pix2pixhd.metrics.base import MetricSettings, weights_hash
from pix2pixhd.metrics.pixels import PixelMetric, as_rgb
from pix2pixhd.util.errors import UserError


class DISTS(PixelMetric):
    """Mean DISTS to the real image, at the images' own size: 0 for equal images.

    Nothing is fetched: VGG16's weights must be in torch's cache, the one place where torchmetrics
    takes them from.
    """

    name = "dists"

    def __init__(self, settings: MetricSettings) -> None:
        """
        Raises:
            UserError: VGG16's weights are not on this machine, or damaged.
        """
        from torchvision.models import VGG16_Weights

        published = VGG16_Weights.IMAGENET1K_V1.url
        file = Path(torch.hub.get_dir(), "checkpoints", Path(published).name)
        if not file.is_file():
            raise UserError(
                f"dists: there is no file {file}, VGG16's weights; put a copy of {published} "
                "there, or leave dists out of --metrics"
            )
        from torchmetrics.functional.image.dists import DISTSNetwork

        try:
            network = DISTSNetwork()
        except (OSError, RuntimeError, EOFError, UnpicklingError, LookupError) as error:
            raise UserError(
                f"dists: {file}: not VGG16's weights ({type(error).__name__}); take an intact copy "
                f"of {published}"
            ) from error
        self.network = network.to(settings.device).requires_grad_(False).eval()
        self.protocol = {"network": "vgg16", "backbone": weights_hash(file), "size": "as it is"}

    def of_images(self, fake: Tensor, real: Tensor) -> Tensor:
        zero_to_one = ((as_rgb(image, "dists") + 1) / 2 for image in (fake, real))
        value: Tensor = self.network(*zero_to_one)
        return value
