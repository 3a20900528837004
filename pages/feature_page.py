"""The page of a feature space: each label's clusters, their sizes, and instances that show them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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
from pix2pixhd.pages.html import (
    Picture,
    add_figure,
    add_swatch,
    new_page,
    remove_stale,
    write_page,
)
from pix2pixhd.util.image import save_image

__all__ = ["Example", "FeaturePage", "LabelClusters"]

OWN_FILES = r"plots/label-?\d+\.png|examples/label-?\d+_cluster\d+_\d+\.jpg"
# Room for an example, in CSS pixels, both ways; twice that is sharp on fine screens too.
EXAMPLE_WIDTH = 96
SHOWN_VALUES = 8  # of a centre
PLOTTED = 12  # instances of a label at least: fewer are folded, and their pictures say it all


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
        shown: dict[int, tuple[Sequence[int], str]] = {}  # colour and name of each label
        instances = clusters = feat_num = 0
        for found in labels:
            if len(found.points):
                assert found.label not in shown, f"label {found.label} twice"
                shown[found.label] = found.colour, found.name
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
                f"{_count(instances, 'instance')} of {_count(len(shown), 'label')} "
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
                for label, (colour, name) in shown.items():
                    with tags.a(href=f"#label{label}"):
                        add_swatch(colour)
                        tags.span(f"{label} {name}" if name else f"label {label}")
        write_page(page, self.folder / "index.html")
        remove_stale(self.folder, "*/label*", OWN_FILES, self._written)

    def _add_label(self, found: LabelClusters) -> None:
        n, k = len(found.points), len(found.centres)
        assert len(found.assignment) == n and len(found.examples) == k
        anchor = f"label{found.label}"
        if has_plot(found):
            with tags.section(id=anchor):
                _add_heading(found)
                with tags.div(cls="space"):
                    self._add_plot(found)
                    self._add_clusters(found)
        else:
            # A browser that is sent to something folded opens it.
            with tags.section(cls="few"), tags.details():
                with tags.summary():
                    _add_heading(found)
                self._add_clusters(found, id=anchor)

    def _add_plot(self, found: LabelClusters) -> None:
        file = f"plots/label{found.label}.png"
        size = draw_features(found, cluster_colours(found.centres), self.folder / file)
        with tags.div(cls="plot"):
            add_figure(Picture(file, size, alt=f"The features of label {found.label}"))
        self._written.add(file)

    def _add_clusters(self, found: LabelClusters, **attributes: str) -> None:
        """Add the clusters; those of a single instance share a row."""
        colours, sizes = cluster_colours(found.centres), found.sizes
        single = np.flatnonzero(sizes == 1).tolist() if (sizes == 1).sum() > 1 else []
        with tags.ol(cls="clusters", **attributes):
            for cluster in range(len(sizes)):
                if cluster not in single:
                    with tags.li():
                        _add_facts(found, cluster, colours[cluster])
                        with tags.div(cls="examples"):
                            for picture in self._examples(found, cluster):
                                add_figure(picture)
            if single:
                with tags.li():
                    with tags.div(cls="facts"):
                        tags.span(f"{len(single)} clusters of 1 instance each")
                    with tags.div(cls="examples"):
                        for cluster in single:
                            with tags.div(cls="single"):
                                _add_number(found, cluster, colours[cluster])
                                for picture in self._examples(found, cluster):
                                    add_figure(picture)

    def _examples(self, found: LabelClusters, cluster: int) -> Iterator[Picture]:
        """The pictures of a cluster, each written."""
        for number, example in enumerate(found.examples[cluster], 1):
            file = f"examples/label{found.label}_cluster{cluster + 1}_{number}.jpg"
            save_image(example.image, self.folder / file)
            self._written.add(file)
            height, width = example.image.shape[:2]
            alt = f"Label {found.label}, cluster {cluster + 1}: {example.caption}"
            yield Picture(file, (width, height), example.caption, alt)


def has_plot(found: LabelClusters) -> bool:
    """Whether there is something to see in a plot: enough instances, and not each for itself."""
    return len(found.points) >= PLOTTED and bool(found.sizes.max() > 1)


def _add_heading(found: LabelClusters) -> None:
    n, k = len(found.points), len(found.centres)
    left_out = f" · {found.left_out:,} more left out" if found.left_out else ""
    with tags.h2():
        add_swatch(found.colour)
        tags.span(f"label {found.label}" + (f" ({found.name})" if found.name else ""))
        tags.small(f"{_count(n, 'instance')} in {_count(k, 'cluster')}{left_out}")


def _add_facts(found: LabelClusters, cluster: int, colour: np.ndarray) -> None:
    size = int(found.sizes[cluster])
    share = size / len(found.points)
    with tags.div(cls="facts"):
        _add_number(found, cluster, colour)
        tags.span(f"{_count(size, 'instance')} · {share:.1%}", cls="size")
        with tags.span(cls="share", aria_hidden="true"):
            tags.i(style=f"width: {share:.2%}; background: {_css(colour)}")
        tags.span(_centre(found, cluster), cls="centre")


def _add_number(found: LabelClusters, cluster: int, colour: np.ndarray) -> None:
    style = f"background: {_css(colour)}; color: {ink_on(colour)}"
    tags.span(str(cluster + 1), cls="number", style=style, title=_centre(found, cluster))


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _css(colour: Sequence[int] | np.ndarray) -> str:
    return "rgb({} {} {})".format(*colour)


def _centre(found: LabelClusters, cluster: int) -> str:
    """The values of a centre, to 2 decimals; of a long one the first."""
    centre = found.centres[cluster]
    shown = (f"{value:+.2f}".replace("-", "−") for value in centre[:SHOWN_VALUES])
    more = f" … ({len(centre)} values)" if len(centre) > SHOWN_VALUES else ""
    return f"centre {' '.join(shown)}{more}"
