"""The paper's measure: does a segmentation network find the input's labels in the synthesised
image?"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from pix2pixhd.metrics.base import Figure, Measurement, MetricSettings, Sample
from pix2pixhd.metrics.segmenters import counted, load_segmenter
from pix2pixhd.util.errors import UserError

STRETCH = 1.1  # more than sides that are rounded to what networks take make of an aspect ratio
PROBE = 256  # pixels each way of an image that tells how many classes a network has


class Segmentation:
    """Pixel accuracy and mean IoU, beside those of the real images and of label-mean colours.

    IoU as the PASCAL challenge has it (Everingham et al. 2010), of counts over all images; the mean
    is over the classes that occur in the label maps, which are the same whatever is judged.
    """

    needs: Collection[str] = ("label",)

    def __init__(self, settings: MetricSettings) -> None:
        """
        Raises:
            UserError: there is no segmentation network, or not one for these labels.
        """
        if settings.segmenter is None:
            raise UserError(
                "pixel_accuracy and mean_iou take a segmentation network, and none is given; give "
                "--segmenter FILE (evaluate.py train-segmenter makes one), or leave them out of "
                "--metrics"
            )
        self.segmenter = load_segmenter(settings.segmenter, settings.device)
        self.eval_size = settings.eval_size
        probe = torch.zeros(1, 3, *(self.eval_size or (PROBE, PROBE)), device=settings.device)
        labels = settings.labels
        found = self.segmenter.labels_of(self.segmenter.logits(probe).shape[1], labels)
        count = len(labels) if labels else max(found) + 1
        judged = self.segmenter.classes or (counted(labels) if labels else found)
        self.classes = [label for label in judged if label not in settings.ignore_label]
        names = labels.names if labels else ()
        self.names = names or tuple(f"label {number}" for number in range(count))
        place = {label: number for number, label in enumerate(self.classes)}
        # Of each label, and last of what is none; -1: left out.
        places = [*(place.get(label, -1) for label in range(count)), -1]
        self.place_of_label = torch.tensor(places, device=settings.device)
        # What is taken for a label that is left out is wrong: it has a column of its own.
        columns = [place.get(label, len(place)) for label in found]
        self.place_of_class = torch.tensor(columns, device=settings.device)

    @torch.inference_mode()
    def measure(self, sample: Sample) -> Measurement:
        """Confusion matrices of `fake`, and of `real` and `floor` where there is a real image.

        Each is int64 [classes, classes + 1]: pixels by their label and by what they are taken for,
        last of all for a label that is left out. `size`: the height and width they are taken at;
        `stretched`: by how much the label map is wider for its height than the image.
        """
        assert sample.label is not None
        label = sample.label.to(self.place_of_label.device).long()
        (high, wide), (height, width) = label.shape[-2:], sample.fake.shape[-2:]
        stretched = np.array(wide * height / (high * width))
        images = {"fake": sample.fake}
        if sample.real is not None:
            images |= {"real": sample.real, "floor": mean_colours(sample.real, label)}
        if self.eval_size:
            label = nearest(label, self.eval_size)
        measured = {name: self.confusion(image, label) for name, image in images.items()}
        return measured | {"size": np.array(label.shape[-2:]), "stretched": stretched}

    def confusion(self, image: Tensor, label: Tensor) -> np.ndarray:
        """Of an image [1, C, h, w] in [-1, 1] with labels [1, 1, H, W]; as `measure` has it."""
        image = image.to(label.device).float()
        if self.eval_size:
            image = F.interpolate(image, self.eval_size, mode="bilinear", antialias=True)
        logits = self.segmenter.logits(image).float()
        logits = F.interpolate(logits, label.shape[-2:], mode="bilinear", align_corners=False)
        none = len(self.place_of_label) - 1
        truth = self.place_of_label[torch.where((label >= 0) & (label < none), label, none)[:, 0]]
        taken_for = self.place_of_class[logits.argmax(1)]
        rows, columns = len(self.classes), len(self.classes) + 1
        cells = (truth * columns + taken_for)[truth >= 0]
        return torch.bincount(cells, minlength=rows * columns).view(rows, columns).cpu().numpy()

    def figures(self, measurements: Sequence[Measurement]) -> dict[str, Figure]:
        sums = {name: self._sum(measurements, name) for name in ("fake", "real", "floor")}
        confusions = {name: matrix for name, matrix in sums.items() if matrix is not None}
        each = [measurement["fake"] for measurement in measurements]
        protocol = self._protocol(measurements)
        warning = "; ".join(self._warnings(measurements, confusions["fake"]))
        figures = {}
        for name, take in (("pixel_accuracy", pixel_accuracy), ("mean_iou", mean_iou)):
            values = {which: take(matrix) for which, matrix in confusions.items()}
            by_class = {}
            if name == "mean_iou":
                ious = zip(self.classes, iou(confusions["fake"]).tolist(), strict=True)
                by_class = {self.names[label]: value for label, value in ious if value == value}
            value = values.pop("fake")
            per_image = [take(matrix) for matrix in each]
            figures[name] = Figure(value, "higher", protocol, per_image, values, by_class, warning)
        return figures

    def _sum(self, measurements: Sequence[Measurement], name: str) -> np.ndarray | None:
        """None where one of the images has no such measurement: they would not be the same."""
        none = np.zeros((len(self.classes), len(self.classes) + 1), np.int64)
        if not all(name in measurement for measurement in measurements):
            return None
        return none + sum(measurement[name] for measurement in measurements)

    def _warnings(self, measurements: Sequence[Measurement], confusion: np.ndarray) -> list[str]:
        """What is to be known of the figures."""
        told = [self.segmenter.warning] if self.segmenter.warning else []
        others = sum(not 1 / STRETCH < one["stretched"] < STRETCH for one in measurements)
        if others:
            told.append(
                f"{others} of {len(measurements)} label maps differ from their images in aspect "
                "ratio, and were taken for stretched"
            )
        if measurements and not confusion.any():
            told.append("no pixel has a label that counts")
        return told

    def _protocol(self, measurements: Sequence[Measurement]) -> Mapping[str, Any]:
        sizes = sorted({tuple(measurement["size"].tolist()) for measurement in measurements})
        at = "labels' size"
        if self.eval_size:
            at = "--eval_size; image bilinear, antialiased, and labels nearest to it"
        left_out = set(range(len(self.place_of_label) - 1)) - set(self.classes)
        return {
            **self.segmenter.protocol,
            "segmented_at": ", ".join(f"{height}x{width}" for height, width in sizes),
            "resampling": f"logits bilinear, before the argmax, to the {at}",
            "classes": len(self.classes),
            "left_out": [self.names[label] for label in sorted(left_out)],
            "mean_over": "classes that occur in the label maps",
        }


def pixel_accuracy(confusion: np.ndarray) -> float:
    """The share of pixels that are taken for what they are; NaN without pixels."""
    pixels = confusion.sum()
    return float(np.trace(confusion) / pixels) if pixels else float("nan")


def iou(confusion: np.ndarray) -> np.ndarray:
    """Intersection over union of each class, float [classes]; NaN where no pixel has its label."""
    right, labelled = np.diagonal(confusion), confusion.sum(axis=1)
    union = labelled + confusion[:, : len(labelled)].sum(axis=0) - right
    return np.where(labelled > 0, right / np.maximum(union, 1), np.nan)


def mean_iou(confusion: np.ndarray) -> float:
    """The mean of `iou` over the classes that occur; NaN where none does."""
    values = iou(confusion)
    there = values[~np.isnan(values)]
    return float(there.mean()) if len(there) else float("nan")


def mean_colours(image: Tensor, label: Tensor) -> Tensor:
    """The image [1, C, H, W] with each label's pixels in their mean colour; labels [1, 1, h, w]."""
    if label.shape[-2:] != image.shape[-2:]:
        label = nearest(label, (image.shape[-2], image.shape[-1]))
    values, place = label.flatten().unique(return_inverse=True)
    pixels = image[0].flatten(1).to(label.device).float()  # [C, H * W]
    sums = pixels.new_zeros(len(pixels), len(values)).index_add_(1, place, pixels)
    return (sums / place.bincount())[:, place].view_as(image)


def nearest(label: Tensor, size: tuple[int, int]) -> Tensor:
    """Labels [1, 1, H, W] at another height and width."""
    # Apple's GPUs have no double precision; in single, all labels below 2**24 are themselves.
    return F.interpolate(label.float(), size, mode="nearest-exact").long()
