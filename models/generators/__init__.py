"""Generators: from the condition to an image. To add one: a file here, and a row in GENERATORS."""

from __future__ import annotations

from models.generators.base import Generator
from models.generators.global_generator import GlobalGenerator
from models.generators.local_enhancer import LocalEnhancer

GENERATORS: dict[str, type[Generator]] = {
    "global": GlobalGenerator,
    "local": LocalEnhancer,
}
