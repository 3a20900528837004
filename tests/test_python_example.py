"""The examples of docs/python.md do what they say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from programs import run_test, run_train, tiny_run, write_tiny_data

from pix2pixhd.util.errors import UserError
from pix2pixhd.util.image import tensor_to_image

PAGE = Path(__file__).resolve().parents[1] / "docs/python.md"


def test_a_run_renders_an_array(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notebook, longer = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    write_tiny_data(tmp_path)
    data = write_tiny_data(tmp_path, phase="test", count=1)
    where = tiny_run(tmp_path, "toy_streets")
    assert run_train(*where, "--niter", "1", "--niter_decay", "0", "--no_html").code == 0

    (tmp_path / "ck").rename(tmp_path / "checkpoints")
    for kind in ("label", "inst"):
        folder = tmp_path / f"datasets/streets/test_{kind}"
        folder.mkdir(parents=True)
        (data / f"test_{kind}/scene_0.png").rename(folder / "street_0000.png")
        (data / f"test_{kind}/scene_0.png").symlink_to(folder / "street_0000.png")
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    exec(compile(notebook + longer, str(PAGE), "exec"), names)
    assert names["image"].dtype == np.uint8
    assert np.array_equal(names["image"], tensor_to_image(names["tensor"][0]))

    outcome = run_test("--name", "toy_streets", "--gpu_ids", "-1", "--results_dir", tmp_path)
    assert outcome.code == 0, outcome.err
    [file] = (tmp_path / "toy_streets/test_latest/images").glob("*synthesized_image.png")
    assert np.array_equal(names["image"], np.asarray(Image.open(file)))

    with pytest.raises(UserError) as error:
        names["model"](names["label"])
    assert f"pix2pixhd.util.errors.UserError: {error.value}\n" in PAGE.read_text()
