"""`evaluate.py` as a user sees it: figures, what is measured again, and what is wrong."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from programs import Outcome, run_test, run_train, tiny_run, write_tiny_data

import evaluate as program
from pix2pixhd.engine.program import run_program
from pix2pixhd.metrics import METRICS, Measurement, MetricSettings, Sample
from pix2pixhd.metrics.pixels import L1, PSNR
from pix2pixhd.util.errors import UserError

ROOT = Path(__file__).parents[1]
GALLERY = "results/tiny/test_latest"
COUNT = 5


class Of(PSNR):
    """What cannot be had: it compares several renderings."""

    needs = ("others",)


def without_weights(settings: MetricSettings) -> L1:
    raise UserError("lost: there are no weights")


@pytest.fixture
def table(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Sample]]:
    """METRICS of four rows, of which two can be had, and the samples that L1 has measured."""
    measured = []

    def measure(self: L1, sample: Sample) -> Measurement:
        measured.append(sample)
        return super(L1, self).measure(sample)

    monkeypatch.setattr(L1, "measure", measure, raising=False)
    rows = {"l1": L1, "psnr": PSNR, "diversity": Of, "lost": without_weights}
    for name in METRICS.keys() - rows.keys():
        monkeypatch.delitem(METRICS, name)
    for name, row in rows.items():
        monkeypatch.setitem(METRICS, name, row)
    yield measured


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("evaluate")
    write_tiny_data(root)
    write_tiny_data(root, phase="test", count=COUNT)
    flags = ("--niter", "1", "--niter_decay", "0", "--no_html")
    assert run_train(*tiny_run(root), *flags).code == 0
    return root


def run_evaluate(*argv: str | Path) -> Outcome:
    """`python evaluate.py ARGV` within this process."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            words = [str(word) for word in argv]
            run_program(lambda: program.main(program.parse_evaluate(words)))
        except SystemExit as stop:
            code = int(stop.code or 0)
    return Outcome(code, out.getvalue(), err.getvalue())


def where(root: Path, results: Path | None = None) -> tuple[str, ...]:
    run = ("--name", "tiny", "--checkpoints_dir", f"{root}/ck", "--precision", "fp32")
    return (*run, "--nThreads", "0", "--results_dir", f"{results or root}/results")


def of_run(root: Path, results: Path, *flags: str) -> Outcome:
    outcome = run_evaluate(*where(root, results), "--gpu_ids", "-1", *flags)
    assert outcome.code == 0, outcome.err
    return outcome


def of_folders(fake: Path, real: Path, out: Path, *flags: str | Path) -> Outcome:
    folders = ("--fake", fake, "--real", real, "--out", out)
    return run_evaluate(*folders, "--gpu_ids", "-1", "--metrics", "l1", *flags)


def figures(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "metrics.json").read_text())


def test_figures_are_those_of_the_files(trained: Path, tmp_path: Path, table: list[Sample]) -> None:
    outcome = of_run(trained, tmp_path)
    assert "left out: lost: there are no weights" in outcome.out
    assert "left out: diversity: needs several renderings of each" in outcome.out
    report = figures(folder := tmp_path / GALLERY)
    assert list(report["metrics"]) == ["l1", "psnr"]
    by_hand = {}
    for number in range(COUNT):
        fake, real = (
            np.asarray(Image.open(folder / f"images/scene_{number}_{what}.png")).astype(float)
            for what in ("synthesized_image", "real_image")
        )
        by_hand[f"scene_{number}"] = np.abs(fake - real).mean() / 255
    l1 = report["metrics"]["l1"]
    assert l1["per_image"] == pytest.approx(by_hand, abs=1e-6)
    assert l1["value"] == pytest.approx(np.mean(list(by_hand.values())), abs=1e-6)
    [line] = [line for line in outcome.out.splitlines() if line.startswith("l1 ")]
    assert line.split() == ["l1", f"{l1['value']:.4g}", "lower"]
    protocol = report["protocol"]
    told = {"split": "test", "images": COUNT, "size": "32x16", "features": "label maps only"}
    assert protocol.items() >= told.items() and l1["protocol"].items() >= told.items()
    assert protocol["checkpoint"]["chosen"] == "latest of the training, after epoch 1"
    assert protocol["checkpoint"]["hash"] in l1["quote"]
    assert "5 images of test at 32x16" in l1["quote"]
    assert (folder / "evaluation.html").is_file()
    assert 'href="evaluation.html"' in (folder / "index.html").read_text()
    # A gallery of test.py leaves them alone, but does not say that they are of its images.
    assert run_test(*where(trained, tmp_path), "--gpu_ids", "-1").code == 0
    assert figures(folder) == report
    assert 'href="evaluation.html"' not in (folder / "index.html").read_text()


def test_folders_have_the_same_figures(trained: Path, tmp_path: Path) -> None:
    of_run(trained, tmp_path, "--metrics", "l1,psnr")
    folder, data = tmp_path / GALLERY, trained / "data"
    flags = ("--metrics", "l1,psnr", "--label", data / "test_label")
    outcome = of_folders(folder / "images", data / "test_img", tmp_path / "out", *flags)
    assert outcome.code == 0, outcome.err
    one, other = figures(folder)["metrics"], figures(tmp_path / "out")["metrics"]
    for name in ("l1", "psnr"):
        assert one[name]["value"] == other[name]["value"]
        assert one[name]["per_image"] == other[name]["per_image"]
    assert other["l1"]["protocol"]["checkpoint"] == {"chosen": "not known"}


def test_two_processes_find_what_one_does(trained: Path, tmp_path: Path) -> None:
    of_run(trained, tmp_path / "one", "--metrics", "l1,psnr")
    flags = ("--gpu_ids", "-1,-1", "--metrics", "l1,psnr")
    done = subprocess.run(
        [sys.executable, "evaluate.py", *where(trained, tmp_path / "two"), *flags],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("metric ") == 1
    one, two = (figures(tmp_path / what / GALLERY) for what in ("one", "two"))
    assert len(list((tmp_path / "two" / GALLERY / "measurements").iterdir())) == COUNT
    for report in (one, two):
        del report["protocol"]["command"]
        for figure in report["metrics"].values():
            del figure["protocol"]["command"]
    assert one == two


def test_it_goes_on_where_it_was_stopped(
    trained: Path, tmp_path: Path, table: list[Sample]
) -> None:
    of_run(trained, tmp_path)
    assert len(table) == COUNT
    folder = tmp_path / GALLERY
    report, images = figures(folder), folder / "images"
    written = {file: file.stat().st_mtime_ns for file in images.rglob("*.*")}
    of_run(trained, tmp_path)
    assert len(table) == COUNT and figures(folder) == report
    assert {file: file.stat().st_mtime_ns for file in written} == written
    # As if it had been stopped.
    (folder / "measurements/scene_1.npz").unlink()
    (folder / "measurements/scene_2.npz").write_bytes(b"damaged")
    of_run(trained, tmp_path)
    assert len(table) == COUNT + 2 and figures(folder) == report
    (images / "scene_3_synthesized_image.png").unlink()
    os.truncate(images / "scene_4_synthesized_image.png", 200)
    of_run(trained, tmp_path)
    assert len(table) == COUNT + 4 and figures(folder) == report
    again = {file for file, at in written.items() if file.stat().st_mtime_ns != at}
    assert {file.stem for file in again} == {
        f"scene_{number}_{what}"
        for number in (3, 4)
        for what in ("input_label", "synthesized_image", "real_image")
    }
    assert "scene_3_synthesized" in (folder / "index.html").read_text()


@pytest.mark.parametrize("change", ["weights", "label map", "older label map", "options"])
def test_other_images_are_rendered_again(
    change: str, trained: Path, tmp_path: Path, table: list[Sample]
) -> None:
    data = write_tiny_data(tmp_path, phase="test", count=COUNT)
    flags = ["--dataroot", str(data), "--metrics", "l1"]
    of_run(trained, tmp_path, *flags)
    if change == "weights":
        (trained / "ck/tiny/latest_net_G.pth").touch()
    elif "label map" in change:
        at = 0 if "older" in change else time.time_ns()
        os.utime(data / "test_label/scene_2.png", ns=(at, at))
    else:
        flags[1] = str(trained / "data")
    table.clear()
    of_run(trained, tmp_path, *flags)
    assert len(table) == (1 if "label map" in change else COUNT)


def test_a_changed_image_is_measured_again(tmp_path: Path, table: list[Sample]) -> None:
    fake, real = (write_tiny_data(tmp_path / w, count=3) / "train_img" for w in ("a", "b"))
    assert of_folders(fake, real, tmp_path / "out").code == 0
    assert figures(tmp_path / "out")["metrics"]["l1"]["value"] == 0
    Image.new("RGB", (32, 16)).save(fake / "scene_1.png")
    assert of_folders(fake, real, tmp_path / "out").code == 0
    assert len(table) == 4
    per_image = figures(tmp_path / "out")["metrics"]["l1"]["per_image"]
    assert [name for name, value in per_image.items() if value] == ["scene_1"]
    # Others' measurements stay where another metric is asked for.
    assert of_folders(fake, real, tmp_path / "out", "--metrics", "psnr").code == 0
    assert of_folders(fake, real, tmp_path / "out").code == 0
    assert len(table) == 4


def test_files_of_another_folder_or_range_are_measured_again(tmp_path: Path) -> None:
    for folder, level in (("real", 0), ("a", 100), ("b", 200)):
        for number in range(2):
            file = tmp_path / folder / f"{number}.tif"
            file.parent.mkdir(exist_ok=True)
            Image.fromarray(np.full((16, 32), level, np.uint16)).save(file)
            os.utime(file, ns=(0, 0))

    told = []

    def l1(fake: str, *flags: str) -> float:
        outcome = of_folders(tmp_path / fake, tmp_path / "real", tmp_path / "out", *flags)
        assert outcome.code == 0, outcome.err
        told.append(outcome.out)
        return figures(tmp_path / "out")["metrics"]["l1"]["value"]

    assert l1("a") == pytest.approx(100 / 65535, rel=1e-3)
    assert l1("b") == pytest.approx(200 / 65535, rel=1e-3)
    assert l1("b", "--value_range", "0,1000") == pytest.approx(0.2)
    assert "values are cut off" not in told[-1]
    assert l1("b", "--value_range", "0,150") == 1
    assert f"{tmp_path / 'b'}: values are cut off outside 0 to 150" in told[-1]
    assert told[-1].count("cut off") == 1


def test_val_stands_in_for_a_test_folder_without_photographs(trained: Path, tmp_path: Path) -> None:
    data = write_tiny_data(tmp_path, phase="val", count=2)
    flags = ("--dataroot", str(data), "--metrics", "l1")
    outcome = of_run(trained, tmp_path, *flags)
    assert "there are no photographs of test: val is evaluated" in outcome.out
    report = figures(tmp_path / "results/tiny/val_latest")
    assert report["protocol"]["split"] == "val" and report["protocol"]["images"] == 2


def best(trained: Path, phase: str) -> None:
    folder = trained / "ck/tiny"
    (folder / "best_net_G.pth").write_bytes((folder / "latest_net_G.pth").read_bytes())
    told = {"metric": "kid", "value": 0.1, "epoch": 7, "phase": phase}
    (folder / "best.json").write_text(json.dumps(told))


@pytest.mark.parametrize("phase", ["val", "test"])
def test_a_checkpoint_chosen_on_these_images_is_told(
    phase: str, trained: Path, tmp_path: Path
) -> None:
    best(trained, phase)
    flags = ("--which_epoch", "best", "--metrics", "l1", "--how_many", "2")
    outcome = of_run(trained, tmp_path, *flags)
    report = figures(tmp_path / "results/tiny/test_best")
    assert report["protocol"]["left_out"] == COUNT - 2
    quote = report["metrics"]["l1"]["quote"]
    assert f"best by kid on {phase}, epoch 7" in quote
    warning = "the checkpoint was chosen by kid on test, on images that are reported here"
    page = (tmp_path / "results/tiny/test_best/evaluation.html").read_text()
    for text in (quote, outcome.out, page):
        assert (warning in text) == (phase == "test")


def two(root: Path, **sizes: tuple[int, int]) -> tuple[Path, ...]:
    """Folders fake and real of two images each."""
    for name in ("fake", "real"):
        (root / name).mkdir()
        for number in range(2):
            size = sizes.get(name, (32, 16)) if number else (32, 16)
            Image.new("RGB", size).save(root / name / f"scene_{number}.png")
    return root / "fake", root / "real"


def rejected(outcome: Outcome, *parts: str) -> None:
    assert outcome.code == 2, outcome
    [line] = outcome.err.splitlines()
    assert line.startswith("error: ")
    for part in parts:
        assert part in line


def test_bad_folders_get_a_line(tmp_path: Path) -> None:
    fake, real = two(tmp_path, real=(30, 16))
    out = tmp_path / "out"
    rejected(of_folders(fake, real, out), "real/scene_1.png: 30x16", "32x16")
    (real / "scene_1.png").rename(real / "scene_7.png")
    rejected(of_folders(fake, real, out), "lacks 1 image (scene_1)", "lacks 1 image (scene_7)")
    (real / "scene_7.png").unlink()
    (fake / "scene_1.png").unlink()
    rejected(of_folders(fake, real, out), "1 image to evaluate, expected 2 or more")
    rejected(of_folders(tmp_path / "none", real, out), "none: there is no such folder")
    assert not out.exists()


def test_bad_labels_get_a_line(tmp_path: Path) -> None:
    fake, real = two(tmp_path)
    (label := tmp_path / "label").mkdir()
    for number in range(2):
        file = label / f"scene_{number}.png"
        Image.fromarray(np.full((16, 32), 255 * number, np.uint8)).save(file)
    flags = ("--label", label, "--label_nc", "3")
    outcome = of_folders(fake, real, tmp_path / "out", *flags)
    rejected(outcome, "scene_1.png: label 255 found, expected 0 to 2", "--ignore_label 255")
    none = (*flags[:-1], "0")
    rejected(of_folders(fake, real, tmp_path / "out", *none), "with --label_nc 0: give the number")
    ignoring = (*flags, "--ignore_label", "255")
    assert of_folders(fake, real, tmp_path / "out", *ignoring).code == 0


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        (("--fake", "FOLDER", "--real", "FOLDER"), "give also --out FOLDER"),
        (("--fake", "FOLDER", "--out", "FOLDER"), "give also --real FOLDER"),
        (("--fake", "FOLDER", "--real", "FOLDER", "--out", "o", "--name", "x"), "with --name: "),
        (("--fake", "FOLDER", "--real", "FOLDER", "--out", "o", "--how_many=2"), "with --how_many"),
        (("--fake=", "--real", "FOLDER", "--out", "o"), "--fake '': must be a folder's name"),
        (("--out=",), "--out '': must be a folder's name"),
        (("--label", "FOLDER"), "belongs to --fake"),
        (("--inception", "none.pt"), "--inception none.pt: there is no such file"),
        (("--inception", "FOLDER"), "is a folder, expected a file"),
        (("--inception", __file__, "--extractor", "dinov2"), "dinov2: drop one"),
        (("--eval_size", "3x"), "must be HEIGHTxWIDTH"),
        (("--eval_size", "10000x1"), "must be HEIGHTxWIDTH"),
    ],
)
def test_contradictions_get_a_line(flags: tuple[str, ...], part: str, tmp_path: Path) -> None:
    words = [str(tmp_path) if word == "FOLDER" else word for word in flags]
    rejected(run_evaluate(*words, "--gpu_ids", "-1"), part)


@pytest.mark.parametrize("names", ["nope", "lost", "diversity"])
def test_named_metrics_that_cannot_be_had_are_an_error(
    names: str, trained: Path, tmp_path: Path, table: list[Sample]
) -> None:
    flags = (*where(trained, tmp_path), "--gpu_ids", "-1", "--metrics", names)
    rejected(run_evaluate(*flags), names)
    assert not (tmp_path / "results").exists()  # nothing was rendered for it


def test_one_image_of_a_run_is_refused_before_it_is_rendered(trained: Path, tmp_path: Path) -> None:
    flags = (*where(trained, tmp_path), "--gpu_ids", "-1", "--how_many", "1")
    rejected(run_evaluate(*flags), "1 image to evaluate, expected 2 or more")
    assert not (tmp_path / "results").exists()


@pytest.mark.parametrize("named", [False, True])
def test_an_image_that_cannot_be_measured(
    named: bool, tmp_path: Path, table: list[Sample], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(self: PSNR, sample: Sample) -> Measurement:
        raise UserError("psnr: too small")

    monkeypatch.setattr(PSNR, "measure", refuse)
    fake, real = two(tmp_path)
    flags = ("--fake", fake, "--real", real, "--out", tmp_path / "out", "--gpu_ids", "-1")
    if named:
        rejected(run_evaluate(*flags, "--metrics", "psnr"), "scene_0.png: psnr: too small")
        return
    outcome = run_evaluate(*flags)
    assert outcome.code == 0 and "left out: psnr: too small" in outcome.out
    assert list(figures(tmp_path / "out")["metrics"]) == ["l1"]
