"""Where the files of a phase are: in the reference's folders, or in Cityscapes' own."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from pix2pixhd.data.pairing import Files, first_few, kind_of_file, list_images, surroundings
from pix2pixhd.util.errors import UserError

# What the reference's folders are called after the phase, where it is not the map's own name.
OF_LABELS = {"image": "img"}
OF_PHOTOS = {"label": "A", "image": "B"}

# Cityscapes as it is downloaded: map -> the folder that holds its splits, and their cities below.
CITYSCAPES = {"label": "gtFine", "inst": "gtFine", "image": "leftImg8bit"}


class Layout:
    """The reference's: `<dataroot>/<phase>_label`, `_inst` and `_img`; `_A`, `_inst` and `_B`
    where labels are photographs. Any other map has the folder `<phase>_<map>`."""

    def __init__(self, dataroot: Path, phase: str, is_labels: bool = True) -> None:
        self.dataroot, self.phase, self.is_labels = dataroot, phase, is_labels

    def folder(self, map_: str) -> Path:
        """The folder of such maps, which need not exist."""
        names = OF_LABELS if self.is_labels else OF_PHOTOS
        return self.dataroot / f"{self.phase}_{names.get(map_, map_)}"

    def find(self, map_: str, extensions: Collection[str], hint: str = "") -> Files:
        """The files of a map, in the order of their names.

        Args:
            extensions: what they may end with, in lower case.
            hint: the likely fix should there be none, if it depends on the map alone.

        Raises:
            UserError: there is no such folder, or none in it.
        """
        folder = self.folder(map_)
        # Of photographs in place of labels, names cannot say which of them is meant.
        kind = map_ if self.is_labels or map_ == "inst" else ""
        paths = list_images(folder, hint or self._hint(), extensions)
        return Files(kind, folder.name, folder, paths)

    def sample_name(self, label: Path) -> str:
        """What results of a sample are called, by its label map's file: its path below the folder,
        without the ending."""
        return label.relative_to(self.folder("label")).with_suffix("").as_posix()

    def _hint(self) -> str:
        if self.is_labels and (self.dataroot / f"{self.phase}_A").is_dir():
            return "give --label_nc 0 for image-to-image with _A and _B"
        has_labels = (self.dataroot / f"{self.phase}_label").is_dir()
        if not self.is_labels and (has_labels or is_cityscapes(self.dataroot)):
            return "give --label_nc with the number of labels for label maps"
        if self.dataroot.name in CITYSCAPES.values():
            return f"give --dataroot {self.dataroot.parent} to use Cityscapes as it is downloaded"
        if self.dataroot.is_dir() and not any(self.dataroot.glob("*_*/")):
            return (
                "check --dataroot; of photographs, pictures side by side and annotations, "
                "datasets/prepare_*.py make such folders (docs/preparing.md)"
            )
        return "check --dataroot and --phase"


class Cityscapes(Layout):
    """That of the download: `gtFine/<phase>/<city>/*_labelIds.png` and `*_instanceIds.png`, with
    photographs in `leftImg8bit/<phase>/<city>`; other files in there are left alone.

    Its samples have the order and the names that they have in the reference's folders, where no
    city is a folder of its own.
    """

    flag = "--phase"  # what named the phase

    def folder(self, map_: str) -> Path:
        top = CITYSCAPES.get(map_)
        return self.dataroot / top / self.phase if top else super().folder(map_)

    def find(self, map_: str, extensions: Collection[str], hint: str = "") -> Files:
        if map_ not in CITYSCAPES:
            return super().find(map_, extensions, hint)
        folder = self.folder(map_)
        if not folder.parent.is_dir():
            raise UserError(
                f"{folder.parent}: no such folder; {surroundings(self.dataroot)}; "
                f"unpack {folder.parent.name}_trainvaltest.zip of Cityscapes there"
            )
        there = _here(folder.parent)
        images = list_images(folder, f"give {self.flag} one of {there}", extensions)
        paths = [path for path in images if kind_of_file(path) == map_]
        ending = {"label": "labelIds", "inst": "instanceIds", "image": "leftImg8bit"}[map_]
        if not paths:
            others = first_few(sorted({path.stem.rpartition("_")[2] for path in images}))
            raise UserError(
                f"{folder}: no files *_{ending}.png, only *_{others}; "
                f"unpack {folder.parent.name}_trainvaltest.zip of Cityscapes again"
            )
        name = f"{folder.relative_to(self.dataroot).as_posix()}/*/*_{ending}"
        return Files(map_, name, folder, sorted(paths, key=lambda path: (path.name, str(path))))

    def sample_name(self, label: Path) -> str:
        return label.stem


def find_layout(dataroot: Path, phase: str, label_nc: int) -> Layout:
    """How the phase's files are laid out: as in the reference where its folder of label maps is
    there, or nothing of Cityscapes."""
    layout = Layout(dataroot, phase, label_nc > 0)
    if label_nc and is_cityscapes(dataroot) and not layout.folder("label").is_dir():
        return Cityscapes(dataroot, phase)
    return layout


def is_cityscapes(dataroot: Path) -> bool:
    """Whether the folder is one that Cityscapes was unpacked to."""
    return any((dataroot / top).is_dir() for top in CITYSCAPES.values())


def has_phase(dataroot: Path, phase: str) -> bool:
    """Whether there is any folder of the phase, in whichever layout."""
    splits = (dataroot / top / phase for top in CITYSCAPES.values())
    return any(dataroot.glob(f"{phase}_*")) or any(split.is_dir() for split in splits)


def phase_of_image(image: Path) -> tuple[Path, str] | None:
    """The data set's folder and the phase that a photograph belongs to, by the names of the folders
    that it lies in; None if they name none."""
    for folder in image.absolute().parents:
        if folder.name.endswith(("_img", "_B")):
            return folder.parent, folder.name.rpartition("_")[0]
        if folder.parent.name == CITYSCAPES["image"]:
            return folder.parent.parent, folder.name
    return None


def _here(folder: Path) -> str:
    return first_few(sorted(path.name for path in folder.iterdir() if path.is_dir()))
