"""The logs of a run for TensorBoard, with `--tf_log`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pix2pixhd.util.errors import UserError
from pix2pixhd.util.files import writing
from pix2pixhd.util.logger import Images, Scalars, Sink


class TensorBoard(Sink):
    """Scalars and pictures for TensorBoard, and the options as a table.

    Args:
        folder: for its files.
        options: by name.
        resumed_at: a continued run's images until now; what is there of later ones is hidden.
    """

    def __init__(
        self, folder: Path, options: Mapping[str, Any], resumed_at: int | None = None
    ) -> None:
        from torch.utils.tensorboard import SummaryWriter  # it may be missing

        with writing(folder):
            self._writer = SummaryWriter(
                str(folder), purge_step=None if resumed_at is None else resumed_at + 1
            )
        rows = [("option", "value"), ("---", "---"), *options.items()]
        self._writer.add_text("options", "\n".join("| {} | {} |".format(*row) for row in rows))

    def log_values(self, place: Scalars, values: Scalars) -> None:
        more = {name: place[name] for name in ("lr", "gpu_memory_gib") if name in place}
        for name, value in {**values, **more}.items():
            self._writer.add_scalar(name, value, place["step"])

    def log_pictures(self, epoch: int, step: int, pictures: Images) -> None:
        for what, image in pictures.items():
            self._writer.add_image(what, image, step, dataformats="HWC")

    def close(self) -> None:
        self._writer.close()


def require_tensorboard() -> None:
    """Raise UserError where TensorBoard is not installed; called before anything is written."""
    try:
        import torch.utils.tensorboard  # noqa: F401
    except ImportError as error:
        raise UserError(f"--tf_log needs TensorBoard ({error}); pip install tensorboard") from error
