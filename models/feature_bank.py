"""Features by instance: collect those of the training images, and choose among their clusters where
there is no photograph to encode (paper, section 3.4)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Container, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from pix2pixhd.models.clustering import ByLabel
from pix2pixhd.models.segments import Segments, paint, segment_means, segments

ANY_LABEL = range(-(2**31), 2**31)  # without a label set, whatever an id can name


@dataclass(frozen=True)
class InstanceMeans:
    """The mean features of a batch's instances, which a GPU may still be at work on."""

    found: Segments
    means: Tensor  # float64 [S, feat_num]
    label: Tensor | None  # as given


def instance_means(features: Tensor, ids: Tensor, label: Tensor | None = None) -> InstanceMeans:
    """Average the features of a batch over its instances; on a GPU, without waiting for it.

    Args:
        features: the encoder's [N, feat_num, H, W], pooled or not, on any device.
        ids: instance map, or label map for features per label, integers [N, 1, H, W].
        label: label map, integers [N, 1, H, W], for ids that name no label of the set.
    """
    found = segments(ids, counted=ids.device.type == "cpu")
    return InstanceMeans(found, segment_means(features.detach(), found), label)


@dataclass(eq=False)
class FeatureBank:
    """Collects what the encoder makes of each instance: one row per instance, no pixels.

    An instance is of the label that its id names or, where that is outside the label set, of the
    label map's: see `instance_labels`.
    """

    feat_num: int  # features of an instance
    label_nc: int  # number of labels; 0: instances of any label are taken
    ids_are_labels: bool = False  # collect per label (--label_feat), from label maps
    first: int = 0  # number of the first image
    step: int = 1  # from its number to the next one's: processes that share images take turns
    samples: int = field(default=0, init=False)  # images so far
    # Labels, rows and origins of the instances of each batch.
    _batches: list[tuple[np.ndarray, ...]] = field(default_factory=list, init=False)

    def add(self, features: Tensor, ids: Tensor, label: Tensor | None = None) -> None:
        """Add the instances of a batch, given as to `instance_means`."""
        self.add_means(instance_means(features, ids, label))

    def add_means(self, batch: InstanceMeans) -> None:
        """Add the instances of a batch; where a GPU is at work on them, the host waits for it.

        Those whose ids name no label of the set and that lie on none, or on the ignored one, are
        left out.
        """
        assert batch.means.shape[1] == self.feat_num
        found = batch.found.of_pixels()
        number = self.first + self.step * (found.sample + self.samples)
        origins = torch.stack([number, found.id, found.count], dim=1).cpu().numpy()
        means = batch.means[: len(found.count)].cpu().numpy()
        label_set = range(self.label_nc) if self.label_nc else ANY_LABEL
        labels, _ = instance_labels(found, label_set, batch.label, self.ids_are_labels)
        inside = _contained(labels, label_set)
        samples, height, width = found.shape
        share = origins[:, 2:] / pixel_unit(height, width)
        rows = np.concatenate([means, share], axis=1)
        self._batches.append((labels[inside], rows[inside], origins[inside]))
        self.samples += samples

    def merge(self, other: FeatureBank) -> None:
        """Add the instances of a bank of other images."""
        self._batches += other._batches

    def rows(self) -> ByLabel:
        """Label -> float64 [n, feat_num + 1], in the order of images' numbers, then of ids.

        The last column is the instance's size in `pixel_unit`. Every label of the set is there.
        """
        return self._by_label(1, np.zeros((0, self.feat_num + 1)))

    def origins(self) -> ByLabel:
        """Label -> int64 [n, 3], the same rows: number of the image, instance id, pixels."""
        return self._by_label(2, np.zeros((0, 3), np.int64))

    def _by_label(self, column: int, none: np.ndarray) -> ByLabel:
        if not self._batches:
            return dict.fromkeys(range(self.label_nc), none)
        columns = [np.concatenate(parts) for parts in zip(*self._batches, strict=True)]
        order = np.argsort(columns[2][:, 0], kind="stable")  # of one image they are in order
        labels, rows = columns[0][order], columns[column][order]
        names = range(self.label_nc) if self.label_nc else np.unique(labels).tolist()
        return {label: rows[labels == label] for label in names}


def pixel_unit(height: int, width: int) -> int:
    """Pixels that sizes are measured in: the reference's H * W // 32."""
    return max(height * width // 32, 1)


# ---------------------------------------------------------------- labels of instances


def named_labels(ids: Tensor) -> Tensor:
    """The labels that instance ids name: an id below 1000 itself, any other id // 1000."""
    if ids.dtype == torch.uint16:  # which PyTorch stores and compares, but does not divide
        ids = ids.to(torch.int32)
    return torch.where(ids < 1000, ids, ids // 1000)


def instance_labels(
    found: Segments,
    known: Container[int],
    label: Tensor | None = None,
    ids_are_labels: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """The label of each of the S instances of `found`.

    Args:
        found: counted segments.
        known: labels that an id may name, see `named_labels`.
        label: label map, integers [N, 1, H, W]: where an id names no known label, the most
            frequent label of the instance's pixels stands instead.
        ids_are_labels: ids name their labels whatever their size.

    Returns:
        Labels, int64 [S]; and whether the ids named them, bool [S].
    """
    labels = (found.id if ids_are_labels else named_labels(found.id)).cpu().numpy()
    named = _contained(labels, known)
    if label is not None and not named.all():
        labels = np.where(named, labels, _majority_labels(found, label))
    return labels, named


def _contained(labels: np.ndarray, known: Container[int]) -> np.ndarray:
    return np.array([label in known for label in labels.tolist()], dtype=bool)


def _majority_labels(found: Segments, label: Tensor) -> np.ndarray:
    """The most frequent label of each instance, int64 [S]; the largest if there are several."""
    # One number for instance and label, so that equal pairs are found by sorting numbers.
    pairs = (found.index << 32) + label.to(found.index.device).flatten()
    keys, counts = torch.unique(pairs, return_counts=True)
    by_count = keys[counts.argsort(stable=True)].cpu().numpy()  # of one count, by label
    segment = (by_count + 2**31) >> 32
    labels = np.empty(len(found.count), np.int64)
    labels[segment] = by_count - (segment << 32)  # of several for a segment, the last one stays
    return labels


def mean_features_by_label(features: Tensor, label: Tensor) -> ByLabel:
    """What an image looks like (`--style_from`): label -> mean over its pixels, [1, feat_num].

    Args:
        features: the encoder's [1, feat_num, H, W], pooled or not; means are in float64.
        label: the labels of the same image's pixels, integers [1, 1, H, W].
    """
    assert len(label) == 1
    found = segments(label)
    means = segment_means(features.detach(), found).cpu().numpy()
    return dict(zip(found.id.tolist(), means[:, None], strict=True))


# ---------------------------------------------------------------- styles


@dataclass(eq=False)
class StyleSampler:
    """Gives each instance the centre of a cluster of its label.

    Style (a number from 0), seed, the image's name and the instance's id alone decide which, so
    that a gallery can be made again and any instance drawn on its own.
    """

    centres: ByLabel  # label -> [k, feat_num], k > 0
    feat_num: int  # features of an instance
    seed: int = 0  # of the draws
    ids_are_labels: bool = False  # draw per label (--label_feat), on label maps
    label_nc: int = 0  # number of labels; others, as the ignored one, are not warned of
    lack: str = "has no clusters"  # of a label without centres, for its warning
    describe: Callable[[int], str] = "label {}".format  # what warnings call a label
    _warned: set[int] = field(default_factory=set, init=False)

    def sample(
        self, ids: Tensor, names: Sequence[str], style: int = 0, label: Tensor | None = None
    ) -> tuple[Tensor, list[str]]:
        """Draw the features of a batch.

        Args:
            ids: instance map, or label map if `ids_are_labels`, integers [N, 1, H, W].
            names: of the N images; not with their folder, so that the draws survive a move.
            style: 0 or more. The first k styles give an instance k different centres.
            label: label map, integers [N, 1, H, W]. An id that names no label with clusters gets
                the mean of the centres of its label here, if there are any, else zeros.

        Returns:
            float32 [N, feat_num, H, W] on the device of `ids`; and warnings, one line for each
            label that has no clusters and was not warned of before.
        """
        found = segments(ids)
        labels, named = instance_labels(found, self.centres, label, self.ids_are_labels)
        features = np.zeros((len(labels), self.feat_num), np.float32)
        instances = zip(found.sample.tolist(), found.id.tolist(), labels.tolist(), strict=True)
        lines = []
        for row, (sample, ident, its_label) in enumerate(instances):
            if (centres := self.centres.get(its_label)) is None:
                lines += self._warning(its_label)
            elif named[row]:
                features[row] = centres[self.choice(len(centres), names[sample], ident, style)]
            else:
                features[row] = centres.mean(axis=0)
        return paint(torch.from_numpy(features).to(found.index.device), found).to(ids.device), lines

    def choice(self, count: int, name: str, ident: int, style: int) -> int:
        """The place, among `count` centres, of the one that an instance is given.

        All centres have had their turn before one comes again: styles are there to be compared.
        """
        turn, position = divmod(style, count)
        keys = [f"{self.seed}/{turn}/{ident}/{centre}/{name}" for centre in range(count)]
        return sorted(range(count), key=lambda centre: hashed(keys[centre]))[position]

    def _warning(self, label: int) -> list[str]:
        if label in self._warned or (self.label_nc and label not in range(self.label_nc)):
            return []
        self._warned.add(label)
        what = f"{self.describe(label)} {self.lack}"
        return [f"{what}: its instances are rendered with features of zero"]


def hashed(text: str) -> bytes:
    """A fixed function, unlike `hash`, and the same in every version of NumPy, unlike its draws."""
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
