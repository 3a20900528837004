"""Features to render with, where no photograph gives them: drawn from clusters, or from elsewhere.

A style is a number, from 0. Style, seed, the image's name and the instance's id alone decide what
an instance is given, so that a gallery can be made again and any instance drawn on its own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from models.feature_bank import ByLabel, instance_labels
from models.segments import paint, segment_means, segments


class StyleSampler:
    """Gives each instance the centre of a cluster of its label (paper, section 3.4)."""

    def __init__(
        self,
        centres: ByLabel,  # label -> [k, feat_num], k > 0
        feat_num: int,  # features of an instance
        seed: int = 0,  # of the draws
        ids_are_labels: bool = False,  # draw per label (--label_feat), on label maps
        label_nc: int = 0,  # number of labels; others, as the ignored one, are not warned of
    ) -> None:
        self.label_nc = label_nc
        self.centres = centres
        self.feat_num = feat_num
        self.seed = seed
        self.ids_are_labels = ids_are_labels
        self._warned: set[int] = set()

    def sample(
        self,
        ids: Tensor,
        names: Sequence[str],
        style: int = 0,
        label: Tensor | None = None,
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
        facts = torch.stack([found.sample, found.id], dim=1).cpu().numpy()
        labels, named = instance_labels(
            facts[:, 1], found, self.centres, label, self.ids_are_labels
        )
        features = np.zeros((len(facts), self.feat_num), np.float32)
        lines = []
        for row, (sample, ident) in enumerate(facts.tolist()):
            centres = self.centres.get(int(labels[row]))
            if centres is None:
                lines += self._warning(int(labels[row]))
            elif named[row]:
                features[row] = centres[self.choice(len(centres), names[sample], ident, style)]
            else:
                features[row] = centres.mean(axis=0)
        return paint(torch.from_numpy(features).to(ids.device), found), lines

    def choice(self, count: int, name: str, ident: int, style: int) -> int:
        """The place, among `count` centres, of the one that an instance is given.

        All centres have had their turn before one comes again: styles are there to be compared.
        """
        turn, position = divmod(style, count)
        keys = [f"{self.seed}/{turn}/{ident}/{centre}/{name}" for centre in range(count)]
        return sorted(range(count), key=lambda centre: _hash(keys[centre]))[position]

    def _warning(self, label: int) -> list[str]:
        is_known = not self.label_nc or 0 <= label < self.label_nc
        if label in self._warned or not is_known:
            return []
        self._warned.add(label)
        return [f"label {label} has no clusters: its instances are rendered with features of zero"]


def mean_features_by_label(features: Tensor, label: Tensor) -> dict[int, np.ndarray]:
    """What an image looks like, label by label (`--style_from`).

    Args:
        features: the encoder's [1, feat_num, H, W], pooled or not.
        label: label map of the same image, integers [1, 1, H, W].

    Returns:
        Label -> float64 [feat_num], the mean over the label's pixels.
    """
    assert len(label) == 1
    found = segments(label)
    means = segment_means(features.detach(), found).cpu().numpy()
    return dict(zip(found.id.tolist(), means, strict=True))


def _hash(text: str) -> bytes:
    """A fixed function, unlike `hash`, and the same in every version of NumPy, unlike its draws."""
    return hashlib.blake2b(text.encode(), digest_size=8).digest()
