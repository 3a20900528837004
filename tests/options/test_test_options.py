"""Options of `test.py` that are its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from pix2pixhd.options.parsing import parse_encode, parse_precompute, parse_test


@pytest.mark.parametrize(
    ("flags", "precision"),
    [
        ("", "auto"),
        ("--output_bits 8", "auto"),
        ("--output_bits 16", "fp32"),
        ("--output_bits 32", "fp32"),
        ("--output_bits 16 --precision bf16", "bf16"),
        ("--output_bits 16 --fp16", "fp16"),
    ],
)
def test_deep_results_are_computed_in_full_precision(
    flags: str, precision: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert parse_test(flags.split()).run.precision == precision


@pytest.mark.parametrize(
    ("parse", "first"),
    [(parse_test, "results"), (parse_encode, "encoding"), (parse_precompute, "encoding")],
)
def test_help_begins_with_what_the_program_does(parse, first, capsys: pytest.CaptureFixture[str]):
    with pytest.raises(SystemExit):
        parse(["--help"])
    text = capsys.readouterr().out
    titles = [text.index(f" {group} options ") for group in (first, "run", "data", "model")]
    assert titles == sorted(titles)
