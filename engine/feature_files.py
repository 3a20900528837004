"""Files of instance features and of their clusters: ours are `.npz`, the reference's `.npy`.

Ours hold one array for each label, named `features_<label>` or `centres_<label>`, and no pickles.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import numpy as np

from pix2pixhd.models.clustering import ByLabel
from pix2pixhd.util.checkpoint import network_file
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.files import replacing
from pix2pixhd.util.legacy_npy import MAGIC, load_legacy_npy

Kind = Literal["features", "centres"]
"""Features, label -> [n, feat_num + 1]; or centres of their clusters, label -> [k, feat_num]."""

REMEDY = "make the file again with encode_features.py"


def clusters_name(n_clusters: int, mark: str = "") -> str:
    """The name of the file of clusters in a run's folder."""
    return f"features_clustered_{n_clusters:03d}{mark}.npz"


def encoder_mark(folder: Path, epoch: str, ema: bool) -> str:
    """What names of files end with that a run's encoder made without the average that it has: the
    two are other networks, and so are their generators."""
    return "" if ema or not network_file(folder, epoch, "E_ema").is_file() else "_no_ema"


def existing_file(path: Path) -> Path:
    """`path`, or the same file in the other format where only that is there."""
    other = path.with_suffix({".npy": ".npz", ".npz": ".npy"}.get(path.suffix, path.suffix))
    return other if not path.is_file() and other.is_file() else path


def save_by_label(kind: Kind, arrays: ByLabel, path: Path) -> None:
    """Write features or centres, atomically.

    Raises:
        UserError: the file cannot be written; an earlier one is as it was.
    """
    named: dict[str, Any] = {f"{kind}_{label}": array for label, array in arrays.items()}
    with replacing(path, durable=True) as file:
        np.savez(file, **named)


def load_by_label(kind: Kind, path: Path, feat_num: int, label_nc: int) -> ByLabel:
    """Read features or centres, ours or the reference's, as float64 in the order of the labels.

    Args:
        kind: what the file must hold. Labels without centres are left out.
        path: the file.
        feat_num: features that the networks were made for.
        label_nc: number of labels; 0: any label may be in the file.

    Raises:
        UserError: the file is missing, damaged or holds anything but such arrays; features or
            labels are others than those of the networks; there is not one centre.
    """
    if not path.is_file():
        raise UserError(f"{kind}: there is no file {path}; check the path, or {REMEDY}")
    arrays = _read(kind, path)
    for label, array in arrays.items():
        if problem := _problem(kind, label, array, feat_num, label_nc):
            raise UserError(f"{path}: {problem}")
    if kind == "centres":
        arrays = {label: array for label, array in arrays.items() if len(array)}
        if not arrays:
            raise UserError(f"{path}: holds no cluster of any label; {REMEDY}")
    return {label: np.asarray(array, np.float64) for label, array in sorted(arrays.items())}


def _read(kind: Kind, path: Path) -> dict[Any, Any]:
    """What the file holds by label, whatever it is; pickled objects are refused."""
    try:
        with path.open("rb") as file:
            # The first bytes tell the two formats apart, and both from anything else.
            if (magic := file.read(len(MAGIC))) == MAGIC:
                return load_legacy_npy(path)
            if not magic.startswith(b"PK"):
                raise UserError(f"{path}: is neither .npz nor .npy; check the path, or {REMEDY}")
            file.seek(0)
            with np.load(file, allow_pickle=False) as archive:
                arrays = dict(archive)
    except UserError:
        raise
    # Names, headers and compressed data come from the file, so anything can go wrong here.
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
        remedy = f"the file is damaged, take an intact copy, or {REMEDY}"
        if isinstance(error, OSError) and error.strerror:
            reason, remedy = error.strerror, "check the file"
        elif "allow_pickle" in reason:
            reason = "it holds pickled objects, none of which was executed"
        raise UserError(f"{path}: cannot be read ({reason}); {remedy}") from error
    labels = {name: re.fullmatch(rf"{kind}_(-?\d{{1,10}})", name) for name in arrays}
    for name, label in labels.items():
        if not label:
            raise UserError(
                f"{path}: holds an array {name[:40]!r}, expected {kind}_<label>; {REMEDY}, or "
                "give its other file"
            )
    return {int(label[1]): arrays[name] for name, label in labels.items() if label}


def _problem(kind: Kind, label: Any, array: Any, feat_num: int, label_nc: int) -> str | None:
    """What is wrong with the array of a label, if anything."""
    what = f"{kind} of label {label}"
    if type(label) is not int:
        return f"holds {kind} of {str(label)[:40]!r}, expected labels; {REMEDY}"
    if not isinstance(array, np.ndarray) or array.ndim != 2 or array.dtype.kind not in "fiu":
        return f"{what}: expected an array of numbers, a row each; {REMEDY}"
    if label_nc and not 0 <= label < label_nc:
        return (
            f"holds {what}, but --label_nc {label_nc} has labels 0 to {label_nc - 1}; the file is "
            f"of another data set, take that of this run, or {REMEDY}"
        )
    found, sizes = array.shape[1], int(kind == "features")  # a column of the instances' sizes
    if found != feat_num + sizes:
        return (
            f"{what}: {found} columns, expected {feat_num + sizes} (--feat_num {feat_num}); it is "
            f"of another run (--feat_num {found - sizes}), or a file of "
            f"{'centres' if sizes else 'features'}: check the path, or {REMEDY}"
        )
    return None if np.isfinite(array).all() else f"{what}: not all are finite numbers; {REMEDY}"
