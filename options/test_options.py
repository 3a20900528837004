"""Options of `test.py`, and the contradictions between them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from options.base_options import DataOptions, ModelOptions, RunOptions
from options.checks import at_least, base_problems, not_built


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
    """Clustered features to sample from, in the run's folder."""

    use_encoded_image: bool = False
    """Take the features from the real image."""

    export_onnx: str | None = None
    """Write the generator as an ONNX file."""

    engine: str | None = None
    """Run a serialised TensorRT engine."""

    onnx: str | None = None
    """Run an ONNX file."""


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
    found += at_least(1, options.results, "how_many")
    found += not_built(options.results, "use_encoded_image", "export_onnx", "engine", "onnx")
    return found
