"""One training step: from a batch to the image, the terms of the losses and the gradients.

What varies between methods is data, a `Recipe`; updates are apart, in `engine.optimizers`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from pix2pixhd.engine.optimizers import Gradients, Optimizers
from pix2pixhd.engine.runtime import Runtime
from pix2pixhd.models.adversary import LossWeight, Terms
from pix2pixhd.models.pix2pixhd import Pix2PixHDModel, StepOutputs
from pix2pixhd.util.batch import Batch

UpdateOrder = Literal["together", "D_first", "G_first"]


@dataclass(frozen=True)
class Recipe:
    """In which order a step does its work.

    The reduction over the discriminators' scales and the losses themselves are the model's.
    """

    update_order: UpdateOrder = "together"
    """together: both losses use D as it stood before this step's updates, and one look of D at the
    fake serves both (pix2pixHD). D_first: G's loss uses D as just updated (pix2pix). G_first: D is
    updated after G (SPADE)."""

    generator_forwards: Literal[1, 2] = 1
    """Where one is updated after the other: 2 to synthesise the fake anew in between (SPADE), 1 to
    show D the same fake again (pix2pix)."""


PIX2PIXHD = Recipe()


@dataclass(frozen=True)
class StepResult:
    """What a step makes of a batch."""

    image: Tensor  # the synthesised images, [N, C, H, W] in [-1, 1]
    terms: Terms  # as logs show them; scalars on the device, so that reading one waits for it
    gradients: dict[str, Gradients]  # of the parameters of each optimizer, "G" or "D"


StepFunction = Callable[[Batch, Tensor | None], StepResult]
"""`compute_gradients` of a model, for all networks: from a batch and `scale`."""


def train_step(
    model: Pix2PixHDModel,
    optimizers: Optimizers,
    runtime: Runtime,
    batch: Batch,
    recipe: Recipe = PIX2PIXHD,
    compute: StepFunction | None = None,
) -> tuple[Tensor, Terms]:
    """One update of generator (with encoder) and discriminators.

    Args:
        compute: in the place of `compute_gradients`, where both are updated together.

    Returns:
        `image` and `terms` of a `StepResult`; the gradients' memory is free again.
    """
    scale = optimizers.scale()
    if recipe.update_order == "together":
        if compute is not None:
            result = compute(batch, scale)
        else:
            result = compute_gradients(model, runtime, batch, scale=scale)
        optimizers.update(result.gradients)
        return result.image, result.terms
    first, second = "DG" if recipe.update_order == "D_first" else "GD"
    is_reused = recipe.generator_forwards == 1
    keeps_graph = first == "G" or is_reused
    outputs = forward(model, runtime, batch, first, scale=scale, keeps_graph=keeps_graph)
    before = gradients_of(model, runtime, outputs, first, scale)
    optimizers.update(before.gradients, ends_step=False)
    earlier = outputs if is_reused else None
    outputs = forward(model, runtime, batch, second, earlier, scale, keeps_graph=second == "G")
    after = gradients_of(model, runtime, outputs, second, scale)
    optimizers.update(after.gradients)
    return before.image, before.terms | after.terms


def compute_gradients(
    model: Pix2PixHDModel,
    runtime: Runtime,
    batch: Batch,
    networks: str = "GD",
    scale: Tensor | None = None,
) -> StepResult:
    """From a batch to image, terms and gradients; no weight changes.

    Args:
        networks: whose gradients: "G" stands for generator and encoder, "D" for the discriminators.
        scale: a scalar that multiplies the losses, so that gradients in float16 do not vanish.
    """
    outputs = forward(model, runtime, batch, networks, scale=scale)
    return gradients_of(model, runtime, outputs, networks, scale)


def forward(
    model: Pix2PixHDModel,
    runtime: Runtime,
    batch: Batch,
    networks: str = "GD",
    earlier: StepOutputs | None = None,
    scale: Tensor | None = None,
    keeps_graph: bool = True,
) -> StepOutputs:
    """What the networks make of a batch, as the losses of these networks need it.

    Args:
        earlier: what was made of this batch, whose fake is to be shown to D again.
        scale: as in `compute_gradients`.
        keeps_graph: False where nobody will ask the gradients of the synthesis.
    """
    with runtime.autocast():
        outputs: StepOutputs = model(batch, earlier, "G" in networks, scale, keeps_graph)
    return outputs


def gradients_of(
    model: Pix2PixHDModel,
    runtime: Runtime,
    outputs: StepOutputs,
    networks: str,
    scale: Tensor | None = None,
) -> StepResult:
    """As `compute_gradients`, of what the networks made of a batch.

    Both gradients are taken before either update: the graph of the discriminators' look at the
    fake serves both losses, and must not change between them. The generator's is taken last, as it
    frees all graphs.
    """
    terms: Terms = {}
    gradients: dict[str, Gradients] = {}
    losses: dict[str, Tensor] = {}
    observed: Terms = {}
    with runtime.autocast():
        for network, terms_of in (("G", model.generator_terms), ("D", model.discriminator_terms)):
            if network in networks:
                found = terms_of(outputs)
                loss = total(found, model.loss_weights)
                losses[network] = loss if scale is None else loss * scale
                terms |= found
        if "D" in networks:
            observed = model.observations(outputs)
    for network in reversed(losses):  # D's ends at its own parameters, G's goes through D and G
        trained = _trained(model, "GE" if network == "G" else "D")
        last = network == next(iter(losses))
        gradients[network] = _gradients(losses[network], trained, model.is_wrapped, not last)
    shown = logged(terms, model.loss_weights) | observed
    return StepResult(outputs.fake.detach(), shown, gradients)


def total(terms: Mapping[str, Tensor], weights: Mapping[str, LossWeight]) -> Tensor:
    """The weighted sum of a loss's terms: what is minimised."""
    for name, term in terms.items():
        assert term.requires_grad, f"{name}: no gradient would come of this term"
    return torch.stack([weights[name].minimised * term for name, term in terms.items()]).sum()


def logged(terms: Mapping[str, Tensor], weights: Mapping[str, LossWeight]) -> Terms:
    """The terms as logs show them."""
    return {name: weights[name].logged * term.detach() for name, term in terms.items()}


def _trained(model: Pix2PixHDModel, letters: str) -> list[nn.Parameter]:
    """The parameters that are trained now: frozen ones are left out."""
    networks = model.trained_networks()
    return [
        parameter
        for letter in letters
        if letter in networks
        for parameter in networks[letter].parameters()
        if parameter.requires_grad
    ]


def _gradients(
    loss: Tensor, parameters: list[nn.Parameter], is_wrapped: bool, retain_graph: bool
) -> Gradients:
    """Gradients by parameter. A parameter that gets none is an error, here or in DDP."""
    if not is_wrapped:
        found = torch.autograd.grad(loss, parameters, retain_graph=retain_graph)
        return dict(zip(parameters, found, strict=True))
    # DDP averages over the processes where gradients are accumulated, which `grad` never does.
    torch.autograd.backward(loss, retain_graph=retain_graph, inputs=parameters)
    return {p: p.grad for p in parameters if p.grad is not None}
