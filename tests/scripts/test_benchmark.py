"""The benchmark runs at a tiny size and writes sound figures. No test is about speed."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from stand_in import write_checkout

from pix2pixhd.engine import runtime
from pix2pixhd.engine.program import run_program
from pix2pixhd.models.segments import instance_average
from pix2pixhd.util.errors import UserError
from scripts import benchmark, timing
from scripts.benchmark_sections import float32_ways, loop_average, networks_way, read_recipe
from scripts.editing_latency import OPERATIONS, SIZES, options_of
from scripts.timing import Settings

QUICK = ("--device", "cpu", "--threads", "1", "--rounds", "1", "--samples", "2", "--scale", "16")
TINY = (*QUICK, "--train_flags=--n_blocks_global 1 --no_vgg_loss")


def rows_of(tmp_path: Path, *argv: str, times: int = 2) -> list[dict[str, Any]]:
    """The rows that the program writes, which are sound; `times` in each."""
    benchmark.main([*argv, "--json", str(tmp_path / "new" / "all.json")])
    content = json.loads((tmp_path / "new" / "all.json").read_text())
    assert {"date", "processor", "threads", "torch", "device"} <= content["machine"].keys()
    for row in content["rows"]:
        assert not row["failure"]
        assert len(row["seconds"]) == times and min(row["seconds"]) > 0
    return content["rows"]


def ways(rows: list[dict[str, Any]], section: str) -> list[str]:
    return [row["way"] for row in rows if row["section"] == section]


@pytest.mark.slow
def test_sections_fill_a_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    sections = [name for name in benchmark.SECTIONS if name not in ("editing", "end_to_end")]
    flags = ("--recipe", "train_512p_feat", "--workers", "0", "1", "--precision", "fp32")
    rows = rows_of(tmp_path, *sections, *TINY, *flags)
    assert ways(rows, "training") == ["plain step, fp32", "ours, fp32"]
    assert ways(rows, "rendering") == ["ours, fp32"]
    plain, step, rendering = [row["launches"] for row in rows[:3]]
    assert plain > step > rendering > 50  # fused Adam alone spares hundreds
    loaded = [f"{what}, {workers} workers" for workers in (0, 1) for what in ("PNG", "--cache")]
    assert ways(rows, "loading") == loaded
    assert ways(rows, "pooling") == 2 * ["loop_average", "instance_average"]
    assert {row["case"] for row in rows if row["section"] == "pooling"} == {
        "25 instances, 64x32",
        "500 instances, 64x32",
    }
    printed = capsys.readouterr().out
    for row in rows:
        assert any(row["case"] in line and row["way"] in line for line in printed.splitlines())
    assert "images/s" in printed and "times as fast" in printed and "peak" not in printed
    assert "operators" in printed and "launches" not in printed


def test_the_editor_is_timed_by_operations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(SIZES, "train_512p_feat")
    networks = "--train_flags=--n_blocks_global 1 --no_vgg_loss --ngf 2 --ndf 2 --nef 2"
    rows = rows_of(tmp_path, "editing", *QUICK, networks, "--precision", "fp32")
    cases = [f"demo, 64x32: {name}" for name in OPERATIONS]
    assert [row["case"] for row in rows] == cases
    assert {row["way"] for row in rows} == {"fp32"}


def test_what_the_editor_is_timed_with_is_of_the_scripts() -> None:
    demo, default = (options_of(script, "").model for script in SIZES)
    assert (demo.netG, demo.ngf, demo.instance_feat) == ("unet", 24, True)
    assert (default.netG, default.ngf, default.instance_feat) == ("global", 64, True)


@pytest.mark.slow
def test_precisions_and_checkpoints_are_ways_of_a_step(tmp_path: Path) -> None:
    flags = ("--precision", "fp32", "bf16", "--checkpoint_activations", "--recipe", "train_512p")
    rows = rows_of(tmp_path, "training", "rendering", *TINY, *flags)
    ours = [f"ours, {precision}" for precision in ("fp32", "bf16")]
    again = [f"{way}{end}" for way in ours for end in ("", ", --checkpoint_activations")]
    assert ways(rows, "training") == ["plain step, fp32", *again]
    assert ways(rows, "rendering") == ours


def test_networks_are_timed_as_programs_choose(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime, "time_convolution", {torch.float32: 2.0, torch.bfloat16: 1.0}.get)
    rows = rows_of(tmp_path, "rendering", *TINY, "--recipe", "train_512p")
    assert ways(rows, "rendering") == ["ours, by default: bf16", "ours, fp32"]


def test_float32_on_a_gpu_is_timed_in_tf32_and_in_full() -> None:
    assert float32_ways(torch.device("cuda", 1)) == {"TF32": "tf32", "fp32": "ieee"}
    conv, seen = torch.backends.cudnn.conv, list[str]()
    before = conv.fp32_precision
    for precision in ("ieee", "tf32"):
        networks_way(lambda: lambda: seen.append(conv.fp32_precision), precision)("cpu", 1)
        assert conv.fp32_precision == before
    assert seen == 3 * ["ieee"] + 3 * ["tf32"]  # warmed up, counted and timed


@pytest.mark.slow
def test_whole_programs_are_timed_next_to_the_public_ones(tmp_path: Path) -> None:
    checkout = write_checkout(tmp_path / "theirs")
    flags = ["--images", "1", "--precision", "fp32", "--against", str(checkout)]
    network = "--network=--netG global --ngf 2 --n_blocks_global 1"
    rows = rows_of(tmp_path, "end_to_end", *QUICK, *flags, network, times=1)
    assert ways(rows, "end_to_end") == 3 * ["reference checkout", "ours, --precision fp32"]
    cases = {
        "test.py, 1 frames": 1,
        "test.py, 1 frames, with photographs": 1,
        "train.py, 2 epochs of 1 frames": 2,
    }
    assert {row["case"]: row["images"] for row in rows} == cases


def test_a_program_that_fails_is_told_in_its_own_words(tmp_path: Path) -> None:
    checkout = write_checkout(tmp_path / "theirs")
    (checkout / "test.py").write_text("raise ValueError('no such label')\n")
    flags = ["end_to_end", *QUICK, "--images", "1", "--against", str(checkout)]
    with pytest.raises(UserError, match=r"its test.py failed \(ValueError: no such label\)"):
        benchmark.main(flags)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_tells_its_memory(tmp_path: Path) -> None:
    flags = [flag.replace("cpu", "cuda") for flag in TINY] + ["--precision", "fp32", "fp16"]
    rows = rows_of(tmp_path, "training", "rendering", "pooling", *flags)
    assert all(row["peak_memory"] > 0 for row in rows)
    assert all(row["launches"] > 50 for row in rows if row["section"] != "pooling")
    float32 = ["plain step, TF32", "plain step, fp32", "ours, TF32", "ours, fp32"]
    assert ways(rows, "training") == [*float32, "ours, fp16"]


@pytest.mark.parametrize("name", timing.RECIPES)
def test_recipes_are_those_of_the_scripts(name: str) -> None:
    full = read_recipe(name, "training", Settings(device="cpu", scale=1))
    small = read_recipe(name, "rendering", Settings(device="cpu"))
    sizes = {"train_512p": (512, 1024), "train_1024p_24G": (1024, 2048)}
    for recipe, scale in ((full, 1), (small, 8)):
        for word, size in sizes.items():
            if name == word:
                assert recipe.batch.label.shape[-2:] == (size[0] // scale, size[1] // scale)
    assert small.options.model.ngf == full.options.model.ngf // 4
    assert full.options.model.netG == ("local" if "1024p" in name else "global")


def test_features_are_encoded_where_an_image_is_rendered() -> None:
    settings = Settings(device="cpu", scale=16)
    [trained, rendered] = [
        read_recipe("train_1024p_feat_24G", section, settings)
        for section in ("training", "rendering")
    ]
    assert trained.batch.feat is not None and rendered.batch.feat is None


@pytest.mark.slow
def test_the_public_code_is_timed_in_a_process_of_its_own(tmp_path: Path) -> None:
    checkout = write_checkout(tmp_path / "theirs")
    before = sorted(checkout.rglob("*"))
    flags = (*QUICK, "--recipe", "train_512p_feat", "--against", str(checkout))
    flags = (*flags, "--precision", "fp32")
    rows = rows_of(tmp_path, "training", "rendering", *flags)
    assert rows[0]["launches"] > 10
    assert ways(rows, "training")[:2] == ["reference checkout, fp32", "plain step, fp32"]
    assert ways(rows, "rendering") == ["reference checkout, fp32", "ours, fp32"]
    assert sorted(checkout.rglob("*")) == before


@pytest.mark.slow
def test_a_public_code_that_fails_is_told_in_its_own_words(tmp_path: Path) -> None:
    checkout = write_checkout(tmp_path)
    file = checkout / "models" / "models.py"
    file.write_text(file.read_text().replace("D_real, D_fake], None]", "D_real], None]"))
    with pytest.raises(UserError, match=r"its training failed \(ValueError: zip\(\)") as caught:
        flags = ("--recipe", "train_512p", "--train_flags=--no_vgg_loss")
        benchmark.main(["training", *QUICK, *flags, "--against", str(checkout)])
    assert len(caught.value.problems) == 1


def test_ways_take_turns_and_one_without_memory_stops_no_other() -> None:
    calls = []

    def way(name: str, device: str, samples: int) -> timing.Timed:
        def call() -> None:
            calls.append(name)
            if name == "large" and calls.count(name) == 4:
                raise torch.OutOfMemoryError

        return timing.time_calls(lambda: call, device, samples)

    named = {
        name: (lambda device, samples, name=name: way(name, device, samples))
        for name in ("large", "small")
    }
    large, small = timing.compare("", named, Settings(device="cpu", rounds=3, samples=1))
    assert "".join(name[0] for name in calls) == "llss" + "llss" + "ss"
    assert large.failure == "out of memory" and not small.failure
    assert "out of memory" in benchmark.table([large, small], "cpu")


def test_the_loop_over_instances_is_the_average() -> None:
    random = torch.Generator().manual_seed(0)
    features = torch.randn(2, 3, 5, 7, generator=random)
    ids = torch.randint(4, (2, 1, 5, 7), generator=random)
    torch.testing.assert_close(loop_average(features, ids), instance_average(features, ids))


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["poolin"], "poolin"),
        (["--device", "tpu"], "--device tpu: expected cpu"),
        (["--device", "cuda:99"], "--device cuda:99: this machine has"),
        (["--samples", "0"], "--samples 0: must be 1 or more"),
        (["--workers", "-1"], "--workers -1"),
        (["--device", "cpu", "--precision", "fp16"], "--precision fp16: needs a CUDA device"),
        (["training", "--recipe", "train_4k"], "--recipe train_4k: no such recipe; there are"),
        (["training", "--train_flags=--ngff 2"], "--ngff"),
        (["training", "--against", "/nowhere"], "--against /nowhere: has no models/models.py"),
        (["pooling", "--against", "/"], "--against /: has no effect; add"),
        (["--device", "cpu", "--compile"], "--compile: compiled networks are slower"),
        (["--frames", "/nowhere"], "--frames /nowhere: has no test_label"),
    ],
)
def test_a_wrong_flag_is_one_line(
    flags: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stop:
        run_program(lambda: benchmark.main(flags))
    [line] = capsys.readouterr().err.splitlines()
    assert stop.value.code == 2 and line.startswith("error: ") and message in line


@pytest.mark.slow
def test_it_runs_from_any_folder(tmp_path: Path) -> None:
    program = [sys.executable, benchmark.__file__, "--rounds", "0"]
    ended = subprocess.run(program, cwd=tmp_path, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr) == (2, "error: --rounds 0: must be 1 or more\n")
