"""A trained model, from the files of its run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from models import create_encoder, create_model
from models.pix2pixhd import Pix2PixHDModel
from util.checkpoint import load_network, network_file, require_epoch
from util.errors import UserError

if TYPE_CHECKING:
    from options.base_options import ModelOptions


def load_trained(
    model: ModelOptions, folder: Path, epoch: str, networks: str = "G"
) -> Pix2PixHDModel:
    """The model of a run, with the weights of the networks asked for: "G", "E" or "GE".

    Raises:
        UserError: there is no such run or epoch, it has no encoder where one is asked for, or the
            weights are of another architecture.
    """
    require_epoch(folder, epoch)
    trained = create_model(model)
    if "E" in networks:
        if not network_file(folder, epoch, "E").is_file():
            raise UserError(
                f"{network_file(folder, epoch, 'E')}: not there, and features of images need the "
                "run's encoder; give the --name of a run that trained one, without --load_features"
            )
        trained.netE = create_encoder(model)
    for name in networks:
        load_network(trained.saved_networks()[name], network_file(folder, epoch, name))
    return trained.eval()
