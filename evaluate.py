"""Evaluate trained runs, or anybody's images. `python evaluate.py --help` tells how."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

from pix2pixhd.engine.launch import launch
from pix2pixhd.engine.program import parse_command_line

# The module in options/ that parses a command's line, and that in engine/ that runs it: `parse` of
# the one and `run` of the other. They are imported when it is clear which is asked for.
COMMANDS = {
    "evaluate": ("evaluate_options", "evaluation"),
    "train-segmenter": ("segmenter_options", "segmenter"),
    "compare": ("compare_options", "comparison"),
    "study": ("study_options", "study"),
    "study-report": ("study_options", "study_report"),
}


def parse_evaluate(argv: Sequence[str]) -> tuple[str, Any]:
    """The command, and its options."""
    command, words = "evaluate", argv
    if argv and argv[0] in COMMANDS:
        command, words = argv[0], argv[1:]
    options = importlib.import_module(f"pix2pixhd.options.{COMMANDS[command][0]}")
    parse: Callable[[Sequence[str]], Any] = options.PARSERS[command]
    return command, parse(words)


def main(command_and_options: tuple[str, Any]) -> None:
    command, options = command_and_options
    run = importlib.import_module(f"pix2pixhd.engine.{COMMANDS[command][1]}").run
    if command == "evaluate":
        from pix2pixhd.test import render_gallery

        run(options, render_gallery)
    else:
        run(options)


if __name__ == "__main__":
    COMMAND_AND_OPTIONS = parse_command_line(parse_evaluate)
    gpu_ids = getattr(getattr(COMMAND_AND_OPTIONS[1], "run", None), "gpu_ids", "-1")
    launch(main, COMMAND_AND_OPTIONS, gpu_ids)
