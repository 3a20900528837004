"""What is evaluated: files of synthesised images, each with what belongs to it."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.data.decode import read_header, read_ids, read_photo
from pix2pixhd.data.pairing import MAP_SUFFIX, Files, list_images, of_its_kind
from pix2pixhd.metrics import Sample
from pix2pixhd.options.base_options import ValueRange
from pix2pixhd.pages.gallery import ResultsGallery
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.words import counted

# How the files of galleries end, ours and the reference's; others may be in the same folder.
ENDINGS = {
    "fake": r"_synthesized_image(_\d+)?",
    "real": r"_real_image",
    "label": r"_input_label",
}
SHOWN = 3  # names in a message


@dataclass(frozen=True)
class Pair:
    """The files of a synthesised image and of what it is compared with."""

    name: str
    fake: Path
    real: Path | None = None
    label: Path | None = None
    styles: tuple[Path, ...] = ()  # all renderings of the input, where there are several

    @property
    def files(self) -> list[Path]:
        """All that is measured, in a fixed order."""
        given = (self.fake, self.real, self.label, *self.styles[1:])
        return [file for file in given if file is not None]

    @property
    def offers(self) -> set[str]:
        """The fields of a Sample that there are, beside the synthesised image."""
        there = {"real": self.real, "label": self.label, "others": self.styles}
        return {name for name, what in there.items() if what}


def pairs_of_gallery(gallery: ResultsGallery, dataset: AlignedDataset) -> list[Pair]:
    """The images of a gallery, in its pages' order; label maps are the data set's own."""
    labels = {dataset.sample_name(f["label"]): f["label"] for f in dataset.files}
    pairs = []
    for row in gallery.rows:
        found = {
            what: gallery.folder / (picture.values or picture.full)
            for picture in row.pictures
            for what in gallery.columns
            if Path(picture.full).stem.endswith(f"_{what}")
        }
        fakes = tuple(file for what, file in found.items() if what.startswith("synthesized_image"))
        label = labels[row.name] if dataset.label_nc else None
        styles = fakes if len(fakes) > 1 else ()
        pairs.append(Pair(row.name, fakes[0], found.get("real_image"), label, styles))
    return pairs


def pairs_of_folders(fake: Path, real: Path, label: Path | None = None) -> list[Pair]:
    """The images of folders, paired by name: the path in the folder, without what says the kind.

    Where a folder has files that end as those of a gallery, only these count.

    Raises:
        UserError: a folder has no images, or not the same ones as --fake.
    """
    of_fake = _by_name(fake, "fake")
    others = {"real": _by_name(real, "real")}
    if label is not None:
        others["label"] = _by_name(label, "label")
    keys: tuple[Callable[[str], str], ...] = (str, lambda name: MAP_SUFFIX.sub("", name))
    for key in keys:
        given = (of_fake, *others.values())
        named = [{key(name): paths for name, paths in files.items()} for files in given]
        merges = any(len(f) < len(files) for f, files in zip(named, given, strict=True))
        if not merges and all(f.keys() == named[0].keys() for f in named):
            break
    else:
        folders = {"real": real, "label": label}
        raise UserError(
            _unequal(fake, of_fake, folders[kind], files)
            for kind, files in others.items()
            if files.keys() != of_fake.keys()
        )
    fakes, reals, *labels = named
    return [
        Pair(
            name,
            styles[0],
            reals[name][0],
            labels[0][name][0] if labels else None,
            tuple(styles) if len(styles) > 1 else (),
        )
        for name, styles in fakes.items()
    ]


def _by_name(folder: Path, kind: str) -> dict[str, list[Path]]:
    """The images of a folder by name; of several styles, all."""
    ending = re.compile(f"{ENDINGS[kind]}$")
    files = [
        file
        for file in list_images(folder, f"check --{kind}")
        if not any(part.endswith("thumbs") for part in file.relative_to(folder).parts[:-1])
    ]
    marked = [file for file in files if ending.search(file.stem)]
    if kind != "fake":  # which may stand beside files of other kinds, as in gtFine
        of = Files("label" if kind == "label" else "image", kind, folder, files)
        files = of_its_kind(of)
    found: dict[str, list[Path]] = {}
    for file in marked or files:
        name = file.relative_to(folder).with_suffix("").as_posix()
        found.setdefault(ending.sub("", name), []).append(file)
    for name, alike in found.items():
        # The first style has no number, which sorts it behind the others' underscore.
        alike.sort(key=lambda file: (len(file.stem), file.stem))
        if len({file.stem for file in alike}) < len(alike) or (kind != "fake" and len(alike) > 1):
            names = " and ".join(file.name for file in alike[:2])
            raise UserError(f"--{kind} {folder}: {names} have one name, {name}; remove one")
    return found


def _unequal(
    fake: Path, ours: Collection[str], folder: Path | None, theirs: Collection[str]
) -> str:
    told = []
    for where, images in ((folder, set(ours) - set(theirs)), (fake, set(theirs) - set(ours))):
        if images:
            shown = ", ".join(sorted(images)[:SHOWN]) + (", ..." if len(images) > SHOWN else "")
            told.append(f"{where} lacks {counted(len(images), 'image')} ({shown})")
    return (
        f"--fake {fake} and {folder}: {' and '.join(told)}; images are paired by name, make the "
        "folders equal"
    )


def check_count(images: int) -> None:
    """Raise a UserError where there are fewer than two images."""
    if images < 2:
        raise UserError(
            f"{counted(images, 'image')} to evaluate, expected 2 or more; give --how_many, --phase "
            "or folders that have more"
        )


def check_pairs(pairs: Sequence[Pair]) -> list[tuple[int, int]]:
    """The sizes of the synthesised images, width and height, the most frequent first.

    Raises:
        UserError: an image cannot be read, or differs in size from its real one.
    """
    sizes = [read_header(pair.fake, photo=True, what="image").size for pair in pairs]
    for pair, (width, height) in zip(pairs, sizes, strict=True):
        if pair.real is None:
            continue
        wide, high = read_header(pair.real, photo=True, what="image").size
        if (wide, high) != (width, height):
            raise UserError(
                f"{pair.real}: {wide}x{high} pixels, but {pair.fake} has {width}x{height}; "
                "scale one of them, and say how where figures are quoted"
            )
    return sorted(set(sizes), key=lambda size: (-sizes.count(size), size))


def _channels(file: Path) -> int:
    header = read_header(file, photo=True, what="image")
    return header.channels - header.alpha


@functools.cache  # once a folder
def _tell_of_range(folder: Path, limits: str) -> None:
    told = f"warning: {folder}: values are cut off outside {limits}"
    print(f"{told}; give --value_range LOW,HIGH unless that is meant", flush=True)


@dataclass(frozen=True)
class Reader:
    """Reads the files of a pair as metrics take them."""

    label_nc: int = 0  # labels there may be
    ignore_label: int | None = None  # and one more
    value_range: ValueRange | None = None  # black and white of images of more than 8 bits

    def __call__(self, pair: Pair, device: torch.device) -> Sample:
        """
        Raises:
            UserError: a file cannot be read, or holds labels outside the range.
        """
        images = (pair.fake, *pair.styles[1:], *filter(None, [pair.real]))
        channels = max(map(_channels, images))  # gray beside colours is compared as colours
        fake, *others = (
            self._image(file, channels).to(device) for file in (pair.fake, *pair.styles[1:])
        )
        real = None if pair.real is None else self._image(pair.real, channels).to(device)
        label = None if pair.label is None else self._label(pair.label).to(device)
        return Sample(fake, real, label, torch.cat([fake, *others]) if others else None)

    def _image(self, file: Path, channels: int) -> Tensor:
        """Float32 [1, C, H, W] in [-1, 1]."""
        pixels = read_photo(file, channels)
        usual = {"u1": (0, 255), "u2": (0, 65535)}.get(pixels.dtype.str[1:], (0, 1))
        deep = self.value_range if pixels.dtype != np.uint8 else None
        low, high = deep or usual
        half = (high - low) / 2
        values = torch.from_numpy((pixels.astype(np.float32) - low) / half - 1)[None].float()
        if values.abs().max() > 1 + 1e-6:
            _tell_of_range(file.parent, f"{low:g} to {high:g}")
        return values.clamp_(-1, 1)  # as training does

    def _label(self, file: Path) -> Tensor:
        """Int64 [1, 1, H, W]."""
        ids = np.asarray(read_ids(file, "label")).astype(np.int64)
        known = ids[ids != self.ignore_label] if self.ignore_label is not None else ids
        if known.size and not 0 <= known.min() <= known.max() < self.label_nc:
            outside = known.max() if known.max() >= self.label_nc else known.min()
            raise UserError(
                f"{file}: label {outside} found, expected 0 to {self.label_nc - 1}; give "
                f"--label_nc, or --ignore_label {outside} if it stands for nothing known"
            )
        return torch.from_numpy(ids)[None, None]
