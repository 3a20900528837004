"""What only a CUDA device shows. Without one these are skipped."""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from programs import metrics, run_encode, run_test, run_train, tiny_run, write_tiny_data
from shared_data import shared
from test_conformance import expect_losses, flags
from tiny_models import LR, TINY, model_of, take_steps, tiny_batch

from pix2pixhd.engine.compiled import CompiledGradients
from pix2pixhd.engine.cuda_graph import Replay, capture_on_gpu
from pix2pixhd.engine.optimizers import Optimizers
from pix2pixhd.engine.render import Rendering, batches_on, side_stream
from pix2pixhd.engine.runtime import Runtime
from pix2pixhd.engine.step import StepResult, compute_gradients, train_step
from pix2pixhd.models.blocks import Convolution, InstanceNorm, ReflectionPad, needs_alignment
from pix2pixhd.models.segments import instance_average
from pix2pixhd.options.fields import replaced
from pix2pixhd.options.parsing import parse_train
from pix2pixhd.options.train_options import TrainOptions
from pix2pixhd.util.batch import Batch
from pix2pixhd.util.labels import label_set

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

DEVICE = torch.device("cuda", 0)
ON_GPU = ("--gpu_ids", "0", "--nThreads", "1", "--print_freq", "1")


def test_losses_of_the_reference_on_the_gpu(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", False)
    outcome = run_train(
        *("--name", "labels", "--checkpoints_dir", tmp_path, "--no_html"),
        *("--load_pretrain", shared("reference") / "labels/init", *flags("labels"), *ON_GPU),
        *("--precision", "fp32"),
    )
    assert outcome.code == 0, outcome.err
    expect_losses(metrics(tmp_path / "labels"), "labels")


@pytest.mark.parametrize("more", [(), ("--compile",), ("--checkpoint_activations",)])
def test_losses_of_the_reference_in_bfloat16_on_the_gpu(
    more: tuple[str, ...], tmp_path: Path
) -> None:
    """As training runs by default: bfloat16, channels last, one fused Adam."""
    outcome = run_train(
        *("--name", "labels", "--checkpoints_dir", tmp_path, "--no_html", *more),
        *("--load_pretrain", shared("reference") / "labels/init", *flags("labels"), *ON_GPU),
    )
    assert outcome.code == 0, outcome.err
    assert "not compiling" not in outcome.out
    expect_losses(metrics(tmp_path / "labels"), "labels", {6: 4e-2, 24: 1.5e-1})


def test_features_on_the_gpu_are_those_on_the_cpu(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    write_tiny_data(tmp_path, phase="test", count=1)
    run = (*tiny_run(tmp_path), "--instance_feat", "--nef", "2", "--n_downsample_E", "1")
    assert run_train(*run, *ON_GPU, "--niter", "1", "--niter_decay", "0").code == 0
    where = ("--name", "tiny", "--checkpoints_dir", tmp_path / "ck", "--nThreads", "0")
    rows = []
    for gpu_ids in ("0", "-1"):
        assert run_encode(*where, "--gpu_ids", gpu_ids, "--precision", "fp32").code == 0
        features = np.load(tmp_path / "ck/tiny/features.npz")
        rows.append(np.concatenate([features[name] for name in sorted(features.files)]))
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-3)
    styles = ("--results_dir", tmp_path, "--gpu_ids", "0", "--styles", "2")
    assert run_test(*where, *styles).code == 0


def test_mixed_precision_trains_resumes_and_renders(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    write_tiny_data(tmp_path, phase="test", count=2)
    run = (*tiny_run(tmp_path), *ON_GPU, "--fp16", "--use_dropout", "--pool_size", "2")
    assert run_train(*run, "--niter", "2", "--niter_decay", "0").code == 0
    assert run_train(*run, "--niter", "3", "--niter_decay", "0", "--continue_train").code == 0
    losses = metrics(tmp_path / "ck/tiny")
    assert [line["step"] for line in losses] == list(range(1, 13))
    assert all(math.isfinite(line["G_GAN"]) for line in losses)
    where = ("--name", "tiny", "--checkpoints_dir", tmp_path / "ck", "--results_dir", tmp_path)
    outcome = run_test(*where, *ON_GPU[:2], "--fp16")
    assert outcome.code == 0, outcome.err
    assert len(list((tmp_path / "tiny/test_latest/images").glob("*synthesized_image.png"))) == 2


def test_a_run_on_the_gpu_goes_on_on_the_cpu(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    run = tiny_run(tmp_path)
    assert run_train(*run, *ON_GPU, "--niter", "1", "--niter_decay", "0").code == 0
    on_cpu = ("--continue_train", "--niter", "2", "--niter_decay", "0", "--gpu_ids", "-1")
    outcome = run_train(*run, *on_cpu)
    assert outcome.code == 0, outcome.err


def test_the_whole_of_2048x1024_trains_in_11_gb() -> None:
    """train_1024p_24G with the perceptual loss, in bfloat16 with --checkpoint_activations."""
    options = parse_train(["--netG", "local", "--ngf", "32", "--num_D", "3"])
    runtime = Runtime(torch.device("cuda", 0), torch.bfloat16, channels_last=True)
    weights = str(shared("weights", "vgg19_features_fp16.pth"))
    options = replace(options, loss=replace(options.loss, vgg_weights=weights))
    model = runtime.prepare(model_of(options, checkpoint_activations=True))
    optimizers = Optimizers(model, lr=2e-4, beta1=0.5)
    size = (1, 1, 1024, 2048)
    batch = Batch(
        label=torch.randint(0, 35, size, dtype=torch.uint8, device="cuda"),
        path=["noise.png"],
        inst=torch.randint(0, 99, size, dtype=torch.int32, device="cuda"),
        image=torch.randint(0, 256, (1, 3, *size[2:]), dtype=torch.uint8, device="cuda"),
    )
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(11e9 / total)
    try:
        for _ in range(3):
            _, terms = train_step(model, optimizers, runtime, batch)
        assert all(term.isfinite() for term in terms.values())
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


FEATURES = {"instance_feat": True, "nef": 2, "n_downsample_E": 1}
SEGMENTATION = {"netD": "segmentation", "diffaug": "color,translation,cutout"}


@pytest.mark.parametrize(
    "flags", [{}, {"netG": "local"}, FEATURES, {"norm": "batch"}, SEGMENTATION]
)
def test_a_step_never_waits_for_the_gpu(flags: dict[str, Any]) -> None:
    """What waits cannot be captured in a CUDA graph."""
    runtime = Runtime(DEVICE, torch.bfloat16, channels_last=True)
    model = runtime.prepare(model_of(replaced(TrainOptions(), TINY | flags)))
    batch = tiny_batch(size=(32, 48)).to(DEVICE)
    compute_gradients(model, runtime, batch)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        compute_gradients(model, runtime, batch)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16])
@pytest.mark.parametrize(
    ("backend", "dropout"),
    [("aot_eager", True), ("inductor", False)],  # whose compiler drops other units
)
def test_steps_of_a_graph_are_the_eager_ones(
    backend: str, dropout: bool, dtype: torch.dtype, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of two sizes, with rates and scales that change, and parts that are trained later."""
    flags = {"netG": "local", "use_dropout": dropout}
    runtime = Runtime(DEVICE, dtype, compiles=True, channels_last=dtype != torch.float32)
    model, other = (
        runtime.prepare(model_of(replaced(TrainOptions(), TINY | flags), seed=3)) for _ in range(2)
    )
    steps = [
        (tiny_batch((32, 32 if n % 3 else 48), count=1, seed=n).to(DEVICE), LR / (n + 1), n < 12)
        for n in range(24)
    ]
    torch.compiler.reset()
    captured: list[int] = []
    capture = capture_on_gpu()

    def counted(function: Callable[[], StepResult]) -> tuple[StepResult, Replay]:
        captured.append(1)
        return capture(function)

    found = take_steps(model, runtime, steps, CompiledGradients(model, runtime, counted, backend))
    expected = take_steps(other, runtime, steps)
    assert (len(captured), capsys.readouterr().out) == (4, "")
    rel = 1e-3 if dtype == torch.float32 else 3e-2
    for ours, theirs in zip(found, expected, strict=True):
        for name, term in theirs.items():
            assert ours[name].item() == pytest.approx(term.item(), rel=rel, abs=rel / 10), name


def test_a_graph_takes_the_memory_of_a_step_once() -> None:
    options = replaced(TrainOptions(), {"vgg_loss": False})
    runtime = Runtime(DEVICE, torch.bfloat16, compiles=True, channels_last=True)
    batch = tiny_batch(size=(512, 1024), count=1).to(DEVICE)
    model = runtime.prepare(model_of(options))
    optimizers = Optimizers(model, LR, beta1=0.5)
    peaks = []
    for capture in (None, capture_on_gpu()):
        compute = CompiledGradients(model, runtime, capture) if capture else None
        torch.compiler.reset()
        torch.cuda.empty_cache()
        for _ in range(6):
            train_step(model, optimizers, runtime, batch, compute=compute)
            torch.cuda.synchronize()
        torch.cuda.empty_cache()
        peaks.append(torch.cuda.memory_reserved())
        torch.cuda.reset_peak_memory_stats()
        train_step(model, optimizers, runtime, batch, compute=compute)
        peaks[-1] = max(peaks[-1], torch.cuda.max_memory_reserved())
    gradients = sum(4 * parameter.numel() for parameter in model.parameters())
    assert peaks[1] <= 1.1 * peaks[0] + gradients


def numbered_batches(count: int) -> list[Batch]:
    maps = [torch.full((1, 1, 512, 512), n, dtype=torch.int32) for n in range(count)]
    return [Batch(label, [str(n)]).pin_memory() for n, label in enumerate(maps)]


def test_batches_are_sent_ahead() -> None:
    found = []
    for batch in batches_on(DEVICE, iter(numbered_batches(4))):
        found.append((int(batch.label.unique()), batch.path))
        del batch  # its memory may now be used again, but not before the work on it is done
    assert found == [(n, [str(n)]) for n in range(4)]


def test_epochs_and_renderings_leave_no_memory_behind() -> None:
    """As they did with a stream, and so a store of freed memory, for each of them."""
    fake = torch.zeros(1, 3, 512, 512, device=DEVICE)
    reserved = []
    for _ in range(4):
        for batch in batches_on(DEVICE, iter(numbered_batches(3))):
            Rendering(batch, fake).pictures(label_set(35))
            del batch
        torch.cuda.synchronize()
        reserved.append(torch.cuda.memory_reserved())
    assert reserved[1] == reserved[-1]
    assert side_stream(DEVICE) is side_stream(DEVICE)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pooling_gives_the_same_bits_each_time_without_waiting(dtype: torch.dtype) -> None:
    ids = torch.randint(0, 25, (2, 1, 512, 1024), dtype=torch.int32) ** 2 * 1000
    features = torch.randn(2, 3, 512, 1024).to(dtype)
    on_host = instance_average(features, ids)
    ids, features = ids.to(DEVICE), features.to(DEVICE).requires_grad_()
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        averages = [instance_average(features, ids) for _ in range(5)]
        gradients = [torch.autograd.grad(average, features, features)[0] for average in averages]
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert all(torch.equal(average, averages[0]) for average in averages)
    assert all(torch.equal(gradient, gradients[0]) for gradient in gradients)
    torch.testing.assert_close(averages[0].cpu(), on_host)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices")
@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_two_gpus_train_as_one(norm: str, tmp_path: Path) -> None:
    write_tiny_data(tmp_path, count=6)
    flags = ("--batchSize", "2", "--print_freq", "2", "--niter", "1", "--niter_decay", "0")
    flags = (*flags, "--norm", norm, "--precision", "fp32", "--no_html")
    assert run_train(*tiny_run(tmp_path, "one"), *flags, "--gpu_ids", "0").code == 0
    words = [sys.executable, "train.py", *tiny_run(tmp_path, "two"), *flags, "--gpu_ids", "0,1"]
    subprocess.run([str(word) for word in words], cwd=Path(__file__).parents[1], check=True)
    one, two = (metrics(tmp_path / f"ck/{name}") for name in ("one", "two"))
    for line, expected in zip(two, one, strict=True):
        names = [name for name in line if name != "time"]
        assert [line[n] for n in names] == pytest.approx([expected[n] for n in names], rel=1e-2)


def test_parts_of_networks_keep_channels_last_and_align_channels() -> None:
    x = torch.randn(2, 5, 32, 48, device=DEVICE).to(memory_format=torch.channels_last)
    padded = ReflectionPad(3)(x)
    assert torch.equal(padded, torch.nn.functional.pad(x, (3, 3, 3, 3), mode="reflect"))
    normalised = InstanceNorm(5)(x)
    torch.testing.assert_close(normalised, torch.nn.InstanceNorm2d(5)(x), rtol=1e-4, atol=1e-4)
    convolution = Convolution(5, 3, 7).to(DEVICE, memory_format=torch.channels_last)
    plain = torch.nn.Conv2d(5, 3, 7).to(DEVICE)
    plain.load_state_dict(convolution.state_dict())
    with torch.autocast("cuda", torch.bfloat16):
        assert needs_alignment(x)
        y = convolution(padded)
        torch.testing.assert_close(y, plain(padded), rtol=2e-2, atol=2e-2)
    for found in (padded, normalised):
        assert found.is_contiguous(memory_format=torch.channels_last)
