"""Files of weights: safe to read whatever is in them, never half written."""

from __future__ import annotations

import io
import pickle
import random
import resource
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from pix2pixhd.util.checkpoint import (
    differing_tensors,
    load_matching,
    load_network,
    load_tensors,
    network_file,
    require_epoch,
    save_tensors,
    save_text,
)
from pix2pixhd.util.errors import UserError


def network(norm: nn.Module | None = None, width: int = 3) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(2, width, 3), norm or nn.InstanceNorm2d(width))


def serialised(value: Any, **how: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, **how)
    return file.getvalue()


class Malicious:
    """Touches a file when an ordinary unpickler meets it."""

    def __init__(self, touched: Path) -> None:
        self.touched = touched

    def __reduce__(self) -> tuple[Any, ...]:
        return (Path.touch, (self.touched,))


@pytest.mark.parametrize("form", ["zip", "legacy", "pickle"])
def test_malicious_file_is_refused_and_not_executed(form: str, tmp_path: Path) -> None:
    file, touched = tmp_path / "weights.pth", tmp_path / "touched"
    value = {"model.1.weight": torch.zeros(2), "payload": Malicious(touched)}
    file.write_bytes(
        pickle.dumps(Malicious(touched))
        if form == "pickle"
        else serialised(value, _use_new_zipfile_serialization=form == "zip")
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # the one line is all that a user sees
        with pytest.raises(UserError, match=r"weights\.pth: refused, nothing in it was executed"):
            load_tensors(file)
    assert not touched.exists()
    with file.open("rb") as opened:  # the bait does work
        (pickle if form == "pickle" else torch).load(
            opened, **({} if form == "pickle" else {"weights_only": False})
        )
    assert touched.exists()


@pytest.mark.parametrize(
    "content",
    [b"", b"name,value\n1,2\n" * 30, b"\x89PNG\r\n\x1a\n" + bytes(99), bytes(1000), b"PK\x03\x04"],
    ids=["zero bytes", "text", "picture", "zeros", "zip"],
)
def test_file_of_another_format(content: bytes, tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"weights\.pth") as caught:
        load_tensors(file)
    (problem,) = caught.value.problems
    assert "\n" not in problem
    assert "weights_only" not in problem, "PyTorch's advice to read it unsafely is not for users"


@pytest.mark.parametrize("new_format", [True, False])
@pytest.mark.parametrize("kept", [0.01, 0.5, 0.95])
def test_truncated_file(new_format: bool, kept: float, tmp_path: Path) -> None:
    content = serialised(network().state_dict(), _use_new_zipfile_serialization=new_format)
    file = tmp_path / "weights.pth"
    file.write_bytes(content[: int(len(content) * kept)])
    with pytest.raises(UserError, match=r"weights\.pth"):
        load_tensors(file)


@pytest.mark.parametrize("compute_crcs", [True, False])
def test_flipped_bytes_are_found_by_the_crc(compute_crcs: bool, tmp_path: Path) -> None:
    file = tmp_path / "latest_net_G.pth"
    computed = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(compute_crcs)
    try:
        save_tensors({"a": torch.ones(10), "b": torch.ones(1000)}, file)
    finally:
        torch.serialization.set_crc32_options(computed)
    assert load_tensors(file)["b"].sum() == 1000
    content = bytearray(file.read_bytes())
    middle = content.rindex(torch.ones(100).numpy().tobytes())
    content[middle : middle + 64] = bytes(byte ^ 0xFF for byte in content[middle : middle + 64])
    file.write_bytes(content)
    if compute_crcs:
        with pytest.raises(UserError, match=r"latest_net_G\.pth: damaged, .*data/1.*; take an"):
            load_tensors(file)
    else:  # nothing in the file tells
        assert load_tensors(file)["b"].sum() != 1000


def damaged_files(seed: int) -> Iterator[bytes]:
    """200 files of noise, and 200 good ones with some bytes changed and perhaps the end cut off."""
    chance = random.Random(seed)
    starts = [b"", b"\x80\x02", b"\x80\x04", b"PK\x03\x04"]
    for _ in range(200):
        yield chance.choice(starts) + chance.randbytes(chance.randrange(1, 400))
    state = {"weight": torch.ones(3, 4), "bias": torch.ones(3), "rest": {"x": [1, 2.5, "s"]}}
    good = [serialised(state, _use_new_zipfile_serialization=new) for new in (True, False)]
    for _ in range(200):
        content = bytearray(chance.choice(good))
        for _ in range(chance.randrange(1, 8)):
            content[chance.randrange(len(content))] = chance.randrange(256)
        length = chance.randrange(len(content)) if chance.random() < 0.3 else len(content)
        yield bytes(content[:length])


@pytest.mark.filterwarnings("ignore")
def test_damaged_files_give_user_errors_and_nothing_else(tmp_path: Path) -> None:
    file, refused, others = tmp_path / "weights.pth", 0, {}
    for content in damaged_files(seed=1):
        file.write_bytes(content)
        try:
            load_tensors(file, mapped=True)  # a changed byte may leave a readable file
            load_tensors(file)
        except UserError as error:
            refused += 1
            assert "weights.pth" in str(error)
        except Exception as error:
            others[repr(error)[:60]] = content
    assert not others
    assert refused > 300


def test_missing_file_and_other_content_are_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--vgg_weights: there is no file .*nowhere\.pth"):
        load_tensors(tmp_path / "nowhere.pth", "--vgg_weights")
    with pytest.raises(UserError, match="there is no file"):
        load_tensors(tmp_path)
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(UserError, match="holds a list, expected a state dict"):
        load_tensors(tmp_path / "list.pth")


@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("half", [True, False])
def test_weights_load_in_any_format_and_precision(
    new_format: bool, half: bool, tmp_path: Path
) -> None:
    source, file = network(), tmp_path / "weights.pth"
    state = {name: w.half() if half else w for name, w in source.state_dict().items()}
    file.write_bytes(serialised(state, _use_new_zipfile_serialization=new_format))
    load_network(target := network(), file)
    for name, weight in target.state_dict().items():
        assert weight.dtype == torch.float32
        assert torch.equal(weight, state[name].float())


@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "legacy"])
@pytest.mark.parametrize("prefix", ["module.", "module.module."])
def test_names_lose_what_data_parallel_puts_before_them(
    prefix: str, new_format: bool, tmp_path: Path
) -> None:
    source, file = network(), tmp_path / "weights.pth"
    state = {prefix + name: w for name, w in source.state_dict().items()}
    file.write_bytes(serialised(state, _use_new_zipfile_serialization=new_format))
    load_network(network(), file)
    assert load_matching(network(), file)[1] == []
    assert load_tensors(file, mapped=True).keys() == source.state_dict().keys()
    save_tensors(state | {"other": torch.zeros(1)}, file)  # then it is a name like any other
    assert load_tensors(file).keys() == {*state, "other"}


def test_a_mapped_file_tells_its_shapes_and_is_not_read(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    save_tensors({"a": torch.full((1000, 7), 3.0)}, file)
    content = bytearray(file.read_bytes())
    content[content.index(torch.full((2,), 3.0).numpy().tobytes())] ^= 1
    file.write_bytes(content)
    assert load_tensors(file, mapped=True)["a"].shape == (1000, 7)
    with pytest.raises(UserError, match="has changed since it was written"):
        load_tensors(file)


def test_a_write_that_fails_leaves_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    save_tensors({"a": torch.ones(2)}, file)
    with pytest.raises(Exception, match="pickle"):
        save_tensors({"a": torch.zeros(2), "b": lambda: None}, file)
    assert torch.equal(load_tensors(file)["a"], torch.ones(2))
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize("size", [4_000, 4_800, 100_000])
def test_a_full_disk_is_a_user_error_and_leaves_the_old_file(size: int, tmp_path: Path) -> None:
    """The writer meets the limit while it writes, or only when it flushes its last bytes."""
    file = tmp_path / "weights.pth"
    save_tensors({"a": torch.ones(2)}, file)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (15_000, hard))
    try:
        with pytest.raises(UserError, match=r"weights\.pth: cannot be written \(File too large\)"):
            save_tensors({"a": torch.zeros(size)}, file)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert torch.equal(load_tensors(file)["a"], torch.ones(2))
    assert list(tmp_path.iterdir()) == [file]


def test_folders_are_made_and_a_file_in_their_place_is_a_user_error(tmp_path: Path) -> None:
    save_text("one\n", tmp_path / "a" / "b" / "c.txt")
    assert (tmp_path / "a" / "b" / "c.txt").read_text() == "one\n"
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot be written"):
        save_tensors({}, tmp_path / "file" / "weights.pth")


def test_differing_tensors_are_listed() -> None:
    expected = {"a": torch.zeros(2), "b": torch.zeros(3, 1), "c": torch.zeros(1)}
    found = {"a": torch.zeros(2), "b": torch.zeros(3), "d": 5}
    assert differing_tensors(expected, found) == [
        "b: [3], expected [3, 1]",
        "c: missing",
        "d: unexpected",
    ]
    assert differing_tensors(expected, expected) == []
    assert differing_tensors({"a": torch.zeros(1)}, {"a": "x"}) == ["a: str, expected [1]"]


def test_other_architecture_is_refused_whole(tmp_path: Path) -> None:
    file, target = tmp_path / "weights.pth", network()
    save_tensors(network().state_dict() | {"0.bias": torch.zeros(4)}, file)
    before = target[0].weight.clone()
    with pytest.raises(UserError, match=r"1 tensor that differ: 0\.bias: \[4\], expected \[3\]"):
        load_network(target, file)
    assert torch.equal(target[0].weight, before)


def with_legacy_statistics(state: dict[str, Any]) -> dict[str, Any]:
    """As PyTorch before 0.4 saved it: running statistics for every normalisation."""
    return state | {"1.running_mean": torch.ones(3), "1.running_var": torch.full((3,), 4.0)}


def test_legacy_statistics_of_instance_norm_are_dropped(tmp_path: Path) -> None:
    source, file = network(), tmp_path / "weights.pth"
    save_tensors(with_legacy_statistics(source.state_dict()), file)
    load_network(target := network(), file)
    assert torch.equal(target[0].weight, source[0].weight)
    taken, left = load_matching(network(), file)
    assert (taken, left) == (["0.weight", "0.bias"], [])


@pytest.mark.parametrize("extra", ["0.running_mean", "1.weight", "2.running_mean"])
def test_nothing_else_is_dropped(extra: str, tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    save_tensors(with_legacy_statistics(network().state_dict()) | {extra: torch.ones(3)}, file)
    with pytest.raises(UserError, match=f"{extra}: unexpected"):
        load_network(network(), file)


@pytest.mark.parametrize(
    "norm", [nn.BatchNorm2d, lambda n: nn.InstanceNorm2d(n, track_running_stats=True)]
)
def test_statistics_that_a_network_uses_stay(norm: Any, tmp_path: Path) -> None:
    file = tmp_path / "weights.pth"
    save_tensors(with_legacy_statistics(network(norm(3)).state_dict()), file)
    load_network(target := network(norm(3)), file)
    assert target[1].running_mean.tolist() == [1.0] * 3
    assert target[1].running_var.tolist() == [4.0] * 3


def test_matching_loads_what_fits_and_tells(tmp_path: Path) -> None:
    file, target = tmp_path / "weights.pth", network()
    state = {"0.bias": torch.ones(3), "0.weight": torch.zeros(9), "other": torch.zeros(1)}
    save_tensors(state, file)
    before = target[0].weight.clone()
    assert load_matching(target, file) == (["0.bias"], ["0.weight"])
    assert target[0].bias.tolist() == [1.0] * 3
    assert torch.equal(target[0].weight, before)
    save_tensors({"other": torch.zeros(1)}, file)
    assert load_matching(target, file) == ([], ["0.weight", "0.bias"])


def test_epochs_that_exist_are_listed(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for epoch in ("latest", "20", "3"):
        network_file(run, epoch, "G").touch()
    network_file(run, "5", "D").touch()
    require_epoch(run, "3")
    with pytest.raises(UserError, match=r"no weights of epoch '5' .*; it has 3, 20, latest$"):
        require_epoch(run, "5")
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match="it has no weights; check the folder"):
        require_epoch(tmp_path / "empty", "latest")
    with pytest.raises(UserError, match=f"there is no such run; {tmp_path} has run, or"):
        require_epoch(tmp_path / "nowhere", "latest")
    with pytest.raises(UserError, match="no such run; check --name, or give --checkpoints_dir"):
        require_epoch(tmp_path / "no" / "where", "latest")


def test_an_average_alone_renders_but_is_not_trained(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    network_file(run, "3", "G_ema").touch()
    require_epoch(run, "3")
    with pytest.raises(UserError, match=r"it has 3$"):
        require_epoch(run, "4")
    with pytest.raises(UserError, match=r"there is no such run; .* has run"):
        require_epoch(tmp_path / "other", "3")
    with pytest.raises(UserError, match="it has no weights"):
        require_epoch(run, "3", renders_only=False)


def test_weights_of_another_program_are_told_apart(tmp_path: Path) -> None:
    save_tensors({"foo.weight": torch.ones(2)}, tmp_path / "a.pth")
    with pytest.raises(UserError, match=r"a.pth: holds nothing of this network, .* 0.weight; give"):
        load_network(network(), tmp_path / "a.pth")
