"""Options of `evaluate.py`; those of its other commands are in files of their own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pix2pixhd.options.command_line import read_argv
from pix2pixhd.options.fields import types_of
from pix2pixhd.options.metric_options import MetricOptions
from pix2pixhd.options.parsing import given_flags, parse_for_run, refuse
from pix2pixhd.options.test_options import ResultOptions, TestOptions

ALL = 10**9  # images
# What belongs to no run, beside the options of what is evaluated and of metrics.
OF_FOLDERS = {"gpu_ids", "local_rank", "label_nc", "label_names", "ignore_label", "value_range"}


@dataclass(frozen=True)
class EvaluationOptions:
    """What is evaluated, and where the figures go."""

    fake: str | None = None
    """A folder of synthesised images to evaluate in place of a run; paired by name."""
    real: str | None = None
    """The folder of real images that belongs to --fake."""
    label: str | None = None
    """The folder of label maps that belongs to --fake."""
    out: str | None = None
    """Folder of the figures and the page; by default that of the run's gallery."""
    metrics: str | None = None
    """Figures to take, a comma list; by default all that can be had."""


@dataclass(frozen=True)
class EvaluateOptions(TestOptions):
    """Evaluate a trained run, or anybody's images: figures, their protocol, a page.

    Other commands: evaluate.py train-segmenter, compare, study, study-report; each has its --help.
    """

    results: ResultOptions = field(default_factory=lambda: ResultOptions(how_many=ALL))
    evaluation: EvaluationOptions = field(default_factory=EvaluationOptions)
    metric: MetricOptions = field(default_factory=MetricOptions)

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        given = self.evaluation
        if given.fake is None:
            for name in ("real", "label"):
                if (folder := getattr(given, name)) is not None:
                    yield f"--{name} {folder}: belongs to --fake FOLDER; give both, or neither"
        else:
            for name, what in (("real", "the real images"), ("out", "the figures")):
                if getattr(given, name) is None:
                    yield f"--fake {given.fake}: give also --{name} FOLDER, of {what}"
        for name in ("fake", "real", "label", "out"):
            if getattr(given, name) == "":
                yield f"--{name} '': must be a folder's name"
        if given.label is not None and self.model.label_nc == 0:
            yield f"--label {given.label} with --label_nc 0: give the number of labels, or drop one"
        for name in ("fake", "real", "label"):
            if (folder := getattr(given, name)) is not None and not Path(folder).is_dir():
                yield f"--{name} {folder}: there is no such folder; check the path"
        yield from self.metric.problems()


def parse_evaluate(argv: Sequence[str]) -> EvaluateOptions:
    """Options of `evaluate.py` without a command: of a run, which lends its own, or of folders.

    Raises:
        UserError: as `parse_for_run`.
    """
    options = read_argv(argv, EvaluateOptions())
    if options.evaluation.fake is None:
        return parse_for_run(EvaluateOptions, argv)
    options = options.resolved()
    of_folders = OF_FOLDERS | types_of(EvaluationOptions).keys() | types_of(MetricOptions).keys()
    refuse(
        f"--fake {options.evaluation.fake} with --{name}: that is of a run, and does nothing to "
        "folders; drop one"
        for name in sorted(given_flags(argv) - of_folders)
    )
    refuse(options.problems())
    return options


PARSERS = {"evaluate": parse_evaluate}
