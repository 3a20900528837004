"""Another implementation is timed beside ours: here a stand-in with the same signatures."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import Tensor

from models.conditioning import condition
from scripts.benchmarks.against import Checkout
from scripts.benchmarks.recipes import random_vgg_weights, recipe_options, synthetic_batch
from scripts.benchmarks.timing import Settings
from scripts.benchmarks.training import REFERENCE, measure_training
from util.errors import UserError

CPU = torch.device("cpu")
STAND_IN = '''
"""Networks with the interface of a pix2pixHD checkout, and nothing of its insides."""
import torch
from torch import nn
from torch.autograd import Variable


class Encoder(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.layer = nn.Conv2d(inputs, outputs, 1)

    def forward(self, image, inst):
        assert not inst.is_floating_point()
        return self.layer(image)


def define_G(input_nc, output_nc, ngf, netG, n_downsample_global=3, n_blocks_global=9,
             n_local_enhancers=1, n_blocks_local=3, norm="instance", gpu_ids=[]):
    assert norm == "instance" and gpu_ids == []
    if netG == "encoder":
        return Encoder(input_nc, output_nc)
    return nn.Sequential(nn.Conv2d(input_nc, ngf, 3, padding=1), nn.Conv2d(ngf, output_nc, 1))


class D(nn.Module):
    def __init__(self, input_nc, ndf, num_D):
        super().__init__()
        self.first = nn.ModuleList(nn.Conv2d(input_nc, ndf, 4, 2, 2) for _ in range(num_D))
        self.last = nn.ModuleList(nn.Conv2d(ndf, 1, 4) for _ in range(num_D))

    def forward(self, x):
        seen = [first(x) for first in self.first]
        return [[a, last(a)] for a, last in zip(seen, self.last)]


def define_D(input_nc, ndf, n_layers_D, norm="instance", use_sigmoid=False, num_D=1,
             getIntermFeat=False, gpu_ids=[]):
    assert getIntermFeat and not use_sigmoid
    return D(input_nc, ndf, num_D)


class GANLoss(nn.Module):
    def __init__(self, use_lsgan=True, target_real_label=1.0, target_fake_label=0.0,
                 tensor=torch.FloatTensor):
        super().__init__()
        self.tensor = tensor

    def __call__(self, input, target_is_real):
        loss = 0
        for scale in input:
            target = Variable(self.tensor(scale[-1].size()).fill_(float(target_is_real)),
                              requires_grad=False)
            loss += nn.functional.mse_loss(scale[-1], target)
        return loss


class VGGLoss(nn.Module):
    def __init__(self, gpu_ids):
        super().__init__()
        from torchvision import models
        layers = models.vgg19(pretrained=True).features
        self.parts = nn.ModuleList([nn.Sequential(*(layers[i] for i in part))
                                    for part in (range(2), range(2, 7), range(7, 30))]).cuda()

    def forward(self, x, y):
        loss = 0
        for part in self.parts:
            x, y = part(x), part(y)
            loss += nn.functional.l1_loss(x, y.detach())
        return loss
'''
FLAGS = ("--ngf", "2", "--ndf", "2", "--n_downsample_global", "1", "--n_blocks_global", "1")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "networks.py").write_text(STAND_IN)
    return tmp_path


@pytest.fixture(scope="module")
def weights() -> dict[str, Tensor]:
    return random_vgg_weights()


def test_its_step_trains_generator_encoder_and_discriminators(
    checkout: Path, weights: dict[str, Tensor]
) -> None:
    options = recipe_options("train_512p_feat", FLAGS)
    step = Checkout(checkout, weights).step(options, CPU)
    batch = synthetic_batch(options, (48, 32), CPU)
    trained = [*step.networks.parameters_G, *step.networks.parameters_D]
    assert len(trained) == 4 + 2 + 2 * 2 * 2
    before = [parameter.detach().clone() for parameter in trained]
    terms = step(batch)
    assert list(terms) == ["G_GAN", "G_GAN_Feat", "G_VGG", "D_real", "D_fake"]
    for one, other in zip(before, trained, strict=True):
        assert not torch.equal(one, other)


def test_its_losses_are_those_of_its_own_networks(
    checkout: Path, weights: dict[str, Tensor]
) -> None:
    options = recipe_options("train_512p", (*FLAGS, "--lambda_feat", "3"))
    step = Checkout(checkout, weights).step(options, CPU)
    batch = synthetic_batch(options, (48, 32), CPU)
    networks, terms = step.networks, step.losses(batch)
    given = condition(batch["label"], batch["inst"], options.model.label_nc)
    real = networks.discriminate(torch.cat([given, batch["image"]], 1))
    fake_image = networks.generate(batch, given)
    fake = networks.discriminate(torch.cat([given, fake_image], 1))
    distances = [(f[0] - r[0]).abs().mean() for f, r in zip(fake, real, strict=True)]
    expected = {
        "D_real": sum((scale[-1] - 1).square().mean() for scale in real),
        "D_fake": sum(scale[-1].square().mean() for scale in fake),
        "G_GAN": sum((scale[-1] - 1).square().mean() for scale in fake),
        # 4 / (n_layers_D + 1) / num_D, where the stand-in's discriminators have one such layer
        "G_GAN_Feat": 3 * 4 / 1 / 2 * sum(distances),
        "G_VGG": 3 * networks.perceptual(fake_image, batch["image"]),
    }
    for name, value in expected.items():
        assert terms[name].item() == pytest.approx(value.item(), rel=1e-5), name


def test_it_is_timed_beside_ours(checkout: Path) -> None:
    settings = Settings(
        CPU,
        size=(32, 32),
        steps=2,
        recipes=("train_512p",),
        recipe_flags=(*FLAGS, "--no_vgg_loss"),
        against=checkout,
    )
    rows = {row.way: row for row in measure_training(settings)}
    assert next(iter(rows)) == REFERENCE
    reference = rows[REFERENCE].figures["images/s"]
    for row in rows.values():
        times = row.figures["images/s"] / reference
        assert row.figures["times as fast"] == pytest.approx(times)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "has no models/networks.py"),
        ("raise RuntimeError('old')", r"cannot be imported \(RuntimeError: old\)"),
        ("import nowhere_to_be_found", "cannot be imported"),
        ("def define_G(): pass", "has no define_D, GANLoss, VGGLoss"),
    ],
)
def test_what_is_no_checkout_is_told(content: str | None, message: str, tmp_path: Path) -> None:
    if content:
        (tmp_path / "models").mkdir()
        (tmp_path / "models" / "networks.py").write_text(content)
    with pytest.raises(UserError, match=message) as caught:
        Checkout(tmp_path, {})
    assert f"--against {tmp_path}: " in str(caught.value)


def test_functions_of_other_arguments_are_told(checkout: Path) -> None:
    file = checkout / "models" / "networks.py"
    file.write_text(file.read_text().replace("def define_D(input_nc, ", "def define_D("))
    options = recipe_options("train_512p", FLAGS)
    with pytest.raises(UserError, match="cannot be built"):
        Checkout(checkout, {}).step(options, CPU)
