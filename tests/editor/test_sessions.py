"""Many scenes and requests at once; scenes on disk."""

from __future__ import annotations

import asyncio
import time
from contextlib import nullcontext
from pathlib import Path

import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from programs import LABELS
from server_asked import (
    HERE,
    MUCH,
    map_of,
    next_of,
    open_scene,
    operate,
    run_apart,
    stroke,
)
from tiny_studio import read

from pix2pixhd.editor import operations, server, sessions
from pix2pixhd.editor.history import Change
from pix2pixhd.editor.scene import Scene
from pix2pixhd.editor.scene_file import load_scene
from pix2pixhd.editor.server import Place, create_app
from pix2pixhd.editor.sessions import Session, Sessions
from pix2pixhd.editor.studio import Studio
from pix2pixhd.util.errors import UserError


def test_a_hundred_at_once(studio: Studio, root: Path) -> None:
    app = create_app(studio, Place("127.0.0.1", None), root / "many", MUCH)

    async def ask() -> list[httpx.Response]:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url=HERE, timeout=60
        ) as client:
            opened = await client.post("/api/scenes", json={"name": "scene_0"})
            path = f"/api/scenes/{opened.json()['id']}/operations"
            asked = [
                client.post(path, json=stroke(points=[[n % 16, n % 32]], label=n % 5))
                for n in range(60)
            ]
            asked += [client.post(path, json=stroke(label=99)) for _ in range(20)]
            asked += [client.post("/api/scenes", json={"name": "scene_1"}) for _ in range(20)]
            return [*await asyncio.gather(*asked), await client.post(path, json=stroke())]

    statuses = [answer.status_code for answer in run_apart(ask())]
    assert statuses == [200] * 60 + [400] * 20 + [200] * 21


def test_idle_scenes_are_on_disk_and_do_not_mix(studio: Studio, root: Path) -> None:
    folder = root / "idle"
    app = create_app(studio, Place("127.0.0.1", None), folder, most_bytes=1)
    with TestClient(app, HERE) as client:
        scenes = [open_scene(client)]
        held = app.state.sessions.get(scenes[0].rpartition("/")[2])
        scenes += [open_scene(client) for _ in range(2)]
        with pytest.raises(UserError, match="just put on disk"):  # what was done would be lost
            held.step("undo")
        labels = [label for label in range(LABELS) if label != read(root, "label")[0, 0]]
        for label, scene in zip(labels, scenes, strict=False):
            operate(client, scene, kind="fill", at=[0, 0], label=label)
        assert len(app.state.sessions) == 1 and len(list(folder.iterdir())) >= 2
        maps = [map_of(client, scene) for scene in scenes]
        assert [int(map_[0, 0]) for map_ in maps] == labels[:3]
        for scene in scenes:
            assert client.post(f"{scene}/history/undo").json()["redo"] == 1
    # The program ends, and another one begins.
    app = create_app(studio, Place("127.0.0.1", None), folder, most_bytes=MUCH)
    with TestClient(app, HERE) as client:
        for scene, map_ in zip(scenes, maps, strict=True):
            assert client.post(f"{scene}/history/redo").json()["undo"] == 1
            assert np.array_equal(map_of(client, scene), map_)


def test_a_killed_program_loses_no_scene(
    studio: Studio, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = root / "killed"
    for quiet in (60, 0.05):
        monkeypatch.setattr(server, "QUIET", quiet)
        app = create_app(studio, Place("127.0.0.1", None), folder, most_bytes=MUCH)
        with TestClient(app, HERE) as client:
            scene = open_scene(client)
            file = folder / f"{scene.rpartition('/')[2]}.npz"
            if quiet > 1:  # the last window leaves
                with client.websocket_connect(f"ws://127.0.0.1:8008{scene}/live") as socket:
                    next_of(socket, "image")
                    assert not file.exists()
            else:
                operate(client, scene, **stroke())
            end = time.monotonic() + 10
            while not file.exists() or len(load_scene(file).history.done) < (quiet < 1):
                assert time.monotonic() < end
                time.sleep(0.02)


def test_a_scene_that_cannot_be_saved_is_tried_again_at_the_end(
    studio: Studio, tmp_path: Path
) -> None:
    folder = tmp_path / "full"
    folder.write_text("where the folder should be")
    kept = Sessions(folder, MUCH)
    session = kept.add(Session(studio.open("scene_0")))
    kept.save_all()
    folder.unlink()
    kept.save_all(server.QUIET)  # not yet
    assert not folder.exists()
    kept.save_all()
    assert (folder / f"{session.id}.npz").exists()


def test_one_that_fails_in_any_way_does_not_keep_others_from_being_saved(
    studio: Studio,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    kept = Sessions(tmp_path, MUCH)
    bad, good = (kept.add(Session(studio.open("scene_0"))) for _ in range(2))
    monkeypatch.setattr(bad, "scene", None)
    kept.save_all()
    assert [file.stem for file in tmp_path.iterdir()] == [good.id]
    assert "a scene was not saved" in caplog.text and "Traceback" in caplog.text


def test_files_that_others_delete_meanwhile(
    studio: Studio,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(sessions, "MOST_FILES", 1)
    kept = Sessions(tmp_path, MUCH)
    (tmp_path / "gone.npz").symlink_to(tmp_path / "nowhere")
    kept.save(kept.add(Session(studio.open("scene_0"))))
    (tmp_path / "gone.npz").unlink()
    assert not caplog.text and len(list(tmp_path.iterdir())) == 1
    last = kept.add(Session(studio.open("scene_0")))
    kept.save(last)
    assert [file.stem for file in tmp_path.iterdir()] == [last.id]


def test_a_scene_that_is_watched_since_a_moment_ago_stays(
    studio: Studio, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Sessions(tmp_path, most_bytes=1)
    session = kept.add(Session(studio.open("scene_0")))

    class WhileAWindowComes(nullcontext[None]):
        def __enter__(self) -> None:
            session.watchers.append(lambda changes: None)

    monkeypatch.setattr(session, "lock", WhileAWindowComes())
    kept.add(Session(studio.open("scene_0")))
    assert len(kept) == 2 and not session.is_gone


def test_windows_are_told_when_a_stroke_is_over(studio: Studio) -> None:
    session, told = Session(studio.open("scene_0")), list[tuple[int, bool]]()
    session.watchers.append(lambda changes: told.append((len(changes), bool(session.strokes))))

    def dot(scene: Scene, instance: int | None) -> Change:
        mask = np.zeros(scene.shape, bool)
        mask[4, session.version] = True
        return operations.paint(scene, mask, (scene.label[4, session.version] + 1) % LABELS)

    def nothing(scene: Scene, instance: int | None) -> Change:
        return scene.change(np.zeros(scene.shape, bool), {})

    session.perform(dot, window="B", last=False)
    session.perform(nothing, extend=True, window="B")
    assert told == [(1, True), (0, False)]
    for end in (session.take_back, session.leave, session.end_stroke):
        session.perform(dot, window="B", last=False)
        session.perform(dot)
        told.clear()
        end("B")
        end("B")
        assert told == [(0, False)]
