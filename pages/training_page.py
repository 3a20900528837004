"""The page of a run in training: its state, curves, then pictures, the newest epoch first."""

from __future__ import annotations

import datetime
import re
import time
from dataclasses import dataclass
from pathlib import Path

from dominate import tags
from dominate.util import raw, text

from pix2pixhd.pages.html import (
    Picture,
    add_figure,
    add_legend,
    add_section,
    image_size,
    in_words,
    new_page,
    write_page,
)
from pix2pixhd.pages.loss_curves import draw_curves
from pix2pixhd.pages.run_state import RunState
from pix2pixhd.util.image import save_image
from pix2pixhd.util.labels import LabelSet
from pix2pixhd.util.logger import Images, Scalars, Sink
from pix2pixhd.util.words import counted, duration

CURVES = "loss_curves.png"
CURVES_EVERY = 20.0  # seconds; less often where drawing is slow
CURVES_SHARE = 0.02  # of the time, at most, goes into drawing curves
LONG = 120  # characters of a command that is folded up

# A run that was killed cannot say so. Twenty updates leave time for a save or an evaluation.
TELL_IF_KILLED = """
const updated = document.querySelector("header time");
const minutes = Math.round((Date.now() - Date.parse(updated.dateTime)) / 60000);
if (minutes * 60 > 20 * updated.dataset.every) {
  const time = minutes < 120 ? `${minutes} min` :
    minutes < 2880 ? `${Math.round(minutes / 60)} h` : `${Math.round(minutes / 1440)} days`;
  document.querySelector("header .state").insertAdjacentHTML("afterbegin",
    `probably killed, as nothing was written for ${time}; <code>--continue_train</code> goes on ` +
    "from the last save. Until then: ");
}
"""


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
    labels: LabelSet  # for the legend; empty: inputs are images
    command: str  # what started the run
    refresh_seconds: int = 30  # how often the page is written, and the browser loads it again

    def __post_init__(self) -> None:
        self._state, self._pictured, self._gpu_memory = RunState(), "", ""
        self._order: list[str] = []
        self._epochs = self._find_pictures()
        self._next_curves = time.monotonic() + CURVES_EVERY  # a lone point is no curve
        self.write()

    def start_epoch(
        self, epoch: int, total_epochs: int, images_total: int, images_done: int = 0
    ) -> None:
        self._state.start_epoch(epoch, total_epochs, images_total, images_done)

    def advance(self, images: int) -> None:
        self._state.advance(images)
        if time.monotonic() >= self._next_update:
            self.write()

    def log_values(self, place: Scalars, values: Scalars) -> None:
        if "gpu_memory_gib" in place:
            self._gpu_memory = f"{place['gpu_memory_gib']:.1f} GiB of GPU memory at most"
        began = time.monotonic()
        if began >= self._next_curves:
            self._draw_curves()
            now = time.monotonic()
            self._next_curves = now + max(CURVES_EVERY, (now - began) / CURVES_SHARE)

    def log_pictures(self, epoch: int, step: int, pictures: Images) -> None:
        """Save the pictures of an epoch over its earlier ones, and write the page."""
        assert pictures, "no pictures"
        self._order = list(pictures)
        self._pictured = f"Epoch {epoch}, {counted(step, 'image')} seen"
        # Those of later epochs are from before the run went back to its last save, or further.
        self._epochs = {known: found for known, found in self._epochs.items() if known <= epoch}
        for what, image in pictures.items():
            path = self.web_dir / "images" / f"epoch{epoch:03d}_{what}.jpg"
            save_image(image, path)
            shown = self._epochs.setdefault(epoch, {})  # only now: an epoch has a picture
            shown[what] = self._picture_of(path, image.shape[1::-1], epoch, what)
        self.write()

    def end_run(self, is_finished: bool) -> None:
        self._state.outcome = "finished" if is_finished else "stopped"

    def close(self) -> None:
        """Draw the curves and write the page for the last time: it no longer refreshes."""
        if self._state.outcome == "running":
            self._state.outcome = "failed"
        self._draw_curves()

    def write(self) -> None:
        """Write the page; raises UserError where it cannot be written."""
        every = self.refresh_seconds if self._state.outcome == "running" else 0
        page = new_page(
            self.title,
            columns=self._columns(),
            image_width=self.image_width,
            refresh_seconds=every,
        )
        with page.body:
            with tags.header():
                self._add_header()
            with tags.main():
                for epoch, pictures in sorted(self._epochs.items(), reverse=True):
                    written = _clock(max(picture.written for picture in pictures.values()))
                    # As the run adds them; those it does not add come last, by name.
                    names = [*self._order, *sorted(pictures.keys() - set(self._order))]
                    shown = [pictures[what] for what in names if what in pictures]
                    add_section(f"Epoch {epoch}", shown, written, eager=epoch == max(self._epochs))
        write_page(page, self.web_dir / "index.html")
        self._next_update = time.monotonic() + self.refresh_seconds

    def _columns(self) -> int:
        """As many as a training image has pictures: those of the held-out one get another row."""
        of_training = [
            sum(not what.startswith("held_out_") for what in pictures)
            for pictures in self._epochs.values()
        ]
        return min(4, max(of_training, default=3) or 3)

    def _add_header(self) -> None:
        is_running = self._state.outcome == "running"
        tags.h1(self.title)
        before, flag, after = str(self._state).partition("--continue_train")
        with tags.p(cls="state", __pretty=False):
            text(before)
            if flag:
                tags.code(flag)  # which is not broken at its hyphens
            text(after)
        now = datetime.datetime.now().astimezone()
        every = max(self.refresh_seconds, self._state.seconds_per_step)
        with tags.p(__pretty=False):
            text("".join(f"{fact} · " for fact in (self._pictured, self._gpu_memory) if fact))
            text("updated ")
            written = now.strftime("%d %b %Y, %H:%M:%S %Z")
            tags.time_(written, datetime=now.isoformat(timespec="seconds"), data_every=int(every))
            text(f", about every {duration(every)} while it runs" if is_running else "")
        if is_running:
            tags.script(raw(TELL_IF_KILLED))
        with tags.details(cls="command", open=len(self.command) <= LONG):
            tags.summary("Options other than the defaults")
            tags.code(self.command)
        add_legend(self.labels)
        curves = self.web_dir / CURVES
        if size := image_size(curves):
            chart = Picture(CURVES, size, alt="Curves", written=curves.stat().st_mtime)
            with tags.div(cls="chart"):
                add_figure(chart, eager=True)

    def _draw_curves(self) -> None:
        draw_curves(self.metrics_file, self.web_dir / CURVES)
        self.write()

    def _find_pictures(self) -> dict[int, dict[str, Picture]]:
        """The pictures in `web_dir` by epoch and name, but no file that is none."""
        epochs: dict[int, dict[str, Picture]] = {}
        for path in (self.web_dir / "images").glob("epoch*.jpg"):
            match = re.fullmatch(r"epoch([0-9]{3,})_(.+)\.jpg", path.name)
            if match and (size := image_size(path)):
                epoch, what = int(match[1]), match[2]
                epochs.setdefault(epoch, {})[what] = self._picture_of(path, size, epoch, what)
        return epochs

    def _picture_of(self, path: Path, size: tuple[int, int], epoch: int, what: str) -> Picture:
        caption = in_words(what, has_labels=len(self.labels) > 0)
        alt = f"{caption}, epoch {epoch}"
        written = path.stat().st_mtime
        return Picture(f"images/{path.name}", size, caption, alt, written=written)


def _clock(seconds: float) -> str:
    return time.strftime("%d %b %Y, %H:%M:%S", time.localtime(seconds))
