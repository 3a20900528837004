"""Numbers recorded from the reference implementation, within the tolerances recorded with them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from programs import metrics, run_test, run_train
from shared_data import shared

from pix2pixhd.data import create_dataset, create_loader
from pix2pixhd.engine.optimizers import Optimizers, learning_rate
from pix2pixhd.engine.render import render
from pix2pixhd.engine.runtime import Runtime
from pix2pixhd.engine.step import train_step
from pix2pixhd.engine.trained import load_trained
from pix2pixhd.models import create_model
from pix2pixhd.options.parsing import parse_test, parse_train
from pix2pixhd.util.checkpoint import load_network

CASES = ("labels", "local")
WITH_FEATURES = (*CASES, "instance_feat")
TOLERANCES = {3: 1e-4, 8: 1e-2, 24: 5e-2}  # up to this step, relative


def flags(case: str) -> list[str]:
    """The recorded flags, and where the data are."""
    recorded = json.loads((shared("reference") / case / "flags.json").read_text())["flags"]
    return [
        "--dataroot",
        str(shared("cityscapes_sample")),
        "--gpu_ids",
        "-1",
        "--precision",
        "fp32",
        *recorded,
    ]


def expect_losses(
    found: list[dict[str, Any]], case: str, tolerances: dict[int, float] = TOLERANCES
) -> None:
    lines = (shared("reference") / case / "losses.jsonl").read_text().splitlines()
    recorded = [json.loads(line) for line in lines]
    assert [line["step"] for line in found] == [line["step"] for line in recorded]
    for expected, line in zip(recorded, found, strict=True):
        step = expected.pop("step")
        tolerance = next(within for last, within in tolerances.items() if step <= last)
        assert {name: line[name] for name in expected} == pytest.approx(expected, rel=tolerance)


@pytest.mark.parametrize("case", WITH_FEATURES)
def test_losses_through_the_command_line(case: str, tmp_path: Path) -> None:
    outcome = run_train(
        *("--name", case, "--checkpoints_dir", tmp_path, "--print_freq", "1", "--no_html"),
        *("--load_pretrain", shared("reference") / case / "init", *flags(case)),
    )
    assert outcome.code == 0, outcome.err
    expect_losses(metrics(tmp_path / case), case)


@pytest.mark.parametrize("case", WITH_FEATURES)
def test_losses_through_the_api(case: str) -> None:
    options = parse_train(flags(case))
    dataset = create_dataset(options.data, options.model, phase="train", seed=0, is_train=True)
    loader = create_loader(dataset, options.data, seed=0, is_train=True)
    model = create_model(options.model, options.discriminator, options.loss)
    for name, network in model.saved_networks().items():
        load_network(network, shared("reference") / case / f"init/latest_net_{name}.pth")
    schedule = options.schedule
    optimizers = Optimizers(model, schedule.lr, schedule.beta1)
    runtime = Runtime(torch.device("cpu"))
    found: list[dict[str, Any]] = []
    for epoch in range(1, schedule.niter + schedule.niter_decay + 1):
        optimizers.set_learning_rate(
            learning_rate(epoch, schedule.lr, schedule.niter, schedule.niter_decay)
        )
        for batch in loader:
            _, terms = train_step(model, optimizers, runtime, batch)
            values = {name: term.item() for name, term in terms.items()}
            found.append({"step": len(found) + 1, **values})
    expect_losses(found, case)


@pytest.mark.parametrize("case", CASES)
def test_inference_through_the_api(case: str) -> None:
    options = parse_test(flags_for_test(case))
    model = create_model(options.model)
    load_network(model.netG, shared("reference") / case / "final/latest_net_G.pth")
    dataset = create_dataset(options.data, options.model, phase="test", seed=0, is_train=False)
    recorded = np.load(shared("reference") / case / "inference.npz")
    del dataset.files[len(recorded.files) :]
    for batch in create_loader(dataset, options.data, seed=0, is_train=False):
        expected = torch.from_numpy(recorded[Path(batch.path[0]).name])
        torch.testing.assert_close(render(model, batch)[0], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("case", CASES)
def test_inference_through_the_command_line(case: str, tmp_path: Path) -> None:
    where = ("--name", "final", "--checkpoints_dir", shared("reference") / case)
    outcome = run_test(*where, "--results_dir", tmp_path, "--how_many", "3", *flags_for_test(case))
    assert outcome.code == 0, outcome.err
    recorded = np.load(shared("reference") / case / "inference.npz")
    for name in recorded.files:
        file = tmp_path / f"final/test_latest/images/{Path(name).stem}_synthesized_image.png"
        assert rounding_alone(file, recorded[name])


def test_inference_with_the_real_images_features(tmp_path: Path) -> None:
    """Through the command line, which rounds to 8 bits, and through the API, which does not."""
    case = shared("reference") / "instance_feat"
    recorded = np.load(case / "inference_encoded.npz")
    flags = [*flags_for_test("instance_feat"), "--use_encoded_image", "--phase", "train"]
    options = parse_test(flags)
    model = load_trained(options.model, case / "final", "latest", "GE")
    dataset = create_dataset(options.data, options.model, phase="train", seed=0, is_train=False)
    del dataset.files[len(recorded.files) :]
    for batch in create_loader(dataset, options.data, seed=0, is_train=False):
        expected = torch.from_numpy(recorded[Path(batch.path[0]).name])
        torch.testing.assert_close(render(model, batch)[0], expected, rtol=0, atol=1e-4)

    where = ("--name", "final", "--checkpoints_dir", case, "--results_dir", tmp_path)
    outcome = run_test(*where, "--how_many", "3", *flags)
    assert outcome.code == 0, outcome.err
    for name in recorded.files:
        file = (
            tmp_path / f"final/train_latest_encoded/images/{Path(name).stem}_synthesized_image.png"
        )
        assert rounding_alone(file, recorded[name])


def rounding_alone(file: Path, expected: np.ndarray) -> bool:
    """Whether a picture is [3,H,W] in [-1,1] up to the rounding to 8 bits."""
    values = (expected.transpose(1, 2, 0) + 1) * 127.5
    return bool(np.abs(np.asarray(Image.open(file)) - values).max() < 0.52)


def flags_for_test(case: str) -> list[str]:
    """Those of the recorded flags that test.py has too."""
    words, of_training = flags(case), {"--ndf", "--num_D", "--niter", "--niter_decay"}
    kept: list[str] = []
    for place, word in enumerate(words):
        before = words[place - 1] if place else ""
        if word not in of_training | {"--no_vgg_loss"} and before not in of_training:
            kept.append(word)
    return kept
