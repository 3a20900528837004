"""Segmentation networks from files: of `evaluate.py train-segmenter`, TorchScript, Hugging Face."""

from __future__ import annotations

import importlib
import json
import zipfile
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, get_args

import torch
from torch import Tensor, nn

from pix2pixhd.metrics.base import weights_hash
from pix2pixhd.metrics.pixels import as_rgb
from pix2pixhd.options.segmenter_options import Network
from pix2pixhd.util.checkpoint import differing_tensors, load_script, load_tensors
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.labels import CITYSCAPES_NAMES, LabelSet

# The ids of Cityscapes' 19 training classes, in the order of their train ids (cityscapesScripts).
TRAINING_CLASSES = (7, 8, 11, 12, 13, 17, *range(19, 29), 31, 32, 33)

IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}  # of values in [0, 1]
KINDS = "a file of evaluate.py train-segmenter, a TorchScript file, or a Hugging Face folder"


@dataclass(frozen=True)
class Segmenter:
    """A network that tells the label of each pixel."""

    network: Callable[
        [Tensor], Any
    ]  # normalised [N, 3, H, W] to [N, classes, h, w], or {"out": it}
    source: str  # names it in messages
    protocol: Mapping[str, Any]
    classes: Sequence[int] = ()  # the label of each class; none: their number tells
    label_nc: int | None = None  # labels of the maps that it was trained on, if that is known
    normalisation: Mapping[str, Sequence[float]] = field(default_factory=lambda: IMAGENET)
    warning: str = ""  # what is to be known of its figures

    @torch.inference_mode()
    def logits(self, image: Tensor) -> Tensor:
        """[N, classes, h, w] of an image [N, 1 or 3, H, W] in [-1, 1].

        Raises:
            UserError: the network does not take such an image, or gives something else.
        """
        expected = "expected [N, classes, h, w] of [N, 3, H, W]"
        shape = list(image.shape)
        try:
            found = self.network(normalised(as_rgb(image, "segmentation"), self.normalisation))
        except torch.OutOfMemoryError:
            raise
        except RuntimeError as error:  # TorchScript, of whatever it does
            reason = (str(error).strip() or type(error).__name__).splitlines()[-1]
            raise UserError(
                f"{self.source}: fails on images {shape} ({reason}); {expected}"
            ) from error
        found = found["out"] if isinstance(found, dict) and "out" in found else found
        is_one = isinstance(found, Tensor) and found.ndim == 4 and len(found) == len(image)
        if not is_one or not found.numel():
            given = list(found.shape) if isinstance(found, Tensor) else type(found).__name__
            raise UserError(f"{self.source}: gives {given} for images {shape}; {expected}")
        if found.isnan().any():
            raise UserError(f"{self.source}: gives not-a-number for images {shape}; take another")
        return found

    def labels_of(self, count: int, labels: LabelSet | None) -> Sequence[int]:
        """The label of each of so many classes.

        Raises:
            UserError: the number of classes fits neither the labels nor Cityscapes' 19.
        """
        expected = len(labels or ()) or self.label_nc or count
        if self.label_nc not in (None, expected):
            raise UserError(
                f"{self.source}: trained for {self.label_nc} labels, the label maps have "
                f"{expected}; give a network for these labels, or --label_nc as it is"
            )
        if self.classes:
            return self.classes
        if count == expected:
            return range(count)
        if count == len(TRAINING_CLASSES) and is_cityscapes(labels):
            return TRAINING_CLASSES
        or_19 = f" or Cityscapes' {len(TRAINING_CLASSES)}" * is_cityscapes(labels)
        raise UserError(
            f"{self.source}: gives {count} classes, expected {expected}, the labels{or_19}; give a "
            "network for these labels"
        )


def normalised(image: Tensor, normalisation: Mapping[str, Sequence[float]]) -> Tensor:
    """An image [N, 3, H, W] in [-1, 1] less a mean, over a deviation, both of values in [0, 1]."""
    mean, std = (image.new_tensor(normalisation[name]).view(3, 1, 1) for name in ("mean", "std"))
    return ((image + 1) / 2 - mean) / std


def is_cityscapes(labels: LabelSet | None) -> bool:
    """Whether labels are the 35 of Cityscapes: those of a file may be 35 others."""
    if labels is None or len(labels) != len(CITYSCAPES_NAMES):
        return False
    return not labels.names or labels.names == CITYSCAPES_NAMES


def counted(labels: LabelSet, ignored: Collection[int] = ()) -> list[int]:
    """The labels that are learnt and judged where a network does not say."""
    of_all = TRAINING_CLASSES if is_cityscapes(labels) else range(len(labels))
    return [label for label in of_all if label not in ignored]


def build_network(name: str, classes: int) -> nn.Module:
    """A network of torchvision's with random weights; gives {"out": logits at the image's size}.

    Raises:
        KeyError: there is no such network among those of --network.
    """
    from torchvision.models import segmentation

    if name not in get_args(Network):
        raise KeyError(name)
    network: nn.Module = getattr(segmentation, name)(
        weights=None, weights_backbone=None, num_classes=classes
    )
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            # torchvision's MobileNets have 0.01, with which statistics take hundreds of steps to
            # forget those of random weights: longer than an epoch of a small data set.
            module.momentum = 0.1
    return network


def load_segmenter(path: Path, device: torch.device) -> Segmenter:
    """The network of a file or a folder, ready to use.

    Raises:
        UserError: there is none, or it is not one of a kind that is known.
    """
    source = f"--segmenter {path}"
    if path.is_dir():
        return _hugging_face(path, device, source)
    if not path.is_file():
        raise UserError(f"{source}: there is no such file or folder; give {KINDS}")
    if is_torchscript(path):
        network = load_script(path, device, "--segmenter", f"give {KINDS}")
        protocol = {"segmenter": "TorchScript", "file": path.name, "weights": weights_hash(path)}
        return Segmenter(network, source, protocol)
    return _trained(path, device, source)


def is_torchscript(path: Path) -> bool:
    """Whether a file holds a program beside its weights."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith("/constants.pkl") for name in archive.namelist())
    except zipfile.BadZipFile:  # of another format, or damaged
        return False


def _trained(path: Path, device: torch.device, source: str) -> Segmenter:
    """A network of `evaluate.py train-segmenter`."""
    saved = load_tensors(path, "--segmenter")
    try:
        name, classes = str(saved["architecture"]), [int(label) for label in saved["classes"]]
        network, state = build_network(name, len(classes)), dict(saved["state"])
        normalisation = {key: [float(v) for v in saved["normalisation"][key]] for key in IMAGENET}
        label_nc, epoch, epochs = (int(saved[key]) for key in ("label_nc", "epoch", "epochs"))
        held_out = dict(saved["held_out"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{source}: holds no segmentation network; give {KINDS}") from error
    if differing := differing_tensors(network.state_dict(), state):
        raise UserError(f"{source}: not the weights of a {name} ({differing[0]}); give {KINDS}")
    network.load_state_dict(state)
    protocol: dict[str, Any] = {"segmenter": name, "file": path.name}
    protocol["weights"] = weights_hash(path)
    if held_out:
        protocol["segmenter_held_out"] = held_out
    warning = ""
    if epoch < epochs:
        warning = f"the segmentation network has been trained for {epoch} of {epochs} epochs"
    network = network.to(device).eval()
    return Segmenter(network, source, protocol, classes, label_nc, normalisation, warning)


def _hugging_face(folder: Path, device: torch.device, source: str) -> Segmenter:
    try:
        transformers: Any = importlib.import_module("transformers")
    except ImportError as error:
        raise UserError(
            f"{source}: a folder of Hugging Face's needs the package transformers, which is not "
            "installed; pip install transformers, or give a file"
        ) from error
    files = sorted(folder.glob("*.safetensors")) or sorted(folder.glob("*.bin"))
    try:
        kind = transformers.AutoModelForSemanticSegmentation
        network = kind.from_pretrained(str(folder), local_files_only=True).to(device).eval()
        config = folder / "preprocessor_config.json"
        told = json.loads(config.read_text()) if config.is_file() else {}
        normalisation = {key: told.get(f"image_{key}") or IMAGENET[key] for key in IMAGENET}
    except (OSError, ValueError, RuntimeError, ImportError, AttributeError) as error:
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise UserError(
            f"{source}: holds no semantic-segmentation model ({reason}); give {KINDS}"
        ) from error
    hashes = " ".join(weights_hash(file) for file in files)
    name = type(network).__name__
    protocol = {"segmenter": name, "file": folder.resolve().name, "weights": hashes}
    return Segmenter(
        lambda image: network(pixel_values=image).logits,
        source,
        protocol,
        normalisation=normalisation,
    )
