"""Every recipe in scripts/ and every command in the documents is one that the programs accept."""

from __future__ import annotations

import itertools
import re
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from pix2pixhd.engine.run_folder import write_all
from pix2pixhd.evaluate import parse_evaluate
from pix2pixhd.options.parsing import (
    parse_edit,
    parse_encode,
    parse_precompute,
    parse_test,
    parse_train,
)
from pix2pixhd.options.saved import options_texts
from pix2pixhd.options.train_options import TrainOptions

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = sorted((ROOT / "scripts").glob("*.sh"))
RUN = {"demo.sh", "ablate_toy.sh"}  # by test_demo.py and test_ablation.py
RECIPES = [file for file in SCRIPTS if file.name not in RUN]
DOCUMENTS = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS: dict[str, Callable[[list[str]], object]] = {
    "train.py": parse_train,
    "test.py": parse_test,
    "encode_features.py": parse_encode,
    "precompute_feature_maps.py": parse_precompute,
    "evaluate.py": parse_evaluate,
    "edit.py": parse_edit,
}
FOLDERS = ("--fake", "--real", "--label")  # that must be there
FILES = ("--inception", "--lpips_backbone", "--segmenter")


def commands(file: Path) -> list[str]:
    """The lines that call an entry script, with continued lines joined."""
    text = file.read_text().replace("\\\n", " ")
    programs = "|".join(map(re.escape, PROGRAMS))
    return [line.strip() for line in re.findall(rf"^ *python (?:{programs}).*", text, re.M)]


@pytest.mark.parametrize("file", RECIPES + DOCUMENTS, ids=lambda file: file.name)
def test_commands_are_accepted(file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One after the other: a command inherits the options of the runs that earlier ones began."""
    monkeypatch.chdir(tmp_path)
    for line in commands(file):
        _, program, *words = shlex.split(line, comments=True)
        words = [word for word in words if word != "$@"]
        if words == ["--help"]:
            continue
        for flag, value in itertools.pairwise(words):
            if flag in FOLDERS:
                Path(value).mkdir(parents=True, exist_ok=True)
            if flag in FILES:
                Path(value).touch()
        options = PROGRAMS[program](words)
        if isinstance(options, TrainOptions):
            folder = Path(options.run.checkpoints_dir) / options.run.name
            write_all(folder, options_texts(options))


def test_the_recipes_of_the_reference_are_all_there() -> None:
    recipes = {file.stem for file in SCRIPTS if commands(file)}
    assert recipes >= {
        "train_512p",
        "train_512p_multigpu",
        "train_512p_fp16",
        "train_1024p_24G",
        "train_1024p_12G",
        "train_512p_feat",
        "train_1024p_feat_24G",
        "train_1024p_feat_12G",
        "test_512p",
        "test_1024p",
        "test_512p_feat",
        "test_1024p_feat",
    }


def test_recipes_train_what_their_names_say() -> None:
    [line] = commands(ROOT / "scripts/train_1024p_24G.sh")
    options = parse_train([word for word in shlex.split(line)[2:] if word != "$@"])
    assert (options.model.netG, options.model.ngf, options.discriminator.num_D) == ("local", 32, 3)
    assert options.data.resize_or_crop == "none"
    assert options.run.niter_fix_global == 10


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_scripts_are_valid_bash(script: Path) -> None:
    subprocess.run(["bash", "-n", str(script)], check=True)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda file: file.name)
def test_links_and_programs_of_the_documents_are_there(document: Path) -> None:
    text = document.read_text()
    links = re.findall(r"\]\(([^)#]+)", text)
    programs = re.findall(r"(?:bash|python) ((?:scripts|datasets)/\S+\.(?:sh|py))", text)
    ours = [link for link in links if not link.startswith("https:")]
    missing = [link for link in ours if not (document.parent / link).exists()]
    missing += [program for program in programs if not (ROOT / program).is_file()]
    assert not missing
