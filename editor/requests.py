"""What the page may ask for, checked by pydantic; the scene checks it against what it holds."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

Id = Annotated[int, Field(ge=-(2**31), lt=2**31)]
Label = Annotated[int, Field(ge=0, lt=2**31)]
Coordinate = Annotated[float, Field(ge=-1e5, le=1e5)]
Pixel = Annotated[int, Field(ge=-100_000, le=100_000)]
Byte = Annotated[int, Field(ge=0, le=255)]
Number = Annotated[float, Field(ge=-1e6, le=1e6)]
Ids = Annotated[list[Id], Field(min_length=1, max_length=10_000)]
Name = Annotated[str, Field(max_length=1000)]
Colour = tuple[Byte, Byte, Byte]
"""Red, green and blue."""


class Request(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Style(Request):
    """Where a vector comes from: exactly one of these."""

    centre: Annotated[int, Field(ge=0)] | None = None  # number of a cluster of the label
    instance: Id | None = None  # another object of the scene
    image: Name | None = None  # the same label in another image of the data set
    amounts: Annotated[list[Number], Field(max_length=4096)] | None = None  # along the axes
    vector: Annotated[list[Number], Field(max_length=4096)] | None = None


class Open(Request):
    """Open an image of the data set."""

    name: Name


class Region(Request):
    """Objects by their instances, or the connected region around a pixel."""

    instances: Ids | None = None
    at: tuple[Pixel, Pixel] | None = None  # row, column


class Stroke(Request):
    """A stroke of a round brush, or a piece of one."""

    kind: Literal["stroke"]
    points: Annotated[list[tuple[Coordinate, Coordinate]], Field(min_length=1, max_length=5000)]
    """Row and column; whole numbers are the middles of pixels."""
    widths: Annotated[
        list[Annotated[float, Field(gt=0, le=4096)]], Field(min_length=1, max_length=5000)
    ]
    """Pixels: one for all points, or one for each."""
    label: Label | None = None
    """None: erase, to what is around."""
    instance: Id | Literal["new"] | None = None
    """None: the object of that label that the stroke begins at."""
    only_over: Annotated[list[Label], Field(max_length=70_000)] | None = None
    colour: Colour | None = None
    """Of a run with --label_nc 0; None: erase, to the colour of its ground."""
    extend: bool = False
    """It goes on with the last stroke: one step of the history."""


class Fill(Request):
    """Fill a connected region."""

    kind: Literal["fill"]
    at: tuple[Pixel, Pixel]
    label: Label | None = None
    instance: Id | Literal["new"] | None = None
    colour: Colour | None = None


class SetStyle(Request):
    """Change how objects look."""

    kind: Literal["style"]
    instances: Ids
    style: Style
    extend: bool = False


class SetLabel(Region):
    """Change what objects are."""

    kind: Literal["label"]
    label: Label
    instance: Id | Literal["new"] | None = None


class Add(Request):
    """Add an object of the gallery, or a copy of one of this image."""

    kind: Literal["add"]
    label: Label | None = None  # of the gallery, with its number there
    number: Annotated[int, Field(ge=0)] | None = None
    instance: Id | None = None  # of this image
    at: tuple[Pixel, Pixel]
    """Row and column of its top left corner."""
    scale: Annotated[float, Field(gt=0, le=64)] = 1.0
    mirrored: bool = False
    behind: Literal["nothing", "things"] = "nothing"
    """What stays in front of it: nothing, or all objects that have numbers."""

    @property
    def is_of_gallery(self) -> bool:
        return self.instance is None and None not in (self.label, self.number)


class Move(Region):
    """Move objects."""

    kind: Literal["move"]
    by: tuple[Pixel, Pixel]
    fill: Label | None = None
    """What is then where they were; None: what is around."""


class Remove(Region):
    """Take objects away."""

    kind: Literal["remove"]
    fill: Label | None = None
    """As of a move."""


Operation = Annotated[
    Stroke | Fill | SetStyle | SetLabel | Add | Move | Remove, Field(discriminator="kind")
]


class Thumbnail(Request):
    """An object as it would look."""

    instance: Id
    style: Style | None = None  # None: as it looks now


class Numbered(BaseModel):
    """What a message that is refused may still tell."""

    number: Annotated[int, Field(ge=0)]


class Live(Request):
    """A message of the page's WebSocket."""

    number: Annotated[int, Field(ge=0)]  # is sent back when it is done
    operation: Operation | None
    """None: the stroke under way is taken back."""
    last: bool = True  # the stroke ends with it
