"""The editor's server, asked by hand: what it does."""

from __future__ import annotations

import json
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fastapi.testclient import TestClient
from PIL import Image
from programs import LABELS
from server_asked import (
    HERE,
    MUCH,
    map_of,
    operate,
    png,
    stroke,
    upload,
)
from tiny_studio import open_studio, read

import edit
import pix2pixhd
from pix2pixhd.editor.server import Place, create_app
from pix2pixhd.editor.studio import Rendering, Studio


def test_the_page_and_the_run(client: TestClient) -> None:
    page = client.get("/")
    assert "<main>" in page.text and "default-src 'none'" in page.headers["content-security-policy"]
    assert client.get("/static/main.js").headers["content-type"].startswith("text/javascript")
    run = client.get("/api/run").json()
    assert run["images"] == ["scene_0", "scene_1"] and len(run["labels"]) == LABELS
    assert (run["feat_num"], run["has_instances"]) == (2, True)
    docs = client.get("/openapi.json").json()["paths"]
    assert "/api/scenes/{id}/operations" in docs and "docs.js" in client.get("/docs").text


def test_labels_are_called_as_a_file_has_it(root: Path, tmp_path: Path) -> None:
    names = ["sky", "road", "car", "tree", "wall"]
    (tmp_path / "names.json").write_text(json.dumps(names))
    how: dict[str, Any] = {"device": "cpu", "precision": "fp32", "phase": "test"}
    file = str(tmp_path / "names.json")
    renderer = pix2pixhd.load("styled", checkpoints_dir=root / "ck", label_names=file, **how)
    app = create_app(Studio(renderer), Place("localhost", None), tmp_path, MUCH)
    with TestClient(app, HERE) as client:
        run = client.get("/api/run").json()
    assert [label["name"] for label in run["labels"]] == names


def test_nothing_of_the_page_comes_from_elsewhere() -> None:
    for file in (Path(edit.__file__).parent / "editor/static").iterdir():
        text = file.read_text().replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text and "https://" not in text, file


def test_operations_and_back(client: TestClient, scene: str, root: Path) -> None:
    before, label = map_of(client, scene, "image"), read(root, "label")
    instance = int(read(root, "inst")[0, 0])
    asked: list[dict[str, Any]] = [
        stroke(),
        {"kind": "fill", "at": [15, 31], "label": 2},
        {"kind": "style", "instances": [instance], "style": {"centre": 3}},
        {"kind": "label", "instances": [instance], "label": 4, "instance": "new"},
        {"kind": "add", "instance": 4001, "at": [2, 2], "scale": 0.5, "mirrored": True},
        {"kind": "move", "instances": [4001], "by": [1, 2], "fill": 1},
        {"kind": "remove", "instances": [4001], "fill": 0},
        stroke(label=None, widths=[3, 5]),
    ]
    for number, operation in enumerate(asked, 1):
        answer = operate(client, scene, **operation)
        assert answer.status_code == 200, (operation, answer.text)
        assert answer.json()["undo"] >= number - 1
    assert not np.array_equal(map_of(client, scene, "image"), before)
    steps = answer.json()["undo"]
    for _ in range(steps):
        client.post(f"{scene}/history/undo")
    assert np.array_equal(map_of(client, scene), label)
    assert np.array_equal(map_of(client, scene, "image"), before)
    assert client.post(f"{scene}/history/redo").json() == {"version": 17, "undo": 1, "redo": 7}
    assert client.post(f"{scene}/history/reset").json()["undo"] == 2
    assert np.array_equal(map_of(client, scene), label)


def test_styles_and_their_thumbnails(client: TestClient, scene: str, root: Path) -> None:
    instance = int(read(root, "inst")[0, 0])
    about = client.get(f"{scene}/styles/{instance}").json()
    assert about["centres"] == 4 and len(about["axes"]) == len(about["vector"]) == 2
    ask = {"instance": instance}
    now = client.post(f"{scene}/thumbnail", json=ask)
    others = [{"centre": 2}, {"amounts": [3, -3]}, {"vector": [1, -1]}, {"image": "scene_1"}]
    for style in others[:3]:
        other = client.post(f"{scene}/thumbnail", json={**ask, "style": style})
        assert other.status_code == 200 and other.content != now.content, (style, other.text)
    operate(client, scene, kind="style", instances=[instance], style={"amounts": [1, 0.5]})
    moved = client.get(f"{scene}/styles/{instance}").json()["axes"]
    assert np.allclose(moved, [1, 0.5], atol=1e-4)
    assert client.get(f"{scene}/styles/999").status_code == 400


def test_an_object_of_the_gallery_is_added(client: TestClient, scene: str) -> None:
    while not (state := client.get("/api/gallery").json())["ready"]:
        assert not state["message"]
    label = state["labels"][0]["label"]
    [first, *_] = client.get(f"/api/gallery/{label}").json()
    thumbnail = client.get(f"/api/gallery/{label}/0")
    assert thumbnail.content.startswith(b"\x89PNG")
    assert thumbnail.headers["cache-control"] == "no-store"  # another run may have its address
    assert client.get(f"/api/gallery/{label}/99").status_code == 400
    answer = operate(client, scene, kind="add", label=label, number=0, at=[0, 0])
    assert answer.status_code == 200
    assert (map_of(client, scene)[: first["height"], : first["width"]] == label).any()
    assert operate(client, scene, kind="add", label=label, number=99, at=[0, 0]).status_code == 400


def test_files_to_take_away(client: TestClient, scene: str) -> None:
    operate(client, scene, **stroke())
    both = map_of(client, scene, "before_after")
    assert both.shape == (16, 64, 3) and np.array_equal(
        both[:, 32:], map_of(client, scene, "image")
    )
    everything = client.get(f"{scene}/files/all")
    assert "scene_0.zip" in everything.headers["content-disposition"]
    saved = client.get(f"{scene}/files/scene").content
    again = client.post("/api/upload/scene", content=saved)
    assert again.status_code == 200 and again.json()["undo"] == 1
    other = f"/api/scenes/{again.json()['id']}"
    for kind in ("label", "inst", "image"):
        assert np.array_equal(map_of(client, other, kind), map_of(client, scene, kind))
    assert client.get(f"{scene}/files/passwd").status_code == 422


def test_files_of_a_zip_are_of_one_moment(
    client: TestClient, scene: str, studio: Studio, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before, label = read(root, "label"), read(root, "label")[4, 4]
    render = studio.render

    def while_others_paint(*args: Any, **flags: Any) -> Rendering:
        operate(client, scene, **stroke(label=int(label + 2) % LABELS, widths=[9]))
        return render(*args, **flags)

    operate(client, scene, **stroke(points=[[4, 4]], widths=[1], label=int(label + 1) % LABELS))
    monkeypatch.setattr(studio, "render", while_others_paint)
    everything = zipfile.ZipFile(BytesIO(client.get(f"{scene}/files/all").content))
    with everything.open("scene_0/label.png") as file:
        assert (np.asarray(Image.open(file)) != before).sum() == 1
    assert (map_of(client, scene) != before).sum() > 20


def test_one_s_own_label_map(client: TestClient, root: Path) -> None:
    label, inst = read(root, "label"), read(root, "inst")
    for maps in ((png(label), png(inst)), (png(label), b"")):
        answer = upload(client, *maps)
        assert answer.status_code == 200, answer.text
        assert np.array_equal(map_of(client, f"/api/scenes/{answer.json()['id']}"), label)


def test_drawing_on_a_picture(root: Path) -> None:
    studio = open_studio(root, "drawing")
    picture = np.full((16, 16, 3), 255, np.uint8)
    with TestClient(create_app(studio, Place("localhost", None), root / "d", MUCH), HERE) as client:
        answer = upload(client, png(picture))
        assert answer.status_code == 200, answer.text
        scene = f"/api/scenes/{answer.json()['id']}"
        line = {"kind": "stroke", "points": [[0, 0], [15, 15]], "widths": [1]}
        operate(client, scene, **line, colour=[9, 8, 7])
        drawn = map_of(client, scene)
        assert (drawn[range(16), range(16)] == (9, 8, 7)).all() and (drawn[0, 5] == 255).all()
        operate(client, scene, kind="fill", at=[15, 0], colour=[1, 2, 3])
        assert (map_of(client, scene)[15, 0] == (1, 2, 3)).all()
        operate(client, scene, **line)  # the eraser
        assert (map_of(client, scene)[range(16), range(16)] == 255).all()
        assert operate(client, scene, **stroke()).status_code == 200  # without a label, no harm


def test_undo_of_nothing_is_none(client: TestClient, scene: str) -> None:
    for step in ("undo", "redo", "reset"):
        state = client.post(f"{scene}/history/{step}").json()
        assert state == {"version": 0, "undo": 0, "redo": 0}
