"""The project as others install it, beside modules of theirs that are called like its folders."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest
from programs import AS_FILES_ARE, TINY_LOSSES, TINY_NETWORKS, write_tiny_data

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
SCRIPT = """
import sys
import data, models, options, pix2pixhd, util
assert {module.OWNER for module in (data, models, options, util)} == {"somebody else"}
assert pix2pixhd.__file__.startswith(sys.argv[1])
from pathlib import Path
assert (Path(pix2pixhd.__file__).parent / "editor/static/index.html").is_file()
import numpy as np
from PIL import Image
maps = (np.array(Image.open(f"data/test_{kind}/scene_0.png")) for kind in ("label", "inst"))
image = pix2pixhd.load("mine", device="cpu")(*maps)
file = "results/mine/test_latest/images/scene_0_synthesized_image.png"
assert np.array_equal(image, np.array(Image.open(file)))
"""
PROGRAMS = sorted(file.stem for file in ROOT.glob("*.py"))


@pytest.mark.parametrize("name", PROGRAMS)
def test_every_program_is_in_the_package_and_a_command(name: str) -> None:
    assert (ROOT / f"pix2pixhd/{name}.py").samefile(ROOT / f"{name}.py")
    command = f"pix2pixhd-{name.replace('_', '-')}"
    assert PROJECT["project"]["scripts"][command] == f"pix2pixhd.programs:{name}"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that the wheel, made from the source archive, was installed into."""
    least = int(PROJECT["build-system"]["requires"][0].removeprefix("setuptools>="))
    for package, oldest in (("setuptools", least), ("pip", 22)):
        try:
            version = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            version = "0"
        if int(version.partition(".")[0]) < oldest:
            pytest.skip(f"needs {package} {oldest} or newer, found {version}")
    root = tmp_path_factory.mktemp("package")
    # A copy, as builds leave folders behind, and might find those of earlier ones.
    shutil.copytree(ROOT, root / "copy", symlinks=True, ignore=not_of_the_project)
    [archive] = build("build_sdist", root / "copy", root)
    with tarfile.open(archive) as file:
        file.extractall(root / "source", filter="data")
    [source] = (root / "source").iterdir()
    [wheel] = build("build_wheel", source, root)
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--no-index"]
    subprocess.run([*pip, "--target", root / "target", wheel], check=True)
    yield root / "target"
    shutil.rmtree(root)


def not_of_the_project(folder: str, names: list[str]) -> set[str]:
    top = {"build", "dist", "datasets", "checkpoints", "results"} if folder == str(ROOT) else set()
    return {name for name in names if name in top or name.startswith((".", "__pycache__"))}


def build(hook: str, source: Path, out: Path) -> list[Path]:
    code = f"from setuptools import build_meta; build_meta.{hook}({str(out)!r})"
    subprocess.run([sys.executable, "-c", code], cwd=source, check=True, capture_output=True)
    return list(out.glob("*.tar.gz" if hook == "build_sdist" else "*.whl"))


@pytest.mark.slow
def test_it_works_from_a_folder_with_modules_of_the_same_names(
    installed: Path, tmp_path: Path
) -> None:
    for name in ("data", "util", "models", "options"):
        (tmp_path / f"{name}.py").write_text("OWNER = 'somebody else'\n")
    (tmp_path / "torch.py").write_text("raise SystemExit('a stranger is imported')\n")
    write_tiny_data(tmp_path)
    write_tiny_data(tmp_path, phase="test", count=1)
    environment = os.environ | {"PYTHONPATH": str(installed), "OMP_NUM_THREADS": "1"}

    def run(*words: str | Path) -> str:
        result = subprocess.run(
            words, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=300
        )
        assert result.returncode == 0, result.stdout + result.stderr
        return result.stdout

    assert "--batchSize" in run(installed / "bin/pix2pixhd-train", "--help")
    flags = ("--name", "mine", "--dataroot", "data", *TINY_NETWORKS, *TINY_LOSSES, *AS_FILES_ARE)
    two = ("--gpu_ids", "-1,-1", "--batchSize", "2")
    run(installed / "bin/pix2pixhd-train", *flags, *two, "--niter", "1", "--niter_decay", "0")
    assert "<style>" in (tmp_path / "checkpoints/mine/web/index.html").read_text()
    (tmp_path / "torch.py").unlink()
    run(sys.executable, "-m", "pix2pixhd.test", "--name", "mine", "--gpu_ids", "-1")
    run(sys.executable, "-c", SCRIPT, installed)
