"""Samples of label map, instance map and photograph that show the same scene."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

from pix2pixhd.data import feature_maps, problems, transforms
from pix2pixhd.data.cache import Cache, ResizedMap
from pix2pixhd.data.decode import Header, decode_photo, planes_of, read_header, read_ids
from pix2pixhd.data.layouts import find_layout
from pix2pixhd.data.pairing import IMAGE_EXTENSIONS, pair_files
from pix2pixhd.options.base_options import ValueRange
from pix2pixhd.util.batch import Batch
from pix2pixhd.util.errors import UserError

# What stands for the ignored label in a sample. It must lie outside [0, label_nc), where one-hot
# encoding gives zeros: 255 while labels are bytes (label_nc <= 255), -1 once they are int32.
IGNORE = 255
IGNORE_WIDE = -1

Map = Image.Image | np.ndarray  # as its file has it; [C,H,W] of features and deep photographs


class AlignedDataset(Dataset[Batch]):
    """Reads `<dataroot>/<phase>_label`, `_inst` and `_img`; `_A`, `_inst` and `_B` if label_nc = 0.

    With extra_nc also `_extra`, photographs too; with read_features also `_feat`, whose files
    `data.feature_maps` describes. Cityscapes is read as it is downloaded, too: `data.layouts` finds
    the files.

    A sample is a batch of one, which a model takes as it is:

    - `label`: uint8 [1,1,H,W], int32 if label_nc > 255; if label_nc = 0 a photograph as below,
      with input_nc channels. The ignored label is IGNORE, in int32 IGNORE_WIDE.
    - `inst`: [1,1,H,W], any numbers: uint16 of a file of 8 or 16 bits, else int32; None without
      the model's `instance`.
    - `image`: [1,output_nc,H,W], uint8 or uint16 as its file has it; but of more than 8 bits with a
      range, and of floating point, float32 in [-1,1]. None if there is no folder of them.
    - `extra`: the same, [1,extra_nc,H,W]; None if that is 0.
    - `feat`: float32 [1,feat_num,H,W], mostly in [-1,1]; None without read_features.
    - `path`: the label map's file.

    Attributes:
        files: those of each sample, map -> path; a program that takes only some samples keeps
            only theirs.
        photos: maps that are photographs -> their channels.

    Raises:
        UserError: on making the set, a folder missing or empty, files unpaired, or no place for
            the cache; on reading from it, what `data.validate` looks for: a file that is damaged,
            of another aspect ratio than its partners (another size, if nothing is scaled), of
            another number of channels, or with labels outside the range.
    """

    def __init__(
        self,
        *,
        dataroot: str | Path,  # folder that holds the folders of maps
        phase: str,  # first part of those folders' names: train, test, ...
        label_nc: int,  # number of labels; 0: labels are photographs
        input_nc: int,  # channels of such photographs
        output_nc: int,  # channels of the real images
        extra_nc: int,  # channels of further input images; 0: none
        use_instance: bool,  # read instance maps
        resize_or_crop: str,  # a name that `data.transforms` knows
        load_size: int,  # width in pixels to scale to
        fine_size: int,  # side in pixels of the crop
        flip: bool,  # mirror at random; only if is_train
        augment: bool,  # turn, enlarge and recolour at random; only if is_train
        ignore_label: int | None,  # value in label maps for "nothing known here"
        ranges: Mapping[str, ValueRange | None],  # photograph -> black and white above 8 bits
        max_size: int | None,  # use only the first so many samples
        cache: str | Path | None,  # folder to keep resized maps in
        feat_num: int,  # channels of feature maps
        seed: int,  # of the random draws, 0 or more
        is_train: bool,  # samples are for training; else nothing is flipped or augmented
        needs_image: bool,  # without real images is an error
        read_features: bool,  # read precomputed feature maps
    ) -> None:
        self.dataroot, self.phase, self.seed = Path(dataroot), phase, seed
        self.label_nc, self.use_instance, self.feat_num = label_nc, use_instance, feat_num
        self.resize_or_crop, self.load_size, self.fine_size = resize_or_crop, load_size, fine_size
        self.ignore_label, self.flip = ignore_label, flip and is_train
        self.augment = augment and is_train
        self.cache = None if cache is None else Cache(cache)
        self.is_train, self.ranges = is_train, ranges
        self.photos = {"image": output_nc}
        if label_nc == 0:
            self.photos["label"] = input_nc
        if extra_nc:
            self.photos["extra"] = extra_nc
        self.layout = find_layout(self.dataroot, phase, label_nc)
        self.files = self._find(needs_image, read_features)[:max_size]

    def _find(self, needs_image: bool, read_features: bool) -> list[dict[str, Path]]:
        """The files of each sample: map -> path."""
        wanted = {"label": IMAGE_EXTENSIONS}
        if self.use_instance:
            wanted["inst"] = IMAGE_EXTENSIONS
        if needs_image or self.layout.folder("image").is_dir():
            wanted["image"] = IMAGE_EXTENSIONS
        if "extra" in self.photos:
            wanted["extra"] = IMAGE_EXTENSIONS
        if read_features:
            wanted["feat"] = feature_maps.EXTENSIONS
        found, missing = [], []
        for name, extensions in wanted.items():
            try:
                found.append(self.layout.find(name, extensions, self._hint(name)))
            except UserError as error:
                missing += error.problems
        if missing:
            raise UserError(dict.fromkeys(missing))
        scenes = pair_files(found, self.dataroot)
        return [dict(zip(wanted, paths, strict=True)) for paths in scenes]

    def _hint(self, name: str) -> str:
        """What to do if there is no folder of such maps, where the layout does not know."""
        hints = {
            "inst": "give --no_instance to do without instance maps"
            if self.is_train
            else "a run that takes instance maps needs them here too (datasets/prepare_labels.py "
            "--instances makes some); give --no_instance for one that does without",
            "extra": "give --extra_nc 0 to do without further input images",
            "feat": f"make the feature maps with {problems.MAKE_FEATURES}",
        }
        return hints.get(name, "")

    def sample_name(self, label: str | Path) -> str:
        """What results of a sample are called, by its `path`; the same in all layouts."""
        return self.layout.sample_name(Path(label))

    def __len__(self) -> int:
        return len(self.files)

    @property
    def image_bits(self) -> Literal[8, 16, 32]:
        """Bits of each value of the real images, 32 being floating point: those of the first.

        Raises:
            UserError: it cannot be read.
        """
        path = self.files[0].get("image")
        dtype = np.dtype(np.uint8) if path is None else self.read_header("image", path).dtype
        return 32 if dtype.kind == "f" else 16 if dtype == np.uint16 else 8

    def __getitem__(self, key: int | tuple[int, int]) -> Batch:
        """Read a sample, by its index and the number that makes its random draw.

        The draw depends on the seed and that number, the count of images since training began,
        and nothing else. A plain index counts as that number too.
        """
        index, counter = key if isinstance(key, tuple) else (key, key)
        files = self.files[index]
        label = self._resized_map("label", files["label"])
        size = _size(label.planes)
        others = {name: path for name, path in files.items() if name != "label"}
        maps = {"label": label} | {
            name: self._resized_map(name, path, size) for name, path in others.items()
        }
        sizes = {name: source_size for name, (_, source_size) in maps.items()}
        problems.check_sizes(files, sizes, self.resize_or_crop)
        # Seeded for each sample: workers share no generator, and need none.
        rng = np.random.default_rng((self.seed, counter))
        cropped = self.output_size(label.source_size)
        drawn = transforms.draw_crop_and_flip(rng, size, cropped, flip=self.flip)
        warp = transforms.draw_warp(rng, drawn) if self.augment else None
        tensors = {}
        for name, (planes, _) in maps.items():
            dtype = self._dtype(name, planes)
            if warp is None:
                pixels = transforms.crop_and_flip(planes, drawn, dtype)
            else:
                pixels = transforms.warp(planes, warp, dtype, smooth=name in self.photos)
            tensors[name] = self._in_range(name, pixels[None])
        # Features tell of the colours that they were made of.
        if self.augment and "image" in tensors and "feat" not in tensors:
            colours = transforms.draw_colours(rng)
            tensors["image"] = transforms.recoloured(tensors["image"], colours)
        return Batch(path=[str(files["label"])], **tensors)

    def read_header(self, name: str, path: Path) -> Header:
        """What the file of a map tells without decoding it; see `data.decode.read_header`."""
        if name == "feat":
            return feature_maps.read_header(path, self.feat_num)
        channels = self.photos.get(name)
        return read_header(path, photo=channels is not None, what=kind_of(name), channels=channels)

    def read_map(self, name: str, path: Path) -> Map:
        """One map of a sample as the file has it; of a label map, the values are checked."""
        if name == "feat":
            return feature_maps.read_feature_map(path, self.feat_num)
        if name in self.photos:
            return decode_photo(path, self.photos[name], kind_of(name))
        ids = read_ids(path, kind_of(name))
        if name == "label":
            self._check_labels(path, ids)
        return ids

    def _check_labels(self, path: Path, ids: Image.Image) -> None:
        pixels, count = np.asarray(ids), self.label_nc
        # Which values there are takes longer to tell than that all are in range, as most are.
        if pixels.min() >= 0 and pixels.max() < count:
            return
        if ids.mode == "L":  # several times quicker than sorting the pixels
            values = [value for value, pixels_ in enumerate(ids.histogram()) if pixels_]
        else:
            values = np.unique(pixels).tolist()
        problems.check_labels(path, values, count, self.ignore_label)

    def resize_map(self, name: str, values: Map, size: transforms.Size | None = None) -> np.ndarray:
        """[C,H,W] of one map of a sample, resized; of label maps, the ignored value replaced.

        Args:
            size: to resize to, width and height: those of the label map, which has None.
        """
        if size is None:
            size = transforms.resized_size(_size(values), self.resize_or_crop, self.load_size)
        if isinstance(values, np.ndarray):
            return (feature_maps.resized if name == "feat" else transforms.resize_planes)(
                values, size
            )
        if name in self.photos:
            return planes_of(transforms.resize(values, size, Image.Resampling.BICUBIC))
        ids = transforms.resize_ids(values, size)
        if name == "label":
            labels = ids.astype(self._dtype(name, ids), copy=self.ignore_label is not None)
            if self.ignore_label is not None:
                labels[ids == self.ignore_label] = IGNORE_WIDE if self.label_nc > 255 else IGNORE
            ids = labels
        return ids[None]

    def output_size(self, size: tuple[int, int]) -> tuple[int, int]:
        """Width and height of the sample that is made from files of `size`."""
        return transforms.output_size(size, self.resize_or_crop, self.load_size, self.fine_size)

    def _in_range(self, name: str, pixels: Tensor) -> Tensor:
        """Photographs as floats in [-1,1] where their type does not tell which value is white: that
        is then the device's work."""
        if name not in self.photos or pixels.dtype == torch.uint8:
            return pixels
        limits = self.ranges[name]
        if limits is None and pixels.dtype == torch.uint16:
            return pixels
        return transforms.to_float(pixels, *(limits or (0, 1)))

    def _resized_map(
        self, name: str, path: Path, size: transforms.Size | None = None
    ) -> ResizedMap:
        """One map of a sample, from the cache if there is one; `size` as for resize_map."""

        def make() -> ResizedMap:
            values = self.read_map(name, path)
            return ResizedMap(self.resize_map(name, values, size), _size(values))

        if self.cache is None:
            return make()
        return self.cache.get(path, self._content(name, size), make)

    def _content(self, name: str, size: transforms.Size | None) -> str:
        """All that a resized map depends on besides the file and its kind of pixels."""
        resize_key = transforms.resize_key(self.resize_or_crop, self.load_size)
        if size is not None:
            resize_key = f"{size[0]}x{size[1]}"
        if name in self.photos:
            return f"photo, {resize_key}, {self.photos[name]} channels"
        details = ""
        if name == "label":
            details = f", {self.label_nc} labels, ignored {self.ignore_label}"
        elif name == "feat":
            details = f", {self.feat_num} features"
        return f"{name}, {resize_key}{details}"

    def _dtype(self, name: str, planes: np.ndarray) -> np.dtype:
        """What is cropped of a map. Photographs stay as they were decoded: their type tells which
        value is white, and it is the device that makes floats of them."""
        if planes.dtype.kind == "f":  # from the cache perhaps of 16 bits
            return np.dtype(np.float32)
        if name in self.photos:
            return planes.dtype
        if name == "inst":
            return np.dtype(np.uint16 if planes.dtype.kind == "u" else np.int32)
        return np.dtype(np.int32 if self.label_nc > 255 else np.uint8)


def kind_of(name: str) -> str:
    """What messages call a map: label, instance, image or feat."""
    return "instance" if name == "inst" else name


def _size(values: Map) -> tuple[int, int]:
    """Width and height."""
    return (values.shape[2], values.shape[1]) if isinstance(values, np.ndarray) else values.size
