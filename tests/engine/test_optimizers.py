"""The step and its schedule: as the reference takes it, in fewer passes."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

import pytest
import torch
from tiny_models import CPU, take_step, tiny_batch, tiny_model
from torchvision.models import vgg19

from pix2pixhd.engine.optimizers import Gradients, Optimizers, learning_rate
from pix2pixhd.engine.runtime import Runtime
from pix2pixhd.engine.step import compute_gradients, forward, gradients_of, train_step
from pix2pixhd.models.conditioning import condition
from pix2pixhd.models.gan_losses import feature_matching, over_scales
from pix2pixhd.models.perceptual import VGGPerceptualLoss
from pix2pixhd.models.pix2pixhd import Pix2PixHDModel
from pix2pixhd.options.train_options import ScheduleOptions
from pix2pixhd.util.batch import Batch
from train import set_learning_rates

LR = 2e-4


def plain_gradients(
    model: Pix2PixHDModel, batch: Batch
) -> tuple[dict[str, torch.Tensor], dict[str, torch.Tensor]]:
    """Losses and gradients in three discriminator passes and two whole backward passes."""
    given = condition(batch.label, batch.inst, model.label_nc)
    fake = model.generate(batch)
    shown = model.adversary.pool.query(torch.cat([given, fake.detach()], dim=1))
    on_shown = model.netD(shown)
    pred_real = model.netD(torch.cat([given, batch.image], dim=1))
    pred_fake = model.netD(torch.cat([given, fake], dim=1))
    terms = {"G_GAN": over_scales(pred_fake, model.adversary.gan.for_generator)}
    if model.adversary.matches_features:
        terms["G_GAN_Feat"] = model.loss_weights["G_GAN_Feat"].logged * feature_matching(
            pred_fake, pred_real
        )
    loss_G = sum(terms.values())
    judge = model.adversary.gan.for_discriminator
    terms["D_real"] = over_scales(pred_real, lambda logits: judge(logits, is_real=True))
    terms["D_fake"] = over_scales(on_shown, lambda logits: judge(logits, is_real=False))
    loss_D = (terms["D_real"] + terms["D_fake"]) * 0.5
    gradients = {}
    for loss, letter in ((loss_G, "G"), (loss_D, "D")):
        model.zero_grad()
        loss.backward(retain_graph=True)
        for name, parameter in model.saved_networks()[letter].named_parameters():
            if parameter.requires_grad:
                gradients[letter + name] = parameter.grad.clone()
    return terms, gradients


class Watched(Optimizers):
    """Leaves the gradients where tests find them."""

    def update(self, gradients: Mapping[str, Gradients], ends_step: bool = True) -> None:
        super().update(gradients, ends_step)
        for found in gradients.values():
            for parameter, gradient in found.items():
                parameter.grad = gradient


def gradients(model: Pix2PixHDModel) -> dict[str, torch.Tensor]:
    return {
        letter + name: parameter.grad
        for letter, network in model.saved_networks().items()
        for name, parameter in network.named_parameters()
        if parameter.requires_grad
    }


@pytest.mark.parametrize("gan_loss", ["lsgan", "vanilla"])
@pytest.mark.parametrize("matching", [True, False], ids=["matching", "no matching"])
@pytest.mark.parametrize("pool_size", [0, 2])
@pytest.mark.parametrize("norm", ["instance", "batch"])
def test_one_pass_step_is_the_plain_step(
    gan_loss: str, matching: bool, pool_size: int, norm: str
) -> None:
    # The pool's draw after seed 1 is a swap.
    flags = {"gan_loss": gan_loss, "ganFeat_loss": matching, "pool_size": pool_size, "norm": norm}
    model, batch = tiny_model(seed=1, **flags), tiny_batch(count=1)
    for seed in range(pool_size):
        model.adversary.pool.query(
            torch.randn(1, 8, 16, 24, generator=torch.Generator().manual_seed(seed))
        )
    terms, expected = plain_gradients(deepcopy(model), batch)
    if pool_size:  # the discriminators are shown another fake than the one they judge
        outputs = deepcopy(model)(batch)
        assert not torch.equal(
            outputs.judgement.pred_pool[0][-1], outputs.judgement.pred_fake[0][-1]
        )

    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    found_terms = take_step(model, Watched(model, LR, beta1=0.5), batch)
    assert found_terms.keys() == terms.keys()
    for name, term in terms.items():
        assert found_terms[name].item() == pytest.approx(term.item(), rel=1e-5), name
    found = gradients(model)
    assert found.keys() == expected.keys()
    for name, gradient in expected.items():
        assert torch.allclose(found[name], gradient, rtol=1e-3, atol=1e-5), name
    for name, parameter in model.named_parameters():  # Adam's first step is lr * sign, nearly
        if not parameter.requires_grad:
            assert torch.equal(parameter, before[name])
            continue
        step = LR * parameter.grad / (parameter.grad.abs() + 1e-8)
        assert torch.allclose(parameter, before[name] - step, rtol=0, atol=LR * 1e-2), name


@pytest.mark.parametrize("letter", ["G", "D"])
def test_each_network_learns_from_its_own_loss_alone(letter: str) -> None:
    model = tiny_model()
    weights = {"weight_G": float(letter == "G"), "weight_D": float(letter == "D")}
    take_step(model, Watched(model, LR, beta1=0.5), tiny_batch(), **weights)
    learning = {name[0] for name, gradient in gradients(model).items() if gradient.any()}
    assert learning == {letter}


def test_gradients_do_not_pile_up() -> None:
    model, batch = tiny_model(), tiny_batch()
    optimizers = Optimizers(model, lr=0.0, beta1=0.5)
    given: list[torch.Tensor] = []
    for adam in optimizers.adams.values():
        adam.register_step_pre_hook(
            lambda adam, *_: given.extend(
                p.grad.clone() for p in adam.param_groups[0]["params"] if p.requires_grad
            )
        )
    take_step(model, optimizers, batch)
    assert all(gradient is None for gradient in gradients(model).values())  # their memory is free
    take_step(model, optimizers, batch)
    half = len(given) // 2
    for first, second in zip(given[:half], given[half:], strict=True):
        assert torch.allclose(first, second, rtol=1e-4, atol=1e-6)


def test_adam_s_constants() -> None:
    optimizers = Optimizers(tiny_model(), lr=0.003, beta1=0.4)
    for adam in optimizers.adams.values():
        (group,) = adam.param_groups
        assert (group["lr"], group["betas"]) == (0.003, (0.4, 0.999))
        assert (group["weight_decay"], group["eps"]) == (0, 1e-8)


def test_setting_the_learning_rate_sets_both() -> None:
    optimizers = Optimizers(tiny_model(), LR, beta1=0.5)
    optimizers.set_learning_rate(1e-5)
    assert optimizers.learning_rate == 1e-5
    assert [adam.param_groups[0]["lr"] for adam in optimizers.adams.values()] == [1e-5, 1e-5]


def test_the_discriminators_learning_rate_falls_by_the_same_schedule() -> None:
    optimizers = Optimizers(tiny_model(), LR, beta1=0.5)
    schedule = ScheduleOptions(niter=1, niter_decay=2, lr=1.0, lr_D=4.0)
    for epoch, rate in ((2, 1.0), (3, 0.5)):
        set_learning_rates(optimizers, schedule, epoch)
        assert optimizers.learning_rate == rate  # what logs show
        assert optimizers.adams["D"].param_groups[0]["lr"] == 4 * rate
    set_learning_rates(optimizers, ScheduleOptions(lr=0.5), epoch=1)
    assert optimizers.adams["D"].param_groups[0]["lr"] == 0.5


@pytest.mark.parametrize(("niter", "niter_decay"), [(3, 4), (1, 1), (0, 5), (4, 0), (100, 100)])
def test_learning_rate(niter: int, niter_decay: int) -> None:
    rate = LR
    for epoch in range(1, niter + niter_decay + 1):
        assert learning_rate(epoch, LR, niter, niter_decay) == pytest.approx(rate), epoch
        if epoch > niter:  # the reference lowers the rate when such an epoch ends
            rate -= LR / niter_decay


@pytest.mark.parametrize("enhancers", [1, 2])
def test_outermost_enhancer_trains_alone_then_all_train(enhancers: int) -> None:
    model = tiny_model(netG="local", n_local_enhancers=enhancers)
    optimizers, batch = Optimizers(model, LR, beta1=0.5), tiny_batch()

    def changed_parts() -> set[str]:
        before = deepcopy(model.netG.state_dict())
        take_step(model, optimizers, batch)
        after = model.netG.state_dict()
        weights = [name for name in after if name.endswith("weight")]
        return {
            name.split(".")[0] for name in weights if not torch.equal(before[name], after[name])
        }

    outermost = {f"model{enhancers}_1", f"model{enhancers}_2"}
    everything = {name.split(".")[0] for name in model.netG.state_dict()}
    trained = [parameter.requires_grad for parameter in model.netG.parameters()]
    assert not all(trained)  # biases that a normalisation takes away
    model.train_outermost_alone(True)
    assert changed_parts() == outermost
    assert changed_parts() == outermost
    model.train_outermost_alone(False)
    assert changed_parts() == everything
    assert [parameter.requires_grad for parameter in model.netG.parameters()] == trained


def test_mixed_precision_step() -> None:
    model, batch = tiny_model(), tiny_batch()
    terms, plain = plain_gradients(deepcopy(model), batch)
    optimizers = Watched(model, LR, beta1=0.5, scale_gradients=True)
    optimizers.scaler.load_state_dict(optimizers.scaler.state_dict() | {"scale": 64.0})
    before = deepcopy(model.state_dict())
    runtime = Runtime(torch.device("cpu"), dtype=torch.float16)
    outputs = forward(model, runtime, batch)
    result = gradients_of(model, runtime, outputs, "GD", optimizers.scale())
    optimizers.update(result.gradients)
    assert optimizers.scaler.get_scale() == 64.0  # nothing overflowed
    assert outputs.judgement.pred_fake[0][-1].dtype == torch.float16
    assert outputs.fake.dtype == torch.float32  # float16 is too coarse for the image itself
    for name, term in result.terms.items():
        assert term.item() == pytest.approx(terms[name].item(), rel=2e-2), name
    for letter in "GD":  # the optimizer has divided by the scale
        names = [name for name in plain if name[0] == letter]
        half = torch.cat([gradients(model)[name].flatten() for name in names])
        full = torch.cat([plain[name].flatten() for name in names])
        assert (half - full).norm() < 0.1 * full.norm(), letter
    for name, weight in model.state_dict().items():
        assert weight.isfinite().all(), name
        if name.endswith("weight"):
            assert not torch.equal(weight, before[name]), name


def test_mixed_precision_skips_a_step_that_overflows() -> None:
    model, batch = tiny_model(), tiny_batch()
    optimizers = Optimizers(model, LR, beta1=0.5, scale_gradients=True)
    before = deepcopy(model.state_dict())
    take_step(model, optimizers, batch, weight_G=float("inf"), weight_D=float("inf"))
    assert optimizers.scaler.get_scale() == 2.0**15
    assert all(torch.equal(before[name], weight) for name, weight in model.state_dict().items())


def vgg_of_strong_gradients() -> VGGPerceptualLoss:
    """Random weights; gradients within are large, activations are not."""
    random = torch.Generator().manual_seed(0)
    weights = {}
    for name, parameter in vgg19().features.state_dict().items():
        fan_in = parameter[0].numel() if name.endswith("weight") else torch.inf
        weights[f"features.{name}"] = torch.randn(parameter.shape, generator=random) * (
            (2 / fan_in) ** 0.5
        )
    weights["features.0.weight"] *= 1e-4
    weights["features.28.weight"] *= 3e5
    return VGGPerceptualLoss(weights)


def test_training_recovers_from_a_perceptual_loss_that_overflows() -> None:
    """What the scaler does not control, it would lower the scale for, for ever."""
    runtime, batch = Runtime(torch.device("cpu"), dtype=torch.float16), tiny_batch(count=1)
    model = tiny_model()
    model.vgg = vgg_of_strong_gradients()
    runtime.prepare(model)
    optimizers = Optimizers(model, LR, beta1=0.5, scale_gradients=True)
    optimizers.scaler.load_state_dict(optimizers.scaler.state_dict() | {"scale": 1024.0})
    scales, moved = [], []
    for _ in range(12):
        before = deepcopy(model.netG.state_dict())
        _, terms = train_step(model, optimizers, runtime, batch)
        scales.append(optimizers.scaler.get_scale())
        moved.append(any(w.ne(before[name]).any() for name, w in model.netG.state_dict().items()))
    assert terms["G_VGG"].isfinite()  # it is the gradient that overflows
    assert not moved[0] and all(moved[-3:])
    assert scales[-1] == scales[-3] > 1
    assert optimizers.warning() is None


def test_a_scale_that_vanishes_is_told_once() -> None:
    model = tiny_model()
    optimizers = Optimizers(model, LR, beta1=0.5, scale_gradients=True)
    for _ in range(17):
        assert optimizers.warning() is None
        take_step(model, optimizers, tiny_batch(), weight_G=float("inf"))
    line = optimizers.warning()
    assert line is not None and "fell to 0.5" in line and "--precision bf16" in line
    assert optimizers.warning() is None


def test_betas_given_to_a_resumed_run_win() -> None:
    model = tiny_model()
    saved = Optimizers(model, LR, beta1=0.5).state_dict()
    resumed = Optimizers(model, LR, beta1=0.9, beta2=0.99)
    resumed.load_state_dict(saved)
    assert resumed.adams["G"].param_groups[0]["betas"] == (0.9, 0.99)
    assert resumed.adams["D"].param_groups[0]["betas"] == (0.9, 0.99)


def test_moments_of_biases_that_are_no_longer_trained_are_passed_by() -> None:
    """States of older runs have them."""
    older, model, batch = tiny_model(), tiny_model(), tiny_batch()
    idle = {name for name, p in model.named_parameters() if not p.requires_grad}
    optimizers = Optimizers(older, LR, beta1=0.5)
    for parameters, name in ((older.netG.parameters(), "G"), (older.netD.parameters(), "D")):
        optimizers.update({name: {p: torch.ones_like(p) for p in parameters}})
    resumed = Optimizers(model, LR, beta1=0.5)
    resumed.load_state_dict(optimizers.state_dict())
    before = deepcopy(model.state_dict())
    take_step(model, resumed, batch)
    after = model.named_parameters()
    same = {name for name, parameter in after if torch.equal(before[name], parameter)}
    assert same == idle != set()
    saved = resumed.state_dict()
    for name in "GD":  # what is saved again fits such a run's programs
        assert saved[name]["state"].keys() == optimizers.state_dict()[name]["state"].keys()


@pytest.mark.parametrize("saved_channels_last", [True, False])
def test_a_run_goes_on_in_another_memory_format(saved_channels_last: bool) -> None:
    """Fused Adam goes by the place in memory: moments must lie as their weights do."""
    ends = []
    for formats in ((saved_channels_last,) * 2, (saved_channels_last, not saved_channels_last)):
        model, batch = tiny_model(), tiny_batch()
        optimizers = None
        for channels_last in formats:
            Runtime(torch.device("cpu"), channels_last=channels_last).prepare(model)
            state = optimizers.state_dict() if optimizers else None
            optimizers = Optimizers(model, LR, beta1=0.5)
            if state:
                optimizers.load_state_dict(deepcopy(state))
            for _ in range(3):
                take_step(model, optimizers, batch)
        ends.append(model.state_dict())
    for name, weight in ends[0].items():
        if name.endswith("weight"):
            # Scrambled moments are off by whole steps; so is what only rounding drives, a few.
            assert (weight - ends[1][name]).abs().median() < 0.1 * LR, name


def test_gradients_may_lie_in_memory_in_any_order() -> None:
    """Those of compiled networks do; fused Adam would give each weight another one's gradient."""
    model, batch = tiny_model(), tiny_batch()
    other = deepcopy(model)
    for net, is_turned in ((model, False), (other, True)):
        gradients = compute_gradients(net, CPU, batch).gradients
        if is_turned:
            for found in gradients.values():
                for parameter, gradient in found.items():
                    if gradient.ndim == 4:
                        found[parameter] = gradient.to(memory_format=torch.channels_last)
        Optimizers(net, LR, beta1=0.5).update(gradients)
    for name, weight in model.state_dict().items():
        assert torch.equal(weight, other.state_dict()[name]), name
