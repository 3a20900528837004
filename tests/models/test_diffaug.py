"""What the discriminators see is changed at random: how far, and all of a sample together."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from tiny_models import tiny_batch, tiny_model
from torch import Tensor

from pix2pixhd.models.adversary import Seen
from pix2pixhd.models.conditioning import condition
from pix2pixhd.models.diffaug import AUGMENTATIONS, augmentation, color, cutout, translation
from pix2pixhd.options.fields import replaced
from pix2pixhd.options.train_options import TrainOptions

ALL = ",".join(AUGMENTATIONS)


def test_the_options_know_all_of_them() -> None:
    assert not list(replaced(TrainOptions(), {"diffaug": ALL}).problems())


def seen(count: int = 2, size: tuple[int, int] = (16, 24), image: Tensor | None = None) -> Seen:
    batch = tiny_batch(size, count)
    maps = condition(batch.label, batch.inst, 4)
    real = batch.image if image is None else image.expand(count, -1, -1, -1)
    return Seen(maps, real.clone(), real, batch.label)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_fake_and_real_of_a_sample_are_changed_alike_and_samples_are_not(name: str) -> None:
    torch.manual_seed(0)
    for _ in range(5):
        given = seen(image=torch.rand(1, 3, 16, 24))
        found = AUGMENTATIONS[name](given)
        assert torch.equal(found.fake, found.real)
        assert not torch.equal(found.fake[0], found.fake[1])
        assert not torch.equal(found.fake, given.fake)
        if name != "translation":
            assert found.maps is given.maps and found.label is given.label


def expect_uniform(values: Tensor, low: float, high: float) -> None:
    width = high - low
    assert low <= values.min() < low + 0.02 * width and high - 0.02 * width < values.max() <= high
    assert values.mean().item() == pytest.approx((low + high) / 2, abs=0.05 * width)


def test_ranges_of_brightness_saturation_and_contrast() -> None:
    count = 1000
    brightness = color(seen(count, (1, 1), torch.zeros(1, 3, 1, 1))).fake
    expect_uniform(brightness, -0.5, 0.5)
    grey = torch.tensor([-0.5, 0.5]).expand(1, 3, 1, 2)  # to which saturation does nothing
    found = color(seen(count, (1, 2), grey)).fake
    expect_uniform(found[..., 1] - found[..., 0], 0.5, 1.5)
    # Distances from each pixel's mean by saturation, then all from the image's by contrast.
    both = torch.tensor([[-0.25, 0.0, 0.25], [0.75, 1.0, 1.25]]).t().reshape(1, 3, 1, 2)
    found = color(seen(count, (1, 2), both)).fake
    contrast = found.mean(1)[:, 0, 1] - found.mean(1)[:, 0, 0]
    expect_uniform((found[:, 2, 0, 0] - found[:, 0, 0, 0]) / contrast / 0.5, 0, 2)


def test_translation_moves_everything_by_whole_pixels_and_brings_nothing_in() -> None:
    height, width, count = 12, 24, 300
    numbers = torch.arange(1.0, height * width + 1).view(1, 1, height, width).expand(1, 3, -1, -1)
    given = seen(count, (height, width), numbers)
    found, shifts = translation(given), set()
    for n in range(count):
        rows, columns = torch.nonzero(found.fake[n, 0], as_tuple=True)
        first = int(found.fake[n, 0, rows[0], columns[0]]) - 1
        down, right = int(rows[0]) - first // width, int(columns[0]) - first % width
        shifts.add((down, right))
        for name, outside in (("fake", 0), ("real", 0), ("maps", 0), ("label", -1)):
            before, after = (getattr(x, name)[n].float() for x in (given, found))
            expected = torch.full_like(before, outside)
            for y in range(max(0, down), min(height, height + down)):
                left, end = max(0, right), min(width, width + right)
                expected[:, y, left:end] = before[:, y - down, left - right : end - right]
            assert torch.equal(after, expected), name
    assert shifts == {(y, x) for y in range(-2, 3) for x in range(-3, 4)}
    assert torch.equal(found.maps[:, :4], condition(found.label, None, 4))
    assert translation(replace(given, label=None)).label is None


def test_cutout_is_half_of_each_side_wherever_its_centre_is() -> None:
    height, width = 4, 7  # 2 and 4 are cut
    found = cutout(seen(600, (height, width), torch.ones(1, 3, height, width))).fake
    cut = set()
    for image in found:
        assert torch.equal(image[0], image[1])
        rows, columns = (set(x.tolist()) for x in torch.nonzero(image[0] == 0, as_tuple=True))
        assert image[0].eq(0).sum() == len(rows) * len(columns)
        cut.add((tuple(sorted(rows)), tuple(sorted(columns))))
    tall = {tuple(range(max(0, c - 1), min(height, c + 1))) for c in range(height + 1)}
    wide = {tuple(range(max(0, c - 2), min(width, c + 2))) for c in range(width + 1)}
    assert cut == {(y, x) for y in tall for x in wide}


def test_gradients_come_through() -> None:
    given = seen(1, (4, 5))
    augment = augmentation(AUGMENTATIONS)

    def changed(fake: Tensor) -> Tensor:
        torch.manual_seed(3)
        return augment(replace(given, fake=fake)).fake

    fake = given.fake.double().requires_grad_()
    assert torch.autograd.gradcheck(changed, fake)
    assert torch.autograd.grad(changed(fake).sum(), fake)[0].any()


@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_types_and_memory_formats_stay(memory_format: torch.memory_format) -> None:
    batch = tiny_batch()
    image = batch.image.bfloat16().contiguous(memory_format=memory_format)
    maps = condition(batch.label, None, 4, None, torch.bfloat16, memory_format)
    found = augmentation(AUGMENTATIONS)(Seen(maps, image, image, batch.label))
    for x in (found.maps, found.fake, found.real):
        assert x.dtype == torch.bfloat16 and x.is_contiguous(memory_format=memory_format)
    assert found.fake.isfinite().all()


def test_the_discriminators_alone_see_what_is_changed() -> None:
    model, batch = tiny_model(diffaug=ALL, pool_size=2), tiny_batch()
    shown, judged = list[Tensor](), list[tuple[Tensor, Tensor]]()
    model.netD.register_forward_pre_hook(lambda _, inputs: shown.append(inputs[0]))
    model.vgg = lambda fake, real, *_: judged.append((fake, real))  # type: ignore[assignment]
    torch.manual_seed(1)
    outputs = model(batch)
    raw = Seen(condition(batch.label, batch.inst, 4), outputs.fake, batch.image, batch.label)
    torch.manual_seed(1)
    seen = augmentation(AUGMENTATIONS)(raw)
    fake, real, earlier = shown
    assert torch.equal(fake, torch.cat([seen.maps, seen.fake], 1))
    assert torch.equal(real, torch.cat([seen.maps, seen.real], 1))
    assert torch.equal(earlier, fake)  # the pool keeps what was shown
    assert torch.equal(outputs.fake, model.generate(batch)) and outputs.real is batch.image
    assert judged == [(outputs.fake, outputs.real)]
    assert not torch.equal(seen.fake, outputs.fake)
    assert tiny_model().augment is None
