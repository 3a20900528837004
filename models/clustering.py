"""The typical features of each label: k-means over the rows that a `FeatureBank` collected."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from pix2pixhd.util.errors import UserError

ByLabel = dict[int, np.ndarray]
"""Label -> one row for each instance or cluster."""


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
    describe: Callable[[int], str] = "label {}".format,
) -> Clustering:
    """Find at most `n_clusters` typical features of each label (paper, section 3.4: K = 10).

    Args:
        rows: as `FeatureBank.rows` returns them.
        n_clusters: 1 or more.
        seed: of the starts of k-means. A label's clusters depend on no other label.
        min_pixels: leave out smaller instances; None: as the reference, those of no more than
            half of H * W // 32 pixels. Labels that would vanish keep their largest instances.
        origins: as `FeatureBank.origins` returns them; needed with `min_pixels`.
        describe: what messages call a label.

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
                f"features of {describe(label)}: not all are finite numbers; the encoder's weights "
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
                f"{describe(label)}: none of its {len(kept)} instances has {least}, "
                f"the largest {len(largest)} of them are taken; see --min_instance_area"
            )
        rng = np.random.default_rng((seed, abs(label), label < 0))
        clustering.kept[label] = kept
        clustering.centres[label] = cluster_centres(values[kept], n_clusters, rng)
    return clustering


def cluster_centres(values: np.ndarray, n_clusters: int, rng: np.random.Generator) -> np.ndarray:
    """k-means with k-means++ starts, the best of 10 to 100: the more, the fewer rows there are.

    Takes finite values [n, d], n > 0, and returns [k, d], k <= n_clusters, the centre of the
    largest cluster first. Where there are no more distinct rows than that, they are the centres.
    """
    distinct, sizes = np.unique(values, axis=0, return_counts=True)
    if len(distinct) <= n_clusters:
        return distinct[np.argsort(-sizes, kind="stable")]
    if n_clusters == 1:  # which scipy takes for a number of clusters where d = 1
        return values.mean(axis=0, keepdims=True)
    from scipy.cluster.vq import kmeans, kmeans2  # here, as rendering clusters nothing

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
    from scipy.cluster.vq import vq

    return vq(values, centres)


def inertia(values: np.ndarray, centres: np.ndarray) -> float:
    """What k-means makes small: the sum of squared distances to the nearest centre."""
    return float((nearest(values, centres)[1] ** 2).sum())
