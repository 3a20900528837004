"""The colours in which networks see labels, of a run that sees them so."""

from __future__ import annotations

from typing import TypeVar

from pix2pixhd.options.base_options import ProgramOptions
from pix2pixhd.options.fields import replaced
from pix2pixhd.util.labels import label_set

AnyOptions = TypeVar("AnyOptions", bound=ProgramOptions)


def with_label_colours(options: AnyOptions) -> AnyOptions:
    """The options with the colours of --label_names written down, which are saved with a run: what
    its networks learned does not change with a file.

    Raises:
        UserError: the file cannot be read, or names other labels.
    """
    model = options.model
    if not model.label_color or model.label_colors:
        return options
    colours = label_set(model.label_nc, options.data.label_names).colours
    return replaced(options, {"label_colors": colours.tobytes().hex()})
