"""Files of a scene, to take away."""

from __future__ import annotations

import re
import tempfile
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Literal

from pix2pixhd.editor.scene import Scene
from pix2pixhd.editor.scene_file import export, save_scene
from pix2pixhd.editor.studio import Rendering, Studio
from pix2pixhd.util.errors import UserError

Kind = Literal["image", "label", "inst", "features", "before_after", "scene", "all"]


def download(
    scene: Scene, studio: Studio, kind: Kind, before: Rendering, after: Rendering
) -> tuple[str, bytes]:
    """A file's name and bytes; "all" is a zip of all of them.

    Raises:
        UserError: the run has no such file.
    """
    with tempfile.TemporaryDirectory() as folder:
        files = []
        if kind in ("scene", "all"):
            files.append(Path(folder) / "scene.npz")
            save_scene(scene, files[0])
        if kind != "scene":
            features = studio.features(scene) if studio.styles else None
            images = {"before": before.image, "after": after.image}
            files += export(scene, Path(folder), **images, features=features)
        # Names may come with scenes of strangers, and go into headers and paths of archives.
        name = re.sub(r"[^A-Za-z0-9_-]+", "_", scene.name)[:100] or "scene"
        if kind == "all":
            return f"{name}.zip", _zipped(files, name)
        for file in files:
            if file.stem == kind:
                return f"{name}_{file.name}", file.read_bytes()
    raise UserError(f"{kind}: the run has none; take another file")


def _zipped(files: list[Path], name: str) -> bytes:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:  # all of them are compressed already
        for file in files:
            archive.write(file, f"{name}/{file.name}")
    return buffer.getvalue()
