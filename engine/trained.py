"""A trained model, from the files of its run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import torch

from pix2pixhd.engine.memory import require_memory
from pix2pixhd.engine.state import STATE
from pix2pixhd.models import create_encoder, create_model
from pix2pixhd.models.generators import Generator
from pix2pixhd.models.pix2pixhd import Pix2PixHDModel
from pix2pixhd.options.saved import require_paths
from pix2pixhd.util.checkpoint import load_network, rendering_file, require_epoch
from pix2pixhd.util.errors import UserError

if TYPE_CHECKING:
    from pix2pixhd.options.base_options import ModelOptions
    from pix2pixhd.options.train_options import TrainOptions


def require_run(options: TrainOptions) -> None:
    """
    Raises:
        UserError: the run that --continue_train is to go on with is not there, or a path that its
            options name.
    """
    epoch, folder = options.schedule.which_epoch, options.run.folder
    if not (epoch == "latest" and (folder / STATE).is_file()):
        require_epoch(folder, epoch, renders_only=False)
    require_paths(options)


def networks_to_render(model: ModelOptions, folder: Path, epoch: str, ema: bool) -> str:
    """The `networks` of `load_trained`: with the encoder, where the run uses one and has it."""
    has_encoder = rendering_file(folder, epoch, "E", ema).is_file()
    return "GE" if model.takes_style and has_encoder else "G"


def load_trained(
    model: ModelOptions, folder: Path, epoch: str, networks: str = "G", *, ema: bool = True
) -> Pix2PixHDModel:
    """The model of a run, with the weights of the networks asked for: "G", "E" or "GE".

    A generator that was not asked for is an empty one: it would take 0.7 GB.

    Args:
        ema: take the average of a network where the run has one.

    Raises:
        UserError: there is no such run or epoch, it has no encoder where one is asked for, or the
            weights are of another architecture.
    """
    require_epoch(folder, epoch)

    def build() -> Pix2PixHDModel:
        built = create_model(model)
        if "E" in networks:
            built.netE = create_encoder(model)
        return built

    # On the meta device: fresh weights would be drawn, all 180 million, to be overwritten.
    trained = require_memory(build, torch.device("cpu"))
    if "G" not in networks:
        trained.netG = Generator()
    for name in networks:
        file = rendering_file(folder, epoch, name, ema)
        if name == "E" and not file.is_file():
            raise UserError(
                f"{file}: not there, and features of images need the run's encoder; give the "
                "--name of a run that trained one, without --load_features"
            )
        network = trained.trained_networks()[name].to_empty(device="cpu")
        buffers = {buffer for buffer, _ in network.named_buffers()}
        assert buffers <= network.state_dict().keys(), "a buffer that no file would fill"
        load_network(network, file)
    return trained.eval()
