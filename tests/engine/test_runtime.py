"""The precision that is taken, and the line that says so where it is not the one asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from programs import metrics, run_test, run_train, tiny_run, write_tiny_data
from shared_data import shared
from test_conformance import expect_losses, flags

from pix2pixhd.engine import runtime as runtime_module
from pix2pixhd.engine.run_folder import write_all
from pix2pixhd.engine.runtime import Runtime, choose_dtype, why_not_compiled
from pix2pixhd.engine.world import World
from pix2pixhd.models import create_model
from pix2pixhd.options.parsing import parse_train
from pix2pixhd.options.saved import options_texts
from pix2pixhd.util.errors import UserError

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
ONE_EPOCH = ("--niter", "1", "--niter_decay", "0", "--print_freq", "1", "--no_html")


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a GPU that has bfloat16, or has not."""

    def make(native: bool) -> None:
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: native)
        monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "an old GPU")

    return make


@pytest.mark.parametrize(
    ("asked", "native", "taken"),
    [
        ("auto", True, torch.bfloat16),
        ("auto", False, torch.float32),
        ("fp32", True, torch.float32),
        ("bf16", True, torch.bfloat16),
        ("fp16", False, torch.float16),
    ],
)
def test_precision_on_a_gpu(asked: str, native: bool, taken: torch.dtype, gpu: Any) -> None:
    gpu(native)
    assert choose_dtype(asked, CUDA) == (taken, [])


def test_a_gpu_without_bfloat16_says_so(gpu: Any) -> None:
    gpu(native=False)
    dtype, (note,) = choose_dtype("bf16", CUDA)
    assert dtype == torch.float32
    assert "an old GPU has no bfloat16" in note


@pytest.mark.parametrize(("half_seconds", "taken"), [(0.5, torch.bfloat16), (2.5, torch.float32)])
def test_bfloat16_on_a_cpu_if_and_only_if_it_is_faster(
    half_seconds: float, taken: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = {torch.float32: 1.0, torch.bfloat16: half_seconds}
    monkeypatch.setattr(runtime_module, "time_convolution", seconds.__getitem__)
    dtype, notes = choose_dtype("bf16", CPU)
    assert dtype == taken
    if taken == torch.float32:
        assert notes == [
            "--precision bf16: 2.5 times as slow as fp32 on this CPU, computing in fp32"
        ]
    assert choose_dtype("auto", CPU) == (torch.float32, [])


def test_a_convolution_is_timed_for_real() -> None:
    assert 0 < runtime_module.time_convolution(torch.float32) < 10


def test_float16_needs_a_gpu() -> None:
    dtype, (note,) = choose_dtype("fp16", CPU)
    assert dtype == torch.float32
    assert "CUDA" in note


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("--precision fp32 --fp16", "give --no_fp16"),
        ("--precision bf16 --data_type 16", "give --data_type 32"),
        ("--gpu_ids 0,1,0", "names a GPU twice"),
        ("--compile --checkpoint_activations --norm batch", "leave one of them out"),
        ("--gpu_ids 0,-1", "must be a list"),
    ],
)
def test_contradictions(line: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        parse_train(line.split())


def test_fp16_is_a_precision() -> None:
    for line in ("--fp16", "--data_type 16", "--precision fp16", "--precision fp16 --fp16"):
        assert parse_train(line.split()).run.precision == "fp16"


@pytest.mark.parametrize("case", ["labels", "instance_feat"])
def test_losses_of_the_reference_in_bfloat16(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within 4 percent for the first steps: bfloat16 has three digits, and errors average out."""
    monkeypatch.setattr(runtime_module, "choose_dtype", lambda *_: (torch.bfloat16, []))
    outcome = run_train(
        *("--name", case, "--checkpoints_dir", tmp_path, "--print_freq", "1", "--no_html"),
        *("--load_pretrain", shared("reference") / case / "init", *flags(case)),
    )
    assert outcome.code == 0, outcome.err
    expect_losses(metrics(tmp_path / case), case, {6: 4e-2, 24: 1.5e-1})


@pytest.mark.slow
def test_losses_of_the_reference_compiled(tmp_path: Path) -> None:
    if reason := why_not_compiled(CPU):
        pytest.skip(f"torch.compile does not work here: {reason}")
    outcome = run_train(
        *("--name", "labels", "--checkpoints_dir", tmp_path, "--print_freq", "1", "--no_html"),
        *("--load_pretrain", shared("reference") / "labels/init", *flags("labels"), "--compile"),
    )
    assert outcome.code == 0, outcome.err
    assert "not compiling" not in outcome.out
    expect_losses(metrics(tmp_path / "labels"), "labels")


def test_without_a_compiler_one_line_says_so_and_training_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise RuntimeError("No working C++ compiler found\nin all the world")

    monkeypatch.setattr(torch, "compile", broken)
    write_tiny_data(tmp_path)
    outcome = run_train(*tiny_run(tmp_path), *ONE_EPOCH, "--compile")
    assert outcome.code == 0, outcome.err
    assert "--compile: not compiling, No working C++ compiler found\n" in outcome.out
    assert len(metrics(tmp_path / "ck/tiny")) == 4


def test_rendering_in_bfloat16_is_close_to_float32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny_data(tmp_path)
    write_tiny_data(tmp_path, phase="test", count=1)
    assert run_train(*tiny_run(tmp_path), *ONE_EPOCH).code == 0
    from pix2pixhd.engine.render import render
    from pix2pixhd.engine.trained import load_trained

    options = parse_train([*map(str, tiny_run(tmp_path))])
    model = load_trained(options.model, tmp_path / "ck/tiny", "latest")
    from pix2pixhd.data import create_dataset, create_loader

    dataset = create_dataset(options.data, options.model, phase="test", seed=0, is_train=False)
    [batch] = create_loader(dataset, options.data, seed=0, is_train=False)
    images = []
    for dtype in (torch.float32, torch.bfloat16):
        with Runtime(CPU, dtype).autocast():
            images.append(render(model, batch))
    assert images[1].dtype == torch.float32
    assert 0 < (images[0] - images[1]).abs().max() < 0.05
    where = ("--name", "tiny", "--checkpoints_dir", tmp_path / "ck", "--results_dir", tmp_path)
    monkeypatch.setattr(runtime_module, "choose_dtype", lambda *_: (torch.bfloat16, []))
    assert run_test(*where, "--gpu_ids", "-1").code == 0


def test_channels_last_is_another_layout_of_the_same_model(tmp_path: Path) -> None:
    options = parse_train(["--ngf", "4", "--n_blocks_global", "1", "--n_downsample_global", "2"])
    condition = torch.rand(1, 36, 16, 32)
    models = [create_model(options.model, seed=3) for _ in range(2)]
    Runtime(CPU, channels_last=True).prepare(models[1])
    plain, other = (model.netG(condition) for model in models)
    assert models[1].netG.model[1].weight.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(plain, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("saved", "given", "taken"),
    [
        ("--precision bf16", "--fp16", "fp16"),
        ("--fp16", "--precision fp32", "fp32"),
        ("--precision bf16", "--data_type=16", "fp16"),
        ("--fp16", "--no-fp16", "auto"),
        ("--fp16", "--batchSize 1", "fp16"),
    ],
)
def test_a_run_goes_on_in_the_precision_that_is_given(
    saved: str, given: str, taken: str, tmp_path: Path
) -> None:
    where = ["--name", "run", "--checkpoints_dir", str(tmp_path)]
    write_all(tmp_path / "run", options_texts(parse_train([*where, *saved.split()])))
    options = parse_train([*where, "--continue_train", *given.split()])
    assert options.run.precision == taken


def test_lines_are_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    Runtime(CPU, world=World(rank=1, size=2)).print_rank0("not this one")
    Runtime(CPU, world=World(rank=0, size=2)).print_rank0("this one", "and this")
    assert capsys.readouterr().out == "this one\nand this\n"
