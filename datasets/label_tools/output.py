"""The maps as files: what is written where, in which format."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

import common
from label_tools.instances import MOST, components, instance_ids
from label_tools.source import Drawing, Item, Source
from label_tools.table import IGNORED
from pix2pixhd.data.pairing import first_few
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
    _lock: threading.Lock = field(default_factory=threading.Lock)

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
        counts = Counter(item.name for item in self.source.items)
        if twice := [name for name, count in counts.items() if count > 1]:
            raise UserError(
                f"several files are called {first_few(twice)} but for their "
                "endings, and would be written over one another; rename them"
            )
        targets = [self._label_path(item) for item in self.source.items]
        if self.instances is not None:
            targets += [self._instance_path(item) for item in self.source.items]
        common.refuse_existing(targets, overwrite)

    def write(self) -> None:
        """Draw and write all maps.

        Raises:
            UserError: those that could not be, when all others are done.
        """
        common.for_each(self._write, self.source.items, "map")

    def folders(self) -> list[Path]:
        kinds = ["label"] if self.instances is None else ["label", "inst"]
        return [self.out / f"{self.phase}_{kind}" for kind in kinds]

    def _write(self, item: Item) -> None:
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
        with self._lock:
            self.written += 1
            self.ignored |= bool(mask.any())

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
            with self._lock:
                self.warnings.append(
                    f"{path}: ids tell {MOST} instances of a label apart; beyond them, the "
                    f"smallest keep the plain label: {too_many}; --min_size leaves specks out"
                )

    @property
    def _wide(self) -> bool:
        """Ids may not fit into 16 bits, which is all that Pillow writes as PNG."""
        return bool(self.instances) and max(self.instances or [0]) * 1000 + MOST > 65535

    def _label_path(self, item: Item) -> Path:
        return self.out / f"{self.phase}_label" / f"{item.name}.png"

    def _instance_path(self, item: Item) -> Path:
        suffix = "tif" if self._wide else "png"
        return self.out / f"{self.phase}_inst" / f"{item.name}.{suffix}"
