"""Measurements of images by metrics: made once, kept in files, shared by processes."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import astuple, dataclass, fields
from io import BytesIO
from pathlib import Path

import numpy as np
from tqdm import tqdm

import pix2pixhd
from pix2pixhd.engine.distributed import broadcast, gather
from pix2pixhd.engine.image_pairs import Pair, Reader
from pix2pixhd.engine.runtime import Runtime
from pix2pixhd.engine.validation import metric_names
from pix2pixhd.metrics import METRICS, Figure, Measurement, Metric, MetricSettings
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.files import replacing, stamp
from pix2pixhd.util.labels import LabelSet

# Which settings the metric of a figure is built from; of a row that is not here, all. Where others
# change, it need not measure again.
TAKES: dict[str, tuple[str, ...]] = {
    **dict.fromkeys(("l1", "psnr", "ssim", "grid", "dists"), ()),
    **dict.fromkeys(("lpips", "diversity"), ("lpips_backbone",)),
    **dict.fromkeys(("fid_legacy", "fid_clean", "kid"), ("inception", "extractor")),
    **dict.fromkeys(
        ("pixel_accuracy", "mean_iou"), ("segmenter", "eval_size", "labels", "ignore_label")
    ),
}
Kept = dict[str, tuple[str, Measurement]]  # of an image: a metric's key -> identity, measurement

NEEDED = {
    "real": "a real image for each",
    "label": "a label map for each",
    "others": "several renderings of each (--styles 2, of a run with features or noise)",
}


@dataclass(frozen=True)
class Measuring:
    """A metric, and which of its figures are wanted."""

    metric: Metric
    names: tuple[str, ...]
    identity: str  # of what is measured and how

    @property
    def key(self) -> str:
        """Of its measurements in their files."""
        return type(self.metric).__name__

    def is_in(self, kept: Kept) -> bool:
        """Whether an image was measured, and in this way."""
        return self.key in kept and kept[self.key][0] == self.identity


def choose_metrics(
    listed: str | None, settings: MetricSettings, offers: set[str], runtime: Runtime
) -> list[Measuring]:
    """The metrics to take, the same in all processes; prints which cannot be had.

    Args:
        listed: names as a comma list; None: all that can be had.
        settings: what they are built from.
        offers: fields of Sample that there are of all images.

    Raises:
        UserError: one that is listed is not known, or cannot be had.
    """
    wanted = list(METRICS) if listed is None else metric_names(listed)
    by_metric: dict[Callable[[MetricSettings], Metric], list[str]] = {}
    for name in wanted:
        by_metric.setdefault(METRICS[name], []).append(name)
    if not runtime.world.is_main:
        wanted = broadcast(None, runtime.world)  # weights that it lacked are there by now
        return [_built(build, n, settings) for build, n in by_metric.items() if n[0] in wanted]
    chosen = []
    for build, names in by_metric.items():
        try:
            # Of the class, as weights that it could not use need not be fetched.
            needs: Collection[str] = getattr(build, "needs", ())
            if lacking := [NEEDED[need] for need in needs if need not in offers]:
                raise UserError(f"{', '.join(names)}: needs {' and '.join(lacking)}")
            measuring = _built(build, names, settings)
        except UserError as error:
            if listed is not None:
                raise
            runtime.print_rank0(f"left out: {_of(names, error)}")
            continue
        chosen.append(measuring)
    broadcast([measuring.names[0] for measuring in chosen], runtime.world)
    return chosen


def _of(names: Sequence[str], error: UserError) -> str:
    """A metric's complaint, which may name the metric itself."""
    told = error.problems[0]
    return told if any(told.startswith(name) for name in names) else f"{', '.join(names)}: {told}"


def _built(
    build: Callable[[MetricSettings], Metric], names: Sequence[str], settings: MetricSettings
) -> Measuring:
    return Measuring(build(settings), tuple(names), _identity(names, settings))


def _identity(names: Sequence[str], settings: MetricSettings) -> str:
    """Of what a metric was built from; devices differ by rounding only."""
    settable = tuple(field.name for field in fields(settings) if field.name != "device")
    taken = {setting for name in names for setting in TAKES.get(name, settable)}
    used = {setting: _described(getattr(settings, setting)) for setting in sorted(taken)}
    return json.dumps([pix2pixhd.__version__, used])


def _described(value: object) -> object:
    """A setting as JSON; of a file or a folder of files, what changes when it does."""
    if isinstance(value, LabelSet):
        return [value.names, value.colours.tolist()]
    if isinstance(value, Path):
        files = sorted(value.rglob("*")) if value.is_dir() else [value]
        return list(map(stamp, files))
    return list(value) if isinstance(value, tuple | list) else value


def measure_all(
    pairs: Sequence[Pair],
    measuring: Sequence[Measuring],
    read: Reader,
    folder: Path,
    runtime: Runtime,
    *,
    may_lack: bool,
) -> dict[str, Figure]:
    """Measure the images that were not measured before, all processes their shares.

    Args:
        folder: of the measurements, `<folder>/<name of the image>.npz`.
        may_lack: a metric that cannot measure one of the images is told, and left out.

    Returns:
        The figures by name, on rank 0; elsewhere nothing.

    Raises:
        UserError: a file cannot be read or written, or an image measured.
    """
    world, failed = runtime.world, dict[str, str]()
    share = pairs[world.rank :: world.size]
    for pair in tqdm(share, "measuring", unit="img", disable=None if world.is_main else True):
        kept = _read(folder, pair, read)
        missing = [m for m in measuring if not m.is_in(kept) and m.key not in failed]
        if not missing:
            continue
        sample = read(pair, runtime.device)
        for one in missing:
            try:
                kept[one.key] = (one.identity, one.metric.measure(sample))
            except UserError as error:
                if not may_lack:
                    raise UserError(f"{pair.fake}: {error.problems[0]}") from error
                failed[one.key] = f"{_of(one.names, error)} ({pair.fake})"
        _write(folder, pair, read, kept)
    for of_one in gather(failed, world):
        failed = of_one | failed
    if not world.is_main:
        return {}
    runtime.print_rank0(*(f"left out: {told}" for told in failed.values()))
    measured = [_read(folder, pair, read) for pair in pairs]
    figures: dict[str, Figure] = {}
    for one in (m for m in measuring if m.key not in failed):
        made = one.metric.figures([of_image[one.key][1] for of_image in measured])
        figures |= {name: made[name] for name in one.names}
    return figures


def _file(folder: Path, pair: Pair) -> Path:
    return folder / f"{pair.name}.npz"


def _source(pair: Pair, read: Reader) -> str:
    """Of the pixels that are measured: their files, and how these are read."""
    return json.dumps([*map(stamp, pair.files), astuple(read)])


def _read(folder: Path, pair: Pair, read: Reader) -> Kept:
    """The measurements of an image whose files, and how they are read, are still the same."""
    try:
        with np.load(_file(folder, pair), allow_pickle=False) as file:
            about = json.loads(str(file["about"]))
            if about["source"] != _source(pair, read):
                return {}
            measured: dict[str, dict[str, np.ndarray]] = {key: {} for key in about["metrics"]}
            for name in set(file.files) - {"about"}:
                key, _, value = name.partition("/")
                measured[key][value] = file[name]
            return {key: (about["metrics"][key], found) for key, found in measured.items()}
    except (OSError, ValueError, KeyError, TypeError, EOFError, zipfile.BadZipFile):
        return {}  # there is none, or it is damaged: all is measured again


def _write(folder: Path, pair: Pair, read: Reader, kept: Kept) -> None:
    about = {"source": _source(pair, read), "metrics": {key: of for key, (of, _) in kept.items()}}
    arrays = {
        f"{key}/{name}": np.asarray(value)
        for key, (_, measurement) in kept.items()
        for name, value in measurement.items()
    }
    packed = BytesIO()
    np.savez(packed, about=np.array(json.dumps(about)), **arrays)  # type: ignore[arg-type]
    with replacing(_file(folder, pair)) as file:
        file.write(packed.getbuffer())


def offered(pairs: Iterable[Pair]) -> set[str]:
    """The fields of Sample that there are of all images."""
    return set.intersection(*(pair.offers for pair in pairs))
