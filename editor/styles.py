"""Looks of objects: a vector of features for each instance of a scene, and where to take others."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
import torch

from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.editor.scene import THING, Scene
from pix2pixhd.engine.feature_files import encoder_mark, existing_file, load_by_label
from pix2pixhd.engine.renderer import Renderer
from pix2pixhd.engine.styles import (
    FeatureSource,
    clusters_of,
    create_feature_source,
    features_by_label,
    style_batch,
)
from pix2pixhd.models.clustering import ByLabel
from pix2pixhd.util.batch import Batch
from pix2pixhd.util.errors import UserError

Vectors = dict[int, np.ndarray]
"""Instance id -> float32 [feat_num], the encoder's means, mostly in [-1, 1]."""


@dataclass(frozen=True, eq=False)
class PrincipalAxes:
    """How the features of a label vary, from the widest direction to the narrowest."""

    mean: np.ndarray  # [feat_num]
    directions: np.ndarray  # [feat_num, feat_num], a unit vector a row
    deviations: np.ndarray  # [feat_num], standard deviations along them

    def vector(self, amounts: np.ndarray) -> np.ndarray:
        """float32 [feat_num] at so many standard deviations along each direction."""
        return (self.mean + amounts * self.deviations @ self.directions).astype(np.float32)

    def amounts(self, vector: np.ndarray) -> np.ndarray:
        """Where the sliders stand for a vector: [feat_num]; 0 where nothing varies."""
        along = self.directions @ (vector - self.mean)
        varies = self.deviations > 1e-9
        return np.divide(along, self.deviations, out=np.zeros_like(along), where=varies)


def sample_named(dataset: AlignedDataset | None, name: str) -> Batch:
    """The data set's sample of that name; UserError where there is none."""
    for number, files in enumerate(dataset.files if dataset else ()):
        if dataset and dataset.sample_name(files["label"]) == name:
            return dataset[number]
    raise UserError(f"image {name[:80]!r}: not among those of the data set; take one of the list")


class Styles:
    """Of a run with features."""

    def __init__(self, renderer: Renderer, dataset: AlignedDataset | None = None) -> None:
        """`dataset`: whose images `style_from_image` knows by name."""
        self._renderer, self._dataset = renderer, dataset
        self._options = renderer.options
        self.feat_num = self._options.model.feat_num
        self.notes: list[str] = []  # what there is not, a line each
        self.features_of_image = lru_cache(8)(self._encode_image)

    def centres(self, label: int) -> np.ndarray:
        """Of a label's clusters, the largest first: float32 [k, feat_num], k 0 if it has none."""
        none = np.zeros((0, self.feat_num))
        return self._clusters.get(label, none).astype(np.float32)

    def axes(self, label: int) -> PrincipalAxes:
        """Of the features that encode_features.py saved of a label's instances.

        Raises:
            UserError: there are none.
        """
        rows = self._saved.get(label, np.zeros((0, 1)))[:, :-1]  # the last column is a size
        if not len(rows):
            raise UserError(f"label {label}: no instance of it was encoded; take another label")
        mean = rows.mean(axis=0)
        _, spread, directions = np.linalg.svd(
            np.concatenate([rows - mean, np.zeros((self.feat_num, self.feat_num))]),
            full_matrices=False,
        )
        return PrincipalAxes(mean, directions, spread / np.sqrt(len(rows)))

    def style_from_image(self, image: str | Path, label: int) -> np.ndarray:
        """The mean features of a label in a photograph: float32 [feat_num].

        Args:
            image: a name in the data set; or, a Path, a file whose maps are found as for
                --style_from.

        Raises:
            UserError: no such image, it does not show the label, or there is no encoder.
        """
        rows = self.features_of_image(image)
        if label not in rows:
            shown = ", ".join(map(str, sorted(rows)))
            raise UserError(f"{image}: does not show label {label}, it has {shown}; take one")
        return rows[label][0].astype(np.float32)

    def are_of(self, batch: Batch) -> bool:
        """Whether a sample has features of its own, precomputed or of its photograph."""
        has_photo = batch.image is not None and self._renderer.model.netE is not None
        return has_photo or batch.feat is not None

    def vectors_of(self, batch: Batch, ids: np.ndarray) -> Vectors:
        """Those of a sample's own features, by the ids of [H, W]; none where it has not any."""
        if not self.are_of(batch):
            return {}
        runtime = self._renderer.runtime
        with torch.inference_mode(), runtime.autocast():
            features = self._renderer.model.features(batch.to(runtime.device))[0]
        there, first = np.unique(ids, return_index=True)
        rows = features.float().flatten(1).cpu().numpy().T[first]
        return dict(zip(there.tolist(), rows, strict=True))

    def lacking(self, scene: Scene) -> Vectors:
        """Vectors for what has none in a scene: centres of clusters, drawn as test.py does."""
        ids = [id_ for id_ in scene.counts[scene.styled] if id_ not in scene.vectors]
        if not ids or self._source is None:
            return {}
        labels = ids if scene.styled == "label" else [self._label_of(scene, id_) for id_ in ids]
        row_of_ids, row_of_labels = (torch.tensor(row)[None, None, None] for row in (ids, labels))
        features = self._source(Batch(row_of_labels, [""], row_of_ids), [scene.name], 0)
        assert features is not None
        return dict(zip(ids, features[0, :, 0].T.numpy(), strict=True))

    def _label_of(self, scene: Scene, instance: int) -> int:
        """The label that an id names, if it has clusters, else that of the pixels."""
        named = instance // THING if instance >= THING else instance
        return scene.label_of(instance) if scene.label_nc and named not in self._clusters else named

    def _encode_image(self, image: str | Path) -> ByLabel:
        options, model, runtime = self._options, self._renderer.model, self._renderer.runtime
        if isinstance(image, Path):
            batch = style_batch(image, options)
        else:
            batch = sample_named(self._dataset, image)
        if not self.are_of(batch):
            lack = "encoder" if model.netE is None else "photograph"
            raise UserError(f"{image}: there is no {lack} to take features of; take a cluster")
        with torch.inference_mode():
            return features_by_label(batch, options, model, runtime)

    @cached_property
    def _clusters(self) -> ByLabel:
        return clusters_of(self._options, needed=False)

    @cached_property
    def _saved(self) -> ByLabel:
        model, folder = self._options.model, self._options.run.folder
        epoch, ema = self._options.results.which_epoch, self._options.ema
        file = existing_file(folder / f"features{encoder_mark(folder, epoch, ema)}.npz")
        return load_by_label("features", file, model.feat_num, model.label_nc)

    @cached_property
    def _source(self) -> FeatureSource | None:
        """Draws as test.py does; None, which is noted, where there are no clusters."""
        results = dataclasses.replace(
            self._options.results, use_encoded_image=False, style_from=None
        )
        options = dataclasses.replace(self._options, results=results)
        try:
            args = options, self._renderer.model, self._renderer.runtime
            return create_feature_source(*args, self.notes.append)
        except UserError as error:
            reason = "; ".join(error.problems)
            self.notes.append(f"features of objects are 0 where no photograph has any: {reason}")
            return None
