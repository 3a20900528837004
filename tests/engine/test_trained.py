"""A trained model, from the files of its run."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_models import TINY, tiny_batch, tiny_model

from pix2pixhd.engine.render import render
from pix2pixhd.engine.trained import load_trained
from pix2pixhd.options.base_options import ModelOptions
from pix2pixhd.options.fields import replaced
from pix2pixhd.util.checkpoint import network_file, save_tensors
from pix2pixhd.util.errors import UserError

FLAGS = TINY | {"instance_feat": True, "nef": 2, "n_downsample_E": 1}
OPTIONS = replaced(ModelOptions(), FLAGS)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    model = tiny_model(seed=3, **FLAGS)
    for name, network in model.saved_networks().items():
        save_tensors(network.state_dict(), network_file(tmp_path, "latest", name))
    return tmp_path


def test_a_trained_model_renders_what_it_did(run: Path) -> None:
    batch = tiny_batch()
    expected = render(tiny_model(seed=3, **FLAGS), batch)
    assert torch.equal(render(load_trained(OPTIONS, run, "latest", "GE"), batch), expected)


def test_no_fresh_weights_are_drawn(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All 180 million would be overwritten, after seconds."""
    drawn: list[torch.Tensor] = []
    monkeypatch.setattr("torch.nn.init.normal_", lambda weight, *_: drawn.append(weight))
    load_trained(OPTIONS, run, "latest", "GE")
    assert not drawn


def test_only_what_is_asked_for_takes_memory(run: Path) -> None:
    model = load_trained(OPTIONS, run, "latest", "E")
    expected = tiny_model(seed=3, **FLAGS)
    assert not list(model.netG.parameters())
    batch = tiny_batch()
    assert torch.equal(model.encode(batch), expected.eval().encode(batch))
    assert not list(load_trained(OPTIONS, run, "latest", "").parameters())


def test_an_average_renders_in_the_place_of_its_network(run: Path) -> None:
    other = tiny_model(seed=4, **FLAGS)
    save_tensors(other.netG.state_dict(), network_file(run, "latest", "G_ema"))
    model = load_trained(OPTIONS, run, "latest", "G")
    assert torch.equal(model.netG.state_dict()["model.1.weight"], other.netG.model[1].weight)
    raw, own = load_trained(OPTIONS, run, "latest", "G", ema=False), tiny_model(seed=3, **FLAGS)
    assert torch.equal(raw.netG.state_dict()["model.1.weight"], own.netG.model[1].weight)


def test_an_average_beside_its_network_renders_but_is_not_trained() -> None:
    model, other = tiny_model(seed=3), tiny_model(seed=4)
    model.averaged["G_ema"] = other.netG
    batch = tiny_batch()
    assert torch.equal(render(model, batch), render(other, batch))
    assert torch.equal(model(batch).fake, tiny_model(seed=3)(batch).fake)
    assert list(model.trained_networks()) == ["G", "D"]


def test_a_run_without_encoder(run: Path) -> None:
    network_file(run, "latest", "E").unlink()
    with pytest.raises(UserError, match=r"latest_net_E\.pth: not there.*without --load_features"):
        load_trained(OPTIONS, run, "latest", "GE")
