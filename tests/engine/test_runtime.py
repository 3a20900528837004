"""The precision that is taken, and the line that says so where it is not the one asked for."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from programs import metrics, run_test, run_train, tiny_run, write_tiny_data
from shared_data import shared
from test_conformance import expect_losses, flags

from pix2pixhd.engine import runtime as runtime_module
from pix2pixhd.engine.render import render
from pix2pixhd.engine.run_folder import write_all
from pix2pixhd.engine.runtime import Runtime, choose_dtype, runtime_on
from pix2pixhd.engine.world import World
from pix2pixhd.models import create_model
from pix2pixhd.models.blocks import Convolution
from pix2pixhd.options.parsing import parse_test, parse_train
from pix2pixhd.options.saved import options_texts
from pix2pixhd.util.batch import Batch
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
    ("asked", "native", "taken", "told"),
    [
        ("auto", True, torch.bfloat16, "--precision auto: bf16"),
        ("auto", False, torch.float32, "--precision auto: an old GPU has no bfloat16"),
        ("fp32", True, torch.float32, ""),
        ("bf16", True, torch.bfloat16, ""),
        ("bf16", False, torch.float32, "an old GPU has no bfloat16, computing in fp32"),
        ("fp16", False, torch.float16, ""),
    ],
)
def test_precision_on_a_gpu(
    asked: str, native: bool, taken: torch.dtype, told: str, gpu: Any
) -> None:
    gpu(native)
    dtype, notes = choose_dtype(asked, CUDA)
    assert dtype == taken
    assert len(notes) == bool(told) and told in "".join(notes)


@pytest.mark.parametrize(
    ("asked", "half_seconds", "taken", "told"),
    [
        ("auto", 0.5, torch.bfloat16, "--precision auto: bf16, 2.0 times as fast as fp32 here"),
        ("auto", 2.5, torch.float32, "--precision auto: fp32, bf16 is 2.5 times as slow here"),
        ("bf16", 0.5, torch.bfloat16, ""),
        ("bf16", 2.5, torch.bfloat16, "--precision bf16: 2.5 times as slow as fp32 on this CPU"),
        ("fp32", 0.5, torch.float32, ""),
    ],
)
def test_precision_on_a_cpu_is_by_the_clock(
    asked: str, half_seconds: float, taken: torch.dtype, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = {torch.float32: 1.0, torch.bfloat16: half_seconds}
    monkeypatch.setattr(runtime_module, "time_convolution", seconds.__getitem__)
    assert choose_dtype(asked, CPU) == (taken, [told] if told else [])


@pytest.mark.parametrize("half_seconds", [0.5, 2.5])
def test_a_run_goes_on_in_the_precision_that_was_measured(
    half_seconds: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = {torch.float32: 1.0, torch.bfloat16: half_seconds}
    monkeypatch.setattr(runtime_module, "time_convolution", seconds.__getitem__)
    write_tiny_data(tmp_path)
    words = (*tiny_run(tmp_path), *ONE_EPOCH, "--precision", "auto")
    outcome = run_train(*words)
    taken = "bf16" if half_seconds < 1 else "fp32"
    assert f"--precision auto: {taken}, " in outcome.out
    saved = json.loads((tmp_path / "ck/tiny/options.json").read_text())
    assert saved["precision"] == taken
    # The clock now says the other.
    seconds[torch.bfloat16] = 1 / half_seconds
    where = [str(word) for word in tiny_run(tmp_path)[:6]]
    options = parse_train([*where, "--continue_train"])
    runtime, _ = runtime_on(CPU, options.run)
    assert runtime.precision == taken
    # Rendering chooses anew: it may be on another machine.
    assert parse_test(where).run.precision == "auto"


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
        ("--gpu_ids 0,-1", "must be a list"),
    ],
)
def test_contradictions(line: str, words: str) -> None:
    with pytest.raises(UserError, match=words):
        parse_train(line.split())


def test_fp16_is_a_precision() -> None:
    for line in ("--fp16", "--data_type 16", "--precision fp16", "--precision fp16 --fp16"):
        assert parse_train(line.split()).run.precision == "fp16"


@pytest.mark.parametrize("case", [pytest.param("labels", marks=pytest.mark.slow), "instance_feat"])
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


def test_weights_that_nobody_trains_are_kept_in_half_precision() -> None:
    options = parse_train(["--ngf", "4", "--n_blocks_global", "1", "--n_downsample_global", "2"])
    batch = Batch(
        label=torch.randint(35, (1, 1, 16, 32), dtype=torch.uint8),
        path=[""],
        inst=torch.zeros(1, 1, 16, 32, dtype=torch.int32),
    )
    runtime = Runtime(CPU, torch.bfloat16, channels_last=True)
    trains, renders = (
        runtime.prepare(create_model(options.model, seed=3), renders_only=only)
        for only in (False, True)
    )
    assert {p.dtype for p in trains.netG.parameters()} == {torch.float32}
    assert {p.dtype for p in renders.netG.parameters()} == {torch.bfloat16}
    with runtime.autocast():
        assert torch.equal(render(trains, batch), render(renders, batch))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_that_are_final_are_arranged_once_for_a_size(
    dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = parse_train(["--ngf", "4", "--n_blocks_global", "1", "--n_downsample_global", "2"])
    runtime = Runtime(CPU, dtype, channels_last=dtype == torch.bfloat16)
    expected, network = (
        runtime.prepare(create_model(options.model, seed=3), renders_only=True).netG
        for _ in range(2)
    )
    for module in expected.modules():
        module.is_final = False
    convolutions = [m for m in network.modules() if isinstance(m, Convolution)]
    assert convolutions and all(convolution.is_final for convolution in convolutions)
    arranged = []
    for height in (16, 16, 32):
        condition = torch.rand(1, 36, height, 32)
        with torch.inference_mode(), runtime.autocast():
            images = [net(condition) for net in (expected, network)]
        torch.testing.assert_close(*images, rtol=0, atol=1e-4 if dtype == torch.float32 else 0)
        arranged.append([convolution._arranged[1] for convolution in convolutions])
    for first, again, other in zip(*arranged, strict=True):
        assert first is again and first is not other
    monkeypatch.setattr(torch.backends.mkldnn, "is_available", lambda: False)
    runtime.prepare(network_only := create_model(options.model, seed=3), renders_only=True)
    assert not any(getattr(m, "is_final", False) for m in network_only.modules())


def test_rendering_in_bfloat16_is_close_to_float32(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_tiny_data(tmp_path)
    write_tiny_data(tmp_path, phase="test", count=1)
    assert run_train(*tiny_run(tmp_path), *ONE_EPOCH).code == 0
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
