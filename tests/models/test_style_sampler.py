"""Features from elsewhere than the image: drawn, or of another image."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from models.style_sampler import StyleSampler, mean_features_by_label

CENTRES = {
    1: np.arange(30).reshape(10, 3) / 30,
    2: np.array([[0.5, 0.25, 0.125], [-0.5, -0.25, -0.125]]),
}


def sampler(seed: int = 0, ids_are_labels: bool = False) -> StyleSampler:
    return StyleSampler(CENTRES, feat_num=3, seed=seed, ids_are_labels=ids_are_labels)


def many_instances(count: int = 40) -> torch.Tensor:
    """An instance of label 1 in each column."""
    return (1000 + torch.arange(count, dtype=torch.int32)).expand(1, 1, 2, count)


def columns(features: torch.Tensor) -> list[tuple[float, ...]]:
    return [tuple(features[0, :, 0, x].tolist()) for x in range(features.shape[3])]


def drawn(ids: torch.Tensor, style: int = 0, name: str = "a", seed: int = 0) -> torch.Tensor:
    features, lines = sampler(seed).sample(ids, [name], style)
    assert lines == []
    return features


def test_every_instance_gets_a_centre_of_its_label() -> None:
    ids = torch.tensor([[2, 2000], [2000, 1007]], dtype=torch.int32)[None, None]
    features = drawn(ids)
    assert features.shape == (1, 3, 2, 2)
    assert features.dtype == torch.float32
    assert torch.equal(features[0, :, 0, 1], features[0, :, 1, 0]), "one centre for an instance"
    for y, x, label in [(0, 0, 2), (0, 1, 2), (1, 1, 1)]:
        value = features[0, :, y, x].numpy()
        assert any(np.array_equal(value, row) for row in CENTRES[label].astype(np.float32))


def test_draws_are_made_again_and_differ_with_seed_name_and_instance() -> None:
    ids = many_instances()
    assert torch.equal(drawn(ids), drawn(ids))
    assert len(set(columns(drawn(ids)))) > 5, "instances differ"
    for other in (drawn(ids, seed=1), drawn(ids, name="b")):
        same = [a == b for a, b in zip(columns(drawn(ids)), columns(other), strict=True)]
        assert sum(same) < 15, "as chance has it, 4 of 40"


def test_draws_are_pinned() -> None:
    """A gallery made today can be made again next year."""
    assert [sampler().choice(10, "frankfurt", 26001, style) for style in range(4)] == [9, 2, 6, 3]


def test_styles_go_through_all_centres_before_one_comes_again() -> None:
    for ident in range(20):
        places = [sampler().choice(10, "a", ident, style) for style in range(30)]
        for turn in range(3):
            assert sorted(places[10 * turn : 10 * turn + 10]) == list(range(10))
        assert places[:10] != places[10:20]


def test_centres_are_drawn_evenly() -> None:
    places = [sampler().choice(4, "a", ident, 0) for ident in range(2000)]
    assert np.bincount(places).min() > 420  # of 500; the deviation is 19


def test_an_instance_is_drawn_the_same_whatever_else_is_in_the_image() -> None:
    ids = many_instances()
    alone = torch.where(ids == 1017, ids, 2)
    assert torch.equal(drawn(alone)[..., 17], drawn(ids)[..., 17])


def test_a_batch_is_drawn_as_its_images_are() -> None:
    ids = many_instances()
    both, _ = sampler().sample(torch.cat([ids, ids]), ["a", "b"], 3)
    assert torch.equal(both, torch.cat([drawn(ids, 3, "a"), drawn(ids, 3, "b")]))


def test_label_maps_are_drawn_per_label() -> None:
    label = torch.tensor([[1, 2, 1]], dtype=torch.uint8)[None, None]
    features, lines = sampler(ids_are_labels=True).sample(label, ["a"])
    assert lines == []
    assert columns(features)[0] == columns(features)[2] != columns(features)[1]


def test_ids_that_name_no_label_get_the_centre_of_the_label_map_s() -> None:
    ids = torch.tensor([[77000, 77000, -3, 1001]], dtype=torch.int32)[None, None]
    label = torch.tensor([[2, 2, 1, 2]], dtype=torch.uint8)[None, None]
    features, lines = sampler().sample(ids, ["a"], 0, label)
    assert lines == []
    assert columns(features)[0] == columns(features)[1] == (0, 0, 0), "mean of the two of label 2"
    np.testing.assert_allclose(columns(features)[2], CENTRES[1].mean(axis=0), rtol=1e-6)
    assert torch.equal(features[..., 3], drawn(ids[..., 3:])[..., 0]), "1001 names label 1"


def test_labels_without_clusters_get_zeros_and_one_warning() -> None:
    ids = torch.tensor([[9001, 9002, 8, 1]], dtype=torch.int32)[None, None]
    one = sampler()
    features, lines = one.sample(ids, ["a"])
    assert not features[..., :3].any()
    assert [line.split(":")[0] for line in lines] == [
        "label 8 has no clusters",
        "label 9 has no clusters",
    ]
    assert one.sample(ids, ["b"])[1] == [], "warned already"
    with_label = sampler().sample(ids, ["a"], 0, torch.full_like(ids, 5))
    assert [line[:7] for line in with_label[1]] == ["label 5"]


@pytest.mark.parametrize("shape", [(0, 1, 2, 2), (1, 1, 0, 3)])
def test_nothing_to_draw(shape: tuple[int, ...]) -> None:
    features, lines = sampler().sample(torch.zeros(shape, dtype=torch.int32), ["a"])
    assert features.shape == (shape[0], 3, *shape[2:])
    assert lines == []


def test_features_of_another_image_are_painted_per_label() -> None:
    features = torch.rand(1, 3, 2, 3)
    label = torch.tensor([[0, 0, 4], [0, 4, 4]], dtype=torch.uint8)[None, None]
    vectors = mean_features_by_label(features, label)
    assert list(vectors) == [0, 4]
    for name, vector in vectors.items():
        expected = features[0][:, label[0, 0] == name].double().mean(dim=1)
        np.testing.assert_allclose(vector, expected, rtol=1e-6)
    target = torch.tensor([[4, 0, 7]], dtype=torch.uint8)[None, None]
    centres = {name: vector[None] for name, vector in vectors.items()}
    painted, lines = StyleSampler(centres, 3, ids_are_labels=True).sample(target, [""])
    np.testing.assert_allclose(painted[0, :, 0].T, [vectors[4], vectors[0], [0] * 3], rtol=1e-6)
    assert [line[:7] for line in lines] == ["label 7"]


def test_the_ignored_label_is_not_warned_of() -> None:
    label = torch.tensor([[0, 3, 255]], dtype=torch.uint8)[None, None]
    sampler = StyleSampler({0: np.ones((1, 2))}, 2, ids_are_labels=True, label_nc=5)
    _, lines = sampler.sample(label, [""])
    assert [line[:7] for line in lines] == ["label 3"]
