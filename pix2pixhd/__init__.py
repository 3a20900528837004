"""The project as one import package: `model = pix2pixhd.load("toy_streets")`, see docs/python.md.

Its rooms are the top-level folders (`data/`, `models/`, ...): here they are links to them, and in a
wheel they lie in this folder. So a checkout and an installation import the same names, and none of
them can clash with another project's `data` or `util`.
"""

from typing import TYPE_CHECKING, Any

from pix2pixhd.util.errors import UserError

if TYPE_CHECKING:
    from pix2pixhd.engine.renderer import Renderer, load

__all__ = ["Renderer", "UserError", "load"]
__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """What needs PyTorch, which takes seconds to import, once it is asked for."""
    if name in __all__:
        from pix2pixhd.engine import renderer

        return getattr(renderer, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__
