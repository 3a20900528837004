"""Files of weights and states: written so that none is ever half there, read without running it."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from pix2pixhd.util.errors import UserError
from pix2pixhd.util.files import replacing
from pix2pixhd.util.words import counted


def save_tensors(value: Any, path: Path) -> None:
    """Write a state dict, or a nest of dicts, lists, numbers and tensors, atomically.

    Raises:
        UserError: the folder cannot be written, or is full; an earlier file is as it was.
    """
    with replacing(path, durable=True) as file:
        try:
            torch.save(value, file)
        except RuntimeError as error:
            # After a failed write, PyTorch's writer fails once more and hides what the disk said.
            hidden = error.__context__
            raise (hidden if isinstance(hidden, OSError) else error) from None


def save_text(text: str, path: Path) -> None:
    """Write a text file atomically."""
    with replacing(path, durable=True) as file:
        file.write(text.encode())


def load_tensors(path: Path, what: str = "weights", mapped: bool = False) -> dict[str, Any]:
    """Read what `save_tensors` or any PyTorch wrote, onto the CPU, without executing any of it.

    Names lose the "module." that DataParallel puts before all of them.

    Args:
        path: the file.
        what: it is, for the message where it is not there.
        mapped: leave the values on the disk until they are used, unchecked: for shapes at once.

    Raises:
        UserError: there is no such file, it is damaged, or it holds anything but data.
    """
    if not path.is_file():
        raise UserError(f"{what}: there is no file {path}; check the path")
    try:
        is_zip = _is_zip(path)
        if is_zip and not mapped:
            _check_records(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of pickle protocols that no PyTorch writes
            value = torch.load(path, "cpu", weights_only=True, mmap=mapped and is_zip)
    except UserError:
        raise
    except pickle.UnpicklingError as error:
        raise UserError(
            f"{path}: refused, nothing in it was executed: it holds more than tensors and plain "
            "values, or is no PyTorch file; take weights that were saved as a state dict"
        ) from error
    except Exception as error:  # a dozen kinds, for files truncated, of another format, or no data
        # Other messages of PyTorch tell of its insides, or advise to read the file unsafely.
        reason = f" ({error.strerror})" if isinstance(error, OSError) and error.strerror else ""
        raise UserError(
            f"{path}: cannot be read{reason}; the file is truncated or of another format, take an "
            "intact copy"
        ) from error
    if not isinstance(value, dict):
        raise UserError(f"{path}: holds a {type(value).__name__}, expected a state dict")
    while value and all(str(name).startswith("module.") for name in value):
        value = {name.removeprefix("module."): tensor for name, tensor in value.items()}
    return value


def load_script(path: Path, device: torch.device, what: str, expected: str) -> nn.Module:
    """The network of a TorchScript file, for inference. Unlike weights it is a program, which runs.

    Args:
        what, expected: for the message: the flag, and what its file should hold.

    Raises:
        UserError: the file is damaged or holds no such program.
    """
    try:
        _check_records(path)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # users have such files, deprecated or not
            network: nn.Module = torch.jit.load(str(path), map_location=device).eval()
    except (UserError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # as many kinds as for weights
        raise UserError(
            f"{what} {path}: holds no TorchScript, or was truncated; {expected}"
        ) from error
    return network


def _is_zip(path: Path) -> bool:
    """Whether a file has the format that PyTorch writes since 1.6."""
    with path.open("rb") as file:
        return file.read(4) == b"PK\x03\x04"


def _check_records(path: Path) -> None:
    """Raise a UserError where a record of a zip file is not what its CRC says.

    PyTorch would use it without a word. This costs half a second per GiB, about a half of what
    loading does. Other formats have no CRCs.
    """
    with zipfile.ZipFile(path) as archive:
        for record in archive.infolist():
            # `torch.serialization.set_crc32_options(False)` leaves out the CRCs, and says 0.
            if record.CRC == 0:
                del record.CRC  # then it is not checked
        damaged = archive.testzip()
    if damaged:
        raise UserError(
            f"{path}: damaged, its record {damaged!r} has changed since it was written; take an "
            "intact copy, or a file of another epoch"
        )


def load_network(network: nn.Module, path: Path) -> None:
    """Load weights of exactly this architecture, or none; of the published layout, too, if the
    network knows it.

    Raises UserError where the file cannot be read, or tensors differ: it lists the first few.
    """
    fill_network(network, load_tensors(path), str(path))


def fill_network(network: nn.Module, state: Mapping[str, Any], source: str) -> None:
    """As `load_network`, from a state dict; `source` names where it is from."""
    state = without_legacy_statistics(network, renamed(network, state))
    differing = differing_tensors(network.state_dict(), state)
    if differing and not network.state_dict().keys() & state.keys():
        raise UserError(
            f"{source}: holds nothing of this network, whose first tensor is "
            f"{next(iter(network.state_dict()))}; give weights that pix2pixHD saved"
        )
    if differing:
        shown = "; ".join(differing[:4]) + ("; ..." if len(differing) > 4 else "")
        raise UserError(
            f"{source}: weights of another architecture, {counted(len(differing), 'tensor')} that "
            f"differ: {shown}. Give the flags that the run was trained with (see its opt.txt)"
        )
    network.load_state_dict(state)


def load_matching(network: nn.Module, path: Path) -> tuple[list[str], list[str]]:
    """Load what has the same name and shape in both, and leave the rest as it is.

    Returns:
        Names of the network's tensors that were taken, and of those that were not.

    Raises:
        UserError: the file cannot be read.
    """
    found_there = renamed(network, load_tensors(path, "--load_pretrain"))
    state = without_legacy_statistics(network, found_there)
    own, found = _shapes(network.state_dict()), _shapes(state)
    taken = [name for name in own if own[name] == found.get(name)]
    network.load_state_dict({name: state[name] for name in taken}, strict=False)
    return taken, [name for name in own if name not in set(taken)]


def differing_tensors(expected: Mapping[str, Tensor], found: Mapping[str, Any]) -> list[str]:
    """How two state dicts differ, one line a tensor; empty if names and shapes are the same."""
    want, have = _shapes(expected), _shapes(found)
    both = [name for name in want if name in have]
    return [
        *(f"{n}: {have[n]}, expected {want[n]}" for n in both if have[n] != want[n]),
        *(f"{name}: missing" for name in want if name not in have),
        *(f"{name}: unexpected" for name in have if name not in want),
    ]


def _shapes(state: Mapping[str, Any]) -> dict[str, str]:
    """The shapes of a state dict's tensors; of what is no tensor, the type."""
    return {
        name: str(list(value.shape)) if isinstance(value, Tensor) else type(value).__name__
        for name, value in state.items()
    }


def renamed(network: nn.Module, state: Mapping[str, Any]) -> Mapping[str, Any]:
    """The state as the network names it, which may know the layout of published files."""
    rename = getattr(network, "renamed", None)
    found: Mapping[str, Any] = rename(state) if rename else state
    return found


def without_legacy_statistics(network: nn.Module, state: Mapping[str, Any]) -> dict[str, Any]:
    """The state without the running statistics that PyTorch before 0.4 kept for InstanceNorm."""
    legacy = {
        f"{name}.{statistic}".removeprefix(".")  # the network itself has no name
        for name, module in network.named_modules()
        if isinstance(module, nn.InstanceNorm2d) and not module.track_running_stats
        for statistic in ("running_mean", "running_var", "num_batches_tracked")
    }
    return {name: value for name, value in state.items() if name not in legacy}


def network_file(folder: Path, epoch: str, label: str) -> Path:
    """The weights of network `label` (G, D, E) at `epoch` (a number, or latest)."""
    return folder / f"{epoch}_net_{label}.pth"


def rendering_file(folder: Path, epoch: str, label: str, ema: bool = True) -> Path:
    """The weights that render for a network: its average where there is one, unless not `ema`."""
    averaged = network_file(folder, epoch, f"{label}_ema")
    return averaged if ema and averaged.is_file() else network_file(folder, epoch, label)


def require_epoch(folder: Path, epoch: str, *, renders_only: bool = True) -> None:
    """
    Args:
        renders_only: the average of a generator will do.

    Raises:
        UserError: the folder has no generator of that epoch, lists those that it has; or there is
            no such folder, lists those beside it.
    """
    if rendering_file(folder, epoch, "G", ema=renders_only).is_file():
        return
    files = ["*_net_G.pth", *["*_net_G_ema.pth"] * renders_only]
    if not folder.is_dir():
        beside = sorted({path.parent.name for f in files for path in folder.parent.glob(f"*/{f}")})
        more = f" and {len(beside) - 8} more" if len(beside) > 8 else ""
        runs = f"{folder.parent} has {', '.join(beside[:8])}{more}" if beside else "check --name"
        raise UserError(f"{folder}: there is no such run; {runs}, or give --checkpoints_dir")
    names = {path.name.partition("_net_G")[0] for f in files for path in folder.glob(f"?{f}")}
    epochs = sorted(names, key=lambda e: (not e.isdigit(), len(e), e))  # 3, 20, latest
    there = f"it has {', '.join(epochs)}" if epochs else "it has no weights; check the folder"
    raise UserError(f"{folder}: no weights of epoch {epoch!r} ({epoch}_net_G.pth); {there}")
