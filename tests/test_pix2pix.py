"""pix2pix by the entry scripts: trained D first, gone on with, rendered in both ways."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from programs import LABELS, metrics, run_test, run_train, same_weights, tiny_run, write_tiny_data

from pix2pixhd.engine.renderer import load
from pix2pixhd.models.generators import Pix2PixUNet
from pix2pixhd.util.checkpoint import load_tensors

PIX2PIX = (
    *("--netG", "unet_128", "--use_dropout", "--norm", "batch", "--ngf", "2", "--netD", "basic"),
    *("--gan_loss", "vanilla", "--no_ganFeat_loss", "--lambda_L1", "100", "--label_color"),
    *("--update_order", "D_first", "--no_html", "--print_freq", "1"),
)


def picture(folder: Path) -> np.ndarray:
    return np.asarray(Image.open(folder / "images/scene_0_synthesized_image.png"))


def test_trained_and_rendered(tmp_path: Path) -> None:
    write_tiny_data(tmp_path, count=2)
    write_tiny_data(tmp_path, count=1, phase="test")
    names = tmp_path / "names.txt"
    names.write_text("".join(f"{40 * n} 10 20 name{n}\n" for n in range(LABELS)))
    flags = (*PIX2PIX, "--label_names", names, "--niter_decay", "0", "--niter")
    outcome = run_train(*tiny_run(tmp_path, "whole"), *flags, "2")
    assert outcome.code == 0, outcome.err
    assert "n_layers_D 2: it has no effect" in outcome.out
    assert run_train(*tiny_run(tmp_path, "half"), *flags, "1").code == 0
    names.write_text("".join(f"0 0 {n} name{n}\n" for n in range(LABELS)))  # the run has its own
    where = ("--name", "half", "--checkpoints_dir", tmp_path / "ck")
    assert run_train(*where, "--continue_train", "--niter", "2").code == 0
    whole, half = tmp_path / "ck/whole", tmp_path / "ck/half"
    assert same_weights(whole, half)
    lines = metrics(whole)
    assert len(lines) == 4
    assert {"G_GAN", "G_L1", "D_real", "D_fake"} <= lines[0].keys()
    assert load_tensors(half / "latest_net_G.pth")["model.model.0.weight"].shape[1] == 3 + 1
    colours = json.loads((half / "options.json").read_text())["label_colors"]
    assert colours == "".join(f"{40 * n:02x}0a14" for n in range(LABELS))

    for more in ((), ("--eval",)):
        assert run_test(*where, "--results_dir", tmp_path, *more).code == 0
    evaluated = picture(tmp_path / "half/test_latest_eval")
    assert not np.array_equal(evaluated, picture(tmp_path / "half/test_latest"))
    label = np.asarray(Image.open(tmp_path / "data/test_label/scene_0.png"))
    inst = np.asarray(Image.open(tmp_path / "data/test_inst/scene_0.png")).astype(np.int32)
    renderer = load("half", checkpoints_dir=tmp_path / "ck", device="cpu", eval=True)
    assert np.array_equal(renderer(label, inst), evaluated)


def test_published_weights_tell_which_u_net_they_are(tmp_path: Path) -> None:
    """As pix2pix saves them: no options beside them, and an input of three channels."""
    torch.manual_seed(0)
    network = Pix2PixUNet(in_channels=3, ngf=2, norm="batch", n_downsample=7)
    torch.save(network.state_dict(), tmp_path / "latest_net_G.pth")
    how = {"label_nc": 0, "instance": False, "device": "cpu", "precision": "fp32"}
    renderer = load(tmp_path / "latest_net_G.pth", **how)
    model = renderer.options.model
    assert (model.netG, model.norm, model.ngf, model.input_nc) == ("unet_128", "batch", 2, 3)
    image = np.random.default_rng(0).integers(0, 256, (128, 128, 3), dtype=np.uint8)
    with torch.no_grad():
        x = torch.from_numpy(image).permute(2, 0, 1)[None] / 127.5 - 1
        expected = (network.eval()(x)[0].permute(1, 2, 0) + 1) * 127.5
    assert np.abs(renderer(image) - expected.numpy()).max() < 0.52


def test_weights_alone_see_labels_in_the_colours_of_a_file(tmp_path: Path) -> None:
    torch.save(Pix2PixUNet(in_channels=3, ngf=1).state_dict(), tmp_path / "latest_net_G.pth")
    (tmp_path / "names.txt").write_text("255 0 0 one\n0 0 255 other\n")
    how = {"label_color": True, "label_nc": 2, "instance": False, "device": "cpu"}
    renderer = load(tmp_path / "latest_net_G.pth", label_names=str(tmp_path / "names.txt"), **how)
    assert renderer.options.model.netG == "unet_256"
    assert renderer.model.palette[:2].tolist() == [[1, -1, -1], [-1, -1, 1]]
