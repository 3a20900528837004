"""CRN's perceptual loss, and its loss for several images at once (Chen and Koltun, ICCV 2017)."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pix2pixhd.models.gan_losses import l1_distance
from pix2pixhd.models.perceptual import VGGPerceptualLoss

# What the terms are divided by, of the pixels, conv1_2, conv2_2, conv3_2, conv4_2 and conv5_2, in
# the authors' trainings. They let the last one count ten times as much as the others.
BALANCES: dict[str, tuple[float, ...]] = {
    "256p": (1, 1.6, 2.3, 1.8, 2.8, 0.08),
    "512p": (1, 2.6, 4.8, 3.7, 5.6, 0.15),
    "gta": (1, 1.4, 1.8, 1.3, 2.2, 0.062),
}
LAST = 10.0
HALF_LIFE = 1000  # images after which an error counts half in what is measured

LEVELS = 127.5  # from [-1, 1] to the scale of 8 bits, in which the divisors are
MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of images in [0, 1], ImageNet's
UNIT = 255 * sum(DEVIATION) / 3


class CRNLoss(VGGPerceptualLoss):
    """The sum of the mean absolute differences of pixels and of VGG19's activations, each divided
    so that all have their share; poolings are averages.

    The authors' VGG19 takes pixels from 0 to 255 less their mean, torchvision's takes them divided
    by their deviation, too, and has weights of its own. Differences of its activations are
    multiplied by that deviation, so that all are in levels of 8 bits: on blurred photographs they
    then are to each other as the published divisors are, within a factor of two.

    Of several images of a label map, each label is left to the image that suits it best.
    """

    LAYERS = (3, 8, 13, 22, 31)  # after the ReLU of conv1_2, conv2_2, conv3_2, conv4_2, conv5_2
    SHORTER = (*LAYERS[:-1], 29)  # of files of weights that end at conv5_1, for `G_VGG`
    term = "G_CRN"

    divisors: Tensor
    units: Tensor
    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        weights: dict[str, Tensor],
        source: str = "VGG19 weights",
        balance: Sequence[float] | None = BALANCES["256p"],  # divisors; None: as they are measured
        num_images: int = 1,
    ) -> None:
        lacks_last = "features.28.weight" in weights and "features.30.weight" not in weights
        super().__init__(weights, source, self.SHORTER if lacks_last else None)
        for place, layer in enumerate(self.features):
            if isinstance(layer, nn.MaxPool2d):
                self.features[place] = nn.AvgPool2d(2)
        self.num_images = num_images
        if balance is None:
            self.measured = torch.zeros(len(self.LAYERS) + 1)
        else:
            self.register_buffer("divisors", torch.tensor(balance), persistent=False)
        units = torch.tensor([LEVELS, *[UNIT] * len(self.LAYERS)])
        self.register_buffer("units", units, persistent=False)
        for name, values in (("mean", MEAN), ("deviation", DEVIATION)):
            self.register_buffer(name, torch.tensor(values)[:, None, None], persistent=False)

    def _loss(self, fake: Tensor, real: Tensor, classes: Tensor | None) -> Tensor:
        with torch.no_grad():
            reals = self._seen(real)
        if self.num_images == 1:
            layers = zip(self._seen(fake), reals, strict=True)
            means = self.units * torch.stack([l1_distance(*pair) for pair in layers])
            return (means / self._divisors(means, len(real))).sum()
        assert classes is not None
        images = fake.unflatten(1, (-1, self.num_images)).transpose(1, 2)  # [N, images, C, H, W]
        fakes = [x.unflatten(0, images.shape[:2]) for x in self._seen(images.flatten(0, 1))]
        known = torch.cat([classes, 1 - classes.sum(1, keepdim=True)], dim=1)
        layers = zip(fakes, reals, strict=True)
        errors = torch.stack([errors_by_class(*pair, known) for pair in layers], dim=-1)
        errors = self.units * errors  # [N, images, classes, 6]
        means = errors.sum(2).mean((0, 1))
        return diversity((errors / self._divisors(means, len(real))).sum(-1))

    def _seen(self, image: Tensor) -> list[Tensor]:
        """Pixels and activations of [N, C, H, W] in [-1, 1]."""
        pixels = image.float()
        return [pixels, *self._activations(((pixels + 1) / 2 - self.mean) / self.deviation)]

    def _divisors(self, means: Tensor, count: int) -> Tensor:
        """What the six errors are divided by, given their means over a batch of so many images."""
        if self.measured is None:
            return self.divisors
        self.measured.mul_(0.5 ** (count / HALF_LIFE)).add_(means.detach(), alpha=count)
        # To the pixels' error, so that the loss falls as images improve.
        found = self.measured / self.measured[0]
        return torch.cat([found[:-1], found[-1:] / LAST])


def errors_by_class(fake: Tensor, real: Tensor, classes: Tensor) -> Tensor:
    """Mean absolute differences to the real image, [N, images, classes], which sum up to that over
    all classes.

    Args:
        fake: [N, images, C, h, w].
        real: [N, C, h, w].
        classes: shares of each class in each pixel, [N, classes, H, W] at any resolution.
    """
    distance = (fake - real[:, None]).abs().mean(2, dtype=torch.float32)
    shares = F.interpolate(classes.float(), real.shape[-2:], mode="area")
    return torch.einsum("nihw,nchw->nic", distance, shares) / shares[0, 0].numel()


def diversity(errors: Tensor) -> Tensor:
    """The loss of errors [N, images, classes], a scalar: of each class the least of the images',
    and a thousandth of their mean, so that no image is left without a gradient."""
    return (0.999 * errors.amin(1) + 0.001 * errors.mean(1)).sum(1).mean()
