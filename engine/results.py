"""The gallery of a rendering: its folder, which no other way of rendering shares, and its facts."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path

from pix2pixhd.engine.feature_files import clusters_name
from pix2pixhd.engine.render import photo_to_image, synthesized_names
from pix2pixhd.engine.styles import style_batch
from pix2pixhd.engine.tiling import window
from pix2pixhd.models.pix2pixhd import Pix2PixHDModel
from pix2pixhd.options.base_options import DataOptions, RunOptions
from pix2pixhd.options.fields import flat
from pix2pixhd.options.flags import changed_flags
from pix2pixhd.options.generator_options import PIX2PIX
from pix2pixhd.options.parsing import parse_test
from pix2pixhd.options.saved import saved_options
from pix2pixhd.options.test_options import ResultOptions, TestOptions
from pix2pixhd.pages.gallery import ResultsGallery, Style
from pix2pixhd.util.checkpoint import network_file
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.labels import LabelSet


def create_gallery(
    options: TestOptions, model: Pix2PixHDModel, labels: LabelSet, *, shown: int, total: int
) -> ResultsGallery:
    """An empty gallery, which says how it is made, and how many images it leaves out.

    Raises:
        UserError: the photograph for the style cannot be had.
    """
    run, results = options.run, options.results
    run_flags = ["--name", run.name, "--checkpoints_dir", run.checkpoints_dir]
    own = parse_test(run_flags, say=lambda line: None)
    ways = ways_apart(options, own)
    folder = "_".join([results.phase, results.which_epoch, *ways])
    note = f"{shown} images" if shown != 1 else "1 image"
    if total > shown:
        note = f"{shown} of {total} images; --how_many {shown} left out {total - shown}"
    if has_average(options) and options.ema:
        note += "; by the average of the weights, --no_ema takes the last ones"
    if results.tile is not None:
        side, overlap = window(results.tile, model.netG.stride)
        note += (
            f"; those larger than {results.tile} pixels rendered in tiles of {side}, "
            f"blended over {overlap}"
        )
    return ResultsGallery(
        folder=Path(results.results_dir) / run.name / folder,
        title=", ".join(
            [f"{run.name}: {results.phase}", f"epoch {results.which_epoch}", *ways.values()]
        ),
        columns=["input_label", "input_extra", *synthesized_names(results.styles), "real_image"],
        labels=labels,
        image_width=run.display_winsize,
        image_format=results.image_format,
        plain_folders=results.plain_folders,
        note=note,
        date=time.strftime("%d %b %Y, %H:%M"),
        command=command(options, own),
        style=_style(options),
    )


@contextlib.contextmanager
def telling_what_stays(gallery: ResultsGallery) -> Iterator[None]:
    """Tell what of a gallery there is, where a mistake in the data ends its rendering."""
    try:
        yield
    except UserError:
        told = f"what was rendered before stays in {gallery.folder}/images, pages are not written"
        print(f"stopped: {told}; check_data.py looks at all files", flush=True)
        raise


def ways_apart(options: TestOptions, own: TestOptions) -> dict[str, str]:
    """What sets images apart from those that are rendered without any flag.

    Args:
        options: of the rendering.
        own: those without any flag: what the run was trained with.

    Returns:
        Parts of the folder's name, and the same in words; neither the phase nor the epoch.
    """
    results = options.results
    ways: dict[str, str] = {}
    # Of a run without saved options nobody knows another size than the flags say.
    if saved_options(options.run) and _size(options.data) != _size(own.data):
        ways |= [_size(options.data)]
    if has_average(options) and not options.ema:
        ways["no_ema"] = "without the average of the weights"
    if options.model.pad_down != own.model.pad_down:  # of weights that come without options
        ways[f"pad_{options.model.pad_down}"] = f"padding {options.model.pad_down}"
    if results.eval and options.model.netG in PIX2PIX:
        ways["eval"] = "without dropout and statistics of the batch"
    if results.tile is not None:
        ways[f"tile{results.tile}"] = f"tiles of {results.tile} pixels"
    if results.use_encoded_image:
        what = "features" if options.model.uses_features else "noise"
        ways["encoded"] = f"{what} of the real images"
    elif options.model.uses_features or options.model.z_dim:
        ways |= _features_apart(options, own)
    elif results.styles > 1:
        ways[f"{results.styles}images"] = f"{results.styles} images of each label map"
    return ways


def has_average(options: TestOptions) -> bool:
    """Whether the run has an average of these weights of the generator."""
    return network_file(options.run.folder, options.results.which_epoch, "G_ema").is_file()


def _features_apart(options: TestOptions, own: TestOptions) -> dict[str, str]:
    """The same of features, or noise, that are drawn."""
    results = options.results
    ways: dict[str, str] = {}
    if results.styles > 1:
        ways[f"{results.styles}styles"] = f"{results.styles} styles"
    if results.style_from is not None:
        photo = Path(results.style_from)
        ways[f"style_{_photo_name(photo, results.phase)}"] = f"style of {photo.name}"
    clusters = _clusters(options)
    if options.model.uses_features and clusters != _clusters(own):
        name = clusters.name.removeprefix("features_clustered_")
        ways[f"clusters_{name}"] = f"clusters of {clusters}"
    if options.run.seed != own.run.seed:
        ways[f"seed{options.run.seed}"] = f"seed {options.run.seed}"
    return ways


def command(options: TestOptions, own: TestOptions) -> str:
    """The command that renders the same on this machine, without flags that change nothing."""
    # What is rendered and how comes first: values keep the place where they are named first.
    values = flat(options.results) | flat(options)
    unsaid = {
        "checkpoints_dir": RunOptions().checkpoints_dir,
        "local_rank": options.run.local_rank,
    }
    flags = changed_flags(values, flat(own) | unsaid, always=("name",))
    return f"python test.py {flags}"


def _size(data: DataOptions) -> tuple[str, str]:
    """How whole images are scaled: in a folder's name, and in words."""
    if data.resize_or_crop == "none":
        return "unscaled", "images as large as their files"
    if data.resize_or_crop == "resize_and_crop":
        return f"{data.loadSize}square", f"{data.loadSize} pixels square"
    return f"{data.loadSize}wide", f"{data.loadSize} pixels wide"


def _clusters(options: TestOptions) -> Path:
    """The file of clusters, without its ending: the formats of one file say the same."""
    path = options.results.cluster_path
    is_default = path == ResultOptions().cluster_path
    return Path(clusters_name(options.model.n_clusters) if is_default else path).with_suffix("")


def _photo_name(photo: Path, phase: str) -> str:
    """The photograph's name without its ending, the same in all layouts of a data set.

    Its phase comes first, where that is not the one rendered, and then its folders, unless the name
    begins with them.
    """
    path = photo.absolute().with_suffix("").as_posix()
    found = re.fullmatch(r".*/(?:leftImg8bit/([^/]+)|([^/]+)_(?:img|B))/(.*)", path, re.DOTALL)
    if found is None:
        return photo.stem
    of_photo = found[1] or found[2]
    *folders, stem = found[3].split("/")
    parts = [of_photo] * (of_photo != phase)
    parts += [folder for folder in folders if not stem.startswith(folder)]
    return "_".join([*parts, stem])


def _style(options: TestOptions) -> Style | None:
    """The photograph for the style, as the encoder sees it."""
    if options.results.style_from is None:
        return None
    photo = Path(options.results.style_from)
    image = style_batch(photo, options).image
    assert image is not None, "no photograph"
    return Style(photo.name, photo_to_image(image[0]))
