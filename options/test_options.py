"""Options of `test.py`, and the contradictions between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Literal, Self

from pix2pixhd.options.base_options import TrainedRunOptions
from pix2pixhd.options.generator_options import Count


@dataclass(frozen=True)
class ResultOptions:
    """The results: which images, from which weights, to where."""

    phase: str = "test"
    """Folders to render: <phase>_label and so on."""
    which_epoch: str = "latest"
    """Weights to use: latest, best (see --best_metric of training), or an epoch's number."""
    how_many: Count = 50
    """Most images to render."""
    results_dir: str = "./results/"
    """The gallery is written to <results_dir>/<name>/<phase>_<which_epoch>/index.html; where flags
    change how images are rendered, the folder's name says so, as in test_latest_3styles."""
    eval: bool = False
    """--netG unet_256 and unet_128 without dropout, and with the batch statistics of training: else
    they render as they train, with units dropped by a fixed seed."""
    image_format: Literal["png", "jpg"] = "png"
    """Format of the images: png keeps every value, jpg is about a tenth of the size."""
    plain_folders: bool = False
    """Also put the images into folders by kind, synthesized_image/ and so on, each under the name
    of its label map, for other programs."""
    cluster_path: str = "features_clustered_010.npy"
    """Clustered features to sample from: a file in the run's folder, .npz or the reference's .npy,
    or a path. The default stands for the file of the run's own --n_clusters."""
    use_encoded_image: bool = False
    """Take the features, or the noise of --use_vae, from the real image."""
    tile: Count | None = None
    """Render in blended tiles of so many pixels a side: for images too large for the memory.
    Statistics are those of each tile, so that colours differ a little from the whole."""
    styles: Count = 1
    """Renderings of each image side by side, with other features, or noise, drawn for each; or, of
    the --num_images of --netG crn, so many."""
    style_from: str | None = None
    """Take the features, label by label, or the noise of --use_vae, from this photograph; its maps
    are found beside it."""

    ntest: int | None = None
    """Has no effect; see --how_many."""
    aspect_ratio: float = 1.0
    """Has no effect."""
    export_onnx: str | None = None
    """Not in this version: write the generator as an ONNX file."""
    engine: str | None = None
    """Not in this version: run a serialised TensorRT engine."""
    onnx: str | None = None
    """Not in this version: run an ONNX file."""


@dataclass(frozen=True)
class TestOptions(TrainedRunOptions):
    """Render label maps with a trained generator, into a web page."""

    __test__ = False  # not a test case, whatever pytest thinks of the name

    results: ResultOptions = field(default_factory=ResultOptions)

    def resolved(self) -> Self:
        """As of every program; and results of more than 8 bits are computed in more than bf16 has,
        unless another --precision is asked for."""
        options = super().resolved()
        if options.run.precision == "auto" and options.data.output_bits in (16, 32):
            return replace(options, run=replace(options.run, precision="fp32"))
        return options

    def problems(self) -> Iterator[str]:
        yield from super().problems()
        for name in ("export_onnx", "engine", "onnx"):
            if getattr(self.results, name):
                yield f"--{name}: this version does not have that part yet; leave the flag out"

    def run_problems(self) -> Iterator[str]:
        styles, images = self.results.styles, self.model.num_images
        if styles > images > 1 and not self.model.z_dim:
            yield f"--styles {styles}: the run makes {images} images of a label map; lower it"
        encodes = self.model.takes_style
        asked = {
            "--use_encoded_image": self.results.use_encoded_image,
            f"--style_from {self.results.style_from}": self.results.style_from is not None,
            f"--styles {styles}": styles > 1 and images == 1 and (encodes or not self.model.z_dim),
        }
        given = [flag for flag, is_given in asked.items() if is_given]
        if not encodes:
            for flag in given:
                yield f"{flag}: the run was trained without features; leave it out"
        elif len(given) > 1:
            what = "features come" if self.model.uses_features else "noise comes"
            yield f"{' with '.join(given)}: {what} from one source; leave one of them"
