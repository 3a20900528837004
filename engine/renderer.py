"""A trained generator as a function: arrays in, an array out. For notebooks, see docs/python.md."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from pix2pixhd.engine.arrays import check_size, image_planes, integers, is_taken, labels, planes
from pix2pixhd.engine.memory import require_memory
from pix2pixhd.engine.published import with_architecture
from pix2pixhd.engine.render import Rendering, render
from pix2pixhd.engine.runtime import Runtime, choose_device, runtime_on
from pix2pixhd.engine.styles import (
    FeatureSource,
    NoiseSource,
    create_feature_source,
    create_noise_source,
)
from pix2pixhd.engine.trained import load_trained, networks_to_render
from pix2pixhd.models import create_model
from pix2pixhd.models.pix2pixhd import Pix2PixHDModel
from pix2pixhd.options.base_options import ModelOptions
from pix2pixhd.options.fields import types_of
from pix2pixhd.options.parsing import parse_test
from pix2pixhd.options.saved import options_file
from pix2pixhd.options.test_options import TestOptions
from pix2pixhd.util.batch import Batch
from pix2pixhd.util.checkpoint import load_network, rendering_file, require_epoch
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.image import image_to_values
from pix2pixhd.util.labels import label_set

# Flags of test.py that say nothing to a call.
OF_GALLERIES = {
    *("how_many", "results_dir", "image_format", "plain_folders", "styles", "tile"),
    "use_encoded_image",
}


@dataclass(repr=False)
class Renderer:
    """A trained generator, called with arrays; `load` makes it."""

    model: Pix2PixHDModel
    options: TestOptions
    runtime: Runtime

    def __repr__(self) -> str:
        run, device = self.options.run, self.runtime.device
        return f"Renderer of {run.name!r} in {run.checkpoints_dir} on {device}"

    def __call__(
        self,
        label: ArrayLike,
        inst: ArrayLike | None = None,
        *,
        extra: ArrayLike | None = None,
        image: ArrayLike | None = None,
        features: ArrayLike | None = None,
        style: int = 0,
        name: str = "",
    ) -> np.ndarray:
        """Synthesise an image, in the size of the label map, whatever that is.

        A run with features takes them from `features`, from the photograph `image`, or else from
        the clusters that encode_features.py made; one with noise and its encoder (--use_vae) takes
        it from `image`, or else draws it.

        Args:
            label: integers [H, W]; of a run with label_nc 0 an image [H, W, input_nc] or
                [input_nc, H, W], as its files have it: uint8, uint16, or floating point from 0
                to 1 or in the run's input_range.
            inst: instance ids, integers [H, W]; None for a run without instance maps.
            extra: the further input image of a run with extra_nc, as an image for `label`.
            image: a photograph of the same scene, whose features (or noise) are taken.
            features: [H, W, feat_num] or [feat_num, H, W], such as `encode` returns.
            style: number of the draw from the clusters, or of noise, 0 or more; or of the image,
                of a run that makes several.
            name: of the image; draws are of it, as in test.py.

        Returns:
            uint8 [H, W, 3]; of a run of more than 8 bits (output_bits), or of other than 1 or 3
            channels, [H, W, output_nc] in the type and range of its photographs' files.

        Raises:
            UserError: an argument is missing, not taken by this run, or not as said above; or
                there are no clusters.
        """
        batch = self.batch(label, inst, extra, image)
        given = self._given_features(features, image, style, batch)
        with torch.inference_mode(), self.runtime.autocast():
            if self.options.model.uses_features and features is None and image is None:
                given = self._clusters(batch, [name], style)
            noise = self._noise(batch, [name], style)
            if self.options.model.use_vae and image is not None:
                noise = self.model.encode_noise(batch)
            number = style % self.model.netG.num_images
            fake = render(self.model, batch, given, noise, number)
        bits, channels = self.options.data.output_bits or 8, fake.shape[1]
        if bits == 8 and channels in (1, 3):
            shown = Rendering(batch, fake).pictures(label_set(self.options.model.label_nc))
            return shown["synthesized_image"]
        values = image_to_values(fake[0], bits, self.options.data.ranges["image"])
        return np.ascontiguousarray(values.transpose(1, 2, 0))

    def encode(
        self, image: ArrayLike, label: ArrayLike, inst: ArrayLike | None = None
    ) -> np.ndarray:
        """The features of a photograph's instances (or labels), float32 [H, W, feat_num].

        Arguments and errors are those of a call.
        """
        batch = self.batch(label, inst, None, image, extra_needed=False)
        self._require_features("image")
        self._given_features(None, image, 0, batch)
        with torch.inference_mode(), self.runtime.autocast():
            features = self.model.encode(batch)[0]
        return features.float().permute(1, 2, 0).cpu().numpy()

    def batch(
        self,
        label: ArrayLike,
        inst: ArrayLike | None = None,
        extra: ArrayLike | None = None,
        image: ArrayLike | None = None,
        extra_needed: bool = True,
    ) -> Batch:
        """The arguments of a call as a batch on the device, checked."""
        model, ranges = self.options.model, self.options.data.ranges
        if model.label_nc:
            ignored = self.options.data.ignore_label
            maps = {"label": labels("label", label, model.label_nc, ignored)}
        else:
            maps = {"label": image_planes("label", label, model.input_nc, ranges["label"])}
        size = maps["label"].shape[-2:]
        if is_taken("inst", inst, model.instance, "an instance map", "--no_instance"):
            maps["inst"] = integers("inst", inst)
        needs = extra_needed and model.extra_nc > 0
        if is_taken("extra", extra, needs, "a further input image", "--extra_nc 0"):
            maps["extra"] = image_planes("extra", extra, model.extra_nc, ranges["extra"])
        if image is not None:
            maps["image"] = image_planes("image", image, model.output_nc, ranges["image"])
        for what, tensor in maps.items():
            check_size(what, tensor, size)
        return Batch(path=[""], **maps).to(self.runtime.device)

    def _given_features(
        self, features: ArrayLike | None, image: ArrayLike | None, style: int, batch: Batch
    ) -> Tensor | None:
        """Those of the argument; checks also that the run can take what it is given."""
        if not isinstance(style, int | np.integer) or style < 0:
            raise UserError(f"style: {style!r}, expected a whole number of 0 or more")
        given = [n for n, a in {"features": features, "image": image}.items() if a is not None]
        for name in given:
            if not (name == "image" and self.options.model.use_vae):
                self._require_features(name)
        given += ["style"] * (style != 0)
        images = self.model.netG.num_images
        if style and not self.model.netG.noise_dim:
            if images == 1:
                self._require_features("style")
            elif style >= images:
                raise UserError(f"style: {style}, expected 0 to {images - 1}, the run's images")
        if len(given) > 1:
            listed = " and ".join(given)
            raise UserError(f"{listed}: features come from one source; leave one out")
        if image is not None and self.model.netE is None:
            raise UserError(
                "image: it needs the run's encoder, and there is none beside the generator's "
                "weights (<epoch>_net_E.pth); put it there, or leave the image out"
            )
        if features is None:
            return None
        tensor = planes("features", features, self.options.model.feat_num, kinds="f")
        check_size("features", tensor, batch.label.shape[-2:])
        return tensor.to(self.runtime.device)

    def _require_features(self, name: str) -> None:
        if not self.options.model.uses_features:
            raise UserError(f"{name}: the run was trained without features; leave it out")

    @cached_property
    def _noise(self) -> NoiseSource:
        return create_noise_source(self.options, self.model, self.runtime)

    @cached_property
    def _clusters(self) -> FeatureSource:
        def warn(line: str) -> None:
            warnings.warn(line.removeprefix("warning: "), stacklevel=4)  # where we were called

        return create_feature_source(self.options, self.model, self.runtime, warn)


def load(
    run: str | Path,
    *,
    checkpoints_dir: str | Path = "./checkpoints",
    epoch: str | int = "latest",
    device: str | torch.device | None = None,
    **flags: Any,
) -> Renderer:
    """Load a trained generator, to be called with arrays. Nothing is printed, nothing exits.

    Args:
        run: name of a run in `checkpoints_dir`; or a file of a generator's weights, whose options
            are taken from the run's folder if it lies in one.
        epoch: latest, or a number; of a run.
        device: such as "cpu" or "cuda:1"; by default a GPU if there is one.
        flags: of test.py, without their dashes: `precision="fp32"`; for weights alone those that
            describe the networks: `netG="local", ngf=32`. `verbose=True` prints what was chosen.

    Raises:
        UserError: no such run, epoch or flag; weights that are damaged or of other networks; no
            such device.
    """
    if not isinstance(run, str | Path):
        raise UserError(f"run: {run!r} is a {type(run).__name__}, expected a name or a path")
    file = Path(run)
    is_file = file.is_file() or file.suffix == ".pth"
    if is_file:
        name = re.fullmatch(r"(.+)_net_G(_ema)?\.pth", file.name)
        run, checkpoints_dir = file.resolve().parent.name, file.resolve().parent.parent
        epoch = name[1] if name else epoch
    elsewise = {"name": run, "checkpoints_dir": checkpoints_dir, "which_epoch": epoch}
    lines: list[str] = []
    argv = _as_argv(flags, elsewise) + _as_argv(elsewise)
    options = parse_test(argv, say=lines.append)
    folder, generator, encoder, ema = options.run.folder, file, None, options.ema
    if is_file and name:
        ema = name[2] is not None
        options = replace(options, ema=ema)
    if not is_file or name:
        require_epoch(folder, str(epoch))
        generator, encoder = (rendering_file(folder, str(epoch), one, ema) for one in "GE")
    if options_file(options.run) is None:
        options, read = with_architecture(options, generator, encoder)
        lines += read
    if encoder is None:
        model = _load_generator(options.model, generator)
    else:
        networks = networks_to_render(options.model, folder, str(epoch), ema)
        model = load_trained(options.model, folder, str(epoch), networks, ema=ema)
    model.netG.evaluates = options.results.eval
    runtime, notes = _choose_runtime(options, device)
    if options.run.verbose:
        print(*lines, *notes, model, sep="\n")
    return Renderer(runtime.prepare(model, renders_only=True), options, runtime)


def _load_generator(options: ModelOptions, file: Path) -> Pix2PixHDModel:
    model = require_memory(lambda: create_model(options), torch.device("cpu"))
    load_network(model.netG.to_empty(device="cpu"), file)
    return model.eval()


def _choose_runtime(
    options: TestOptions, device: str | torch.device | None
) -> tuple[Runtime, list[str]]:
    """As `engine.runtime.choose_runtime`, of this process alone and without a word: lines are
    returned that it would print."""
    if device is None:
        chosen, notes = choose_device(options.run.gpu_ids)
    else:
        try:
            chosen, notes = torch.empty(0, device=device).device, []
            if chosen.type == "meta":
                raise RuntimeError("it computes nothing")
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"device: {device} cannot be had ({reason}); try 'cpu'") from None
    runtime, more = runtime_on(chosen, options.run)
    return runtime, notes + more


def _as_argv(flags: dict[str, Any], taken: Sequence[str] | dict[str, Any] = ()) -> list[str]:
    """Arguments as a command line has them; `taken` are those that have names of their own."""
    argv, known = [], types_of(TestOptions).keys() - set(taken)
    for name, value in flags.items():
        plain = name.removeprefix("no_")
        if plain not in known:
            raise UserError(f"{name}: not an argument; others than load's own are flags of test.py")
        if plain in OF_GALLERIES:
            raise UserError(f"{name}: is of galleries; each call has style= and image= of its own")
        if isinstance(value, bool):
            argv.append(f"--{plain}" if value != (plain != name) else f"--no_{plain}")
        elif value is not None:
            argv.append(f"--{name}={value}")
    return argv
