"""Saving a run and going on with it."""

from __future__ import annotations

import json
import threading
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import torch
from shared_data import shared
from tiny_models import take_step, tiny_batch, tiny_model

from pix2pixhd.engine.optimizers import Optimizers
from pix2pixhd.engine.progress import Progress
from pix2pixhd.engine.render import render
from pix2pixhd.engine.state import TrainingState
from pix2pixhd.engine.world import World
from pix2pixhd.models import create_model
from pix2pixhd.models.spectral import plain_copy, plain_state_dict
from pix2pixhd.options.parsing import parse_train
from pix2pixhd.util.checkpoint import load_tensors, network_file, save_tensors
from pix2pixhd.util.errors import UserError

FLAGS: dict[str, Any] = {"use_dropout": True, "pool_size": 3, "norm": "batch"}


def new_run(folder: Path, seed: int = 0, **changes: Any) -> TrainingState:
    model = tiny_model(seed, **(FLAGS | changes))
    return TrainingState(folder, model, Optimizers(model, lr=1e-3, beta1=0.5))


def train(run: TrainingState, steps: range) -> None:
    for step in steps:
        take_step(run.model, run.optimizers, tiny_batch(seed=step))


def assert_same(one: Any, other: Any) -> None:
    """Nests of dicts, lists and tensors, bit for bit."""
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other)
    elif isinstance(one, dict):
        assert one.keys() == other.keys()
        for key in one:
            assert_same(one[key], other[key])
    elif isinstance(one, list | tuple):
        assert len(one) == len(other)
        for mine, its in zip(one, other, strict=True):
            assert_same(mine, its)
    else:
        assert one == other


def everything(run: TrainingState) -> dict[str, Any]:
    return {
        "model": run.model.state_dict(),
        "optimizers": run.optimizers.state_dict(),
        "pool": run.model.adversary.pool.state_dict(),
        "random": torch.get_rng_state(),
    }


@pytest.mark.parametrize("spectral_norm", ["none", "GD"])
def test_a_restored_run_goes_on_bit_for_bit(spectral_norm: str, tmp_path: Path) -> None:
    run = new_run(tmp_path, spectral_norm=spectral_norm)
    train(run, range(3))
    run.optimizers.set_learning_rate(5e-4)
    run.save(Progress(2, 6))
    run.wait()
    saved = deepcopy(everything(run))
    train(run, range(3, 5))

    again = new_run(tmp_path, seed=9, spectral_norm=spectral_norm)
    torch.manual_seed(77)
    assert again.restore() == (Progress(2, 6), [])
    assert_same(everything(again), saved)
    assert again.optimizers.learning_rate == 5e-4
    train(again, range(3, 5))
    assert_same(everything(again), everything(run))


def test_files_for_rendering_and_for_the_reference(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    run.save(Progress(2, 6))
    run.wait()
    run.save(Progress(3), epochs=["2"])
    run.wait()
    assert (tmp_path / "iter.txt").read_text() == "2\n6\n"  # a numbered save is not the latest
    for epoch in ("latest", "2"):
        for letter, network in run.model.saved_networks().items():
            weights = load_tensors(network_file(tmp_path, epoch, letter))
            assert_same(dict(weights), dict(network.state_dict()))


def test_weights_alone_restore_with_a_note(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    train(run, range(1))
    run.save(Progress(4, 2))
    run.wait()
    run.save(Progress(9), epochs=["8"])
    run.wait()
    (tmp_path / "latest_state.pth").unlink()
    for epoch, place in (("latest", Progress(4, 2)), ("8", Progress(9))):
        again = new_run(tmp_path, seed=1)
        found, notes = again.restore(epoch)
        assert found == place
        assert len(notes) == 1
        assert "without optimizers" in notes[0]
        assert_same(again.model.state_dict(), run.model.state_dict())
    (tmp_path / "iter.txt").unlink()
    assert new_run(tmp_path).restore()[0] == Progress()


@pytest.mark.parametrize(("before", "now"), [("none", "D"), ("GD", "D")])
def test_a_state_goes_on_with_the_spectral_norm_it_had(
    before: str, now: str, tmp_path: Path
) -> None:
    run = new_run(tmp_path, spectral_norm=before)
    run.save(Progress(2))
    run.wait()
    match = r"latest_state\.pth \([GD]\): .* another --spectral_norm; .*--which_epoch N"
    with pytest.raises(UserError, match=match):
        new_run(tmp_path, spectral_norm=now).restore()


def test_a_state_without_a_singular_vector_is_incomplete(tmp_path: Path) -> None:
    run = new_run(tmp_path, spectral_norm="D")
    run.save(Progress(2))
    run.wait()
    state = load_tensors(tmp_path / "latest_state.pth")
    lost = next(name for name in state["networks"]["D"] if name.endswith("._u"))
    del state["networks"]["D"][lost]
    save_tensors(state, tmp_path / "latest_state.pth")
    with pytest.raises(UserError, match=rf"incomplete \(D lacks {lost}\); remove it"):
        new_run(tmp_path, spectral_norm="D").restore()


@pytest.mark.parametrize("how", ["--continue_train", "--load_pretrain"])
def test_plain_weights_go_into_networks_that_are_normalised(how: str, tmp_path: Path) -> None:
    """Files have the usual names, whether they are of such networks or not."""
    run = new_run(tmp_path, spectral_norm="GD")
    train(run, range(1))
    run.save(Progress(2), epochs=["1"])
    run.wait()
    for letter, network in new_run(tmp_path).model.trained_networks().items():
        weights = load_tensors(network_file(tmp_path, "1", letter))
        assert weights.keys() == network.state_dict().keys()
    again = new_run(tmp_path, seed=9, spectral_norm="GD")
    if how == "--continue_train":
        again.restore("1")
    else:
        assert "; 0 new" in again.start_from(tmp_path, "1")[1]
    expected = render(run.model, tiny_batch())
    torch.testing.assert_close(render(again.model, tiny_batch()), expected, rtol=0, atol=1e-2)
    with_average(again)
    train(again, range(1))
    copied = again._begin_average("G_ema", "file")
    assert copied.endswith("G_ema begins as a copy of G")
    assert_same(
        dict(again.model.averaged["G_ema"].state_dict()), plain_state_dict(again.model.netG)
    )


def test_a_checkpoint_of_the_reference_restores() -> None:
    folder = shared("reference", "labels", "final")
    options = parse_train(json.loads((folder.parent / "flags.json").read_text())["flags"])
    model = create_model(options.model, options.discriminator, options.loss)
    place, notes = TrainingState(folder, model, Optimizers(model, 2e-4, 0.5)).restore()
    assert place == Progress()
    assert "without optimizers" in notes[0]
    assert_same(model.netD.state_dict(), dict(load_tensors(folder / "latest_net_D.pth")))


@pytest.mark.parametrize("text", ["", "1\n", "one\ntwo\n", "1\n2\n3\n", "0\n0\n", "1\n-4\n"])
def test_damaged_place(text: str, tmp_path: Path) -> None:
    run = new_run(tmp_path)
    run.save(Progress())
    run.wait()
    (tmp_path / "latest_state.pth").unlink()
    (tmp_path / "iter.txt").write_text(text)
    with pytest.raises(UserError, match=r"iter\.txt"):
        run.restore()


@pytest.mark.parametrize("epoch", ["best", "²"])
def test_which_epoch_must_be_latest_or_a_number_to_go_on_from(epoch: str, tmp_path: Path) -> None:
    run = new_run(tmp_path)
    run.save(Progress(), epochs=[epoch])
    run.wait()
    with pytest.raises(UserError, match=rf"--which_epoch {epoch}.*--continue_train"):
        run.restore(epoch)


def test_epochs_that_exist_are_listed(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    for epoch in ("10", "9", "latest"):
        run.save(Progress(), epochs=[epoch])
    run.wait()
    with pytest.raises(UserError, match=r"'11'.*it has 9, 10, latest"):
        run.restore("11")


KEYS = ("format", "epoch", "images_done", "networks", "optimizers", "processes")
EXTRA = {"images_before"}


@pytest.mark.parametrize("key", KEYS)
@pytest.mark.parametrize("damage", ["missing", "empty", "nothing"])
def test_damaged_state(key: str, damage: str, tmp_path: Path) -> None:
    run = new_run(tmp_path)
    run.save(Progress(2, 6))
    run.wait()
    file = tmp_path / "latest_state.pth"
    state = load_tensors(file)
    assert set(state) == {*KEYS, *EXTRA}
    del state[key]
    if damage != "missing":
        state[key] = {} if damage == "empty" else None
    save_tensors(state, file)
    lacks = rf"incomplete, it has no {key}; remove the file to go on from the weights alone, with"
    message = {"format": "format (None|{}), this", "processes": "incomplete"}.get(key, lacks)
    with pytest.raises(UserError, match=rf"latest_state\.pth: {message}"):
        run.restore()


@pytest.mark.parametrize("own", ["pool", "random"])
def test_damaged_state_of_a_process(own: str, tmp_path: Path) -> None:
    run = new_run(tmp_path)
    run.save(Progress())
    run.wait()
    file = tmp_path / "latest_state.pth"
    state = load_tensors(file)
    for damaged in ({}, {"cpu": torch.zeros(3, dtype=torch.uint8), "cuda": []}):
        state["processes"][0][own] = damaged
        save_tensors(state, file)
        with pytest.raises(UserError, match=r"latest_state\.pth"):
            run.restore()


def test_the_state_of_earlier_versions_is_read(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    run.save(Progress(2, 6))
    run.wait()
    file = tmp_path / "latest_state.pth"
    state = load_tensors(file)
    [own] = state.pop("processes")
    save_tensors(state | own | {"format": 1}, file)
    torch.set_rng_state(own["random"]["cpu"])
    expected = torch.rand(2)
    assert run.restore() == (Progress(2, 6), [])
    assert torch.equal(torch.rand(2), expected)


def test_a_process_takes_its_own_state_and_a_new_one_its_own_seed(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    run.save(Progress())
    run.wait()
    file = tmp_path / "latest_state.pth"
    state = load_tensors(file)
    [own] = state["processes"]
    torch.manual_seed(5)
    other = own | {"random": own["random"] | {"cpu": torch.get_rng_state()}}
    expected = torch.rand(2)
    save_tensors(state | {"processes": [own, other]}, file)
    run.world = World(rank=1, size=2)
    run.restore()
    assert torch.equal(torch.rand(2), expected)
    run.world = World(rank=2, size=3)
    torch.manual_seed(9)
    run.restore()
    assert torch.equal(torch.rand(2), torch.rand(2, generator=torch.Generator().manual_seed(9)))


@pytest.mark.parametrize("kept", [0.0, 0.5, 0.99])
def test_truncated_state(kept: float, tmp_path: Path) -> None:
    run = new_run(tmp_path)
    run.save(Progress())
    run.wait()
    file = tmp_path / "latest_state.pth"
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(UserError, match=r"latest_state\.pth: cannot be read"):
        run.restore()


@pytest.mark.parametrize("with_state", [True, False])
def test_another_architecture_lists_tensors(with_state: bool, tmp_path: Path) -> None:
    run = new_run(tmp_path)
    run.save(Progress())
    run.wait()
    if not with_state:
        (tmp_path / "latest_state.pth").unlink()
    wider = new_run(tmp_path, ngf=4)
    before = {name: weight.clone() for name, weight in wider.model.state_dict().items()}
    with pytest.raises(UserError, match=r"model\.1\.weight: \[2, 5, 7, 7\], expected \[4, 5"):
        wider.restore()
    assert_same(wider.model.state_dict(), before)


def test_starting_from_other_weights_says_what_was_taken(tmp_path: Path) -> None:
    source = new_run(tmp_path, seed=1)
    source.save(Progress(5), epochs=["4"])
    source.wait()
    lines = (run := new_run(tmp_path / "new")).start_from(tmp_path, "4")
    assert_same(run.model.state_dict(), source.model.state_dict())
    assert len(lines) == 2
    for letter, line in zip("GD", lines, strict=True):
        count = len(run.model.saved_networks()[letter].state_dict())
        file = tmp_path / f"4_net_{letter}.pth"
        assert line == f"{letter}: {count} of {count} tensors taken from {file}; 0 new"


def test_starting_a_local_enhancer_from_a_global_generator(tmp_path: Path) -> None:
    source = new_run(tmp_path, seed=1, ngf=4)
    source.save(Progress())
    source.wait()
    network_file(tmp_path, "latest", "D").unlink()
    run = new_run(tmp_path / "new", netG="local", ngf=2)
    before = {name: weight.clone() for name, weight in run.model.netG.state_dict().items()}
    counts, taken, new, missing = run.start_from(tmp_path, "latest", is_verbose=True)
    assert "latest_net_D.pth: not there, network D starts afresh" in missing
    inner = sum(name.startswith("model.") for name in before)
    assert counts.startswith(f"G: {inner} of {len(before)} tensors taken from {tmp_path}")
    assert counts.endswith(f"latest_net_G.pth; {len(before) - inner} new")
    quiet = new_run(tmp_path / "quiet", netG="local", ngf=2).start_from(tmp_path, "latest")
    assert quiet == [counts, missing]
    for name, weight in run.model.netG.state_dict().items():
        is_inner = name.startswith("model.")
        assert name in (taken if is_inner else new).split(": ", 2)[-1].split(", ")
        assert torch.equal(weight, (source.model.netG.state_dict() if is_inner else before)[name])


def test_training_goes_on_while_a_save_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is written is the run as it was when it was saved."""
    run, may_write = new_run(tmp_path), threading.Event()

    def wait_and_save(value: Any, path: Path) -> None:
        assert may_write.wait(timeout=60)
        save_tensors(value, path)

    monkeypatch.setattr("pix2pixhd.engine.state.save_tensors", wait_and_save)
    train(run, range(2))
    saved = deepcopy(everything(run))
    run.save(Progress(1, 2))
    train(run, range(2, 4))  # returns although nothing is written
    assert not list(tmp_path.iterdir())
    may_write.set()
    run.wait()
    again = new_run(tmp_path, seed=9)
    again.restore()
    assert_same(everything(again), saved)


def test_a_save_that_failed_is_told_by_the_next(tmp_path: Path) -> None:
    run = new_run(tmp_path)
    (tmp_path / "latest_state.pth").mkdir()
    run.save(Progress())
    with pytest.raises(UserError, match=r"latest_state\.pth: cannot be written"):
        run.save(Progress())


def test_earlier_fakes_leave_their_device() -> None:
    """A state dict that named a GPU would be read back onto that one, absent or another rank's."""
    pool = tiny_model(pool_size=1).adversary.pool
    pool.images = [torch.zeros(1, device="meta")]
    with pytest.raises(NotImplementedError):  # meta tensors cannot be copied: so it was tried
        pool.state_dict()


def with_average(run: TrainingState) -> TrainingState:
    run.model.averaged["G_ema"] = plain_copy(run.model.netG)
    return run


def test_an_average_is_saved_and_restored_but_not_trained(tmp_path: Path) -> None:
    run = with_average(new_run(tmp_path))
    train(run, range(1))
    average = deepcopy(run.model.averaged["G_ema"].state_dict())
    assert not torch.equal(average["model.1.weight"], run.model.netG.state_dict()["model.1.weight"])
    run.save(Progress())
    run.wait()
    assert_same(dict(load_tensors(network_file(tmp_path, "latest", "G_ema"))), dict(average))
    for forget in (lambda: None, (tmp_path / "latest_state.pth").unlink):
        forget()
        again = with_average(new_run(tmp_path, seed=9))
        again.restore()
        assert_same(dict(again.model.averaged["G_ema"].state_dict()), dict(average))


def test_a_run_that_goes_on_without_an_average_leaves_no_old_one(tmp_path: Path) -> None:
    """Programs that render would take it; that of an epoch before belongs to its weights."""
    run = with_average(new_run(tmp_path))
    run.save(Progress(2), epochs=["latest", "1"])
    run.wait()
    again = new_run(tmp_path)
    again.restore()
    again.save(Progress(2, 2))
    again.wait()
    assert [file.name for file in tmp_path.glob("*_ema.pth")] == ["1_net_G_ema.pth"]


@pytest.mark.parametrize("with_state", [True, False])
def test_an_average_that_an_older_save_lacks_begins_with_its_network(
    with_state: bool, tmp_path: Path
) -> None:
    run = new_run(tmp_path)
    train(run, range(1))
    run.save(Progress())
    run.wait()
    if not with_state:
        (tmp_path / "latest_state.pth").unlink()
    again = with_average(new_run(tmp_path, seed=9))
    *_, line = again.restore()[1]
    assert line.endswith("not there, G_ema begins as a copy of G")
    assert_same(again.model.averaged["G_ema"].state_dict(), run.model.netG.state_dict())


def test_starting_from_weights_of_which_nothing_fits(tmp_path: Path) -> None:
    run = new_run(tmp_path, ngf=4, norm="instance")
    run.save(Progress())
    run.wait()
    with pytest.raises(UserError, match="not one tensor fits"):
        new_run(tmp_path / "new", ngf=3, output_nc=1, norm="instance").start_from(
            tmp_path, "latest"
        )
    with pytest.raises(UserError, match="there is no such run"):
        new_run(tmp_path / "new").start_from(tmp_path / "nowhere", "latest")


def test_a_save_writes_numbered_weights_first_and_marks_its_launch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed in between, it goes back to before them, and makes them again."""
    run, written = new_run(tmp_path), []
    run.world = World(launch="one")
    monkeypatch.setattr(
        "pix2pixhd.engine.state.save_tensors", lambda value, path: written.append(path.name)
    )
    for module in ("state", "progress"):
        monkeypatch.setattr(
            f"pix2pixhd.engine.{module}.save_text", lambda text, path: written.append(path.name)
        )
    run.save(Progress(2), epochs=["latest", "1"])
    run.wait()
    assert written[:2] == ["1_net_G.pth", "1_net_D.pth"]
    assert written[2:5] == ["latest_state.pth", "iter.txt", "launch.txt"]
    assert written[5:] == ["latest_net_G.pth", "latest_net_D.pth"]
