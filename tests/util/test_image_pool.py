"""The buffer of earlier fakes."""

from __future__ import annotations

from collections import Counter

import torch

from pix2pixhd.util.image_pool import ImagePool


def numbered(*numbers: int) -> torch.Tensor:
    return torch.tensor(numbers, dtype=torch.float32).view(-1, 1, 1, 1)


def test_without_a_size_the_images_come_back() -> None:
    images = numbered(1, 2).requires_grad_()
    returned = ImagePool(0).query(images)
    assert torch.equal(returned, images)
    assert not returned.requires_grad


def test_until_it_is_full_the_images_come_back() -> None:
    pool = ImagePool(5)
    for number in range(5):
        assert pool.query(numbered(number)).item() == number
    assert [image.item() for image in pool.images] == [0, 1, 2, 3, 4]


def test_then_half_of_them_are_exchanged_for_any_earlier_one() -> None:
    pool, places = ImagePool(4, seed=1), Counter()
    pool.query(numbered(0, 1, 2, 3))
    swaps, stored = 0, {0.0, 1.0, 2.0, 3.0}
    for number in range(4, 2004):
        before = [image.item() for image in pool.images]
        returned = pool.query(numbered(number)).item()
        if returned == number:
            continue
        swaps += 1
        places[before.index(returned)] += 1
        stored = (stored - {returned}) | {float(number)}
        assert {image.item() for image in pool.images} == stored
    assert 900 < swaps < 1100
    assert len(places) == 4
    assert min(places.values()) > swaps / 4 * 0.8


def test_a_batch_is_exchanged_image_by_image() -> None:
    pool = ImagePool(3, seed=1)
    assert pool.query(numbered(0, 1)).flatten().tolist() == [0, 1]
    returned = pool.query(numbered(*range(2, 22)))
    assert returned.shape == (20, 1, 1, 1)
    assert not returned.requires_grad
    assert 2 < sum(returned.flatten() != numbered(*range(2, 22)).flatten()) < 18


def test_the_pool_keeps_copies() -> None:
    pool, image = ImagePool(1), numbered(7)
    pool.query(image)
    image.zero_()
    assert pool.images[0].item() == 7


def test_state_round_trip() -> None:
    pool, again = ImagePool(3, seed=1), ImagePool(3, seed=2)
    pool.query(numbered(*range(9)))
    again.load_state_dict(pool.state_dict(), torch.device("cpu"))
    following = numbered(*range(9, 60))
    assert torch.equal(again.query(following), pool.query(following))
    other = ImagePool(3, seed=2)
    other.query(numbered(*range(9)))
    assert not torch.equal(other.query(following), again.query(following))


def test_a_smaller_pool_takes_as_many_images_as_it_holds() -> None:
    larger, smaller = ImagePool(3), ImagePool(2)
    larger.query(torch.arange(3.0).view(3, 1, 1, 1))
    smaller.load_state_dict(larger.state_dict(), torch.device("cpu"))
    assert [image.item() for image in smaller.images] == [0.0, 1.0]


def test_images_of_another_precision_fit_in() -> None:
    """A run may go on in another precision."""
    pool = ImagePool(1, seed=0)
    pool.query(torch.ones(1, 1, 2, 2, dtype=torch.bfloat16))
    for _ in range(8):
        assert pool.query(torch.zeros(1, 1, 2, 2)).dtype == torch.float32
