"""Training without discriminators (--no_gan_loss), as CRN's."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from programs import metrics, run_test, run_train, tiny_run, write_tiny_data
from tiny_models import CPU, TINY, tiny_batch, tiny_model
from torch import nn

from pix2pixhd.engine import builders
from pix2pixhd.engine.collapse import LOSSES
from pix2pixhd.engine.compiled import CompiledGradients, why_eager
from pix2pixhd.engine.optimizers import Optimizers
from pix2pixhd.engine.progress import Progress
from pix2pixhd.engine.renderer import Renderer
from pix2pixhd.engine.runtime import Runtime
from pix2pixhd.engine.state import TrainingState
from pix2pixhd.engine.step import PIX2PIXHD, compute_gradients, train_step
from pix2pixhd.models.crn_loss import CRNLoss
from pix2pixhd.models.pix2pixhd import Pix2PixHDModel
from pix2pixhd.options.fields import replaced
from pix2pixhd.options.test_options import TestOptions
from pix2pixhd.options.train_options import TrainOptions
from pix2pixhd.util.checkpoint import load_tensors, save_tensors
from pix2pixhd.util.errors import UserError

COMPILES = Runtime(torch.device("cpu"), compiles=True)
FLAGS: dict[str, Any] = {"no_gan_loss": True, "lambda_L1": 100.0}
CRN: dict[str, Any] = {"netG": "crn", "crn_height": 8, "ngf": 1}


def new_model(seed: int = 0, vgg: CRNLoss | None = None, **changes: Any) -> Pix2PixHDModel:
    model = tiny_model(seed, **(FLAGS | changes))
    model.vgg = vgg
    return model


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    from torchvision.models import vgg19

    with torch.device("meta"):
        shapes = {f"features.{n}": w.shape for n, w in vgg19().features[:32].state_dict().items()}
    random = torch.Generator().manual_seed(0)
    return {name: torch.randn(shape, generator=random) * 0.05 for name, shape in shapes.items()}


@pytest.mark.parametrize("is_wrapped", [False, True])
def test_a_step_is_the_generators_alone(is_wrapped: bool) -> None:
    model = new_model()
    assert list(model.saved_networks()) == ["G"]
    optimizers = Optimizers(model, 1e-3, 0.9, scale_gradients=True)
    optimizers.set_learning_rate(1e-4, 1e-5)
    assert optimizers.learning_rate == 1e-4 and "D" not in optimizers.adams
    if is_wrapped:  # as of DDP
        model.wrap_networks(lambda network: nn.Sequential(network))
        model._wrapped["G"].forward = model.netG.forward
    before = [parameter.clone() for parameter in model.netG.parameters()]
    batch = tiny_batch()
    image, terms = train_step(model, optimizers, CPU, batch)
    assert terms.keys() == {"G_L1"}
    expected = 100 * (image - batch.image).abs().mean()
    torch.testing.assert_close(terms["G_L1"], expected)
    after = list(model.netG.parameters())
    assert any(not torch.equal(*pair) for pair in zip(before, after, strict=True))


def test_first_weights_are_those_of_training_with_discriminators() -> None:
    for mine, other in zip(
        new_model().netG.parameters(), tiny_model().netG.parameters(), strict=True
    ):
        assert torch.equal(mine, other)


@pytest.mark.parametrize("num_images", [1, 2])
def test_a_restored_run_goes_on_bit_for_bit(
    num_images: int, weights: dict[str, torch.Tensor], tmp_path: Path
) -> None:
    """With what its loss has measured."""

    def new(seed: int) -> TrainingState:
        vgg = CRNLoss(weights, balance=None, num_images=num_images)
        model = new_model(seed, vgg, **CRN, num_images=num_images, lambda_L1=0.0)
        return TrainingState(tmp_path, model, Optimizers(model, 1e-3, 0.9))

    def train(run: TrainingState, steps: range) -> list[float]:
        return [
            train_step(run.model, run.optimizers, CPU, tiny_batch(seed=step))[1]["G_CRN"].item()
            for step in steps
        ]

    run, again = new(0), new(1)
    train(run, range(2))
    run.save(Progress(2, 4))
    expected = train(run, range(2, 4))
    run.wait()
    assert again.restore() == (Progress(2, 4), [])
    assert train(again, range(2, 4)) == expected
    for name, value in again.model.netG.state_dict().items():
        assert torch.equal(value, run.model.netG.state_dict()[name]), name
    assert torch.equal(again.model.vgg.measured, run.model.vgg.measured)


def test_compiled_unless_the_loss_changes(weights: dict[str, torch.Tensor]) -> None:
    assert why_eager(new_model(), PIX2PIXHD) is None
    assert why_eager(new_model(vgg=CRNLoss(weights)), PIX2PIXHD) is None
    measured = new_model(vgg=CRNLoss(weights, balance=None))
    assert "--crn_balance measured" in (why_eager(measured, PIX2PIXHD) or "")


def test_no_losses_of_discriminators_are_watched() -> None:
    watch = builders.watch_of(replaced(TrainOptions(), TINY | FLAGS))
    for real in (0.0, 0.5, math.nan):
        warnings = [watch.losses({"D_real": real, "D_fake": real}) for _ in range(LOSSES)]
        assert warnings == [None] * LOSSES


@pytest.mark.parametrize("ends", [29, 31])
def test_the_loss_that_the_options_ask_for(
    ends: int, weights: dict[str, torch.Tensor], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "vgg.pth"
    save_tensors({n: w for n, w in weights.items() if int(n.split(".")[1]) < ends}, file)
    flags = {"crn_loss": True, "crn_balance": "1,2,3,4,5,6", "vgg_weights": str(file)}
    vgg = builders.perceptual_loss(replaced(TrainOptions(), flags).loss, num_images=4)
    assert isinstance(vgg, CRNLoss) and vgg.num_images == 4
    assert vgg.divisors.tolist() == [1, 2, 3, 4, 5, 6]
    said = capsys.readouterr().out
    assert ("ends at conv5_1" in said) == (ends == 29)


def test_through_the_command_line(tmp_path: Path) -> None:
    """Trained, stopped and gone on with, grown, and rendered."""
    write_tiny_data(tmp_path, count=2)
    write_tiny_data(tmp_path, phase="test", count=1)
    *common, _, _, _, _, _, _, no_vgg = tiny_run(tmp_path)[:-2]
    flags = (*common, no_vgg, "--resize_or_crop", "none", "--no_gan_loss", "--lambda_L1", "100")
    flags += ("--print_freq", "1", "--no_html", "--niter_decay", "0", "--ema_half_life", "2")
    small = (*flags, "--netG", "crn", "--crn_height", "8")
    assert run_train(*small, "--niter", "1").code == 0
    folder = tmp_path / "ck/tiny"
    assert metrics(folder)[0].keys().isdisjoint({"G_GAN", "D_real", "G_GAN_Feat"})
    assert not list(folder.glob("*_net_D.pth"))
    where = ("--name", "tiny", "--checkpoints_dir", tmp_path / "ck")
    outcome = run_train(*where, "--continue_train", "--niter", "2")
    assert outcome.code == 0, outcome.err
    assert [line["step"] for line in metrics(folder)] == [1, 2, 3, 4]
    grown = ("--name", "grown", "--crn_height", "16", "--load_pretrain", folder)
    outcome = run_train(*flags, "--netG", "crn", *grown, "--niter", "1", "--niter_fix_global", "1")
    assert outcome.code == 0, outcome.err
    assert "12 of 20 tensors taken" in outcome.out
    before = load_tensors(folder / "latest_net_G.pth")
    after = load_tensors(tmp_path / "ck/grown/latest_net_G.pth")
    changed = {n for n in before.keys() & after.keys() if not torch.equal(before[n], after[n])}
    assert {name.partition(".")[0] for name in changed} == {"module8"}
    outcome = run_test(*where, "--results_dir", tmp_path / "results", "--gpu_ids", "-1")
    assert outcome.code == 0, outcome.err


@pytest.mark.slow
@pytest.mark.parametrize("num_images", [1, 2])
def test_the_step_is_compiled_whole(num_images: int, weights: dict[str, torch.Tensor]) -> None:
    vgg = CRNLoss(weights, num_images=num_images)
    model = new_model(vgg=vgg, **CRN, num_images=num_images, lambda_L1=0.0)
    compute = CompiledGradients(model, COMPILES, backend="aot_eager")
    for seed in range(2):
        batch = tiny_batch(seed=seed)
        with torch.compiler.set_stance("fail_on_recompile" if seed else "default"):
            found = compute(batch)
        expected = compute_gradients(model, CPU, batch)
        torch.testing.assert_close(found.terms, expected.terms)
        torch.testing.assert_close(found.image, expected.image)


def test_any_of_its_images_from_python() -> None:
    options = replaced(TestOptions(), {**CRN, "label_nc": 4, "num_images": 2})
    model = new_model(**CRN, num_images=2)
    renderer = Renderer(model.eval(), options, CPU)
    batch = tiny_batch(count=1)
    maps = batch.label[0, 0].numpy(), batch.inst[0, 0].numpy()
    images = [renderer(*maps, style=style) for style in range(2)]
    assert not np.array_equal(*images)
    with pytest.raises(UserError, match="style: 2, expected 0 to 1"):
        renderer(*maps, style=2)
