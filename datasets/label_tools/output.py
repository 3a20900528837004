"""The maps as files: what is written where, in which format."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

import common
from label_tools.instances import MOST, components, instance_ids
from label_tools.source import Drawing, Item, Source
from label_tools.table import IGNORED
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.files import replacing


@dataclass
class Output:
    """The maps of one phase.

    Args:
        out: the folder of the data set.
        instances: labels that have instances; None: no instance maps.
        min_size: pixels of the smallest instance.
    """

    source: Source
    out: Path
    phase: str
    instances: list[int] | None
    min_size: int = 1
    written: int = 0
    ignored: bool = False  # some pixels have got no label
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.instances is not None and len(self.source.table) > MOST:
            raise UserError(
                f"{len(self.source.table)} labels: ids label * 1000 + n tell instances apart for "
                f"up to {MOST}; give --no_instance"
            )

    def check(self, overwrite: bool) -> None:
        """Refuse to begin where files would get lost.

        Raises:
            UserError: files are there already, or two pictures have one name.
        """
        targets = [self._label_path(item) for item in self.source.items]
        files = [item.file for item in self.source.items]
        common.refuse_equal_names(zip(files, targets, strict=True))
        if self.instances is not None:
            targets += [self._instance_path(item) for item in self.source.items]
        common.refuse_existing(targets, overwrite)

    def write(self) -> list[str]:
        """Draw and write all maps; lines about those that could not be."""
        done, problems = common.try_each(self._write, self.source.items, "map")
        self.written = len(done)
        self.ignored = any(ignored for _, ignored in done)
        return problems

    def folders(self) -> list[Path]:
        kinds = ["label"] if self.instances is None else ["label", "inst"]
        return [self.out / f"{self.phase}_{kind}" for kind in kinds]

    def _write(self, item: Item) -> bool:
        """Whether some pixels have got no label."""
        drawing = item.draw()
        table = self.source.table
        mask = drawing.label == IGNORED
        wide = len(table) > 255
        label = np.where(mask, table.ignore_value, drawing.label)
        common.save_png(
            Image.fromarray(label.astype(np.uint16 if wide else np.uint8)), self._label_path(item)
        )
        if self.instances is not None:
            self._write_instances(item, drawing, mask)
        return bool(mask.any())

    def _write_instances(self, item: Item, drawing: Drawing, mask: np.ndarray) -> None:
        assert self.instances is not None
        parts = drawing.parts
        if parts is None:
            parts = components(drawing.label, self.instances)
        ids, too_many = instance_ids(drawing.label, parts, self.instances, self.min_size)
        # 65535 would read as label 65.
        ids[mask] = min(self.source.table.ignore_value, MOST)
        path = self._instance_path(item)
        if self._wide:
            with replacing(path) as file:
                Image.fromarray(ids).save(file, "TIFF", compression="tiff_adobe_deflate")
        else:
            common.save_png(Image.fromarray(ids.astype(np.uint16)), path)
        if too_many:
            self.warnings.append(
                f"{path}: ids tell {MOST} instances of a label apart; beyond them, the smallest "
                f"keep the plain label: {too_many}; --min_size leaves specks out"
            )

    @property
    def _wide(self) -> bool:
        """Ids may not fit into 16 bits, which is all that Pillow writes as PNG."""
        return max(self.instances or [0]) * 1000 + MOST > 65535

    def _label_path(self, item: Item) -> Path:
        return self.out / f"{self.phase}_label" / item.file.with_suffix(".png")

    def _instance_path(self, item: Item) -> Path:
        suffix = ".tif" if self._wide else ".png"
        return self.out / f"{self.phase}_inst" / item.file.with_suffix(suffix)
