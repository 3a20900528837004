"""What holds of every generator of the table, in a model: one property a test."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from tiny_models import CPU, TINY, tiny_batch, tiny_model

from pix2pixhd.engine.optimizers import Optimizers
from pix2pixhd.engine.progress import Progress
from pix2pixhd.engine.render import render
from pix2pixhd.engine.state import TrainingState
from pix2pixhd.engine.step import compute_gradients, train_step
from pix2pixhd.engine.tiling import render_in_tiles, require_tile
from pix2pixhd.engine.trained import load_trained
from pix2pixhd.models.pix2pixhd import Pix2PixHDModel
from pix2pixhd.options.fields import replaced
from pix2pixhd.options.train_options import TrainOptions
from pix2pixhd.util.batch import Batch

ROWS: dict[str, dict[str, Any]] = {  # flags that make the generator tiny, beside those of TINY
    "global": {},
    "local": {},
    "unet": {},
    "unet_256": {"norm": "batch", "use_dropout": True},
    "unet_128": {"use_dropout": True},
    "crn": {"crn_height": 16},
    "spade": {},
    "oasis": {},
}
every_row = pytest.mark.parametrize("row", ROWS)


def flags_of(row: str) -> dict[str, Any]:
    return {"netG": row} | ROWS[row]


def part(batch: Batch, number: int) -> Batch:
    return batch.map(lambda tensor: tensor[number : number + 1])


@every_row
def test_any_size_comes_out_as_it_goes_in(row: str) -> None:
    model = tiny_model(**flags_of(row))
    for size in ((1, 1), (33, 47)):
        image = render(model, tiny_batch(size, count=1))
        assert image.shape == (1, 3, *size) and image.isfinite().all()


@every_row
def test_an_image_is_the_same_again_and_beside_others(row: str) -> None:
    model, batch = tiny_model(**flags_of(row)), tiny_batch()
    before, random = deepcopy(model.state_dict()), torch.get_rng_state()
    both = render(model, batch)
    assert torch.equal(render(model, batch), both)
    torch.testing.assert_close(render(model, part(batch, 1)), both[1:], rtol=0, atol=1e-5)
    assert torch.equal(torch.get_rng_state(), random)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


@every_row
def test_every_weight_is_trained(row: str) -> None:
    model = tiny_model(**(flags_of(row) | {"ngf": 4, "lambda_L1": 1.0}))
    found = compute_gradients(model, CPU, tiny_batch()).gradients["G"]
    for name, parameter in model.netG.named_parameters():
        if parameter.requires_grad:
            assert found[parameter].isfinite().all(), name
            # A bias before a normalisation has a gradient of about 0.
            assert found[parameter].any() or name.endswith("bias"), name


def steps(model: Pix2PixHDModel, optimizers: Optimizers, count: int) -> None:
    for step in range(count):
        train_step(model, optimizers, CPU, tiny_batch(seed=step))


@every_row
def test_what_is_saved_renders_and_goes_on_bit_for_bit(row: str, tmp_path: Path) -> None:
    def new(seed: int) -> TrainingState:
        model = tiny_model(seed, **flags_of(row))
        return TrainingState(tmp_path, model, Optimizers(model, lr=1e-3, beta1=0.5))

    run, batch = new(seed=0), tiny_batch(seed=9)
    steps(run.model, run.optimizers, 1)
    run.save(Progress(2, 2))
    run.wait()
    rendered = render(run.model, batch)
    steps(run.model, run.optimizers, 2)
    options = replaced(TrainOptions(), TINY | flags_of(row))
    loaded = load_trained(options.model, tmp_path, "latest")
    assert torch.equal(render(loaded, batch), rendered)
    again = new(seed=1)
    again.restore()
    steps(again.model, again.optimizers, 2)
    expected = run.model.state_dict()
    for name, value in again.model.state_dict().items():
        assert torch.equal(value, expected[name]), name


@every_row
def test_rendering_in_tiles(row: str) -> None:
    model = tiny_model(**flags_of(row))
    tile = 4 * model.netG.stride
    require_tile(model, tile)
    size = (8, tile + 2)
    image = render_in_tiles(model, tiny_batch(size, count=1), None, tile)
    assert image.shape == (1, 3, *size) and image.isfinite().all()
