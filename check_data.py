"""Look at a data set before training: what is wrong, what it holds, which flags it needs."""

from __future__ import annotations

from pix2pixhd.engine.program import parse_command_line, run_program
from pix2pixhd.options.flags import as_words
from pix2pixhd.options.parsing import parse_check

if __name__ == "__main__":
    OPTIONS, TOLD = parse_command_line(parse_check)

import json
import sys
from collections.abc import Collection, Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import numpy as np

from pix2pixhd.data import advice, create_dataset
from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.data.survey import Survey, same_files, spread, survey_dataset
from pix2pixhd.data.validate import validate_dataset
from pix2pixhd.models.conditioning import image_to_float
from pix2pixhd.options.check_options import CheckOptions, not_default
from pix2pixhd.options.fields import flat, replaced
from pix2pixhd.options.parsing import uncropped
from pix2pixhd.pages.cut_out import cut_out
from pix2pixhd.pages.data_page import IMAGE_WIDTH, DataPage, LabelExample, Sample
from pix2pixhd.pages.data_report import DataReport, LabelRow
from pix2pixhd.util.batch import Batch
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.files import replacing
from pix2pixhd.util.image import label_to_image, tensor_to_image
from pix2pixhd.util.labels import IGNORED, LabelSet, label_set

WARNING = "warning: "  # how a line of the check begins that is not just a note
SAMPLES = 4  # shown on the page
FEWEST, MOST = 4, 12  # labels of which the page shows an example
SIZES = 4  # sizes that are listed
PHASES = ("train", "val", "test")  # of which none should hold another's photographs


def check(options: CheckOptions, told: Collection[str] = ()) -> DataReport:
    """Look at a data set, print what is found, and write the page and the figures.

    Args:
        told: the names of the options that count as they are; others are found.

    Raises:
        UserError: there is no data set where it should be, or a file cannot be written.
    """
    options, dataset, problems = open_dataset(options, told)
    phase, is_sample = options.report.phase, options.report.check_data == "sample"
    survey = survey_dataset(dataset, sample=is_sample)
    found = advice.suggestions(survey, options.data, options.model)
    for suggestion in found:
        changes = {name: v for name, v in suggestion.flags.items() if name not in told}
        options = replaced(options, changes)
    options = with_names(options, told)
    lines: list[str] = []
    try:
        is_train, mode = phase == "train", options.report.check_data
        dataset = create_dataset(
            options.data, options.model, phase=phase, is_train=is_train, needs_image=False
        )
        lines = validate_dataset(dataset, mode, batch_size=options.data.batchSize)
    except UserError as error:
        problems += error.problems
    labels = label_set(options.model.label_nc, options.data.label_names)
    is_known = "label_nc" in {*told, *(name for suggestion in found for name in suggestion.flags)}
    others = {name: photographs(options, name) for name in PHASES if name != phase}
    warnings = [line[len(WARNING) :] for line in lines if line.startswith(WARNING)]
    warnings += advice.worth_a_look(survey, labels, options.data.ignore_label)
    warnings += repeated_files(
        dataset, survey, [path for paths in others.values() for path in paths]
    )
    report = DataReport(
        f"{options.set_name}, phase {phase}",
        list(facts(dataset, survey, {name: len(paths) for name, paths in others.items()})),
        problems,
        warnings,
        [
            *(line.removeprefix("note: ") for line in lines if not line.startswith(WARNING)),
            *advice.notes(survey, labels),
        ],
        label_rows(survey, labels, options.data.ignore_label),
        [flags_and_reason(suggestion, options) for suggestion in found],
        next_command(options, told, dataset) if is_known else [],
    )
    print(report.text(), end="")
    if options.report.json:
        write_figures(options, survey, report)
    if options.report.page:
        pictures = Pictures(options, survey, labels)
        DataPage(options.page_file).write(report, pictures.samples(), pictures.examples())
        print(f"\nPage with samples: {options.page_file}")
    return report


def with_names(options: CheckOptions, told: Collection[str]) -> CheckOptions:
    """The options with the names that prepare_labels.py left with the data, if they suit it."""
    file = Path(options.data.dataroot) / "labels.json"
    if "label_names" in told or not options.model.label_nc or not file.is_file():
        return options
    try:
        label_set(options.model.label_nc, str(file))
    except UserError:
        return options
    return replaced(options, {"label_names": str(file)})


def open_dataset(
    options: CheckOptions, told: Collection[str]
) -> tuple[CheckOptions, AlignedDataset, list[str]]:
    """The data set, the options by which it could be opened, and what training lacks of it.

    What is not told is found: whether inputs are images, and whether there are instance maps.
    """
    root, phase = Path(options.data.dataroot), options.report.phase
    only_images = (root / f"{phase}_A").is_dir() and not (root / f"{phase}_label").is_dir()
    if "label_nc" not in told and only_images:
        options = replaced(options, {"label_nc": 0})
    problems: list[str] | None = None
    for needs_image, instance in product((phase == "train", False), (True, False)):
        changes = {} if instance or "instance" in told else {"instance": False}
        tried = replaced(options, changes)
        try:
            found = create_dataset(tried.data, tried.model, phase=phase, needs_image=needs_image)
        except UserError as error:
            problems = problems or error.problems
            failure = error
            continue
        # What is mended by a flag that was taken is no problem.
        lines = problems or []
        mended = set() if tried.model.instance else {n for n in lines if "--no_instance" in n}
        return tried, found, [line for line in lines if line not in mended]
    raise failure


def photographs(options: CheckOptions, phase: str) -> list[Path]:
    """Those of another phase; none where it is incomplete."""
    model = replace(options.model, instance=False)
    try:
        dataset = create_dataset(options.data, model, phase=phase, needs_image=True)
    except UserError:
        return []
    return [files["image"] for files in dataset.files]


def repeated_files(dataset: AlignedDataset, survey: Survey, others: list[Path]) -> Iterator[str]:
    """Lines about files that are the same, here and among the photographs of other phases."""
    ours = {files["image"]: files["label"] for files in dataset.files if "image" in files}
    groups = same_files([*ours, *others])
    yield from advice.leaks(groups, set(ours))
    mine = [[path for path in alike if path in ours] for alike in groups]
    yield from advice.same_photographs([alike for alike in mine if len(alike) > 1])
    if survey.labels:
        # Maps of a single label are alike by nature, and those of one photograph by right.
        first = {path: alike[0] for alike in mine for path in alike}
        photo_of = {label: first.get(photo, photo) for photo, label in ours.items()}
        maps = same_files([path for path in photo_of if path not in survey.plain])
        differ = [alike for alike in maps if len({photo_of[path] for path in alike}) > 1]
        yield from advice.same_labels(differ)


def facts(
    dataset: AlignedDataset, survey: Survey, others: dict[str, int]
) -> Iterator[tuple[str, str]]:
    """Figures of the files: what, and how many of which size and kind."""
    with_images = "image" in dataset.files[0]
    yield "images", f"{survey.images:,}" + ("" if with_images else ", without photographs")
    inputs = "input images" if "label" in dataset.photos else "label maps"
    for name, what in (("label", inputs), ("inst", "instance maps"), ("image", "photographs")):
        if sizes := survey.sizes.get(name):
            shown = [f"{w}x{h} ({n:,})" for (w, h), n in sizes.most_common(SIZES)]
            more = [f"{len(sizes) - SIZES:,} other sizes"] if len(sizes) > SIZES else []
            channels = [f"{c} channel{'s' * (c != 1)}" for c in survey.channels.get(name, ())]
            kinds = survey.values[name].dtypes if name in survey.values else ()
            yield what, ", ".join([*shown, *more, *channels, *kinds])
    if use := survey.instances:
        regions = use.named if sum(use.named.per_image) else use.all
        middle, most = int(np.median(regions.per_image)), max(regions.per_image)
        small, median, large = (f"{regions.quantile(share):,}" for share in (0.1, 0.5, 0.9))
        yield (
            "instances",
            f"{middle:,} in an image (median), at most {most:,}; of {median} pixels (median), "
            f"a tenth up to {small}, a tenth from {large}",
        )
    compared = [f"{name} ({count:,})" for name, count in others.items() if count]
    if with_images and compared:
        yield "compared with", "photographs of " + ", ".join(compared)


def label_rows(survey: Survey, labels: LabelSet, ignore_label: int | None) -> list[LabelRow]:
    """The histogram, in the labels' order."""
    rows = []
    for label, use in sorted(survey.labels.items()):
        inside = 0 <= label < len(labels)
        note = "near empty" if advice.is_rare(use, survey) else ""
        if not inside:
            note = "ignored" if label == ignore_label else f"outside 0 to {len(labels) - 1}"
        name = labels.names[label] if inside and labels.names else ""
        red, green, blue = labels.colours[label].tolist() if inside else IGNORED
        share = use.pixels / survey.pixels
        rows.append(LabelRow(label, name, (red, green, blue), use.pixels, share, use.images, note))
    return rows


def flags_and_reason(suggestion: advice.Suggestion, options: CheckOptions) -> tuple[str, str]:
    """A suggestion in words, and whether the options say otherwise."""
    taken = flat(options)
    other = {name: taken[name] for name, v in suggestion.flags.items() if taken[name] != v}
    contrary = f"; you gave {' '.join(as_words(other))}" if other else ""
    return " ".join(as_words(suggestion.flags)), suggestion.reason + contrary


def next_command(
    options: CheckOptions, told: Collection[str], dataset: AlignedDataset
) -> list[str]:
    """The words of the command line that takes the data set."""
    phase, has_images = options.report.phase, "image" in dataset.files[0]
    flags = {"name": options.run.name if "name" in told else options.set_name}
    flags["dataroot"] = options.data.dataroot
    if phase != "train":
        flags["phase"] = phase
    if phase in ("test", "val") or (not has_images and phase != "train"):
        return ["python", "test.py", *as_words(flags)]
    return ["python", "train.py", *as_words(flags | not_default(options.data, options.model))]


def write_figures(options: CheckOptions, survey: Survey, report: DataReport) -> None:
    """The report as JSON."""
    sizes = {
        name: {f"{width}x{height}": count for (width, height), count in sizes.items()}
        for name, sizes in survey.sizes.items()
    }
    figures = {"dataroot": options.data.dataroot, "phase": options.report.phase}
    more = {
        "images": survey.images,
        "sizes": sizes,
        "flags": not_default(options.data, options.model),
    }
    with replacing(Path(options.report.json or "")) as file:
        file.write(json.dumps(figures | more | report.figures(), indent=2).encode() + b"\n")


class Pictures:
    """What the page shows of a data set: images as training sees them, but uncropped."""

    def __init__(self, options: CheckOptions, survey: Survey, labels: LabelSet) -> None:
        self.survey, self.labels = survey, labels
        # With as many labels as there are, none is refused.
        most = max([options.model.label_nc, *(label + 1 for label in survey.labels)])
        model = replace(options.model, label_nc=most)
        data = replace(uncropped(options.data), ignore_label=None, cache=None)
        phase = options.report.phase
        self.dataset = create_dataset(data, model, phase=phase, needs_image=False)
        self.has_labels = model.label_nc > 0

    def samples(self) -> Iterator[Sample]:
        """Some samples, evenly spread; those that cannot be read are left out."""
        for number in spread(range(len(self.dataset)), SAMPLES):
            if batch := self._read(number):
                yield Sample(Path(batch.path[0]).stem, self._pictures(batch))

    def examples(self) -> Iterator[LabelExample]:
        """Labels outside the range and the rarest, each in the image that holds most of it."""
        uses = sorted(self.survey.labels.items(), key=lambda item: item[1].pixels)
        inside = [(label, use) for label, use in uses if 0 <= label < len(self.labels)]
        outside = [item for item in uses if item not in inside]
        rare = sum(advice.is_rare(use, self.survey) for _, use in inside)
        for label, use in [*outside[-MOST:], *inside[: max(FEWEST, min(MOST, rare))]]:
            batch = self._read(use.best)
            # Resizing may have passed over the last pixel of it.
            if batch and (mask := batch.label[0, 0].numpy() == label).any():
                pictures = self._pictures(batch)
                picture = pictures.get("real_image", pictures["input_label"])
                shown = cut_out(picture, mask, margin=0.5, size=2 * IMAGE_WIDTH)
                caption = f"{use.best_pixels:,} pixels of {Path(batch.path[0]).stem}"
                yield LabelExample(label, self.labels.describe(label), caption, shown)

    def _read(self, number: int) -> Batch | None:
        try:
            return self.dataset[number]
        except UserError:
            return None

    def _pictures(self, batch: Batch) -> dict[str, np.ndarray]:
        pictures = {}
        if self.has_labels:
            pictures["input_label"] = label_to_image(batch.label[0], self.labels.colours)
        else:
            pictures["input_image"] = tensor_to_image(image_to_float(batch.label[0]))
        if batch.image is not None:
            pictures["real_image"] = tensor_to_image(image_to_float(batch.image[0]))
            if self.has_labels:
                both = (pictures["input_label"], pictures["real_image"])
                pictures["overlay"] = np.mean(both, axis=0).astype(np.uint8)
        if batch.inst is not None:
            ids, places = np.unique(batch.inst[0, 0].numpy(), return_inverse=True)
            colours = np.random.default_rng(0).integers(48, 256, (len(ids), 3), np.uint8)
            pictures["instances"] = colours[places.reshape(batch.inst.shape[2:])]
        return pictures


def main(options: CheckOptions, told: Collection[str]) -> None:
    sys.exit(check(options, told).exit_code)


if __name__ == "__main__":
    run_program(lambda: main(OPTIONS, TOLD))
