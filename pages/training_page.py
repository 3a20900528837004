"""The page of a run in training: loss curves, then pictures, the newest epoch first."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from dominate import tags
from PIL import Image, UnidentifiedImageError

from pages.html import add_figure, in_words, new_page, url, write_page
from util.image import save_image


@dataclass(frozen=True)
class Snapshot:
    """A picture in the folder."""

    file: str
    what: str
    size: tuple[int, int]  # width and height in pixels
    written: float  # seconds since 1970

    @property
    def url(self) -> str:
        """Its link, another one for each version: browsers show an old picture else."""
        return f"{url(f'images/{self.file}')}?{self.written:.3f}"


class TrainingPage:
    """Keeps `index.html` and `images/epochEEE_<what>.jpg` of a run; browsers refresh it.

    Pictures that are in the folder already, from before a restart, stay on the page.

    Args:
        web_dir: folder of the page.
        title: of the page.
        image_width: of pictures in the page, in pixels; the files keep their size.
        refresh_seconds: how often the browser loads the page again.

    Raises:
        UserError: the folder cannot be written.
    """

    def __init__(
        self, web_dir: Path, title: str, image_width: int, refresh_seconds: int = 30
    ) -> None:
        self.web_dir = web_dir
        self.title = title
        self.image_width = image_width
        self.refresh_seconds = refresh_seconds
        self.curves = web_dir / "loss_curves.png"
        self._progress = "Waiting for the first pictures"
        self._order: list[str] = []
        self._epochs = find_snapshots(web_dir / "images")
        self.write()

    def add(self, epoch: int, step: int, pictures: Mapping[str, np.ndarray]) -> None:
        """Save the pictures of an epoch over its earlier ones, and write the page.

        Args:
            epoch: from 1.
            step: images seen since the start.
            pictures: uint8 [H,W,3] by name, such as synthesized_image.

        Raises:
            UserError: a file cannot be written.
        """
        assert pictures, "no pictures"
        self._order = list(pictures)
        self._progress = f"Epoch {epoch}, {step:,} images seen"
        # Later epochs can only be of a run that was killed ahead of its last save.
        self._epochs = {known: found for known, found in self._epochs.items() if known <= epoch}
        snapshots = self._epochs.setdefault(epoch, {})
        for what, image in pictures.items():
            path = self.web_dir / "images" / f"epoch{epoch:03d}_{what}.jpg"
            save_image(image, path)
            snapshots[what] = Snapshot(path.name, what, image.shape[1::-1], path.stat().st_mtime)
        self.write()

    def write(self) -> None:
        """Write the page, as after new loss curves; raises UserError where it cannot be written."""
        most = max((len(found) for found in self._epochs.values()), default=3)
        page = new_page(
            self.title,
            columns=min(3, most),
            image_width=self.image_width,
            refresh_seconds=self.refresh_seconds,
        )
        epochs = sorted(self._epochs, reverse=True)
        with page.body:
            self._add_header()
            with tags.main():
                for epoch in epochs:
                    self._add_epoch(epoch, newest=epoch == epochs[0])
        write_page(page, self.web_dir / "index.html")

    def finish(self) -> None:
        """Write the page for the last time: it no longer refreshes."""
        self.refresh_seconds = 0
        self.write()

    def _add_header(self) -> None:
        state = f"refreshes every {self.refresh_seconds} s" if self.refresh_seconds else "stopped"
        with tags.header():
            tags.h1(self.title)
            tags.p(f"{self._progress} · updated {_clock(time.time())} · {state}")
            if self.curves.exists():
                with Image.open(self.curves) as opened, tags.div(cls="chart"):
                    version = f"{self.curves.name}?{self.curves.stat().st_mtime:.3f}"
                    add_figure(version, opened.size, "", alt="Loss curves", eager=True)

    def _add_epoch(self, epoch: int, newest: bool) -> None:
        snapshots = self._epochs[epoch].values()
        with tags.section():
            with tags.h2(f"Epoch {epoch}"):
                tags.small(_clock(max(snapshot.written for snapshot in snapshots)))
            with tags.div(cls="pictures"):
                for snapshot in self._sorted(snapshots):
                    caption = in_words(snapshot.what)
                    alt = f"{caption}, epoch {epoch}"
                    add_figure(snapshot.url, snapshot.size, caption, alt, eager=newest)

    def _sorted(self, snapshots: Iterable[Snapshot]) -> list[Snapshot]:
        """Order pictures as the run adds them; those it does not add come last, by name."""
        order = {what: place for place, what in enumerate(self._order)}
        return sorted(snapshots, key=lambda it: (order.get(it.what, len(order)), it.what))


def find_snapshots(folder: Path) -> dict[int, dict[str, Snapshot]]:
    """Return the pictures in `folder` by epoch and name; files that are no pictures are skipped."""
    epochs: dict[int, dict[str, Snapshot]] = {}
    for path in folder.glob("epoch*.jpg"):
        match = re.fullmatch(r"epoch([0-9]{3,})_(.+)\.jpg", path.name)
        if not match:
            continue
        try:
            with Image.open(path) as opened:
                size = opened.size
        except UnidentifiedImageError:
            continue
        found = Snapshot(path.name, match[2], size, path.stat().st_mtime)
        epochs.setdefault(int(match[1]), {})[found.what] = found
    return epochs


def _clock(seconds: float) -> str:
    return time.strftime("%d %b %Y, %H:%M:%S", time.localtime(seconds))
