"""`evaluate.py train-segmenter`: a segmentation network learns from the real pairs."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from pix2pixhd.data import create_loader
from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.data.layouts import has_phase
from pix2pixhd.data.sampler import EpochSampler
from pix2pixhd.data.validate import validate_dataset
from pix2pixhd.engine.crops import IGNORED, crops_loader, open_pairs
from pix2pixhd.engine.runtime import choose_device
from pix2pixhd.engine.validation import PHASES
from pix2pixhd.metrics.base import Figure, MetricSettings, Sample
from pix2pixhd.metrics.segmentation import Segmentation
from pix2pixhd.metrics.segmenters import IMAGENET, build_network, counted, normalised
from pix2pixhd.models.conditioning import image_to_float
from pix2pixhd.options.fields import flat
from pix2pixhd.options.flags import as_flag
from pix2pixhd.options.segmenter_options import SegmenterOptions
from pix2pixhd.util.batch import Batch
from pix2pixhd.util.checkpoint import differing_tensors, load_tensors, save_tensors
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.files import require_writable
from pix2pixhd.util.labels import LabelSet, label_set
from pix2pixhd.util.words import counted as in_words

POWER = 0.9  # with which the learning rate falls
# What may differ when a training goes on.
OF_ONE_CALL = {"out", "gpu_ids", "nThreads", "cache", "label_names"}


def run(options: SegmenterOptions) -> None:
    """Train, or go on, until the last epoch, and take the figures of held-out images.

    Raises:
        UserError: the data or a file are not as they should be.
    """
    assert options.out is not None
    out, labels = Path(options.out), label_set(options.label_nc, options.data.label_names)
    saved = saved_state(out, options)
    if saved.get("held_out"):
        epochs = in_words(options.epochs, "epoch")
        print(f"{out} has finished its {epochs}; {in_a_line(saved['held_out'])}", flush=True)
        return
    require_writable(out)
    device, notes = choose_device(options.gpu_ids)
    dataset = open_pairs(options, options.phase)
    for line in [*notes, *validate_dataset(dataset)]:
        print(line, flush=True)
    ignored = [] if options.data.ignore_label is None else [options.data.ignore_label]
    classes = counted(labels, ignored)
    state = {
        "architecture": options.network,
        "classes": classes,
        "normalisation": IMAGENET,
        "label_nc": options.label_nc,
        "options": flat(options),
        "epochs": options.epochs,
        "epoch": saved.get("epoch", 0),
        "held_out": {},
    }
    network = train(options, dataset, classes, device, saved, state)
    figures = evaluate(options, labels, ignored, device)
    save_tensors(state | {"state": network.state_dict(), "held_out": figures}, out)
    print(f"finished: {out}; {in_a_line(figures)}", flush=True)


def train(
    options: SegmenterOptions,
    dataset: AlignedDataset,
    classes: Sequence[int],
    device: torch.device,
    saved: Mapping[str, Any],
    state: dict[str, Any],
) -> nn.Module:
    """The network after the last epoch; after each, `state` is brought up to date and saved."""
    loader = crops_loader(options, dataset, classes)
    sampler = loader.batch_sampler
    assert isinstance(sampler, EpochSampler) and options.out is not None
    torch.manual_seed(options.seed)
    network = build_network(options.network, len(classes)).to(device)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=options.weight_decay)
    if saved:
        network.load_state_dict(saved["state"])
        if "optimizer" in saved:
            optimizer.load_state_dict(saved["optimizer"])
        print(f"{options.out}: going on after epoch {state['epoch']}", flush=True)
    elif options.weights:
        load_weights(network, Path(options.weights))
    steps = sampler.epoch_size // sampler.batch_size
    for epoch in range(state["epoch"] + 1, options.epochs + 1):
        sampler.start(epoch)
        torch.manual_seed(options.seed + epoch)  # of dropout, so that a resume draws the same
        network.train()
        title = f"epoch {epoch}/{options.epochs}"
        losses = []
        for step, batch in enumerate(tqdm(loader, title, steps, leave=False, disable=None)):
            done = (epoch - 1 + step / steps) / options.epochs
            optimizer.param_groups[0]["lr"] = options.lr * (1 - done) ** POWER
            losses.append(train_step(network, optimizer, batch.to(device)))
        loss = float(torch.stack(losses).mean())
        if loss == 0:
            raise UserError(
                f"{options.data.dataroot}: no pixel of an epoch has one of the labels to learn, "
                f"{in_words(len(classes), 'class')}; check --label_nc and --ignore_label"
            )
        print(f"{title}: loss {loss:.4f}", flush=True)
        state["epoch"] = epoch
        weights = {"state": network.state_dict(), "optimizer": optimizer.state_dict()}
        save_tensors(state | weights, Path(options.out))
    return network.eval()


def train_step(network: nn.Module, optimizer: torch.optim.Optimizer, batch: Batch) -> Tensor:
    """A step on crops of `crops_loader`; returns the loss."""
    assert batch.image is not None
    logits = network(normalised(batch.image, IMAGENET))["out"]
    target = batch.label[:, 0]
    # Its own mean would be 0/0 where no pixel of the batch counts, and the weights not-a-number.
    total = F.cross_entropy(logits, target, ignore_index=IGNORED, reduction="sum")
    loss = total / (target != IGNORED).sum().clamp(min=1)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    return loss.detach()


def saved_state(out: Path, options: SegmenterOptions) -> dict[str, Any]:
    """What an earlier call of the same command left in the file; nothing if there is none.

    Raises:
        UserError: the file is something else, or was made with other options.
    """
    if not out.exists():
        return {}
    saved = load_tensors(out, "--out")
    before = saved.get("options")
    if not isinstance(before, dict):
        raise UserError(f"--out {out}: is no file of train-segmenter; name another file to write")
    defaults = flat(SegmenterOptions())  # of flags that are younger than the file
    for name, value in flat(options).items():
        if name not in OF_ONE_CALL and before.get(name, defaults[name]) != value:
            old = as_flag(name, before.get(name, defaults[name]))
            raise UserError(
                f"{as_flag(name, value)}: {out} was begun with {old}; give that to go on, or "
                "another --out to begin anew"
            )
    return saved


def load_weights(network: nn.Module, file: Path) -> None:
    """Start from what a file has of the network, or of its backbone under the names that
    torchvision's classification networks have.

    Raises:
        UserError: it has nothing of that.
    """
    found = load_tensors(file, "--weights")
    if isinstance(state := found.get("state"), dict):
        found = state
    found |= {f"backbone.{name.removeprefix('features.')}": v for name, v in found.items()}
    own = network.state_dict()
    taken = {name: found[name] for name in own if name in found}
    differing = {line.split(":")[0] for line in differing_tensors(own, taken)}
    taken = {name: value for name, value in taken.items() if name not in differing}
    if not taken:
        raise UserError(
            f"--weights {file}: holds nothing of this network, whose first tensor is "
            f"{next(iter(own))}; give weights of it, or of its backbone, as torchvision has them"
        )
    network.load_state_dict(taken, strict=False)
    print(f"--weights {file}: {len(taken)} of {in_words(len(own), 'tensor')} taken", flush=True)


def evaluate(
    options: SegmenterOptions, labels: LabelSet, ignored: Sequence[int], device: torch.device
) -> dict[str, Any]:
    """The saved network's figures on held-out images, which are printed class by class; of plain
    values. `images` is 0 where there are none."""
    for phase in PHASES:
        if phase == options.phase or not has_phase(Path(options.data.dataroot), phase):
            continue
        try:
            dataset = open_pairs(options, phase)
        except UserError:
            continue  # Cityscapes' test has no labels
        figures = figures_of(dataset, options, labels, ignored, device)
        for name, value in figures["mean_iou"].by_class.items():
            print(f"  IoU {value:.3f} {name}", flush=True)
        values = {name: figure.value for name, figure in figures.items()}
        return {"phase": phase, "images": len(dataset), **values}
    return {"phase": "", "images": 0}


def figures_of(
    dataset: AlignedDataset,
    options: SegmenterOptions,
    labels: LabelSet,
    ignored: Sequence[int],
    device: torch.device,
) -> dict[str, Figure]:
    """The saved network's figures on the real images of a data set."""
    assert options.out is not None
    settings = MetricSettings(device, labels, ignored, segmenter=Path(options.out))
    metric = Segmentation(settings)
    data = dataclasses.replace(options.data, batchSize=1)  # they may differ in size
    loader = create_loader(dataset, data, seed=options.seed, is_train=False)
    measurements = []
    for batch in tqdm(loader, "held-out images", leave=False, disable=None):
        batch = batch.to(device)
        assert batch.image is not None
        measurements.append(metric.measure(Sample(image_to_float(batch.image), label=batch.label)))
    return metric.figures(measurements)


def in_a_line(held_out: Mapping[str, Any]) -> str:
    """The figures of held-out images in words."""
    if not held_out["images"]:
        return f"no held-out images ({' or '.join(PHASES)}) to take figures of"
    images = f"{in_words(held_out['images'], 'held-out real image')} ({held_out['phase']})"
    accuracy, iou = held_out["pixel_accuracy"], held_out["mean_iou"]
    return f"{images}: pixel accuracy {accuracy:.4f}, mean IoU {iou:.4f}"
