"""Runs that were moved, and weights that came without options, as a user sees them."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from programs import (
    AS_FILES_ARE,
    Outcome,
    run_encode,
    run_test,
    run_train,
    same_weights,
    tiny_run,
    write_tiny_data,
)

from pix2pixhd.options.parsing import parse_precompute
from pix2pixhd.util.checkpoint import load_tensors, save_tensors
from precompute_feature_maps import precompute

FEATURES = ("--instance_feat", "--nef", "2", "--n_downsample_E", "1", "--feat_num", "2")
ON_CPU = ("--gpu_ids", "-1", "--nThreads", "0")
READ = "--ngf 4 --n_downsample_global 2 --n_blocks_global 1 --feat_num 2 --n_downsample_E 1 --nef 2"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """data/ and ck/tiny, trained in their own folder, with relative paths."""
    root = tmp_path_factory.mktemp("trained")
    write_tiny_data(root, count=2)
    write_tiny_data(root, phase="test", count=2)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        flags = (*FEATURES, "--niter", "1", "--niter_decay", "0", "--no_html", "--cache", "cache")
        assert run_train(*tiny_run(Path()), *flags).code == 0
    return root


@pytest.fixture(autouse=True)
def in_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")


@pytest.fixture
def published(trained: Path, tmp_path: Path) -> Path:
    """Its networks alone, as nn.DataParallel saves them."""
    for name in "GE":
        state = load_tensors(trained / f"ck/tiny/latest_net_{name}.pth")
        prefixed = {f"module.{key}": value for key, value in state.items()}
        save_tensors(prefixed, tmp_path / f"ck/tiny/latest_net_{name}.pth")
    return tmp_path


def images(folder: Path) -> dict[str, bytes]:
    found = {file.name: file.read_bytes() for file in folder.rglob("*_synthesized_image.png")}
    assert found
    return found


def where(root: Path) -> tuple[str, ...]:
    return ("--name", "tiny", "--checkpoints_dir", f"{root}/ck", *ON_CPU)


def test_published_weights_render_and_encode_as_the_run_does(
    trained: Path, published: Path, tmp_path: Path
) -> None:
    data = ("--dataroot", f"{trained}/data", "--label_nc", "5", *AS_FILES_ARE)
    encoded = ("--use_encoded_image", "--results_dir")
    assert run_test(*where(trained), *encoded, tmp_path / "one").code == 0
    outcome = run_test(*where(published), *data, *encoded, tmp_path / "two")
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines()[0] == (
        f"{published}/ck/tiny: has no saved options; by its weights, the networks are of {READ}; "
        "8 input channels: 5 labels, the boundaries of instances, 2 features"
    )
    assert images(tmp_path / "one") == images(tmp_path / "two")
    assert run_encode(*where(published), *data).code == 0
    assert (published / "ck/tiny/features_clustered_010.npz").is_file()
    folder = precompute(parse_precompute([*where(published), *data]))
    assert len(list(folder.iterdir())) == 2
    shutil.rmtree(folder)


def test_published_weights_start_another_training(published: Path, trained: Path) -> None:
    flags = ("--dataroot", trained / "data", "--niter", "1", "--niter_decay", "0", "--no_html")
    pretrain = ("--load_pretrain", published / "ck/tiny")
    outcome = run_train(*tiny_run(published, "new"), *FEATURES, *flags, *pretrain)
    assert outcome.code == 0, outcome.err
    assert "G: 16 of 16 tensors taken" in outcome.out


@pytest.fixture
def elsewhere(trained: Path, tmp_path: Path) -> Path:
    """A copy of the run, on another machine."""
    shutil.copytree(trained / "ck", tmp_path / "ck")
    options = tmp_path / "ck/tiny/options.json"
    options.write_text(options.read_text().replace(str(trained), "/of/another/machine"))
    return tmp_path


def test_a_moved_run_goes_on_where_its_data_are_beside_it(
    trained: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(trained / "data", elsewhere / "data")
    flags = ("--continue_train", "--niter", "2")
    outcome = run_train(*where(Path("..")), *flags)
    assert outcome.code == 0, outcome.err
    assert outcome.out.splitlines()[0] == (
        f"dataroot data of ../ck/tiny/options.json is not below this folder: taking "
        f"{elsewhere}/data"
    )
    assert str(elsewhere / "data") in (elsewhere / "ck/tiny/options.json").read_text()
    shutil.copytree(trained / "ck", elsewhere / "same/ck")
    monkeypatch.chdir(elsewhere / "same")
    assert run_train(*where(Path()), *flags).code == 0
    assert same_weights(elsewhere / "ck/tiny", elsewhere / "same/ck/tiny")


def complaint(outcome: Outcome) -> str:
    assert outcome.code == 2, outcome
    [line] = outcome.err.splitlines()
    return line.removeprefix("error: ")


@pytest.mark.parametrize("program", [run_train, run_test, run_encode])
def test_data_that_are_gone_are_told_with_the_file_that_names_them(
    program: Callable[..., Outcome], elsewhere: Path
) -> None:
    options = elsewhere / "ck/tiny/options.json"
    flags = ("--continue_train", "--niter", "2") if program is run_train else ()
    assert complaint(program(*where(elsewhere), *flags)) == (
        f"{options}: the run's dataroot data is not to be found; give --dataroot FOLDER"
    )


@pytest.mark.parametrize("program", [run_train, run_test, run_encode])
def test_a_run_that_is_not_there_is_named_before_its_data(
    program: Callable[..., Outcome], elsewhere: Path
) -> None:
    flags = ("--continue_train", "--no_vgg_loss") if program is run_train else ()
    line = complaint(program(*where(elsewhere), "--name", "nosuch", *flags))
    there = f"{elsewhere}/ck has tiny, or give --checkpoints_dir"
    assert line == f"{elsewhere}/ck/nosuch: there is no such run; {there}"


def test_a_run_without_its_state_or_weights_is_named_before_its_data(elsewhere: Path) -> None:
    for file in (elsewhere / "ck/tiny").glob("*.pth"):
        file.unlink()
    line = complaint(run_train(*where(elsewhere), "--continue_train", "--dataroot", "/nowhere"))
    assert line.startswith(f"{elsewhere}/ck/tiny: no weights of epoch 'latest'")


def test_a_label_that_the_photograph_lacks_is_told_of_the_photograph(
    trained: Path, tmp_path: Path
) -> None:
    """With each label in one image alone."""
    write_tiny_data(tmp_path, phase="test", count=2, size=(8, 8))
    image = tmp_path / "data/test_img/scene_0.png"
    flags = ("--dataroot", tmp_path / "data", "--results_dir", tmp_path, "--style_from", image)
    outcome = run_test(*where(trained), *flags)
    assert outcome.code == 0, outcome.err
    [line] = [line for line in outcome.out.splitlines() if line.startswith("warning")]
    assert f"is not in the photograph {image}, and has no clusters: its instances are" in line
