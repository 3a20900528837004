"""The page of a feature space: each label's clusters, their sizes, and instances that show them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from dominate import tags
from dominate.util import raw

from pages.feature_plot import cluster_colours, draw_features, ink_on
from pages.html import add_figure, new_page, url, write_page
from util.files import writing
from util.image import save_image

EXAMPLES = "examples"
PLOTS = "plots"
OWN_FILES = {
    EXAMPLES: re.compile(r"label-?\d+_cluster\d+_\d+\.jpg"),
    PLOTS: re.compile(r"label-?\d+\.png"),
}


SHOWN_VALUES = 8  # of a centre

STYLE = """
.swatch {
  display: inline-block; width: .8em; height: .8em; margin-right: .45em; border-radius: 3px;
  box-shadow: 0 0 0 1px var(--soft);
}
section { scroll-margin-top: 1rem; }
.space {
  display: grid; gap: 1.5rem 2.5rem; align-items: start;
  grid-template-columns: minmax(0, 26rem) minmax(0, 1fr);
}
.space figure { max-width: none; }
.plot { position: sticky; top: 1rem; }
.plot img { background: none; }
.clusters { display: grid; gap: 1.25rem; margin: 0; padding: 0; list-style: none; }
.facts {
  display: flex; flex-wrap: wrap; gap: .15rem .9rem; align-items: center; font-size: .875rem;
  font-variant-numeric: tabular-nums;
}
.number {
  min-width: 1.6rem; padding: 0 .4rem; border-radius: .8rem; line-height: 1.6rem;
  font-weight: 650; text-align: center; box-shadow: 0 0 0 1px var(--soft);
}
.size { min-width: 11.5em; }
.share { flex: 0 1 7rem; height: .5rem; border-radius: 4px; background: var(--line); }
.share i { display: block; height: 100%; border-radius: 4px; box-shadow: 0 0 0 1px var(--soft); }
.facts .centre { color: var(--soft); }
.examples { display: flex; flex-wrap: wrap; gap: .5rem; align-items: end; margin-top: .5rem; }
.examples figure { width: var(--width); }
.examples img { width: auto; max-width: 100%; max-height: var(--width); margin: auto; }
.examples figcaption {
  display: -webkit-box; -webkit-box-orient: vertical; -webkit-line-clamp: 2;
  min-height: 2.7em; margin-top: .2rem; overflow: hidden; overflow-wrap: anywhere;
  font-size: .6875rem; line-height: 1.35;
}
@media (max-width: 60rem) {
  .space { grid-template-columns: minmax(0, 1fr); }
  .plot { position: static; max-width: 34rem; }
}
@media (max-width: 30rem) {
  .examples figure { width: calc((100% - 1.5rem) / 4); }
}
"""


@dataclass(frozen=True)
class Example:
    """An instance that shows what a cluster is like."""

    image: np.ndarray  # uint8 [h,w,3], see cut_out
    caption: str  # where it is from


@dataclass(frozen=True)
class LabelClusters:
    """The instances of a label, and the clusters found among them."""

    label: int
    colour: Sequence[int]  # of the label in other pages, red, green and blue in 0..255
    points: np.ndarray  # finite [n, feat_num], the features of every instance that was clustered
    centres: np.ndarray  # [k, feat_num], numbered from 1 in this order: the largest first
    assignment: np.ndarray  # integers [n] in [0, k), the cluster of each instance
    examples: Sequence[Sequence[Example]]  # of each of the k clusters, the nearest to it first
    left_out: int = 0  # instances that were not clustered


@dataclass(frozen=True)
class Picture:
    """A file of the page."""

    file: str  # path from the page's folder
    size: tuple[int, int]  # width and height in pixels
    caption: str = ""


@dataclass(frozen=True)
class Section:
    """What the page keeps of a label: no pictures, no features."""

    label: int
    colour: str  # as CSS names it
    left_out: int
    plot: Picture
    centres: np.ndarray
    sizes: np.ndarray  # instances in each cluster
    colours: np.ndarray  # uint8 [k,3]
    examples: list[list[Picture]]

    @property
    def instances(self) -> int:
        return int(self.sizes.sum())


class FeaturePage:
    """Writes `index.html` with `plots` and `examples` beside it.

    Args:
        folder: of the page.
        title: of the page.
        image_width: room for an example on the page, in CSS pixels, both ways. Cut-outs of twice
            that are sharp on fine screens too.
    """

    def __init__(self, folder: Path, title: str, image_width: int = 96) -> None:
        self.folder = folder
        self.title = title
        self.image_width = image_width

    def write(self, labels: Iterable[LabelClusters], note: str = "") -> None:
        """Write the page and its pictures; those of an earlier page that it does not need go.

        Args:
            labels: in the order of the page, each label once; those without instances are left
                out. Taken one at a time: a generator need not hold all the pictures at once.
            note: a line at the top, such as the checkpoint and the seed.

        Raises:
            UserError: the folder cannot be written.
        """
        sections = [self._save(found) for found in labels if len(found.points)]
        names = [section.label for section in sections]
        assert len(set(names)) == len(names), f"a label twice: {names}"
        page = new_page(self.title, columns=13, image_width=self.image_width)
        with page.head:
            tags.style(raw(STYLE))
        with page.body:
            _add_header(self.title, note, sections)
            with tags.main():
                for section in sections:
                    _add_section(section)
        write_page(page, self.folder / "index.html")
        self._remove_others(sections)

    def _save(self, found: LabelClusters) -> Section:
        k = len(found.centres)
        assert len(found.points) == len(found.assignment) and len(found.examples) == k
        colours = cluster_colours(found.centres)
        plot = f"{PLOTS}/label{found.label}.png"
        size = draw_features(
            found.points, found.centres, found.assignment, colours, self.folder / plot
        )
        return Section(
            label=found.label,
            colour=_css(found.colour),
            left_out=found.left_out,
            plot=Picture(plot, size),
            centres=found.centres,
            sizes=np.bincount(found.assignment, minlength=k),
            colours=colours,
            examples=[
                self._save_examples(f"label{found.label}_cluster{number}", examples)
                for number, examples in enumerate(found.examples, 1)
            ],
        )

    def _save_examples(self, stem: str, examples: Sequence[Example]) -> list[Picture]:
        pictures = []
        for number, example in enumerate(examples, 1):
            height, width = example.image.shape[:2]
            file = f"{EXAMPLES}/{stem}_{number}.jpg"
            save_image(example.image, self.folder / file)
            pictures.append(Picture(file, (width, height), example.caption))
        return pictures

    def _remove_others(self, sections: Iterable[Section]) -> None:
        used = set()
        for section in sections:
            used.add(section.plot.file)
            used.update(picture.file for row in section.examples for picture in row)
        for folder, own in OWN_FILES.items():
            for old in (self.folder / folder).glob("label*"):
                if own.fullmatch(old.name) and f"{folder}/{old.name}" not in used:
                    with writing(old):
                        old.unlink()


def _add_header(title: str, note: str, sections: Sequence[Section]) -> None:
    instances = sum(section.instances for section in sections)
    clusters = sum(len(section.sizes) for section in sections)
    with tags.header():
        tags.h1(title)
        if note:
            tags.p(note)
        tags.p(
            f"{_count(instances, 'instance')} of {_count(len(sections), 'label')} "
            f"in {_count(clusters, 'cluster')}. "
            "Instances are placed by their features: those that the encoder finds alike are close "
            "together. A number marks the centre of a cluster, and the pictures below that number "
            "are the instances nearest to it."
        )
        if sections and sections[0].centres.shape[1] == 3:
            tags.p(
                "A cluster has the colour of its centre: the three features, from −1 to 1, "
                "are red, green and blue."
            )
        with tags.div(cls="bar"), tags.nav(aria_label="Labels"):
            for section in sections:
                with tags.a(href=f"#label{section.label}"):
                    tags.span(cls="swatch", style=f"background: {section.colour}")
                    tags.span(f"label {section.label}")


def _add_section(section: Section) -> None:
    left_out = f" · {section.left_out:,} more left out" if section.left_out else ""
    name = f"label {section.label}"
    with tags.section(id=f"label{section.label}"):
        with tags.h2():
            tags.span(cls="swatch", style=f"background: {section.colour}")
            tags.span(name)
            tags.small(
                f"{_count(section.instances, 'instance')} in "
                f"{_count(len(section.sizes), 'cluster')}{left_out}"
            )
        with tags.div(cls="space"):
            with tags.div(cls="plot"):
                plot = section.plot
                add_figure(url(plot.file), plot.size, "", alt=f"The features of {name}")
            with tags.ol(cls="clusters"):
                for cluster in range(len(section.sizes)):
                    _add_cluster(section, cluster)


def _add_cluster(section: Section, cluster: int) -> None:
    colour = _css(section.colours[cluster])
    size, share = int(section.sizes[cluster]), section.sizes[cluster] / section.instances
    with tags.li():
        with tags.div(cls="facts"):
            text = ink_on(section.colours[cluster])
            tags.span(str(cluster + 1), cls="number", style=f"background: {colour}; color: {text}")
            tags.span(f"{_count(size, 'instance')} · {share:.1%}", cls="size")
            with tags.span(cls="share", aria_hidden="true"):
                tags.i(style=f"width: {share:.2%}; background: {colour}")
            tags.span(f"centre {_values(section.centres[cluster])}", cls="centre")
        with tags.div(cls="examples"):
            for picture in section.examples[cluster]:
                alt = f"Label {section.label}, cluster {cluster + 1}: {picture.caption}"
                add_figure(url(picture.file), picture.size, picture.caption, alt)


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}{'s' * (number != 1)}"


def _css(colour: Sequence[int] | np.ndarray) -> str:
    return "rgb({} {} {})".format(*colour)


def _values(centre: np.ndarray) -> str:
    """Write out a centre, to 2 decimals; of a long one the first values."""
    shown = (f"{value:+.2f}".replace("-", "−") for value in centre[:SHOWN_VALUES])
    more = f" … ({len(centre)} values)" if len(centre) > SHOWN_VALUES else ""
    return " ".join(shown) + more
