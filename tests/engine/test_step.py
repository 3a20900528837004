"""Our step is the reference's, taken in fewer passes: the same losses, gradients and weights."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from typing import Any, Literal

import pytest
import torch
from shared_data import shared
from tiny_models import CPU, TINY, model_of, tiny_batch, tiny_model
from torch import Tensor

from pix2pixhd.engine.distributed import wrap_ddp
from pix2pixhd.engine.optimizers import Optimizers
from pix2pixhd.engine.runtime import Runtime
from pix2pixhd.engine.step import Recipe, UpdateOrder, compute_gradients, gradients_of, train_step
from pix2pixhd.models.adversary import LossWeight
from pix2pixhd.models.conditioning import condition
from pix2pixhd.models.pix2pixhd import Pix2PixHDModel, StepOutputs
from pix2pixhd.options.fields import replaced
from pix2pixhd.options.train_options import TrainOptions
from pix2pixhd.util.batch import Batch
from scripts.plain_step import PlainStep

LR = 2e-4
ROUNDING = (2e-6, 1e-3, 3e-3)  # of a network's gradient and of a loss, at each of three steps
DRIFT = 0.1 * LR  # of a weight in these steps, of which each moves it by about LR
NOISE = 1e-5  # of a network's gradient: of smaller ones Adam makes steps of any direction

CASES: dict[str, dict[str, Any]] = {
    "global": {},
    "vanilla": {"gan_loss": "vanilla"},
    "no matching": {"ganFeat_loss": False},
    "one scale": {"num_D": 1},
    "batch norm": {"norm": "batch"},
    "no instances": {"instance": False},
    "pool": {"pool_size": 1},
    "local": {"netG": "local", "num_D": 3},
    "two enhancers": {"netG": "local", "n_local_enhancers": 2},
    "instance features": {"instance_feat": True, "nef": 2, "n_downsample_E": 1},
    "label features": {"label_feat": True, "nef": 2, "n_downsample_E": 1, "netG": "local"},
}
Step = Callable[[Batch], dict[str, Tensor]]
Gradients = dict[str, Tensor]


def options_of(flags: dict[str, Any]) -> TrainOptions:
    return replaced(TrainOptions(), TINY | flags)


def plain(model: Pix2PixHDModel) -> tuple[Step, Gradients]:
    step = PlainStep(model, foreach=False)
    return step, watched(model, step.G, step.D)


def ours(model: Pix2PixHDModel) -> tuple[Step, Gradients]:
    runtime, optimizers = Runtime(torch.device("cpu")), Optimizers(model, LR, beta1=0.5)

    def take(batch: Batch) -> dict[str, Tensor]:
        return train_step(model, optimizers, runtime, batch)[1]

    return take, watched(model, *optimizers.adams.values())


def watched(model: Pix2PixHDModel, G: torch.optim.Adam, D: torch.optim.Adam) -> Gradients:
    """The gradients that the optimizers were last given, which change as steps are taken."""
    gradients: Gradients = {}

    def note(letters: str) -> None:
        for letter in letters:
            network = model.saved_networks().get(letter)
            for name, parameter in network.named_parameters() if network else ():
                gradient = parameter.grad
                gradients[f"{letter}.{name}"] = (
                    torch.zeros_like(parameter) if gradient is None else gradient.clone()
                )

    G.register_step_pre_hook(lambda *_: note("GE"))
    D.register_step_pre_hook(lambda *_: note("D"))
    return gradients


def norm(tensors: Gradients) -> Tensor:
    return torch.cat([tensor.flatten().float() for tensor in tensors.values()]).norm()


def of(letter: str, tensors: Gradients) -> Gradients:
    return {name: tensor for name, tensor in tensors.items() if name[0] == letter}


def weights(model: Pix2PixHDModel) -> Gradients:
    return {
        f"{letter}.{name}": parameter.detach().clone()
        for letter, network in model.saved_networks().items()
        for name, parameter in network.named_parameters()
    }


def compare(model: Pix2PixHDModel, batch: Batch) -> None:
    """Take three steps both ways, from the same weights."""
    other = deepcopy(model)
    (plain_step, expected), (our_step, found) = plain(other), ours(model)
    sure = {name: torch.ones_like(weight, dtype=bool) for name, weight in weights(model).items()}
    for rounding in ROUNDING:
        expected_terms, terms = plain_step(batch), our_step(batch)
        assert terms.keys() == expected_terms.keys()
        for name, term in expected_terms.items():
            assert terms[name].item() == pytest.approx(term.item(), rel=rounding), name
        assert found.keys() == expected.keys()
        for letter in model.saved_networks():
            whole = norm(of(letter, expected))
            assert whole > 0, letter
            for name, gradient in of(letter, expected).items():
                assert (found[name] - gradient).norm() <= rounding * whole, name
                sure[name] &= gradient.abs() > NOISE * whole
    after, expected_after = weights(model), weights(other)
    for name, weight in expected_after.items():
        assert torch.all((after[name] - weight).abs()[sure[name]] <= DRIFT), name
    for letter in model.saved_networks():
        compared = torch.cat([part.flatten() for part in of(letter, sure).values()])
        assert compared.float().mean() > 0.2, letter


@pytest.mark.parametrize("case", CASES)
def test_our_step_is_the_plain_step(case: str) -> None:
    options = options_of(CASES[case])
    compare(model_of(options, seed=3), tiny_batch(size=(32, 48), count=1))


def test_in_a_batch_of_odd_sizes() -> None:
    options = options_of({"batchSize": 2, "netG": "local"})
    compare(model_of(options, seed=3), tiny_batch(size=(33, 47), count=2))


@pytest.mark.parametrize("netG", ["global", "local"])
def test_with_the_perceptual_loss(netG: str) -> None:
    weights_file = shared("weights", "vgg19_features_fp16.pth")
    flags = {"vgg_loss": True, "vgg_weights": str(weights_file), "netG": netG}
    options = options_of(flags)
    compare(model_of(options, seed=3), tiny_batch(size=(32, 48), count=1))


def test_while_the_outermost_enhancer_trains_alone() -> None:
    options = options_of({"netG": "local"})
    model = model_of(options, seed=3)
    model.train_outermost_alone(True)
    compare(model, tiny_batch(size=(32, 48), count=1))


def test_with_activations_computed_twice() -> None:
    options = options_of({"netG": "local"})
    model = model_of(options, seed=3, checkpoint_activations=True)
    compare(model, tiny_batch(size=(32, 48), count=1))


class Regularised(Pix2PixHDModel):
    """With a term on E's output, which does not go by way of the image, and one on D's weights."""

    def generator_terms(self, outputs: StepOutputs) -> dict[str, Tensor]:
        self.loss_weights.setdefault("E_norm", LossWeight(30.0))
        return super().generator_terms(outputs) | {"E_norm": outputs.encoded.square().mean()}

    def discriminator_terms(self, outputs: StepOutputs) -> dict[str, Tensor]:
        self.loss_weights.setdefault("D_norm", LossWeight(0.25))
        norm = torch.stack([p.square().mean() for p in self.netD.parameters()]).sum()
        return super().discriminator_terms(outputs) | {"D_norm": norm}


def regularised() -> Pix2PixHDModel:
    model = model_of(options_of(CASES["instance features"]), seed=3)
    model.__class__ = Regularised
    return model


def full_gradients(model: Pix2PixHDModel, batch: Batch) -> Gradients:
    """By a backward pass of each loss through everything, as losses are written down."""
    outputs = model(batch)
    given = condition(batch.label, batch.inst, model.label_nc)
    pred_fake = model.netD(torch.cat([given, outputs.fake], dim=1))
    seen = replace(outputs, judgement=replace(outputs.judgement, pred_fake=pred_fake))
    found = {}
    for terms, letters in (
        (model.generator_terms(seen), "GE"),
        (model.discriminator_terms(outputs), "D"),
    ):
        loss = sum(model.loss_weights[name].minimised * term for name, term in terms.items())
        parameters = {
            f"{letter}.{name}": parameter
            for letter in letters
            for name, parameter in model.trained_networks()[letter].named_parameters()
            if parameter.requires_grad
        }
        values = torch.autograd.grad(loss, parameters.values(), retain_graph=True)
        found |= dict(zip(parameters, values, strict=True))
    return found


@pytest.mark.parametrize("wrapped", [False, True])
def test_a_term_may_go_round_the_image(wrapped: bool, process_group: None) -> None:
    model, batch = regularised(), tiny_batch(size=(32, 48), count=1)
    expected = full_gradients(model, batch)
    model.loss_weights["E_norm"] = LossWeight(0.0)
    by_way_of_the_image = full_gradients(model, batch)
    model.loss_weights["E_norm"] = LossWeight(30.0)
    if wrapped:
        model.wrap_networks(lambda network: wrap_ddp(network, CPU.device))
    result = compute_gradients(model, CPU, batch)
    assert set(result.terms) == {"G_GAN", "G_GAN_Feat", "E_norm", "D_real", "D_fake", "D_norm"}
    of = {id(p): gradient for part in result.gradients.values() for p, gradient in part.items()}
    found = {
        f"{letter}.{name}": of[id(parameter)]
        for letter, network in model.trained_networks().items()
        for name, parameter in network.named_parameters()
        if parameter.requires_grad
    }
    for letter in "GED":
        names = [name for name in expected if name[0] == letter]
        whole = torch.cat([expected[name].flatten() for name in names])
        ours = torch.cat([found[name].flatten() for name in names])
        assert (ours - whole).norm() <= 1e-5 * whole.norm(), letter
    names = [name for name in expected if name[0] == "E"]
    direct = torch.cat([(expected[n] - by_way_of_the_image[n]).flatten() for n in names])
    assert direct.norm() > 0.1 * torch.cat([expected[n].flatten() for n in names]).norm()


@pytest.mark.parametrize("case", CASES)
def test_every_term_has_a_gradient_for_its_network(case: str) -> None:
    model, batch = model_of(options_of(CASES[case]), seed=3), tiny_batch(size=(32, 48), count=1)
    weights, terms = dict(model.loss_weights), compute_gradients(model, CPU, batch).terms
    assert len(terms) >= 3
    for name in terms:
        model.loss_weights |= {other: LossWeight(0.0) for other in weights}
        model.loss_weights[name] = LossWeight(1.0)
        for part, gradients in compute_gradients(model, CPU, batch).gradients.items():
            is_own = name[0] == part
            assert any(gradient.any() for gradient in gradients.values()) == is_own, (name, part)


def test_a_term_without_gradient_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    model = model_of(options_of({}), seed=3)
    monkeypatch.setattr(
        "pix2pixhd.models.adversary.feature_matching", lambda fake, real: torch.ones(())
    )
    with pytest.raises(AssertionError, match="G_GAN_Feat: no gradient"):
        compute_gradients(model, CPU, tiny_batch())


def test_no_weight_changes_before_the_update() -> None:
    model = model_of(options_of({}), seed=3)
    before = weights(model)
    compute_gradients(model, CPU, tiny_batch())
    assert all(torch.equal(weight, before[name]) for name, weight in weights(model).items())


@pytest.mark.parametrize("forwards", [1, 2])
@pytest.mark.parametrize("order", ["D_first", "G_first"])
def test_orders_of_updates(order: UpdateOrder, forwards: Literal[1, 2]) -> None:
    """One network is updated, and the other one's loss sees it as it is then."""
    model, batch = model_of(options_of({}), seed=3), tiny_batch(size=(32, 48), count=1)
    by_hand = deepcopy(model)
    recipe = Recipe(order, forwards)
    _, terms = train_step(model, Optimizers(model, LR, beta1=0.5), CPU, batch, recipe)

    optimizers = Optimizers(by_hand, LR, beta1=0.5)
    first, second = order[0], "GD".replace(order[0], "")
    before = compute_gradients(by_hand, CPU, batch, first)
    earlier = by_hand(batch)
    optimizers.update(before.gradients)
    outputs = by_hand(batch, earlier=earlier if forwards == 1 else None)
    after = gradients_of(by_hand, CPU, outputs, second)
    optimizers.update(after.gradients)
    for name, term in (before.terms | after.terms).items():
        assert terms[name].item() == pytest.approx(term.item(), rel=1e-5), name
    for name, weight in weights(by_hand).items():
        assert torch.allclose(weights(model)[name], weight, rtol=0, atol=1e-2 * LR), name
    # It matters: with both updated together, the second one's loss is another.
    together = compute_gradients(model_of(options_of({}), seed=3), CPU, batch).terms
    differs = "G_GAN" if second == "G" else "D_fake"
    moved = abs(together[differs].item() - terms[differs].item()) > 1e-5
    assert moved or (order, forwards) == ("G_first", 1)


@pytest.mark.parametrize("recipe", [Recipe("D_first"), Recipe("G_first", 2)])
def test_orders_of_updates_through_ddp(recipe: Recipe, process_group: None) -> None:
    model, batch = model_of(options_of({}), seed=3), tiny_batch(size=(32, 48), count=1)
    wrapped = deepcopy(model)
    wrapped.wrap_networks(lambda network: wrap_ddp(network, CPU.device))
    found = []
    for one in (model, wrapped):
        optimizers = Optimizers(one, LR, beta1=0.5)
        found += [[train_step(one, optimizers, CPU, batch, recipe)[1] for _ in range(2)]]
    for expected, terms in zip(*found, strict=True):
        for name, term in expected.items():
            assert terms[name].item() == pytest.approx(term.item(), rel=1e-5), name


def test_scales_may_be_averaged() -> None:
    model, batch = model_of(options_of({"num_D": 2}), seed=3), tiny_batch()
    summed = compute_gradients(model, CPU, batch).terms
    model.adversary.scale_reduction = "mean"
    averaged = compute_gradients(model, CPU, batch).terms
    for name in ("G_GAN", "D_real", "D_fake"):
        assert averaged[name].item() == pytest.approx(summed[name].item() / 2)


@pytest.mark.parametrize("order", ["D_first", "G_first"])
def test_a_term_on_features_is_there_in_any_order(order: UpdateOrder) -> None:
    model, batch = regularised(), tiny_batch(size=(32, 48), count=1)
    before = weights(model)
    _, terms = train_step(model, Optimizers(model, LR, beta1=0.5), CPU, batch, Recipe(order))
    assert terms["E_norm"] > 0
    moved = {name[0] for name, weight in weights(model).items() if (weight - before[name]).any()}
    assert moved == {"G", "E", "D"}


@pytest.mark.parametrize("order", ["D_first", "G_first"])
def test_scaled_losses_make_the_same_updates_in_any_order(order: UpdateOrder) -> None:
    """And the scale changes once a step, though there are two updates."""
    model, batch = model_of(options_of({}), seed=3), tiny_batch(size=(32, 48), count=1)
    scaled = deepcopy(model)
    for one, is_scaled in ((model, False), (scaled, True)):
        optimizers = Optimizers(one, LR, beta1=0.5, scale_gradients=is_scaled)
        if is_scaled:
            optimizers.scale()  # there is none before it is asked for
            optimizers.scaler.update(2.0**7)
            optimizers.scaler.set_growth_interval(2)
        for _ in range(2):
            train_step(one, optimizers, CPU, batch, Recipe(order))
    assert optimizers.scaler.get_scale() == 2.0**8
    for name, weight in weights(model).items():
        assert torch.allclose(weights(scaled)[name], weight, rtol=0, atol=1e-2 * LR), name


@pytest.mark.parametrize("order", ["together", "D_first", "G_first"])
def test_a_step_asks_the_pool_once(order: UpdateOrder) -> None:
    model = tiny_model(pool_size=5)
    recipe = Recipe(order, generator_forwards=2 if order == "G_first" else 1)
    train_step(model, Optimizers(model, LR, 0.5), CPU, tiny_batch(count=1), recipe)
    assert len(model.adversary.pool.images) == 1
