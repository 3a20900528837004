"""The model as a whole: what it renders, and how it is made."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from shared_data import shared
from tiny_models import TINY, take_step, tiny_batch, tiny_model

from pix2pixhd.engine.optimizers import Optimizers
from pix2pixhd.engine.render import Rendering, render
from pix2pixhd.engine.runtime import Runtime
from pix2pixhd.engine.step import logged
from pix2pixhd.models import create_model
from pix2pixhd.models.conditioning import condition
from pix2pixhd.models.gan_losses import GAN_LOSSES
from pix2pixhd.options.base_options import ModelOptions
from pix2pixhd.options.fields import replaced
from pix2pixhd.util.labels import label_set

GENERATORS = [{}, {"netG": "local"}, {"netG": "local", "n_local_enhancers": 2}]


@pytest.mark.parametrize("flags", GENERATORS)
@pytest.mark.parametrize("size", [(16, 24), (13, 9), (3, 31)])
def test_image_is_as_large_as_the_label_map(flags: dict[str, Any], size: tuple[int, int]) -> None:
    image = tiny_model(**flags).generate(tiny_batch(size))
    assert image.shape == (2, 3, *size)
    assert image.isfinite().all()


def test_padding_does_not_move_the_picture() -> None:
    """What is beyond the right and lower border is cut off, nothing else."""
    model, batch = tiny_model(), tiny_batch((13, 9))
    padded = torch.nn.functional.pad(
        condition(batch.label, batch.inst, 4), (0, 1, 0, 1), mode="replicate"
    )
    assert torch.equal(model.generate(batch), model.netG(padded)[..., :13, :9])


@pytest.mark.parametrize("input_nc", [1, 3])
@pytest.mark.parametrize("output_nc", [1, 3])
@pytest.mark.parametrize("instance", [True, False])
def test_image_to_image(input_nc: int, output_nc: int, instance: bool) -> None:
    flags = {"label_nc": 0, "input_nc": input_nc, "output_nc": output_nc, "instance": instance}
    model, batch = tiny_model(**flags), tiny_batch()
    batch = replace(batch, label=torch.rand(2, input_nc, 16, 24))
    batch = replace(batch, image=batch.image[:, :output_nc])
    assert model.generate(batch).shape == (2, output_nc, 16, 24)
    terms = take_step(model, Optimizers(model, 2e-4, 0.5), batch)
    assert all(term.isfinite() for term in terms.values())


def test_without_instances_the_batch_needs_none() -> None:
    batch = tiny_batch()
    batch = replace(batch, inst=None)
    assert tiny_model(instance=False).generate(batch).shape == (2, 3, 16, 24)


def test_discriminators_see_condition_and_image() -> None:
    model, batch = tiny_model(), tiny_batch()
    outputs = model(batch)
    given = condition(batch.label, batch.inst, 4)
    pred_real = model.netD(torch.cat([given, batch.image], dim=1))
    pred_fake = model.netD(torch.cat([given, model.generate(batch)], dim=1))
    assert torch.equal(outputs.judgement.pred_real[1][-1], pred_real[1][-1])
    assert torch.equal(outputs.judgement.pred_fake[1][-1], pred_fake[1][-1])
    assert outputs.judgement.pred_pool is outputs.judgement.pred_fake


def test_in_half_precision_networks_are_given_what_they_compute_with() -> None:
    """Nothing is converted on the way: not the type, and not the memory format."""
    runtime = Runtime(torch.device("cpu"), torch.bfloat16, channels_last=True)
    model, seen = runtime.prepare(tiny_model()), list[torch.Tensor]()
    for network in (model.netG, model.netD):
        network.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    with runtime.autocast():
        model(tiny_batch())
    assert len(seen) == 3  # G once, D on fake and real
    for given in seen:
        assert given.dtype == torch.bfloat16
        assert given.is_contiguous(memory_format=torch.channels_last)


def test_terms_follow_the_flags() -> None:
    batch = tiny_batch()
    names = {}
    for matching in (True, False):
        model = tiny_model(ganFeat_loss=matching)
        outputs = model(batch)
        names[matching] = list(model.generator_terms(outputs))
        assert list(model.discriminator_terms(outputs)) == ["D_real", "D_fake"]
    assert names == {True: ["G_GAN", "G_GAN_Feat"], False: ["G_GAN"]}


def test_gan_loss_follows_the_flag() -> None:
    assert tiny_model(gan_loss="lsgan").adversary.gan is GAN_LOSSES["lsgan"]
    assert tiny_model(gan_loss="vanilla").adversary.gan is GAN_LOSSES["vanilla"]


def test_lambda_feat_weighs_feature_matching() -> None:
    batch = tiny_batch()
    values = []
    for weight in (10.0, 1.0):
        model = tiny_model(lambda_feat=weight)
        values.append(logged(model.generator_terms(model(batch)), model.loss_weights))
    assert values[0]["G_GAN_Feat"].item() == pytest.approx(10 * values[1]["G_GAN_Feat"].item())
    assert values[0]["G_GAN"].item() == pytest.approx(values[1]["G_GAN"].item())


def test_perceptual_loss_sees_fake_and_real_and_is_weighted() -> None:
    model, batch = tiny_model(lambda_feat=5.0), tiny_batch()
    model.vgg = lambda fake, real, scale, classes: (fake - 2 * real).mean()
    model.vgg.term = "G_VGG"
    outputs = model(batch)
    expected = 5.0 * (model.generate(batch) - 2 * batch.image).mean().item()
    terms = logged(model.generator_terms(outputs), model.loss_weights)
    assert terms["G_VGG"].item() == pytest.approx(expected)


def test_same_seed_same_weights() -> None:
    one, same, other = (tiny_model(seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[name], same[name]) for name in one)
    weights = [name for name in one if name.endswith("weight")]
    assert not any(torch.equal(one[name], other[name]) for name in weights)


def test_the_perceptual_loss_does_not_change_the_initial_weights() -> None:
    file = str(shared("weights", "vgg19_features_fp16.pth"))
    without, with_it = tiny_model(3), tiny_model(3, vgg_loss=True, vgg_weights=file)
    for mine, other in zip(without.netD.parameters(), with_it.netD.parameters(), strict=True):
        assert torch.equal(mine, other)
    assert "G_VGG" in with_it.generator_terms(with_it(tiny_batch()))


def test_a_model_to_render_with_has_the_same_generator_and_nothing_else() -> None:
    options = replaced(ModelOptions(), TINY)
    model, whole = create_model(options, seed=5), tiny_model(seed=5)
    assert list(model.saved_networks()) == ["G"]
    assert list(whole.saved_networks()) == ["G", "D"]
    for mine, other in zip(model.netG.parameters(), whole.netG.parameters(), strict=True):
        assert torch.equal(mine, other)
    with pytest.raises(AssertionError):
        model(tiny_batch())


def test_rendering_leaves_no_trace() -> None:
    model, batch = tiny_model(use_dropout=True, norm="batch"), tiny_batch()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random = torch.get_rng_state()
    image = render(model, batch)
    assert not image.requires_grad
    assert torch.equal(image, render(model, batch))  # no dropout
    assert model.training
    assert torch.equal(random, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in model.state_dict().items())


@pytest.mark.parametrize("label_nc", [4, 0])
def test_pictures(label_nc: int) -> None:
    labels = label_set(label_nc)
    batch = tiny_batch((8, 12)).to(torch.device("cpu"))
    assert batch.path == ["0.png", "1.png"]
    if not label_nc:
        batch = replace(batch, label=torch.rand(2, 1, 8, 12))
    fake = batch.image.flip(0)
    shown = Rendering(batch, fake).pictures(labels, sample=1)
    assert list(shown) == ["input_label", "synthesized_image", "real_image"]
    assert all(picture.shape == (8, 12, 3) for picture in shown.values())
    first = Rendering(batch, fake).pictures(labels)
    assert (shown["synthesized_image"] == first["real_image"]).all()
    batch = replace(batch, image=None)
    assert list(Rendering(batch, fake).pictures(labels)) == ["input_label", "synthesized_image"]
    batch = replace(batch, extra=torch.rand(2, 5, 8, 12))
    shown = Rendering(batch, fake).pictures(labels)
    assert list(shown) == ["input_label", "input_extra", "synthesized_image"]
    assert shown["input_extra"].shape == (8, 12, 3)


def test_l1_is_a_term_of_the_generator_s_loss_where_it_counts() -> None:
    batch = tiny_batch()
    assert "G_L1" not in (plain := tiny_model()).generator_terms(plain(batch))
    model = tiny_model(lambda_L1=20.0)
    outputs = model(batch)
    term = logged(model.generator_terms(outputs), model.loss_weights)["G_L1"]
    assert torch.allclose(term, 20 * (outputs.fake - batch.image).abs().mean())
    assert model.loss_weights["G_L1"].minimised == 20
