"""The studio: a trained run, its data set, and renderings of scenes that are being edited."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass
from functools import cached_property, lru_cache, partial

import numpy as np
import torch
from numpy.typing import ArrayLike
from PIL import Image
from scipy import ndimage
from torch import Tensor

from pix2pixhd.data import create_dataset
from pix2pixhd.data.dataset import IGNORE, IGNORE_WIDE, AlignedDataset
from pix2pixhd.data.transforms import resize_planes
from pix2pixhd.editor.objects import (
    NEIGHBOURS,
    CutObject,
    ObjectGallery,
    Progress,
    cut,
    open_gallery,
)
from pix2pixhd.editor.scene import THING, Scene
from pix2pixhd.editor.styles import Styles, sample_named
from pix2pixhd.engine.arrays import integers
from pix2pixhd.engine.render import photo_to_image, render
from pix2pixhd.engine.renderer import Renderer
from pix2pixhd.engine.styles import draw_noise
from pix2pixhd.models.conditioning import image_to_float
from pix2pixhd.util.batch import Batch
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.image import image_to_values, tensor_to_image
from pix2pixhd.util.labels import label_set

MOST_PIXELS = 2**24  # of a map that is uploaded
SLOW = 0.2  # seconds of a rendering, beyond which a preview is wanted
LOOKED_AT = 8  # instance maps that tell which labels have instances


@dataclass(frozen=True, eq=False)
class Rendering:
    """What a scene looks like."""

    image: np.ndarray  # uint8 [H, W, 3]
    seconds: float  # that it took
    is_preview: bool = False  # made at half size


class Studio:
    """Opens scenes of a run's data set, or one's own, and renders them.

    Attributes:
        names: of the images that can be opened.
        labels: their names and colours; none with --label_nc 0.
        styles: where vectors come from; None for a run without features.
        notes: what this run cannot do, a line each.
        gallery: what `objects` gives, once it is made.
    """

    def __init__(self, renderer: Renderer) -> None:
        """`renderer` as `pix2pixhd.load` makes it, whose `phase` tells which images are opened."""
        self.renderer, self.options = renderer, renderer.options
        self.model_options, self.run_name = self.options.model, self.options.run.name
        self.labels = label_set(self.model_options.label_nc, self.options.data.label_names)
        self._notes: list[str] = []
        self._dataset: AlignedDataset | None = None
        try:
            self._dataset = self._open_dataset(self.options.results.phase)
        except UserError as error:
            self._notes.append(
                f"no image of the data set can be opened: {'; '.join(error.problems)}"
            )
        self.names: list[str] = []
        if self._dataset:
            named = self._dataset.sample_name
            self.names = [named(files["label"]) for files in self._dataset.files]
        self.styles = Styles(renderer, self._dataset) if self.model_options.uses_features else None
        if self.styles is None:
            self._notes.append("the run was trained without features: objects have no styles")
        elif renderer.model.netE is None and not self.model_options.load_features:
            self._notes.append("there is no encoder: styles of photographs cannot be taken")
        if not self.model_options.label_nc:
            self._notes.append("the run has no labels (--label_nc 0): its input is drawn")
        self._extra_of = lru_cache(4)(lambda name: sample_named(self._dataset, name).extra)
        self.gallery: ObjectGallery | None = None
        self._last_seconds = 0.0

    @property
    def notes(self) -> list[str]:
        return self._notes + (self.styles.notes if self.styles else [])

    @property
    def wants_preview(self) -> bool:
        """Whether the last rendering in full took so long that one waits for it."""
        return self._last_seconds > SLOW

    def _open_dataset(self, phase: str) -> AlignedDataset:
        args = self.options.data, self.model_options
        dataset = create_dataset(*args, phase=phase)
        # Without precomputed features they are drawn, as test.py does.
        if self.model_options.load_features and dataset.layout.folder("feat").is_dir():
            return create_dataset(*args, phase=phase, read_features=True)
        return dataset

    def open(self, name: str) -> Scene:
        """An image of the data set, by one of `names`, in the size that test.py renders.

        Raises:
            UserError: there is none of that name, or it cannot be read.
        """
        return self._with_all_vectors(self._scene(sample_named(self._dataset, name), name))

    def upload(self, label: ArrayLike, inst: ArrayLike | None = None) -> Scene:
        """One's own maps; its styles are drawn from the clusters.

        Args:
            label: integers [H, W]; with --label_nc 0 a picture [H, W, input_nc].
            inst: ids, integers [H, W]; by default connected parts of a label are told apart where
                the data set numbers that label's instances.

        Raises:
            UserError: they are not such maps, or too large.
        """
        shape = np.shape(label)
        if len(shape) > 1 and math.prod(shape[:2]) > MOST_PIXELS:
            raise UserError(f"label: {shape[1]}x{shape[0]} pixels, at most 16 million; scale it")
        if inst is None and self.model_options.instance:
            of_labels = self.model_options.label_nc > 0
            inst = self._instances(label) if of_labels else np.zeros(shape[:2], int)
        batch = self.renderer.batch(label, inst).to(torch.device("cpu"))
        return self._with_all_vectors(self._scene(batch, ""))

    def render(self, scene: Scene, preview: bool = False) -> Rendering:
        """One forward pass; a preview is made at half size and enlarged.

        Raises:
            UserError: the scene is of a run that takes other maps or vectors.
        """
        self._require_fit(scene)
        begin = time.perf_counter()
        step, runtime = 1 + preview, self.renderer.runtime
        features = None
        if self.styles:
            planes = self.features(scene)[::step, ::step].transpose(2, 0, 1)
            features = torch.from_numpy(planes)[None].to(runtime.device)
        batch = self._batch(scene, step).to(runtime.device)
        noise = draw_noise(self.renderer.model, [scene.name], 0, self.options.run.seed)
        with torch.inference_mode(), runtime.autocast():
            image = tensor_to_image(render(self.renderer.model, batch, features, noise)[0])
        if preview:
            size = scene.shape[1], scene.shape[0]
            image = np.asarray(Image.fromarray(image).resize(size, Image.Resampling.BILINEAR))
        seconds = time.perf_counter() - begin
        if not preview:
            self._last_seconds = seconds
        return Rendering(image, seconds, preview)

    def features(self, scene: Scene) -> np.ndarray:
        """What a rendering takes, float32 [H, W, feat_num]: of instances without a vector what is
        drawn for them."""
        return scene.features(self.styles.lacking(scene) if self.styles else None)

    def _require_fit(self, scene: Scene) -> None:
        options = self.model_options
        channels = 0 if options.label_nc else options.input_nc
        has = {
            "--label_nc": (scene.label_nc, options.label_nc),
            "channels": (0 if scene.label_nc else scene.picture.shape[2], channels),
            "features": (scene.feat_num, options.feat_num if self.styles else 0),
            "instance maps": (int(scene.has_instances), int(options.instance)),
        }
        for what, (found, expected) in has.items():
            if found != expected:
                raise UserError(
                    f"scene {scene.name!r} of run {scene.run!r}: {what} {found}, but this run has "
                    f"{expected}; open it with its own"
                )

    def _batch(self, scene: Scene, step: int) -> Batch:
        """The scene's maps as networks take them, of each so many pixels one."""

        def thinned(ids: np.ndarray) -> Tensor:
            return torch.from_numpy(ids[::step, ::step].copy())[None, None]

        def resized(planes: np.ndarray) -> Tensor:
            size = -(-scene.shape[1] // step), -(-scene.shape[0] // step)
            return torch.from_numpy(resize_planes(planes, size).copy())[None]

        if self.model_options.label_nc:
            label = thinned(scene.label)
            if (ignored := self.options.data.ignore_label) is not None:
                label[label == ignored] = IGNORE_WIDE
        else:
            label = resized(scene.picture.transpose(2, 0, 1))
        inst = thinned(scene.inst) if self.model_options.instance else None
        extra = self._extra_of(scene.name) if self.model_options.extra_nc else None
        return Batch(label, [""], inst, extra=None if extra is None else resized(extra[0].numpy()))

    def difference(self, before: Rendering, after: Rendering) -> np.ndarray:
        """How far an edit reaches, uint8 [H, W]: the largest change of red, green or blue."""
        change = np.abs(after.image.astype(np.int16) - before.image)
        return change.max(axis=2).astype(np.uint8)

    def objects(self, progress: Progress | None = None) -> ObjectGallery:
        """Objects of the run's training images, or else of those that it opens; the first call for
        a run cuts them.

        Raises:
            UserError: there are no data to cut them from, or no labels.
        """
        if self.gallery is None:
            if not self.model_options.label_nc:
                raise UserError("objects: the run has no labels (--label_nc 0) to cut them out by")
            try:
                dataset = self._open_dataset("train")
            except UserError:
                dataset = self._open_dataset(self.options.results.phase)
            run, epoch = self.options.run.folder, self.options.results.which_epoch
            files = sorted([*run.glob(f"{epoch}_net_E*.pth"), *run.glob("options.json")])
            files += [path for scene in dataset.files for path in scene.values()]
            scenes = [partial(self._open, dataset, number) for number in range(len(dataset))]
            feat_num = self.styles.feat_num if self.styles else 0
            args = run, files, scenes, self.labels.colours, feat_num, progress
            self.gallery = open_gallery(*args)
        return self.gallery

    def cut(self, scene: Scene, instance: int) -> CutObject:
        """An object of the scene as it was photographed, to be added elsewhere; UserError where
        there is none of that id."""
        return cut(scene, instance, self.labels.colours)

    def _scene(self, batch: Batch, name: str) -> Scene:
        """Of a batch of one in host memory; with vectors where it has features of its own."""
        options, ignored = self.model_options, self.options.data.ignore_label
        label, picture = None, None
        inst = None if batch.inst is None else batch.inst[0, 0].numpy().astype(np.int32)
        if options.label_nc:
            label = batch.label[0, 0].numpy().astype(np.int32)
            if ignored is not None:
                label[label == (IGNORE if batch.label.dtype == torch.uint8 else IGNORE_WIDE)] = (
                    ignored
                )
        else:
            picture = image_to_values(image_to_float(batch.label[0]), 8).transpose(1, 2, 0)
        styled, vectors = label if options.label_feat or inst is None else inst, {}
        if self.styles and styled is not None:
            vectors = self.styles.vectors_of(batch, styled)
        return Scene(
            label,
            inst,
            picture=picture,
            label_nc=options.label_nc,
            feat_num=options.feat_num if self.styles else 0,
            vectors=vectors,
            by_label=options.label_feat,
            ignored=ignored,
            image=None if batch.image is None else photo_to_image(batch.image[0]),
            name=name,
            run=self.run_name,
        )

    def _with_all_vectors(self, scene: Scene) -> Scene:
        """Those that it lacks are part of it from the start."""
        drawn = self.styles.lacking(scene) if self.styles else {}
        scene.vectors |= drawn
        scene.start_vectors |= drawn
        return scene

    def _open(self, dataset: AlignedDataset, number: int) -> Scene:
        return self._scene(dataset[number], dataset.sample_name(dataset.files[number]["label"]))

    def _instances(self, label: ArrayLike) -> np.ndarray:
        """Ids for a label map: connected parts are numbered where the data set's are."""
        labels = integers("label", label)[0, 0].numpy()
        ids = labels.copy()
        for value in self._numbered:
            parts, _ = ndimage.label(labels == value, NEIGHBOURS)
            inside = (parts > 0) & (parts < THING)
            ids[inside] = value * THING + parts[inside]
        return ids

    @cached_property
    def _numbered(self) -> set[int]:
        """Labels whose instances have numbers in the first of the data set's images."""
        found: set[int] = set()
        if self._dataset is None:
            return found
        for files in self._dataset.files[:LOOKED_AT]:
            ids = np.unique(np.asarray(self._dataset.read_map("inst", files["inst"])))
            found.update((ids[ids >= THING] // THING).tolist())
        return found
