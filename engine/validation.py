"""Held-out images: one is shown as training goes on, and metrics are taken of some of them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pix2pixhd.data import create_dataset, create_loader
from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.data.layouts import has_phase
from pix2pixhd.data.loader import Loader
from pix2pixhd.engine.builders import require_size
from pix2pixhd.engine.distributed import gather
from pix2pixhd.engine.metric_settings import metric_settings
from pix2pixhd.engine.render import Pictures, Rendering, render, validate_once
from pix2pixhd.engine.runtime import Runtime
from pix2pixhd.metrics import (
    METRICS,
    Figure,
    Measurement,
    Metric,
    Sample,
    build_metrics,
)
from pix2pixhd.models.conditioning import image_to_float
from pix2pixhd.models.pix2pixhd import Pix2PixHDModel
from pix2pixhd.options.parsing import uncropped
from pix2pixhd.options.train_options import TrainOptions
from pix2pixhd.util.batch import Batch
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.labels import LabelSet, label_set

# Held-out images, in the order that they are looked for. Cityscapes publishes no labels of test.
PHASES = ("val", "test")


@dataclass(frozen=True)
class Validation:
    """This process's share of the held-out images."""

    loader: Loader | None = None  # None: there are no held-out images
    metrics: Sequence[str] = ()  # rows of METRICS
    measuring: Sequence[Metric] = ()  # that give their figures
    phase: str = ""  # that the images are of
    images: int = 0  # that all processes evaluate
    sample: Batch | None = None  # the first image, on rank 0

    def pictures(self, model: Pix2PixHDModel, runtime: Runtime, labels: LabelSet) -> Pictures:
        """The first image as the generator renders it now, by names for the training page."""
        if self.sample is None:
            return {}
        batch = self.sample.to(runtime.device)
        with runtime.autocast():
            shown = Rendering(batch, render(model, batch)).pictures(labels)
        return {f"held_out_{name}": picture for name, picture in shown.items()}

    def evaluate(self, model: Pix2PixHDModel, runtime: Runtime) -> dict[str, Figure]:
        """Render the images, all processes their shares, and take the metrics.

        Returns:
            Figures by the names of `metrics`, on rank 0; elsewhere nothing.

        Raises:
            UserError: a file cannot be read.
        """
        assert self.loader is not None, "no held-out images"
        measured: list[list[Measurement]] = []  # of each image, by each metric
        for batch in self.loader:
            batch = batch.to(runtime.device)
            with runtime.autocast():
                fake = render(model, batch)
            assert batch.image is not None
            sample = Sample(fake, image_to_float(batch.image), batch.label)
            measured.append([metric.measure(sample) for metric in self.measuring])
        of_all = gather(measured, runtime.world)
        if not of_all:
            return {}
        figures: dict[str, Figure] = {}
        columns = zip(*itertools.chain(*of_all), strict=True)
        for metric, measurements in zip(self.measuring, columns, strict=True):
            figures |= metric.figures(measurements)
        return {name: figures[name] for name in self.metrics}


def open_validation(options: TrainOptions, runtime: Runtime) -> Validation:
    """The held-out images of the run: those of the test or val folders, where there are any.

    Raises:
        UserError: the options ask for metrics, and there is no such metric, or nothing to take it
            of.
    """
    metrics = metric_names(options.log.metrics)  # also those that nobody evaluates
    if not options.log.eval_freq:
        metrics = []
        if not runtime.world.is_main:
            return Validation()  # the first process alone shows a sample
    reasons = []
    for phase in PHASES:
        if phase == options.schedule.phase:
            continue
        if not has_phase(Path(options.data.dataroot), phase):
            continue
        try:
            dataset, sample = _opened(options, phase, needs_image=bool(metrics))
        except UserError as error:
            reasons.append(error.problems[0])
            continue
        return _shared(options, runtime, phase, dataset, sample, metrics)
    if metrics:
        raise UserError(
            f"--eval_freq {options.log.eval_freq}: there are no held-out images to evaluate "
            f"({'; '.join(reasons) or f'no test_* or val_* in {options.data.dataroot}'}); add some "
            "to test_label and test_img, or leave the flag out"
        )
    if reasons:
        # Without what to do about it: nothing needs to be done.
        why = ", ".join(reason.partition(";")[0] for reason in reasons)
        runtime.print_rank0(f"no held-out images are shown while training ({why})")
    return Validation()


def metric_names(listed: str) -> list[str]:
    """The names in a comma list.

    Raises:
        UserError: one of them is in no row of METRICS.
    """
    names = [name.strip() for name in listed.split(",") if name.strip()]
    unknown = [name for name in names if name not in METRICS]
    if unknown or not names:
        raise UserError(
            f"--metrics {listed!r}: {', '.join(unknown) or 'none named'}; expected a comma list "
            f"of {', '.join(METRICS)}"
        )
    return names


def _opened(options: TrainOptions, phase: str, needs_image: bool) -> tuple[AlignedDataset, Batch]:
    """The images of a phase, and the first of them, which all processes read: they must find the
    same faults, or would take different phases."""
    dataset = create_dataset(
        uncropped(options.data),
        options.model,
        phase=phase,
        read_features=options.model.load_features,
        needs_image=needs_image or options.model.uses_features,
    )
    require_size(options.model, dataset)
    return dataset, dataset[0]


def _shared(
    options: TrainOptions,
    runtime: Runtime,
    phase: str,
    dataset: AlignedDataset,
    sample: Batch,
    metrics: Sequence[str],
) -> Validation:
    """This process's share of the images that are evaluated, all of them checked."""
    world = runtime.world
    labels = label_set(options.model.label_nc, options.data.label_names)
    # Before the training: weights that a metric lacks are to be told at once.
    measuring = build_metrics(metrics, metric_settings(options, runtime.device, labels))
    if any("others" in metric.needs for metric in measuring):
        raise UserError(
            f"--metrics {','.join(metrics)}: one of them compares several renderings of an image, "
            "and training makes one; leave it out"
        )
    if metrics:
        del dataset.files[options.log.eval_images :]
        validate_once(dataset, runtime)
    images = len(dataset)
    if metrics:
        dataset.files = dataset.files[world.rank :: world.size]
    # One by one: they may differ in size. No workers: there are few of them.
    data = dataclasses.replace(options.data, batchSize=1, nThreads=0)
    loader = create_loader(dataset, data, seed=0, is_train=False)
    shown = sample if world.is_main else None
    return Validation(loader, metrics, measuring, phase, images, shown)
