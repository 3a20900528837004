"""The sections that train and render: rows, figures and what they are made from."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from engine.runtime import Machine
from scripts.benchmarks import steps
from scripts.benchmarks.colouring import measure_colouring
from scripts.benchmarks.fake import count_operations, fake_tensors
from scripts.benchmarks.inference import AS_RENDERED, measure_inference
from scripts.benchmarks.live_memory import LiveMemory, places
from scripts.benchmarks.memory import measure_memory
from scripts.benchmarks.peak import matmul_peak, precision
from scripts.benchmarks.recipes import (
    RECIPES,
    build_model,
    random_vgg_weights,
    recipe_options,
    recipe_size,
    synthetic_batch,
    timed_recipe,
)
from scripts.benchmarks.timing import Settings, time_in_rounds
from scripts.benchmarks.training import measure_training

CPU = torch.device("cpu")
NETWORKS = (
    *("--ngf", "2", "--ndf", "2", "--n_downsample_global", "1", "--n_blocks_global", "1"),
    *("--nef", "2", "--n_downsample_E", "1", "--no_vgg_loss"),
)


def settings(*recipes: str, **others: object) -> Settings:
    known = {"size": (32, 16), "steps": 2, "recipe_flags": NETWORKS} | others
    return Settings(CPU, repeats=2, recipes=recipes, **known)


@pytest.mark.parametrize("recipe", ["train_512p_feat", "train_1024p_24G"])
def test_training_rows(recipe: str) -> None:
    asked = settings(recipe)
    rows = {row.way: row for row in measure_training(asked)}
    assert next(iter(rows)) == steps.BASELINE
    assert {"one discriminator pass", "+ fused Adam", "+ bfloat16", steps.AS_TRAINED} <= set(rows)
    assert not any("compile" in way for way in rows)  # takes minutes, so it has to be asked for
    baseline = rows[steps.BASELINE]
    assert baseline.figures["times as fast"] == 1
    for row in rows.values():
        assert row.case == f"{recipe}, 32x16"
        assert len(row.seconds) == 2
        ratio = baseline.figures["images/s"] / row.figures["images/s"]
        assert row.figures["times as fast"] == pytest.approx(1 / ratio)
        assert row.figures["TFLOP/s"] > 0
        assert row.figures["share of peak (%)"] > 0
    assert asked.facts["VGG19 weights"]
    assert "matrix multiplication in float32" in asked.facts


def test_compiling_is_a_way_of_its_own() -> None:
    options = recipe_options("train_512p", NETWORKS)
    ways = {way.name: way for way in steps.training_ways(CPU, options, compiles=True)}
    compiling = ways["+ compile"]
    assert compiling.compiles
    assert not any(way.compiles for name, way in ways.items() if name != "+ compile")
    for way in ways.values():
        assert way.adds_to in ("", *ways)


def test_measures_on_a_gpu_build_on_each_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(steps, "choose_machine", lambda options: Machine(CPU))
    options = recipe_options("train_512p", NETWORKS)
    ways = {way.name: way for way in steps.training_ways(torch.device("cuda", 0), options, True)}
    last = ways["+ compile"]
    assert (last.dtype, last.channels_last, last.fused) == (torch.bfloat16, True, None)
    chain = []
    while last.adds_to:
        chain.append(last.name)
        last = ways[last.adds_to]
    assert len(chain) == 5
    assert last.plain


def test_on_a_cpu_sizes_are_smaller_and_it_says_so() -> None:
    asked = settings("train_512p", size=None)
    (row, *_) = measure_inference(asked)
    assert row.case == "train_512p, 128x64"
    assert "8 times smaller" in asked.facts["on a CPU"]
    options, size = timed_recipe("train_1024p_24G", Settings(CPU))
    widths = options.model.ngf, options.discriminator.ndf, options.model.nef
    assert (widths, size) == ((8, 16, 4), (256, 128))
    options, size = timed_recipe("train_1024p_24G", Settings(torch.device("cuda")))
    widths = options.model.ngf, options.discriminator.ndf, options.model.nef
    assert (widths, size) == ((32, 64, 16), (2048, 1024))


def test_flags_win_over_what_is_smaller() -> None:
    options, size = timed_recipe(
        "train_512p", Settings(CPU, size=(64, 32), recipe_flags=("--ngf", "6"))
    )
    assert (options.model.ngf, size) == (6, (64, 32))


def test_inference_rows() -> None:
    rows = {row.way: row for row in measure_inference(settings("train_512p_feat"))}
    assert {steps.BASELINE, "bfloat16", "bfloat16, channels last", AS_RENDERED} == set(rows)
    for row in rows.values():
        assert len(row.seconds) == 2
        assert row.figures["images/s"] == pytest.approx(1 / sorted(row.seconds)[0], rel=1)


def test_colouring_rows() -> None:
    rows = measure_colouring(settings())
    assert [row.way for row in rows] == ["loop over labels", "label_to_image"] * 2
    assert all(len(row.seconds) == 2 for row in rows)


def test_memory_rows() -> None:
    asked = settings("train_512p_feat", size=(64, 32))
    rows = {row.way: row.figures for row in measure_memory(asked)}
    assert len(rows) == 5
    for figures in rows.values():
        parts = [figures[name] for name in figures if name != "peak (GiB)"]
        assert sum(parts) == pytest.approx(figures["peak (GiB)"])
        assert figures["optimizer"] == pytest.approx(2 * figures["parameters"], rel=0.02)
    full, half, full_again, half_again = (row["peak (GiB)"] for row in list(rows.values())[1:])
    assert half_again <= half < full
    assert full_again <= full
    assert "not counted" in asked.facts["memory"]


def test_live_memory_counts_what_is_alive() -> None:
    with fake_tensors(), LiveMemory() as memory:
        one = torch.zeros(1000)  # 4000 bytes
        view = one[10:]
        assert memory.bytes == 4000
        two = torch.ones(500)
        del one
        assert memory.bytes == 6000  # the view keeps all of it
        del view, two
        assert memory.bytes == 0
    assert memory.peak == 6000
    assert sorted(stored.bytes for stored in memory.at_peak.values()) == [2000, 4000]


def test_live_memory_counts_what_a_backward_pass_will_need() -> None:
    network = nn.Sequential(nn.Conv2d(1, 8, 1, bias=False), nn.Tanh(), nn.Tanh())
    memory = LiveMemory()
    x = torch.zeros(1, 1, 10, 10)
    with memory, places(memory, network):
        y = network(x)
        assert memory.bytes == 2 * 3200  # nothing needs the convolution's output
        y.sum().backward()
        del y
        found = {stored.place for stored in memory.at_peak.values()}
    assert {"1", "2"} <= found


def test_operations_are_those_of_the_convolutions() -> None:
    def build() -> object:
        network, x = nn.Conv2d(3, 5, 3, bias=False), torch.zeros(1, 3, 10, 12)
        return lambda: network(x)

    assert count_operations(build) == 2 * (3 * 9) * 5 * 8 * 10


def test_recipes_are_those_of_the_scripts() -> None:
    sizes = {name: recipe_size(recipe_options(name)) for name in RECIPES}
    assert sizes == {
        "train_512p": (1024, 512),
        "train_512p_feat": (1024, 512),
        "train_1024p_24G": (2048, 1024),
        "train_1024p_12G": (1024, 1024),
    }
    options = recipe_options("train_1024p_24G", ("--batchSize", "3"))
    assert (options.model.netG, options.discriminator.num_D) == ("local", 3)
    assert options.data.batchSize == 3


@pytest.mark.parametrize(
    "flags",
    [(), ("--label_nc", "0"), ("--no_instance",), ("--instance_feat", "--load_features")],
    ids=" ".join,
)
def test_a_synthetic_batch_can_be_trained_on(flags: tuple[str, ...]) -> None:
    options = recipe_options("train_512p", (*NETWORKS, "--batchSize", "2", *flags))
    batch = synthetic_batch(options, (40, 24), CPU)
    for value in batch.values():
        assert (value.shape[0], *value.shape[2:]) == (2, 24, 40)
    step = steps.build_step(steps.Way("ours"), options, {}, CPU)
    step.take(batch)


def test_the_perceptual_loss_takes_random_weights() -> None:
    flags = tuple(flag for flag in NETWORKS if flag != "--no_vgg_loss")
    options = recipe_options("train_512p", flags)
    model = build_model(options, random_vgg_weights())
    image = torch.rand(1, 3, 32, 32)
    assert 0 < model.vgg(image, 1 - image) < math.inf


def test_a_way_that_runs_out_of_memory_is_told() -> None:
    def build() -> object:
        raise torch.OutOfMemoryError("no")

    timed = time_in_rounds({"large": build, "small": lambda: lambda: None}, settings())
    assert timed["large"].failure == "out of memory"
    assert len(timed["small"].seconds) == 2


def test_a_peak_for_each_precision() -> None:
    assert precision(CPU, torch.float32) == "float32"
    assert precision(CPU, torch.bfloat16) == "bfloat16"
    assert matmul_peak(CPU, "float32") > 1e9
