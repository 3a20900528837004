"""`evaluate.py` without a command: figures of a run's gallery or of folders, and their page."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Protocol

import torch

from pix2pixhd.data import create_dataset
from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.data.layouts import has_phase
from pix2pixhd.engine.checkpoint_choice import features_of, read_checkpoint
from pix2pixhd.engine.distributed import broadcast, initialise
from pix2pixhd.engine.image_pairs import (
    Pair,
    Reader,
    check_count,
    check_pairs,
    pairs_of_folders,
    pairs_of_gallery,
)
from pix2pixhd.engine.measuring import Measuring, choose_metrics, measure_all, offered
from pix2pixhd.engine.metric_settings import metric_settings
from pix2pixhd.engine.program import versions
from pix2pixhd.engine.published import completed
from pix2pixhd.engine.runtime import Runtime, choose_device
from pix2pixhd.engine.world import read_world
from pix2pixhd.metrics import Figure
from pix2pixhd.options.evaluate_options import EvaluateOptions
from pix2pixhd.options.fields import flat, replaced
from pix2pixhd.options.flags import changed_flags
from pix2pixhd.options.parsing import parse_for_run
from pix2pixhd.options.test_options import TestOptions
from pix2pixhd.pages.evaluation_page import EvaluationPage, Shown
from pix2pixhd.pages.gallery import ResultsGallery
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.files import replacing
from pix2pixhd.util.labels import LabelSet, label_set
from pix2pixhd.util.words import counted


class Render(Protocol):
    """What renders a run's images into a gallery: `render_gallery` of test.py."""

    def __call__(self, options: TestOptions, *, keeps: bool) -> ResultsGallery: ...


@dataclass(frozen=True)
class Subject:
    """What is evaluated."""

    name: str
    pairs: Sequence[Pair]
    out: Path
    labels: LabelSet | None
    protocol: Mapping[str, Any]  # of all figures, but for the images' number and sizes
    chosen: Sequence[Measuring] = ()
    gallery: ResultsGallery | None = None
    warning: str = ""  # about all figures


def run(options: EvaluateOptions, render: Render) -> None:
    """Evaluate a run or folders: print the figures, write `metrics.json` and a page.

    Rendering and measuring go on where they were stopped; processes share both.

    Raises:
        UserError: the data, the weights or the images are not as they should be, or figures that
            were asked for cannot be had.
    """
    world = read_world()
    device, notes = choose_device(options.run.gpu_ids, world)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    initialise(world, device)
    runtime = Runtime(device, world=world)
    if options.evaluation.fake is None:
        subject = subject_of_run(options, render, runtime)
    else:
        runtime.print_rank0(*notes)
        subject = subject_of_folders(options, runtime)
    sizes = broadcast(check_pairs(subject.pairs) if world.is_main else None, world)
    ignored, deep = options.data.ignore_label, options.data.ranges["image"]
    figures = measure_all(
        subject.pairs,
        subject.chosen,
        Reader(len(subject.labels or ()), ignored, deep),
        subject.out / "measurements",
        runtime,
        may_lack=options.evaluation.metrics is None,
    )
    if not world.is_main:
        return
    if not figures:
        raise UserError(f"{subject.name}: no figure can be had; the lines above say why")
    protocol = common_protocol(subject, sizes)
    report = as_json(subject, protocol, figures)
    print(table(report["metrics"]))
    if subject.warning:
        print(f"warning: {subject.warning}")
    with replacing(subject.out / "metrics.json") as file:
        file.write(json.dumps(report, indent=2, allow_nan=False).encode() + b"\n")
    page = EvaluationPage(subject.out, report, shown(subject), subject.warning)
    page.write()
    if subject.gallery and subject.gallery.folder == subject.out:
        subject.gallery.write()  # once more, as its pages link to this one
    print(f"figures: {subject.out / 'metrics.json'}\npage: {page.file}")


def subject_of_run(options: EvaluateOptions, render: Render, runtime: Runtime) -> Subject:
    """Render a run's images, and what is to be known of them."""
    options = completed(options, options.results.which_epoch)
    dataset = open_phase(options, runtime)
    phase, total = dataset.phase, len(dataset)
    how_many = min(options.results.how_many, total)
    options = replaced(options, {"phase": phase, "how_many": how_many})
    labels = label_set(options.model.label_nc, options.data.label_names) or None
    there = {
        "real": "image" in dataset.files[0],
        "label": labels is not None,
        "others": options.results.styles > 1,
    }
    # What would end all is told before hours of rendering.
    check_count(how_many)
    offers = {name for name, is_there in there.items() if is_there}
    settings = metric_settings(options, runtime.device, labels)
    chosen = choose_metrics(options.evaluation.metrics, settings, offers, runtime)
    of_test = TestOptions(**{f.name: getattr(options, f.name) for f in fields(TestOptions)})
    gallery = render(of_test, keeps=True)
    pairs = pairs_of_gallery(gallery, dataset) if runtime.world.is_main else []
    checkpoint, warning = read_checkpoint(options)
    own = parse_for_run(
        EvaluateOptions,
        ["--name", options.run.name, "--checkpoints_dir", options.run.checkpoints_dir],
        say=lambda line: None,
    )
    unsaid = {"how_many": total, "checkpoints_dir": "./checkpoints"}
    flags = changed_flags(flat(options), flat(own) | unsaid, always=("name",))
    is_whole = options.data.resize_or_crop == "none"
    protocol = {
        "split": phase,
        **({"left_out": total - how_many} if how_many < total else {}),
        "scaling": "as files are" if is_whole else f"{options.data.resize_or_crop}, bicubic",
        "files": options.results.image_format,
        "features": features_of(options),
        "checkpoint": checkpoint,
        "command": f"python evaluate.py {flags}",
    }
    out = Path(options.evaluation.out or gallery.folder)
    pairs = broadcast(pairs, runtime.world)
    return Subject(options.run.name, pairs, out, labels, protocol, chosen, gallery, warning)


def open_phase(options: EvaluateOptions, runtime: Runtime) -> AlignedDataset:
    """The images of --phase; where those of test have no photographs, those of val that have."""
    phase, root = options.results.phase, Path(options.data.dataroot)

    def opened(phase: str, needs_image: bool | None = None) -> AlignedDataset:
        return create_dataset(options.data, options.model, phase=phase, needs_image=needs_image)

    if phase != "test" or (has_phase(root, phase) and "image" in opened(phase).files[0]):
        return opened(phase)
    try:
        found = opened("val", needs_image=True)
    except UserError:
        return opened(phase)
    runtime.print_rank0("there are no photographs of test: val is evaluated")
    return found


def subject_of_folders(options: EvaluateOptions, runtime: Runtime) -> Subject:
    """The images of --fake, --real and --label."""
    given = options.evaluation
    assert given.fake is not None and given.real is not None and given.out is not None
    label = None if given.label is None else Path(given.label)
    pairs: list[Pair] = []
    if runtime.world.is_main:
        pairs = pairs_of_folders(Path(given.fake), Path(given.real), label)
    labels = label_set(options.model.label_nc, options.data.label_names) if label else None
    flags = changed_flags(flat(options), flat(EvaluateOptions()), always=("fake", "real"))
    protocol = {
        "split": given.real,
        "scaling": "as files are",
        "features": "not known",
        "checkpoint": {"chosen": "not known"},
        "command": f"python evaluate.py {flags}",
    }
    pairs = broadcast(pairs, runtime.world)
    check_count(len(pairs))
    settings = metric_settings(options, runtime.device, labels)
    chosen = choose_metrics(given.metrics, settings, offered(pairs), runtime)
    return Subject(given.fake, pairs, Path(given.out), labels, protocol, chosen)


def common_protocol(subject: Subject, sizes: Sequence[tuple[int, int]]) -> dict[str, Any]:
    """What holds for all figures of a subject."""
    size = ", ".join(f"{width}x{height}" for width, height in sizes[:3])
    more = f" and {len(sizes) - 3} other sizes" if len(sizes) > 3 else ""
    images = {"images": len(subject.pairs), "size": size + more}
    return {**subject.protocol, **images, "versions": versions()}


def as_json(
    subject: Subject, protocol: Mapping[str, Any], figures: Mapping[str, Figure]
) -> dict[str, Any]:
    """What `metrics.json` holds; NaN is null."""
    names = [pair.name for pair in subject.pairs]
    metrics = {}
    for name, figure in figures.items():
        per_image = figure.per_image
        metrics[name] = {
            "value": number(figure.value),
            "better": figure.better,
            "protocol": {**protocol, **figure.protocol},
            "quote": quote(subject, name, figure, protocol),
            "beside": {key: number(value) for key, value in figure.beside.items()},
            "by_class": {key: number(value) for key, value in figure.by_class.items()},
            "per_image": {}
            if per_image is None
            else dict(zip(names, map(number, per_image), strict=True)),
            "warning": figure.warning,
        }
    return {"name": subject.name, "protocol": dict(protocol), "metrics": metrics}


def number(value: float) -> float | None:
    """As JSON has it."""
    return float(value) if math.isfinite(value) else None


def quote(subject: Subject, name: str, figure: Figure, protocol: Mapping[str, Any]) -> str:
    """One line with all that is to be known of a figure."""
    beside = "".join(f", {k.replace('_', ' ')} {v:.4g}" for k, v in figure.beside.items())
    checkpoint = protocol["checkpoint"]
    file = f"{checkpoint['file']} ({checkpoint['hash']}), " if "file" in checkpoint else ""
    own = "; ".join(f"{k} {_plain(v)}" for k, v in figure.protocol.items())
    parts = [
        f"{name} {figure.value:.4g}{beside} ({figure.better} is better)",
        f"{counted(protocol['images'], 'image')} of {protocol['split']} at {protocol['size']}",
        f"scaling: {protocol['scaling']}",
        f"features: {protocol['features']}",
        f"checkpoint: {file}{checkpoint['chosen']}",
        *([own] if own else []),
        *filter(None, [subject.warning, figure.warning]),
    ]
    return f"{subject.name}: {'; '.join(parts)}"


def _plain(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def table(metrics: Mapping[str, Mapping[str, Any]]) -> str:
    """The figures for a terminal: name, value, what is beside it, which direction is better."""
    rows = [("metric", "value", "beside", "better")]
    for name, figure in metrics.items():
        beside = ", ".join(f"{k} {shown_number(v)}" for k, v in figure["beside"].items())
        rows.append((name, shown_number(figure["value"]), beside, figure["better"]))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        f"{a:<{widths[0]}}  {b:>{widths[1]}}  {c:<{widths[2]}}  {d}".rstrip() for a, b, c, d in rows
    ]
    warnings = {f"{name}: {f['warning']}" for name, f in metrics.items() if f["warning"]}
    return "\n".join([*lines, *sorted(warnings)])


def shown_number(value: float | None) -> str:
    return "-" if value is None else f"{value:.4g}"


def shown(subject: Subject) -> dict[str, list[Shown]]:
    """The pictures of each image for the page, by its name."""
    pictures = {
        pair.name: [
            Shown(what, file)
            for what, file in (("synthesized image", pair.fake), ("real image", pair.real))
            if file is not None
        ]
        for pair in subject.pairs
    }
    if subject.gallery is None:
        return pictures
    folder = subject.gallery.folder
    for row in subject.gallery.rows:
        inputs = [p for p in row.pictures if "_input_label" in p.full]
        pictures[row.name] = [
            *(Shown("input", folder / p.full, folder / p.file) for p in inputs),
            *(_with_thumbnail(one, folder) for one in pictures[row.name]),
        ]
    return pictures


def _with_thumbnail(one: Shown, folder: Path) -> Shown:
    return replace(one, small=folder / "images/thumbs" / f"{one.full.stem}.jpg")
