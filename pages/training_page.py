"""The page of a run in training: curves, then pictures, the newest epoch first."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from pathlib import Path

from dominate import tags

from pix2pixhd.pages.html import (
    Picture,
    add_figure,
    add_section,
    image_size,
    in_words,
    new_page,
    write_page,
)
from pix2pixhd.pages.loss_curves import draw_curves
from pix2pixhd.util.image import save_image
from pix2pixhd.util.logger import Images, Scalars, Sink

CURVES = "loss_curves.png"
CURVES_EVERY = 20.0  # seconds; less often where drawing is slow
CURVES_SHARE = 0.02  # of the time, at most, goes into drawing curves


@dataclass
class TrainingPage(Sink):
    """Keeps `index.html` and `images/epochEEE_<what>.jpg` of a run; browsers refresh it.

    Pictures that are in the folder already, from before a restart, stay on the page. Raises
    UserError where the folder cannot be written.
    """

    web_dir: Path
    title: str
    image_width: int  # of pictures in the page, in pixels; the files keep their size
    metrics_file: Path  # curves are of it, so the sink that writes it comes first
    refresh_seconds: int = 30  # how often the browser loads the page again

    def __post_init__(self) -> None:
        self._progress = "Waiting for the first pictures"
        self._order: list[str] = []
        self._epochs = find_pictures(self.web_dir)
        self._next_curves = time.monotonic() + CURVES_EVERY  # a lone point is no curve
        self.write()

    def log_values(self, place: Scalars, values: Scalars) -> None:
        began = time.monotonic()
        if began >= self._next_curves:
            self._draw_curves()
            now = time.monotonic()
            self._next_curves = now + max(CURVES_EVERY, (now - began) / CURVES_SHARE)

    def log_pictures(self, epoch: int, step: int, pictures: Images) -> None:
        """Save the pictures of an epoch over its earlier ones, and write the page."""
        assert pictures, "no pictures"
        self._order = list(pictures)
        self._progress = f"Epoch {epoch}, {step:,} images seen"
        # Those of later epochs are from before the run went back to its last save, or further.
        self._epochs = {known: found for known, found in self._epochs.items() if known <= epoch}
        for what, image in pictures.items():
            path = self.web_dir / "images" / f"epoch{epoch:03d}_{what}.jpg"
            save_image(image, path)
            shown = self._epochs.setdefault(epoch, {})  # only now: an epoch has a picture
            shown[what] = _picture_of(path, image.shape[1::-1], epoch, what)
        self.write()

    def close(self) -> None:
        """Draw the curves and write the page for the last time: it no longer refreshes."""
        self.refresh_seconds = 0
        self._draw_curves()

    def write(self) -> None:
        """Write the page; raises UserError where it cannot be written."""
        every, most = self.refresh_seconds, max(map(len, self._epochs.values()), default=3)
        page = new_page(
            self.title, columns=min(3, most), image_width=self.image_width, refresh_seconds=every
        )
        state = f"refreshes every {every} s" if every else "stopped"
        curves = self.web_dir / CURVES
        with page.body:
            with tags.header():
                tags.h1(self.title)
                tags.p(f"{self._progress} · updated {_clock(time.time())} · {state}")
                if size := image_size(curves):
                    chart = Picture(CURVES, size, alt="Curves", written=curves.stat().st_mtime)
                    with tags.div(cls="chart"):
                        add_figure(chart, eager=True)
            with tags.main():
                for epoch, pictures in sorted(self._epochs.items(), reverse=True):
                    written = _clock(max(picture.written for picture in pictures.values()))
                    # As the run adds them; those it does not add come last, by name.
                    names = [*self._order, *sorted(pictures.keys() - set(self._order))]
                    shown = [pictures[what] for what in names if what in pictures]
                    add_section(f"Epoch {epoch}", shown, written, eager=epoch == max(self._epochs))
        write_page(page, self.web_dir / "index.html")

    def _draw_curves(self) -> None:
        draw_curves(self.metrics_file, self.web_dir / CURVES)
        self.write()


def find_pictures(web_dir: Path) -> dict[int, dict[str, Picture]]:
    """Return the pictures in `web_dir` by epoch and name, but no file that is none."""
    epochs: dict[int, dict[str, Picture]] = {}
    for path in (web_dir / "images").glob("epoch*.jpg"):
        match = re.fullmatch(r"epoch([0-9]{3,})_(.+)\.jpg", path.name)
        if match and (size := image_size(path)):
            epoch, what = int(match[1]), match[2]
            epochs.setdefault(epoch, {})[what] = _picture_of(path, size, epoch, what)
    return epochs


def _picture_of(path: Path, size: tuple[int, int], epoch: int, what: str) -> Picture:
    caption, written = in_words(what), path.stat().st_mtime
    alt = f"{caption}, epoch {epoch}"
    return Picture(f"images/{path.name}", size, caption, alt, written=written)


def _clock(seconds: float) -> str:
    return time.strftime("%d %b %Y, %H:%M:%S", time.localtime(seconds))
