"""Which weights were rendered with, how they were chosen, and where features came from."""

from __future__ import annotations

import json
from typing import Any

from pix2pixhd.engine.progress import PROGRESS
from pix2pixhd.metrics.base import weights_hash
from pix2pixhd.options.test_options import TestOptions
from pix2pixhd.util.checkpoint import rendering_file
from pix2pixhd.util.errors import UserError

BEST = "best.json"  # in a run's folder: the fields of engine.best.Best, which best_net_* are of


def read_checkpoint(options: TestOptions) -> tuple[dict[str, Any], str]:
    """The weights as a protocol tells them, and a warning where they were chosen on the images that
    are reported.

    Raises:
        UserError: what the run says of its best weights cannot be read.
    """
    folder, epoch = options.run.folder, options.results.which_epoch
    file = rendering_file(folder, epoch, "G", options.ema)
    told: dict[str, Any] = {"file": file.name, "hash": weights_hash(file)}
    if epoch == "best":
        return _best(options, told)
    if epoch != "latest":
        return {**told, "epoch": epoch, "chosen": f"epoch {epoch}, named by the user"}, ""
    progress = folder / PROGRESS
    words = progress.read_text(errors="replace").split() if progress.is_file() else []
    if len(words) != 2:
        return {**told, "chosen": "latest of the training"}, ""
    epoch, images = words  # of the step to come
    place = f"in epoch {epoch}, after {images} images of it"
    if images == "0" and epoch.isdigit():
        place = f"after epoch {int(epoch) - 1}"
    return {**told, "chosen": f"latest of the training, {place}"}, ""


def _best(options: TestOptions, told: dict[str, Any]) -> tuple[dict[str, Any], str]:
    file = options.run.folder / BEST
    if not file.is_file():
        return {**told, "chosen": "called best, by whom and on what is not known"}, ""
    try:
        best = json.loads(file.read_text())
        metric, value, epoch, phase = (best[k] for k in ("metric", "value", "epoch", "phase"))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise UserError(
            f"{file}: expected metric, value, epoch and phase as training writes them ({error!r}); "
            "restore it, or remove it"
        ) from error
    told |= {"epoch": epoch, "metric": metric, "value": value, "phase": phase}
    chosen = f"best by {metric} on {phase}, epoch {epoch}"
    if phase != options.results.phase:
        return {**told, "chosen": chosen}, ""
    warning = f"the checkpoint was chosen by {metric} on {phase}, on images that are reported here"
    return {**told, "chosen": chosen, "chosen_on_reported": True}, warning


def features_of(options: TestOptions) -> str:
    """Where the features, or the noise, of the rendered images came from."""
    if options.results.use_encoded_image:
        return "of the real image"
    if options.results.style_from:
        return f"of one photograph, {options.results.style_from}"
    if options.model.uses_features:
        return "drawn"
    maps = "label maps" if options.model.label_nc else "input images"
    return f"{maps} and drawn noise" if options.model.z_dim else f"{maps} only"
