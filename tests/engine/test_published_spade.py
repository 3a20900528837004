"""What weights of SPADE and OASIS tell, where no options are saved with them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from shared_data import shared

from pix2pixhd.engine.published import completed, read_architecture
from pix2pixhd.engine.published_spade import read_spade
from pix2pixhd.models import create_generator
from pix2pixhd.options.base_options import ModelOptions
from pix2pixhd.options.command_line import read_argv
from pix2pixhd.options.parsing import parse_test
from pix2pixhd.util.errors import UserError


@pytest.mark.parametrize(
    ("file", "said", "told"),
    [
        ("spade G_cityscapes", "", "--netG spade"),
        ("spade G_cityscapes_most", "", "--netG spade --num_upsampling_layers most"),
        (
            "spade G_cityscapes_spadeinstance3x3",
            "--norm_G spadeinstance3x3",
            "--netG spade --norm_G spadeinstance3x3",
        ),
        (
            "spade G_ade20k",
            "--no_instance --label_nc 151",
            "--netG spade --no_instance --label_nc 151",
        ),
        ("spade G_coco", "--label_nc 183", "--netG spade --label_nc 183"),
        (
            "spade G_coco_vae",
            "--label_nc 183 --crop_size 256",
            "--netG spade --label_nc 183 --use_vae --crop_size 256 --z_dim 256",
        ),
        ("oasis G_cityscapes", "--no_instance", "--netG oasis --no_instance --z_dim 64"),
        (
            "oasis G_ade20k",
            "--netG oasis --label_nc 151",
            "--netG oasis --label_nc 151 --no_instance --z_dim 64",
        ),
    ],
)
def test_published_generators(file: str, said: str, told: str) -> None:
    of, name = file.split()
    recorded = json.loads(shared("reference/baselines", f"state_dict_keys_{of}.json").read_text())
    shapes = recorded[name]["state_dict"].items()
    state = {key: torch.empty(shape, device="meta") for key, shape in shapes}
    given, expected = (read_argv(one.split(), ModelOptions()) for one in (said, told))
    found, lines = read_architecture(state, None, given)
    assert found == expected
    assert len(lines) == 1


@pytest.mark.parametrize("line", ["--netG spade --ngf 3", "--netG oasis --ngf 3 --output_nc 1"])
def test_what_is_saved_here(line: str) -> None:
    model = read_argv([*line.split(), "--norm_G", "spectralspadesyncbatch5x5"], ModelOptions())
    with torch.device("meta"):
        read = read_spade(create_generator(model).state_dict())
    assert {"netG", "ngf", "output_nc", "norm_G"} <= read.keys()
    assert all(getattr(model, n) == v for n, v in read.items() if n not in ("channels", "z_dim"))
    assert read["channels"] == 36


def test_a_size_that_weights_do_not_tell_is_asked(tmp_path: Path) -> None:
    line = "--netG spade --use_vae --crop_size 64x32 --ngf 1 --z_dim 4"
    network = create_generator(read_argv(line.split(), ModelOptions()))
    (tmp_path / "vae").mkdir()
    torch.save(network.state_dict(), tmp_path / "vae/latest_net_G.pth")
    where = ["--name", "vae", "--checkpoints_dir", str(tmp_path)]
    with pytest.raises(UserError, match="--use_vae with --crop_size ''"):
        completed(parse_test(where), "latest")
    for more in ([], ["--netG", "spade", "--use_vae"]):
        found = completed(parse_test([*where, "--crop_size", "64x32", *more]), "latest").model
        assert (found.use_vae, found.z_dim, found.ngf) == (True, 4, 1)
