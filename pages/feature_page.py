"""The page of a feature space: each label's clusters, their sizes, and instances that show them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from dominate import tags

from pix2pixhd.pages.feature_plot import (
    Example,
    LabelClusters,
    cluster_colours,
    draw_features,
    ink_on,
)
from pix2pixhd.pages.html import Picture, add_figure, new_page, remove_stale, write_page
from pix2pixhd.util.image import save_image

__all__ = ["Example", "FeaturePage", "LabelClusters"]

OWN_FILES = r"plots/label-?\d+\.png|examples/label-?\d+_cluster\d+_\d+\.jpg"
# Room for an example, in CSS pixels, both ways; twice that is sharp on fine screens too.
EXAMPLE_WIDTH = 96
SHOWN_VALUES = 8  # of a centre


@dataclass
class FeaturePage:
    """Writes `index.html` with `plots` and `examples` beside it."""

    folder: Path  # of the page
    title: str
    _written: set[str] = field(default_factory=set, init=False)

    def write(self, labels: Iterable[LabelClusters], note: str = "") -> None:
        """Write the page and its pictures; those of an earlier page that it does not need go.

        Args:
            labels: in the order of the page, each label once; those without instances are left
                out. Taken one at a time: a generator need not hold all the pictures at once.
            note: a line at the top, such as the checkpoint and the seed.

        Raises UserError where the folder cannot be written.
        """
        self._written.clear()
        page = new_page(self.title, columns=13, image_width=EXAMPLE_WIDTH)
        header, main = page.body.add(tags.header()), page.body.add(tags.main())
        colours: dict[int, Sequence[int]] = {}  # of the labels
        instances = clusters = feat_num = 0
        for found in labels:
            if len(found.points):
                assert found.label not in colours, f"label {found.label} twice"
                colours[found.label] = found.colour
                instances += len(found.points)
                clusters += len(found.centres)
                feat_num = found.centres.shape[1]
                with main:
                    self._add_label(found)
        with header:
            tags.h1(self.title)
            if note:
                tags.p(note)
            tags.p(
                f"{_count(instances, 'instance')} of {_count(len(colours), 'label')} "
                f"in {_count(clusters, 'cluster')}. "
                "Instances are placed by their features: those that the encoder finds alike are "
                "close together. A number marks the centre of a cluster, and the pictures below "
                "that number are the instances nearest to it."
            )
            if feat_num == 3:
                tags.p(
                    "A cluster has the colour of its centre: the three features, from −1 to 1, "
                    "are red, green and blue."
                )
            with tags.div(cls="bar"), tags.nav(aria_label="Labels"):
                for label, colour in colours.items():
                    with tags.a(href=f"#label{label}"):
                        _add_name(label, colour)
        write_page(page, self.folder / "index.html")
        remove_stale(self.folder, "*/label*", OWN_FILES, self._written)

    def _add_label(self, found: LabelClusters) -> None:
        n, k = len(found.points), len(found.centres)
        assert len(found.assignment) == n and len(found.examples) == k
        left_out = f" · {found.left_out:,} more left out" if found.left_out else ""
        colours = cluster_colours(found.centres)
        plot = f"plots/label{found.label}.png"
        size = draw_features(found, colours, self.folder / plot)
        with tags.section(id=f"label{found.label}"):
            with tags.h2():
                _add_name(found.label, found.colour)
                tags.small(f"{_count(n, 'instance')} in {_count(k, 'cluster')}{left_out}")
            with tags.div(cls="space"):
                with tags.div(cls="plot"):
                    self._add(Picture(plot, size, alt=f"The features of label {found.label}"))
                with tags.ol(cls="clusters"):
                    for cluster in range(k):
                        with tags.li():
                            _add_facts(found, cluster, colours[cluster])
                            with tags.div(cls="examples"):
                                self._add_examples(found, cluster)

    def _add_examples(self, found: LabelClusters, cluster: int) -> None:
        for number, example in enumerate(found.examples[cluster], 1):
            file = f"examples/label{found.label}_cluster{cluster + 1}_{number}.jpg"
            save_image(example.image, self.folder / file)
            height, width = example.image.shape[:2]
            alt = f"Label {found.label}, cluster {cluster + 1}: {example.caption}"
            self._add(Picture(file, (width, height), example.caption, alt))

    def _add(self, picture: Picture) -> None:
        self._written.add(picture.file)
        add_figure(picture)


def _add_name(label: int, colour: Sequence[int]) -> None:
    tags.span(cls="swatch", style=f"background: {_css(colour)}")
    tags.span(f"label {label}")


def _add_facts(found: LabelClusters, cluster: int, colour: np.ndarray) -> None:
    size = int((found.assignment == cluster).sum())
    share = size / len(found.points)
    background = f"background: {_css(colour)}"
    with tags.div(cls="facts"):
        tags.span(str(cluster + 1), cls="number", style=f"{background}; color: {ink_on(colour)}")
        tags.span(f"{_count(size, 'instance')} · {share:.1%}", cls="size")
        with tags.span(cls="share", aria_hidden="true"):
            tags.i(style=f"width: {share:.2%}; {background}")
        tags.span(f"centre {_values(found.centres[cluster])}", cls="centre")


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _css(colour: Sequence[int] | np.ndarray) -> str:
    return "rgb({} {} {})".format(*colour)


def _values(centre: np.ndarray) -> str:
    """Write out a centre, to 2 decimals; of a long one the first values."""
    shown = (f"{value:+.2f}".replace("-", "−") for value in centre[:SHOWN_VALUES])
    more = f" … ({len(centre)} values)" if len(centre) > SHOWN_VALUES else ""
    return " ".join(shown) + more
