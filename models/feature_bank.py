"""The bank of instance features: collect those of the training images, cluster them per label."""

from __future__ import annotations

from collections.abc import Container
from dataclasses import dataclass

import numpy as np
import torch
from scipy.cluster.vq import kmeans, kmeans2, vq
from torch import Tensor

from models.segments import Segments, segment_means, segments, unique
from util.errors import UserError

ByLabel = dict[int, np.ndarray]
"""Label -> one row for each instance or cluster."""

ANY_LABEL = range(-(2**31), 2**31)


class FeatureBank:
    """Collects what the encoder makes of each instance: one row per instance, no pixels.

    An instance id says its label: the id itself if below 1000, else id // 1000. Where that is
    outside the label set, the label map tells.
    """

    def __init__(
        self,
        feat_num: int,  # features of an instance
        label_nc: int,  # number of labels; 0: instances of any label are taken
        ids_are_labels: bool = False,  # collect per label (--label_feat), from label maps
        first: int = 0,  # number of the first image
        step: int = 1,  # from its number to the next one's: processes that share images take turns
    ) -> None:
        self.first = first
        self.step = step
        self.feat_num = feat_num
        self.label_nc = label_nc
        self.ids_are_labels = ids_are_labels
        self.samples = 0  # images so far
        self._labels: list[np.ndarray] = []  # one array for each batch, as of the next two
        self._rows: list[np.ndarray] = []
        self._origins: list[np.ndarray] = []

    def add(self, features: Tensor, ids: Tensor, label: Tensor | None = None) -> None:
        """Take the instances of a batch.

        Args:
            features: the encoder's [N, feat_num, H, W], pooled or not, on any device.
            ids: instance map, or label map if `ids_are_labels`, integers [N, 1, H, W].
            label: label map, integers [N, 1, H, W], for ids that name no label of the set. With
                neither, or the ignored label, an instance is left out.
        """
        assert features.shape[1] == self.feat_num
        found = segments(ids)
        number = self.first + self.step * (found.sample + self.samples)
        facts = torch.stack([number, found.id, found.count], dim=1)
        origins = facts.cpu().numpy()
        means = segment_means(features.detach(), found).cpu().double().numpy()
        label_set = range(self.label_nc) if self.label_nc else ANY_LABEL
        labels, _ = instance_labels(origins[:, 1], found, label_set, label, self.ids_are_labels)
        inside = _contained(labels, label_set)
        share = origins[:, 2:] / pixel_unit(*ids.shape[-2:])
        self._labels.append(labels[inside])
        self._rows.append(np.concatenate([means, share], axis=1)[inside])
        self._origins.append(origins[inside])
        self.samples += len(ids)

    def take(self, other: FeatureBank) -> None:
        """Add the instances of a bank of other images."""
        self._labels += other._labels
        self._rows += other._rows
        self._origins += other._origins

    def rows(self) -> ByLabel:
        """Label -> float64 [n, feat_num + 1], in the order of images' numbers, then of ids.

        The last column is the instance's size in `pixel_unit`. Every label of the set is there.
        """
        return self._by_label(self._rows, np.zeros((0, self.feat_num + 1)))

    def origins(self) -> ByLabel:
        """Label -> int64 [n, 3], the same rows: number of the image, instance id, pixels."""
        return self._by_label(self._origins, np.zeros((0, 3), np.int64))

    def _by_label(self, parts: list[np.ndarray], none: np.ndarray) -> ByLabel:
        if not parts:
            return dict.fromkeys(range(self.label_nc), none)
        # Those of one image are together and in order.
        order = np.argsort(np.concatenate(self._origins)[:, 0], kind="stable")
        labels, rows = np.concatenate(self._labels)[order], np.concatenate(parts)[order]
        names = range(self.label_nc) if self.label_nc else np.unique(labels).tolist()
        return {label: rows[labels == label] for label in names}


def pixel_unit(height: int, width: int) -> int:
    """Pixels that sizes are measured in: the reference's H * W // 32."""
    return max(height * width // 32, 1)


@dataclass(frozen=True)
class Clustering:
    """What `cluster` found; labels without an instance are in none of the dictionaries."""

    centres: ByLabel  # float64 [k, feat_num], the centre of the largest cluster first
    kept: ByLabel  # bool [n], the rows that were clustered
    lines: list[str]  # to tell the user


def cluster(
    rows: ByLabel,
    n_clusters: int,
    seed: int = 0,
    min_pixels: int | None = None,
    origins: ByLabel | None = None,
) -> Clustering:
    """Find at most `n_clusters` typical features of each label (paper, section 3.4: K = 10).

    Args:
        rows: as `FeatureBank.rows` returns them.
        n_clusters: 1 or more.
        seed: of the starts of k-means. A label's clusters depend on no other label.
        min_pixels: leave out smaller instances; None: as the reference, those of no more than
            half of H * W // 32 pixels. Labels that would vanish keep their largest instances.
        origins: as `FeatureBank.origins` returns them; needed with `min_pixels`.

    Raises:
        UserError: features that are not finite.
    """
    clustering = Clustering({}, {}, [])
    for label in sorted(rows):
        values, share = rows[label][:, :-1], rows[label][:, -1]
        if not len(values):
            continue
        if not np.isfinite(values).all():
            raise UserError(
                f"features of label {label}: not all are finite numbers; the encoder's weights "
                "diverged in training, take those of an earlier epoch (--which_epoch)"
            )
        if min_pixels is None:
            kept, least = share > 0.5, "over half of (H*W//32) pixels"
        else:
            assert origins is not None, "the rows alone do not tell pixels"
            kept, least = origins[label][:, 2] >= min_pixels, f"{min_pixels} pixels"
        if not kept.any():
            largest = np.argsort(-share, kind="stable")[:n_clusters]
            kept[largest] = True
            clustering.lines.append(
                f"label {label}: none of its {len(kept)} instances has {least}, "
                f"the largest {len(largest)} of them are taken; see --min_instance_area"
            )
        rng = np.random.default_rng((seed, abs(label), label < 0))
        clustering.kept[label] = kept
        clustering.centres[label] = cluster_centres(values[kept], n_clusters, rng)
    return clustering


def cluster_centres(values: np.ndarray, n_clusters: int, rng: np.random.Generator) -> np.ndarray:
    """k-means with k-means++ starts, the best of 10 to 100: the more, the fewer rows there are.

    Args:
        values: finite [n, d], n > 0.
        n_clusters: 1 or more.

    Returns:
        [k, d], k <= n_clusters, the centre of the largest cluster first. Where `values` has no
        more distinct rows than that, they are the centres.
    """
    distinct, sizes = np.unique(values, axis=0, return_counts=True)
    if len(distinct) <= n_clusters:
        return distinct[np.argsort(-sizes, kind="stable")]
    if n_clusters == 1:  # which scipy takes for a number of clusters where d = 1
        return values.mean(axis=0, keepdims=True)
    # The threshold of convergence is absolute, the spread of an encoder's features is not.
    middle = values.mean(axis=0)
    spread = np.sqrt(((values - middle) ** 2).sum(axis=1).mean())
    scaled = (values - middle) / spread
    best, least = np.empty(0), np.inf
    for _ in range(int(np.clip(500_000 // len(values), 10, 100))):
        start, _ = kmeans2(scaled, n_clusters, iter=1, minit="++", rng=rng)
        centres, _ = kmeans(scaled, start, thresh=1e-7)
        if (error := inertia(scaled, centres)) < least:
            best, least = centres, error
    sizes = np.bincount(nearest(scaled, best)[0], minlength=len(best))
    return (best * spread + middle)[np.argsort(-sizes, kind="stable")]


def nearest(values: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """For each row of [n, d] the place of the nearest of the [k, d] centres, and its distance."""
    return vq(values, centres)


def inertia(values: np.ndarray, centres: np.ndarray) -> float:
    """What k-means makes small: the sum of squared distances to the nearest centre."""
    return float((nearest(values, centres)[1] ** 2).sum())


def instance_labels(
    ids: np.ndarray,
    found: Segments,
    known: Container[int],
    label: Tensor | None = None,
    ids_are_labels: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """The label of each of the S instances of `found`.

    Args:
        ids: int64 [S], `found.id` on the CPU.
        known: labels that an id may name: the id itself if below 1000, else id // 1000.
        label: label map, integers [N, 1, H, W]: where an id names no known label, the most
            frequent label of the instance's pixels stands instead.
        ids_are_labels: ids name their labels whatever their size.

    Returns:
        Labels, int64 [S]; and whether the ids named them, bool [S].
    """
    labels = ids if ids_are_labels else np.where(ids < 1000, ids, ids // 1000)
    named = _contained(labels, known)
    if label is not None and not named.all():
        labels = np.where(named, labels, _majority_labels(found, label))
    return labels, named


def _contained(labels: np.ndarray, known: Container[int]) -> np.ndarray:
    return np.array([label in known for label in labels.tolist()], dtype=bool)


def _majority_labels(found: Segments, label: Tensor) -> np.ndarray:
    """The most frequent label of each instance, int64 [S]; the largest if there are several."""
    keys, _, counts = unique((found.index << 32) + label.flatten())
    segment = (keys + 2**31) >> 32
    table = torch.stack([segment, counts, keys - (segment << 32)]).cpu().numpy()
    order = np.lexsort(table[::-1])  # by segment, then count, then label
    last = np.searchsorted(table[0, order], np.arange(len(found.count)), side="right") - 1
    return table[2, order[last]]
