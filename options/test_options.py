"""Options of `test.py`, and the contradictions between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from options.base_options import DataOptions, ModelOptions, RunOptions
from options.checks import at_least, base_problems, not_built

# Of a tile's side: two are what networks need, and two are shared with neighbours.
LEAST_STRIDES = 4


@dataclass(frozen=True)
class ResultOptions:
    """The results: which images, from which weights, to where."""

    phase: str = "test"
    """Folders to render: <phase>_label and so on."""

    which_epoch: str = "latest"
    """Weights to use: latest, or an epoch's number."""

    how_many: int = 50
    """Most images to render."""

    results_dir: str = "./results/"
    """The gallery is written to <results_dir>/<name>/<phase>_<which_epoch>/index.html."""

    image_format: Literal["png", "jpg"] = "png"
    """Format of the images: png keeps every value, jpg is about a tenth of the size."""

    ntest: int | None = None
    """Has no effect; see --how_many."""

    aspect_ratio: float = 1.0
    """Has no effect."""

    cluster_path: str = "features_clustered_010.npy"
    """Clustered features to sample from: a file in the run's folder, .npz or the reference's .npy,
    or a path. The default stands for the file of the run's own --n_clusters."""

    use_encoded_image: bool = False
    """Take the features from the real image."""

    tile: int | None = None
    """Render in overlapping tiles of so many pixels a side, blended: for images too large for the
    memory. Statistics are those of each tile, so that colours differ a little from the whole."""

    styles: int = 1
    """Renderings of each image side by side, with other features drawn for each."""

    style_from: str | None = None
    """Take the features, label by label, from this photograph; its maps are found beside it."""

    export_onnx: str | None = None
    """Not in this version: write the generator as an ONNX file."""

    engine: str | None = None
    """Not in this version: run a serialised TensorRT engine."""

    onnx: str | None = None
    """Not in this version: run an ONNX file."""


@dataclass(frozen=True)
class TestOptions:
    """Render label maps with a trained generator, into a web page."""

    __test__ = False  # not a test case, whatever pytest thinks of the name

    run: RunOptions = field(default_factory=RunOptions)
    data: DataOptions = field(default_factory=DataOptions)
    model: ModelOptions = field(default_factory=ModelOptions)
    results: ResultOptions = field(default_factory=ResultOptions)


def problems(options: TestOptions) -> list[str]:
    """Values out of range and contradictions between flags, one line each; empty if sound."""
    found = base_problems(options.run, options.data, options.model)
    found += at_least(1, options.results, "how_many", "styles")
    found += _tile_problems(options.results, options.model)
    found += not_built(options.results, "export_onnx", "engine", "onnx")
    return found + _style_problems(options.results, options.model)


def _tile_problems(results: ResultOptions, model: ModelOptions) -> list[str]:
    if results.tile is None:
        return []
    halvings = model.n_downsample_global + model.n_local_enhancers * (model.netG == "local")
    network = "the generator"
    encodes = (model.instance_feat or model.label_feat) and not model.load_features
    if encodes and model.n_downsample_E > halvings:
        halvings, network = model.n_downsample_E, "the encoder"
    least = LEAST_STRIDES * 2**halvings
    if results.tile >= least:
        return []
    return [
        f"--tile {results.tile}: must be {least} or more; {network} of this run halves an image "
        f"{halvings} times, and sees too little around a pixel in smaller tiles"
    ]


def _style_problems(results: ResultOptions, model: ModelOptions) -> list[str]:
    asked = {
        "--use_encoded_image": results.use_encoded_image,
        f"--style_from {results.style_from}": results.style_from is not None,
        f"--styles {results.styles}": results.styles > 1,
    }
    given = [flag for flag, is_given in asked.items() if is_given]
    if given and not (model.instance_feat or model.label_feat):
        return [f"{flag}: the run was trained without features; leave it out" for flag in given]
    if len(given) > 1:
        return [f"{' with '.join(given)}: features come from one source; leave one of them"]
    return []
