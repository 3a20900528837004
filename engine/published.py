"""Published weights: what the networks of a run are that has weights, but no saved options."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

from torch import Tensor

from pix2pixhd.engine.label_colours import with_label_colours
from pix2pixhd.engine.published_spade import read_spade
from pix2pixhd.engine.world import read_world
from pix2pixhd.models import map_channels
from pix2pixhd.models.generators.crn import COARSEST, NGF, published_width, under_own_names
from pix2pixhd.options.base_options import ModelOptions, TrainedRunOptions
from pix2pixhd.options.fields import changed, flat, replaced
from pix2pixhd.options.flags import as_words
from pix2pixhd.options.parsing import refuse
from pix2pixhd.options.saved import options_file, require_paths
from pix2pixhd.options.spade_options import default_noise
from pix2pixhd.util.checkpoint import load_tensors, rendering_file, require_epoch
from pix2pixhd.util.errors import UserError

RunUser = TypeVar("RunUser", bound=TrainedRunOptions)
Shapes = dict[str, tuple[int, ...]]  # of convolutions' weights, by name without .weight
Changes = list[dict[str, Any]]  # of options, by name

DEFAULT = ModelOptions()
PIX2PIX_UNETS = {16: "unet_256", 14: "unet_128"}  # by the number of convolutions
COLOURS = (1, 3)  # channels of images, as a rule


def completed(options: RunUser, epoch: str) -> RunUser:
    """The options, with what the weights tell of a run that has no saved options; prints what that
    is. What depends on the run, and parsing could not know, is checked.

    Raises:
        UserError: there is no such run or epoch, a path that its options name leads nowhere, the
            weights do not tell all, or the options do not suit the networks.
    """
    folder = options.run.folder
    require_epoch(folder, epoch)
    require_paths(options)
    if options_file(options.run):
        return options
    generator, encoder = (rendering_file(folder, epoch, one, options.ema) for one in "GE")
    options, lines = with_architecture(options, generator, encoder)
    if read_world().is_main:
        for line in lines:
            print(f"{folder}: has no saved options; by its weights, {line}", flush=True)
    return options


def with_architecture(
    options: RunUser, generator: Path, encoder: Path | None = None
) -> tuple[RunUser, list[str]]:
    """The options with what files of weights tell, see `read_architecture`, and checked; and lines
    on what that is. The encoder's file need not exist.

    Raises:
        UserError: a file cannot be read or does not tell all, or the options do not suit it.
    """
    # Their shapes alone: values stay on the disk.
    weights_G = load_tensors(generator, mapped=True)
    has_encoder = encoder is not None and encoder.is_file()
    weights_E = load_tensors(encoder, mapped=True) if encoder and has_encoder else None
    try:
        model, lines = read_architecture(weights_G, weights_E, options.model)
    except UserError as error:
        raise UserError(f"{generator}: {error}") from None
    options = with_label_colours(replace(options, model=model))
    refuse([*options.problems(), *options.run_problems()])
    return options, lines


def read_architecture(
    weights_G: Mapping[str, Any], weights_E: Mapping[str, Any] | None, model: ModelOptions
) -> tuple[ModelOptions, list[str]]:
    """What networks these are, by the names and shapes of their weights.

    Options that are not at their defaults stay as they are, even if the weights contradict them:
    loading then lists the tensors that differ. Dropout leaves no trace, nor does it change what is
    rendered, but by pix2pix's U-Nets; `pad_down` leaves none either: both stay what the user says.
    Of a generator of an unknown kind, all is left as it is.

    Args:
        weights_G: the generator's state dict, without "module." before its names.
        weights_E: the encoder's, if there is one.
        model: what the user said.

    Returns:
        The options, and lines for the user on what was read.

    Raises:
        UserError: the input's channels can be one thing or another; lists the flags that say which.
    """
    weights_G = under_own_names(weights_G)
    read = _read_generator(_convolutions(weights_G), weights_G)
    if not read or model.netG not in (DEFAULT.netG, read["netG"]):
        return model, []
    channels = read.pop("channels")
    read |= _read_encoder(_convolutions(weights_E or {}))
    known = _where_default(model, read)
    kinds: Changes = [{}]
    if not model.uses_features:
        kinds = [{"instance_feat": True}, {"label_feat": True}]
        kinds = kinds if "feat_num" in read else [{}, *kinds]
    known = _with_input(known, channels, kinds)
    flags = _joined(
        {n: v for n, v in changed(flat(known), flat(DEFAULT)).items() if read.get(n) == v}
    )
    networks = f"the networks are of {flags}" if flags else "the networks are the default ones"
    if _channels(known) != channels:  # loading complains
        return known, [networks]
    return known, [f"{networks}; {channels} input channels: {_in_words(known)}"]


def _convolutions(weights: Mapping[str, Any]) -> Shapes:
    return {
        name.removesuffix(".weight"): tuple(tensor.shape)
        for name, tensor in weights.items()
        if isinstance(tensor, Tensor) and tensor.dim() == 4 and name.endswith(".weight")
    }


def _read_generator(shapes: Shapes, weights: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a generator, and the `channels` of its input; empty if it is of no known kind.

    Convolutions of 7x7 are the first and the last, those of 3x3 outside of residual blocks halve
    the resolution or double it.
    """
    if of_spade := read_spade(weights):
        return of_spade
    if "first.0" in shapes and "last.1" in shapes:
        return _read_unet(shapes, weights)
    if "module4.conv1" in shapes:
        return _read_crn(shapes)
    if {"model.model.0", "model.model.3"} <= shapes.keys() and len(shapes) in PIX2PIX_UNETS:
        return {
            "netG": PIX2PIX_UNETS[len(shapes)],
            "ngf": shapes["model.model.0"][0],
            "channels": shapes["model.model.0"][1],
            "output_nc": shapes["model.model.3"][1],
            "norm": "batch" if "model.model.1.model.2.weight" in weights else "instance",
        }
    enhancers = max((int(n) for n in _numbers(shapes, r"model(\d+)_1\.1")), default=0)
    outermost = (f"model{enhancers}_1", f"model{enhancers}_2") if enhancers else ("model", "model")
    first, last = f"{outermost[0]}.1", _last(shapes, outermost[1])
    if not ("model.1" in shapes and first in shapes and last is not None):
        return {}
    options = {
        "netG": "local" if enhancers else "global",
        "ngf": shapes[first][0],
        "channels": shapes[first][1],
        "output_nc": shapes[last][0],
        "n_downsample_global": _halvings(shapes),
        "n_blocks_global": len(_numbers(shapes, r"model\.(\d+)\.conv_block\.1")),
        # Instance normalisation has no weights.
        "norm": "batch" if f"{outermost[0]}.2.weight" in weights else "instance",
        "upsample": "resize" if any(map(_narrows, shapes.values())) else "deconv",
    }
    if enhancers:
        blocks = _numbers(shapes, r"model1_2\.(\d+)\.conv_block\.1")
        options |= {"n_local_enhancers": enhancers, "n_blocks_local": len(blocks)}
    return options


def _read_unet(shapes: Shapes, weights: Mapping[str, Any]) -> dict[str, Any]:
    doubling = [shape for name, shape in shapes.items() if name.startswith("up.")]
    return {
        "netG": "unet",
        "ngf": shapes["first.0"][0],
        "channels": shapes["first.0"][1],
        "output_nc": shapes["last.1"][0],
        "n_downsample_global": len(_numbers(shapes, r"down\.(\d+)\.0")),
        "n_blocks_global": len(_numbers(shapes, r"blocks\.(\d+)\.conv_block\.1")),
        "norm": "batch" if "first.1.weight" in weights else "instance",
        "upsample": "resize" if any(map(_narrows, doubling)) else "deconv",
    }


def _read_crn(shapes: Shapes) -> dict[str, Any]:
    rows = max(int(n) for n in _numbers(shapes, r"module(\d+)\.conv1"))
    width, channels, *_ = shapes["module4.conv1"]
    outputs = shapes[f"output{rows}"][0]
    images = outputs // 3 if outputs % 3 == 0 else 1  # of three colours, if it can be
    return {
        "netG": "crn",
        "ngf": width * NGF // published_width(COARSEST),
        "crn_height": rows,
        "channels": channels,
        "output_nc": outputs // images,
        "num_images": images,
    }


def _read_encoder(shapes: Shapes) -> dict[str, Any]:
    last = _last(shapes, "model")
    if "model.1" not in shapes or last is None:
        return {}
    sizes = {"feat_num": shapes[last][0], "nef": shapes["model.1"][0]}
    return sizes | {"n_downsample_E": _halvings(shapes)}


def _narrows(shape: tuple[int, ...]) -> bool:
    """Whether a convolution halves the channels; those of transposed ones stand the other way."""
    return shape[2:] == (3, 3) and shape[0] < shape[1]


def _numbers(shapes: Shapes, pattern: str) -> set[str]:
    return {found[1] for name in shapes if (found := re.fullmatch(pattern, name))}


def _last(shapes: Shapes, module: str) -> str | None:
    """The name of the output's convolution."""
    wide = [name for name in shapes if re.fullmatch(rf"{module}\.\d+", name)]
    wide = [name for name in wide if shapes[name][2:] == (7, 7) and not name.endswith(".1")]
    return wide[0] if len(wide) == 1 else None


def _halvings(shapes: Shapes) -> int:
    names = (name for name in shapes if re.fullmatch(r"model\.\d+", name))
    return sum(shapes[name][2:] == (3, 3) for name in names) // 2


def _where_default(model: ModelOptions, values: Mapping[str, Any]) -> ModelOptions:
    """The options with the values, but for those that are not at their defaults."""
    defaults = flat(DEFAULT) | ({"z_dim": default_noise(model)} if model.use_vae else {})
    changes = {n: v for n, v in values.items() if getattr(model, n) == defaults[n]}
    return replaced(model, changes)


def _channels(model: ModelOptions) -> int:
    """Of the generator's input."""
    noise = 0 if model.use_vae else model.z_dim
    return map_channels(model) + noise + (model.feat_num if model.uses_features else 0)


def _with_input(model: ModelOptions, channels: int, kinds: Changes) -> ModelOptions:
    """The options as they are with the first of the `kinds` of features, if that makes so many
    channels; or else the only other ones that do, unless flags are at odds with that."""
    first = replace(model, **kinds[0])
    if _channels(first) == channels:
        return first
    found = [replace(model, **changes) for changes in _inputs(model, channels, kinds)]
    if len(found) > 1:
        ways = sorted((changed(flat(one), flat(model)) for one in found), key=len)
        ways = [{n: v for n, v in way.items() if kinds[0].get(n) != v} for way in ways]
        raise UserError(
            f"the generator takes {channels} input channels, and the weights do not say what they "
            f"are; also give {', or '.join(map(_joined, ways))}"
        )
    return found[0] if found else first


def _inputs(model: ModelOptions, channels: int, kinds: Changes) -> Iterator[dict[str, Any]]:
    """Changes, where the options are at their defaults, that make so many channels."""
    for kind, instance in itertools.product(kinds, sorted({model.instance, False}, reverse=True)):
        one = replace(model, instance=instance, **kind)
        is_guess = bool(kind) and {} in kinds  # there is no encoder to show that there are features
        # Features per instance stand for both kinds where there are instances.
        if instance != one.instance_feat and (one.instance_feat or kind.get("label_feat")):
            continue
        more = channels - _channels(one)
        rest = more + (one.label_nc or one.input_nc)
        for changes in _as_labels_or_image(one, rest):
            if rest > 0 and not (is_guess and changes):
                yield {"instance": instance, **kind, **changes}
        if more > 0 and model.z_dim == 0 and not (one.uses_features or model.use_vae):
            yield {"instance": instance, "z_dim": more}


def _as_labels_or_image(model: ModelOptions, rest: int) -> Iterator[dict[str, Any]]:
    """What the `rest` of the channels can be: labels, an image, or labels and a further image."""
    has_default_image = model.input_nc == DEFAULT.input_nc
    if (model.label_nc or model.input_nc) == rest:
        yield {}
    elif model.label_color:
        return
    elif model.label_nc == 0 and has_default_image:
        yield {"input_nc": rest}
    elif model.label_nc == DEFAULT.label_nc:
        if has_default_image:
            yield {"label_nc": rest}
        is_image = rest in COLOURS if has_default_image else rest == model.input_nc
        if is_image and not model.label_feat:
            yield {"label_nc": 0, "input_nc": rest}
    elif 0 < model.label_nc < rest and model.extra_nc == 0:
        yield {"extra_nc": rest - model.label_nc}


def _in_words(model: ModelOptions) -> str:
    """What the channels of the input are."""
    has_labels = model.label_nc > 0
    labels = "the labels' colours" if model.label_color else f"{model.label_nc} labels"
    parts = [labels if has_labels else f"an image of {model.input_nc}"]
    parts += ["the boundaries of instances"] if model.instance else []
    parts += [f"a further image of {model.extra_nc}"] if model.extra_nc else []
    parts += [f"{model.feat_num} features"] if model.uses_features else []
    parts += [f"{model.z_dim} of noise"] if model.z_dim else []
    return ", ".join(parts)


def _joined(values: Mapping[str, Any]) -> str:
    return " ".join(as_words(values))
