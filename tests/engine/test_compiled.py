"""The compiled step: captured whole, equal to the eager one, and eager where it cannot be."""

from __future__ import annotations

import os
from collections.abc import Callable
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from programs import metrics, run_train, tiny_run, write_tiny_data
from shared_data import shared
from test_distributed import BATCHES_OF_TWO, expect_equal_runs, free_port
from tiny_models import LR, TINY, model_of, take_steps, tiny_batch
from torch import multiprocessing

import train as train_program
from pix2pixhd.engine import compiled as compiled_module
from pix2pixhd.engine import runtime as runtime_module
from pix2pixhd.engine.batch_norm import synchronise_batch_norm
from pix2pixhd.engine.compiled import WARM_UP, CompiledGradients, compiled_step, why_eager
from pix2pixhd.engine.cuda_graph import Replay
from pix2pixhd.engine.distributed import shut_down
from pix2pixhd.engine.runtime import Runtime
from pix2pixhd.engine.sizes import FEW, Sizes, search_kernels
from pix2pixhd.engine.step import PIX2PIXHD, Recipe, StepResult, compute_gradients
from pix2pixhd.models.pix2pixhd import Pix2PixHDModel
from pix2pixhd.options.fields import replaced
from pix2pixhd.options.parsing import parse_train
from pix2pixhd.options.train_options import TrainOptions
from pix2pixhd.util.batch import Batch

COMPILES = Runtime(torch.device("cpu"), compiles=True)
FEATURES = {"nef": 2, "n_downsample_E": 1}
LOCAL = {"netG": "local", "num_D": 3}
REMEDIES = {"upsample": "resize", "pad_down": "reflect", "z_dim": 2}
FULL, HALF = torch.float32, torch.bfloat16
CASES: dict[str, tuple[dict[str, Any], bool, torch.dtype]] = {
    "global": ({}, False, FULL),
    "local, remedies": (LOCAL | REMEDIES, False, FULL),
    "local, checkpointed": (LOCAL, True, FULL),
    "local, checkpointed, in bfloat16": (LOCAL, True, HALF),
    "instance features, in bfloat16": ({"instance_feat": True, **FEATURES}, False, HALF),
    "label features": ({"label_feat": True, **FEATURES}, False, FULL),
    "label features, checkpointed": ({"label_feat": True, **FEATURES}, True, FULL),
}
QUICK = ("local, remedies", "instance features, in bfloat16")
MARKED = [pytest.param(c, marks=[] if c in QUICK else pytest.mark.slow) for c in CASES]
SEGMENTATION = {"netD": "segmentation", "ndf": 1, "diffaug": "color,translation,cutout"}


@pytest.fixture(autouse=True)
def _aot_eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """Captures as the usual backend does, and computes with PyTorch's own kernels."""
    torch.compiler.reset()
    monkeypatch.setattr(compiled_module, "BACKEND", "aot_eager")


def expect_equal(found: StepResult, expected: StepResult, error: float = 1e-5) -> None:
    torch.testing.assert_close(found.image, expected.image, rtol=0, atol=error)
    assert found.terms.keys() == expected.terms.keys()
    for name, term in expected.terms.items():
        torch.testing.assert_close(found.terms[name], term, rtol=error, atol=0)
    assert found.gradients.keys() == expected.gradients.keys()
    for name, part in expected.gradients.items():
        assert list(found.gradients[name]) == list(part)
        whole = torch.cat([gradient.flatten() for gradient in part.values()])
        ours = torch.cat([gradient.flatten() for gradient in found.gradients[name].values()])
        assert (ours - whole).norm() <= error * whole.norm() > 0, name


def model_with(flags: dict[str, Any], checkpointed: bool = False) -> Pix2PixHDModel:
    options = replaced(TrainOptions(), TINY | flags)
    return model_of(options, seed=3, checkpoint_activations=checkpointed)


def batch_of(width: int = 48, seed: int = 0) -> Batch:
    return tiny_batch(size=(32, width), count=1, seed=seed)


@pytest.mark.parametrize("case", MARKED)
def test_the_whole_step_is_captured(case: str) -> None:
    """Without a break; and once for all batches of a size."""
    flags, checkpointed, dtype = CASES[case]
    model = model_with(flags, checkpointed)
    runtime = Runtime(torch.device("cpu"), dtype, compiles=True, channels_last=dtype == HALF)
    compute = CompiledGradients(runtime.prepare(model), runtime)
    for seed in range(2):
        batch = batch_of(seed=seed)
        with torch.compiler.set_stance("fail_on_recompile" if seed else "default"):
            torch.manual_seed(seed)  # of noise
            found = compute(batch)
        torch.manual_seed(seed)
        expect_equal(found, compute_gradients(model, runtime, batch))


@pytest.mark.slow
def test_the_segmentation_discriminator_and_diffaug_are_captured() -> None:
    model = model_with(SEGMENTATION)
    compute = CompiledGradients(model, COMPILES)
    for seed in range(2):
        batch = batch_of(seed=seed)
        torch.manual_seed(seed)
        with torch.compiler.set_stance("fail_on_recompile" if seed else "default"):
            found = compute(batch)
        torch.manual_seed(seed)
        expect_equal(found, compute_gradients(model, COMPILES, batch))


def test_the_perceptual_loss_and_the_scale_are_captured() -> None:
    weights = str(shared("weights", "vgg19_features_fp16.pth"))
    model = model_with({"vgg_loss": True, "vgg_weights": weights})
    compute = CompiledGradients(model, COMPILES)
    for scale in (torch.tensor(64.0), torch.tensor(32.0)):
        with torch.compiler.set_stance("fail_on_recompile" if scale < 64 else "default"):
            found = compute(batch_of(), scale)
        expect_equal(found, compute_gradients(model, COMPILES, batch_of(), scale=scale))


def test_steps_of_the_power_method_are_captured() -> None:
    """Of spectral normalisation: each compiled step takes those that an eager one does."""
    model = model_with({"spectral_norm": "GD", "num_D": 1, "n_layers_D": 1, "n_blocks_global": 0})
    runtime = Runtime(torch.device("cpu"), HALF, compiles=True)
    compute = CompiledGradients(model, runtime)
    for seed in range(2):
        batch, before = batch_of(seed=seed), deepcopy(model.state_dict())
        with torch.compiler.set_stance("fail_on_recompile" if seed else "default"):
            found = compute(batch)
        after = deepcopy(model.state_dict())
        model.load_state_dict(before)
        expect_equal(found, compute_gradients(model, runtime, batch))
        for name, value in model.state_dict().items():
            torch.testing.assert_close(after[name], value, rtol=0, atol=1e-6)
        assert any(not torch.equal(value, before[name]) for name, value in after.items())


@pytest.mark.slow
def test_parameters_that_are_trained_later_are_captured_then() -> None:
    model = model_with({"netG": "local"})
    compute = CompiledGradients(model, COMPILES)
    for alone in (True, False):
        model.train_outermost_alone(alone)
        expect_equal(compute(batch_of()), compute_gradients(model, COMPILES, batch_of()))


@pytest.mark.slow
def test_few_sizes_are_captured(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In each state of --niter_fix_global; further sizes are eager, which is told once."""
    monkeypatch.setattr(compiled_module, "BACKEND", "eager")
    model = model_with({"netG": "local"})
    compute = CompiledGradients(model, COMPILES)
    for alone in (True, False):
        model.train_outermost_alone(alone)
        for number in range(FEW):
            compute(batch_of(8 * number + 32))
    assert capsys.readouterr().out == ""
    with torch.compiler.set_stance("fail_on_recompile"):
        for width in (96, 104, 32):
            batch = batch_of(width)
            expect_equal(compute(batch), compute_gradients(model, COMPILES, batch))
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith(f"--compile: images of more than {FEW} sizes")


@pytest.mark.parametrize(
    ("flags", "recipe", "words"),
    [
        ({"pool_size": 1}, PIX2PIXHD, "--pool_size 1"),
        ({}, Recipe("D_first"), "one network is updated before"),
        ({"norm": "batch"}, PIX2PIXHD, "--norm batch"),
    ],
)
def test_steps_that_are_never_compiled(
    flags: dict[str, Any], recipe: Recipe, words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    model = model_with(flags)
    if "norm" in flags:  # of one process it is compiled
        assert why_eager(model, recipe) is None
        synchronise_batch_norm(model)
    assert compiled_step(model, COMPILES, recipe) is None
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("--compile: not compiling, ") and words in line
    assert compiled_step(model, Runtime(torch.device("cpu")), recipe) is None
    assert capsys.readouterr().out == ""


def test_what_cannot_be_captured_is_eager(capsys: pytest.CaptureFixture[str]) -> None:
    """PyTorch does not take what --norm batch gives to checkpoints. Nothing was computed twice."""
    model, other = (model_with({"norm": "batch", "use_dropout": True}, True) for _ in range(2))
    compute = CompiledGradients(model, COMPILES)
    for width in (32, 48):
        torch.manual_seed(5)
        found = compute(batch_of(width))
        torch.manual_seed(5)
        expected = compute_gradients(other, COMPILES, batch_of(width))
        torch.testing.assert_close(found.image, expected.image, rtol=0, atol=0)
        for name, value in other.state_dict().items():
            assert torch.equal(model.state_dict()[name], value), name
    [line] = capsys.readouterr().out.splitlines()
    assert line.startswith("--compile: not compiling, ") and len(line) < 240


@pytest.fixture
def _uncompiled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch, "compile", lambda function, **_: function)


class Recorder:
    """In the place of a CUDA graph: a replay computes anew, into the tensors of the capture."""

    def __init__(self) -> None:
        self.captures = self.replays = 0

    def __call__(self, function: Callable[[], StepResult]) -> tuple[StepResult, Replay]:
        self.captures += 1
        with torch.random.fork_rng():
            static = function()

        def replay() -> None:
            self.replays += 1
            found = function()
            static.image.copy_(found.image)
            for name, term in found.terms.items():
                static.terms[name].copy_(term)
            for name, part in found.gradients.items():
                for parameter, gradient in part.items():
                    static.gradients[name][parameter].copy_(gradient)

        return static, replay


@pytest.mark.usefixtures("_uncompiled")
def test_replayed_steps_are_the_eager_ones() -> None:
    """Of two sizes, with dropout, learning rates and scales that change, and parts that are trained
    later; the results of earlier steps stay as they were."""
    flags = {"netG": "local", "use_dropout": True}
    steps = [(batch_of(32 if n % 3 else 48, seed=n), LR / (n + 1), n < 12) for n in range(24)]
    recorder = Recorder()
    model, other = model_with(flags), model_with(flags)
    found = take_steps(model, COMPILES, steps, CompiledGradients(model, COMPILES, recorder))
    expected = take_steps(other, COMPILES, steps)
    assert recorder.captures == 4
    assert recorder.replays == len(steps) - 4 * WARM_UP
    for ours, theirs in zip(found, expected, strict=True):
        for name, term in theirs.items():
            torch.testing.assert_close(ours[name], term, rtol=1e-5, atol=0)
    for name, weight in other.state_dict().items():
        torch.testing.assert_close(model.state_dict()[name], weight, rtol=0, atol=1e-2 * LR)


def test_without_a_graph_steps_are_compiled_all_the_same(
    capsys: pytest.CaptureFixture[str],
) -> None:
    def capture(function: Callable[[], StepResult]) -> tuple[StepResult, Replay]:
        raise RuntimeError("operation not permitted when stream is capturing\nmore")

    model = model_with({})
    compute = CompiledGradients(model, COMPILES, capture)
    for _ in range(WARM_UP + 2):
        expect_equal(compute(batch_of()), compute_gradients(model, COMPILES, batch_of()))
    told = "without CUDA graphs, operation not permitted when stream is capturing"
    assert capsys.readouterr().out == f"--compile: {told}\n"


@pytest.mark.usefixtures("_uncompiled")
def test_graphs_make_room_when_sizes_are_many() -> None:
    model, recorder = model_with({}), Recorder()
    compute = CompiledGradients(model, COMPILES, recorder)
    for width in (32, 32, 32, 32, 40, 48, 56):
        compute(batch_of(width))
    assert (recorder.captures, recorder.replays) == (1, 1)
    for width in (64, 32, 32, 40, 40, 40, 40):
        compute(batch_of(width))
    assert (recorder.captures, recorder.replays) == (1, 1)


def test_cudnn_searches_while_sizes_are_few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", False)
    sizes, searched = Sizes(), []
    for number in (0, 1, 0, 2, 3, 4, 0):
        search_kernels(sizes, batch_of(8 * number + 32))
        searched.append(torch.backends.cudnn.benchmark)
    assert searched == [True, True, True, True, True, False, False]


def broken(*_: Any) -> None:
    raise RuntimeError("no compiler here")


def train_as(rank: int, port: str, words: tuple[str, ...]) -> None:
    """One of two processes of `train.py --compile`, as on a GPU; the second one cannot compile."""
    place = {"RANK": rank, "WORLD_SIZE": 2, "LOCAL_RANK": rank, "MASTER_PORT": port}
    os.environ |= {name: str(value) for name, value in place.items()}
    os.environ |= {"MASTER_ADDR": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    torch.set_num_threads(1)
    runtime_module.why_not_compiled = lambda device: None
    compiled_module.BACKEND = broken if rank else "aot_eager"
    train_program.train(parse_train(list(words)))
    shut_down()


@pytest.mark.slow
def test_two_processes_train_as_one(tmp_path: Path) -> None:
    """Each way averages the gradients once, whichever the other process takes."""
    write_tiny_data(tmp_path)
    local = ("--netG", "local", "--n_blocks_local", "1", "--niter_fix_global", "1")
    flags = (*BATCHES_OF_TWO, *local, "--niter", "2", "--niter_decay", "0")
    assert run_train(*tiny_run(tmp_path, "one"), *flags).code == 0
    words = (*tiny_run(tmp_path, "two"), *flags, "--compile")
    processes = multiprocessing.spawn(train_as, (free_port(), words), nprocs=2, join=False)
    while not processes.join():
        pass
    assert len(metrics(tmp_path / "ck/two")) == 4
    expect_equal_runs(tmp_path / "ck/two", tmp_path / "ck/one", rel=1e-5)
