"""Where the weights of VGG19 come from, and what is said where they do not."""

from __future__ import annotations

import urllib.error
from pathlib import Path

import pytest
import torch
import torchvision

from pix2pixhd.engine.vgg import load_vgg_weights
from pix2pixhd.util.errors import UserError


def test_a_missing_weights_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--vgg_weights.*nowhere\.pth"):
        load_vgg_weights(str(tmp_path / "nowhere.pth"))


def test_weights_that_cannot_be_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    def unreachable(*_: object, **__: object) -> None:
        raise urllib.error.URLError("no route to host")

    weights = torchvision.models.VGG19_Weights
    monkeypatch.setattr(weights, "get_state_dict", unreachable)
    with pytest.raises(UserError, match=r"no route.*--vgg_weights.*--no_vgg_loss"):
        load_vgg_weights(None)


@pytest.mark.parametrize("damage", [b"", b"half a download", b"\x80\x02."])
def test_damaged_download_in_the_cache(
    damage: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """torchvision trusts a file in its cache without looking at its hash."""
    monkeypatch.setattr(torch.hub, "get_dir", lambda: str(tmp_path))
    url = torchvision.models.VGG19_Weights.IMAGENET1K_V1.url
    cached = tmp_path / "checkpoints" / url.rsplit("/", 1)[1]
    cached.parent.mkdir()
    cached.write_bytes(damage)
    with pytest.raises(UserError, match=r"--vgg_weights.*--no_vgg_loss"):
        load_vgg_weights(None)
