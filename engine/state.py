"""All that a training run needs to go on as if it had never stopped, in one file.

`latest_state.pth` holds networks, optimizers, pool, random states and the progress; it is
replaced in one step, so that no crash can pair the networks of one save with the optimizers of
another. The plain `*_net_*.pth` beside it are for rendering and for other programs.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_map_only

from pix2pixhd.engine.distributed import gather
from pix2pixhd.engine.optimizers import Optimizers
from pix2pixhd.engine.progress import Progress, epoch_after, read_progress, write_progress
from pix2pixhd.engine.random_states import random_states, set_random_states
from pix2pixhd.engine.world import LAUNCH_FILE, World
from pix2pixhd.models.pix2pixhd import Pix2PixHDModel
from pix2pixhd.models.spectral import (
    is_normalised,
    loading_plain,
    lost_vectors,
    plain_state_dict,
)
from pix2pixhd.util.background import Background
from pix2pixhd.util.checkpoint import (
    fill_network,
    load_matching,
    load_network,
    load_tensors,
    network_file,
    require_epoch,
    save_tensors,
    save_text,
)
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.image_pool import ImagePool
from pix2pixhd.util.words import counted

STATE = "latest_state.pth"

FORMAT = 2  # 1 had the pool and the random states of a single process


class TrainingState:
    """The one owner of what is saved and restored.

    Of several processes all take part, and the first writes. Networks and optimizers are the same
    in all of them; pool and random states are each one's own.

    Files are written by a thread from a copy in host memory, while training goes on: the networks
    of the recipes and their optimizers are some 3 GB, which a disk takes many seconds for. As each
    file takes its place in one rename, a run that is killed meanwhile has the save before.

    Attributes:
        reached: the last whole step, as training notes it; None: none since the last save.
    """

    def __init__(
        self,
        folder: Path,
        model: Pix2PixHDModel,
        optimizers: Optimizers,
        world: World | None = None,
    ) -> None:
        self.folder = folder
        self.model = model
        self.optimizers = optimizers
        self.world = world or World()
        self.reached: Progress | None = None
        self._writing = Background("save")

    def save(
        self,
        progress: Progress,
        epochs: Sequence[str] = ("latest",),
        texts: Mapping[str, str] | None = None,
    ) -> None:
        """Write the networks' weights under these names; with "latest" also all the rest.

        Returns when all is copied; `wait` returns when it is on the disk.

        Args:
            texts: what to write on the weights of the other epochs, by the files' names.

        Raises:
            UserError: the files of the save before could not be written.
        """
        if "latest" in epochs:
            self.reached = None
        self.wait()
        owns: list[dict[str, Any]] = []
        if "latest" in epochs:
            owns = gather(self._own(), self.world)
        if not self.world.is_main:
            return
        saved, state = self.model.saved_networks(), None
        networks = {name: _copied(plain_state_dict(net)) for name, net in saved.items()}
        if "latest" in epochs:
            state = {
                "format": FORMAT,
                "epoch": progress.epoch,
                "images_done": progress.images_done,
                "images_before": progress.before,
                "networks": {
                    name: _copied(net.state_dict()) if is_normalised(net) else networks[name]
                    for name, net in saved.items()
                },
                "optimizers": _copied(self.optimizers.state_dict()),
                "processes": owns,
            }
        self._writing.start(partial(self._write, progress, epochs, texts or {}, networks, state))

    def wait(self) -> None:
        """Return when the last save is on the disk.

        Raises:
            UserError: its files could not be written; earlier ones are as they were.
        """
        try:
            self._writing.wait()
        except KeyboardInterrupt:
            print("a save was cut short; --continue_train has the state before, if not this one")
            raise

    def _write(
        self,
        progress: Progress,
        epochs: Sequence[str],
        texts: Mapping[str, str],
        networks: dict[str, dict[str, Tensor]],
        state: dict[str, Any] | None,
    ) -> None:
        def save_weights(epoch: str) -> None:
            for name, weights in networks.items():
                if f"{name}_ema" not in networks:  # of before the run went on without an average
                    network_file(self.folder, epoch, f"{name}_ema").unlink(missing_ok=True)
                save_tensors(weights, network_file(self.folder, epoch, name))

        # Numbered weights first: a run that is killed in between goes back to before them, and
        # makes them again. After the state, nothing would.
        for epoch in epochs:
            if epoch != "latest":
                save_weights(epoch)
        for name, text in texts.items():
            save_text(text, self.folder / name)
        if state is not None:
            save_tensors(state, self._file)
            write_progress(progress, self.folder)
            if self.world.launch:  # only now: a restart goes on with what its launch saved
                save_text(f"{self.world.launch}\n", self.folder / LAUNCH_FILE)
            save_weights("latest")

    def restore(self, epoch: str = "latest") -> tuple[Progress, list[str]]:
        """Load what `save` wrote, or as much of it as another program left.

        Returns:
            The progress to go on from, and lines to print where not all could be restored.

        Raises:
            UserError: there is no such run or epoch, a file is damaged, or the weights are of
                another architecture.
        """
        if epoch == "latest" and self._file.is_file():
            return self._restore_all()
        require_epoch(self.folder, epoch, renders_only=False)
        for name, network in self.model.trained_networks().items():
            with loading_plain(network):
                load_network(network, network_file(self.folder, epoch, name))
        lines = []
        for name, network in self.model.averaged.items():
            file = network_file(self.folder, epoch, name)
            if file.is_file():
                load_network(network, file)
            else:
                lines.append(self._begin_average(name, str(file)))
        progress = read_progress(self.folder) if epoch == "latest" else epoch_after(epoch)
        note = f"{self.folder}: weights of epoch {epoch} without optimizers; those start afresh"
        return progress, [note, *lines]

    def start_from(self, folder: Path, epoch: str, is_verbose: bool = False) -> list[str]:
        """Take what fits from another run's weights.

        Returns:
            Lines that tell how many tensors of each network were taken and how many are new, and
            if verbose also which.

        Raises:
            UserError: there are no such weights, or nothing in the generator fits.
        """
        require_epoch(folder, epoch, renders_only=False)
        lines = []
        for name, network in self.model.saved_networks().items():
            file = network_file(folder, epoch, name)
            if not file.is_file():
                if name in self.model.averaged:
                    lines.append(self._begin_average(name, str(file)))
                else:
                    lines.append(f"{file}: not there, network {name} starts afresh")
                continue
            with loading_plain(network):
                taken, new = load_matching(network, file)
            if name == "G" and not taken:
                raise UserError(f"{file}: not one tensor fits; check the flags of the architecture")
            count = f"{len(taken)} of {counted(len(taken) + len(new), 'tensor')}"
            lines.append(f"{name}: {count} taken from {file}; {len(new)} new")
            if is_verbose:
                both = {"taken": taken, "new": new}
                lines += [f"{name}: {what}: {', '.join(which)}" for what, which in both.items()]
        return lines

    @property
    def _file(self) -> Path:
        return self.folder / STATE

    def _own(self) -> dict[str, Any]:
        """What each process has of its own."""
        measured = None if self.model.vgg is None else self.model.vgg.measured
        own = {} if measured is None else {"measured": measured.to("cpu", copy=True)}
        return own | {"pool": self._pool.state_dict(), "random": random_states()}

    @property
    def _pool(self) -> ImagePool:
        return ImagePool(0) if self.model.adversary is None else self.model.adversary.pool

    def _begin_average(self, name: str, source: str) -> str:
        """Let an average begin with the weights that it is of; returns the line that says so."""
        trained = name.removesuffix("_ema")
        weights = plain_state_dict(self.model.trained_networks()[trained])
        self.model.averaged[name].load_state_dict(weights)
        return f"{source}: not there, {name} begins as a copy of {trained}"

    def _restore_all(self) -> tuple[Progress, list[str]]:
        state = load_tensors(self._file)
        if state.get("format") not in (1, FORMAT):
            raise UserError(
                f"{self._file}: format {state.get('format')!r}, this version reads {FORMAT}; "
                "remove the file to go on from the weights alone"
            )
        kinds = {"networks": dict, "optimizers": dict, "epoch": int, "images_done": int}
        found = {name: value for name, value in state.items() if value != {}}
        if lacks := [name for name in kinds if not isinstance(found.get(name), kinds[name])]:
            raise UserError(
                f"{self._file}: incomplete, it has no {' and no '.join(lacks)}; remove the file to "
                "go on from the weights alone, with fresh optimizers"
            )
        lines = []
        try:
            networks = state["networks"]
            for name, network in self.model.saved_networks().items():
                source = f"{self._file} ({name})"
                if name in self.model.averaged and name not in networks:
                    lines.append(self._begin_average(name, source))
                    continue
                weights = networks.get(name, {})
                if is_normalised(network) != any(".parametrizations." in one for one in weights):
                    raise UserError(
                        f"{source}: saved with another --spectral_norm; leave the flag out, go on "
                        "from an epoch's plain weights with --which_epoch N, or start from plain "
                        "weights with --load_pretrain"
                    )
                if lost := lost_vectors(network, weights):
                    raise LookupError(f"{name} lacks {lost[0]}")
                fill_network(network, weights, source)
            self.optimizers.load_state_dict(state["optimizers"])
            self._restore_own([state] if state["format"] == 1 else state["processes"])
            before = state.get("images_before")
            before = None if before is None else int(before)
            return Progress(int(state["epoch"]), int(state["images_done"]), before), lines
        except UserError:
            raise
        except (LookupError, AttributeError, RuntimeError, ValueError, TypeError) as error:
            raise UserError(
                f"{self._file}: incomplete ({error}); remove it to go on from the weights alone"
            ) from error

    def _restore_own(self, owns: list[dict[str, Any]]) -> None:
        """This process's pool and random state. A rank that is new starts with its own seed."""
        if not isinstance(owns, list) or not owns:
            raise ValueError("it is of no process")
        if self.world.rank < len(owns):
            own = owns[self.world.rank]
            device = next(self.model.netG.parameters()).device
            self._pool.load_state_dict(own["pool"], device)
            if self.model.vgg is not None and self.model.vgg.measured is not None:
                self.model.vgg.measured.copy_(own.get("measured", self.model.vgg.measured))
            set_random_states(own["random"])


def _copied(state: dict[str, Any]) -> dict[str, Any]:
    """A copy of a state dict in host memory, in the usual memory format whatever is computed in."""
    return tree_map_only(
        Tensor,
        lambda tensor: tensor.detach().to("cpu", copy=True, memory_format=torch.contiguous_format),
        dict(state),
    )
