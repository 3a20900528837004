"""Options of metrics, which training and evaluate.py share."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal


@dataclass(frozen=True)
class MetricOptions:
    """What is measured, and with which networks."""

    inception: str | None = None
    """FID's Inception network as a TorchScript file; by default torchmetrics' own."""
    extractor: Literal["inception", "dinov2"] = "inception"
    """Network whose features KID and FID compare; dinov2 needs torch-fidelity and its weights."""
    lpips_backbone: str | None = None
    """AlexNet's weights for LPIPS; by default torchvision's, which are fetched once."""
    segmenter: str | None = None
    """Segmentation network: of `evaluate.py train-segmenter`, a TorchScript file, or a folder of
    Hugging Face's."""
    eval_size: str | None = None
    """Size that is segmented at, HEIGHTxWIDTH; by default the label maps' own."""

    @property
    def size(self) -> tuple[int, int] | None:
        """The size to segment at, height and width.

        Raises:
            ValueError: --eval_size is none.
        """
        if self.eval_size is None:
            return None
        if not (found := re.fullmatch(r"([1-9]\d{0,3})x([1-9]\d{0,3})", self.eval_size)):
            raise ValueError(self.eval_size)
        return int(found[1]), int(found[2])

    def problems(self) -> Iterator[str]:
        """A line for each option that cannot be."""
        for name in ("inception", "lpips_backbone", "segmenter"):
            file = getattr(self, name)
            if file is None:
                continue
            if not Path(file).exists():
                yield f"--{name} {file}: there is no such file; check the path"
            elif Path(file).is_dir() and name != "segmenter":
                yield f"--{name} {file}: is a folder, expected a file; name one in it"
        if self.inception is not None and self.extractor != "inception":
            yield f"--inception {self.inception} with --extractor {self.extractor}: drop one"
        try:
            _ = self.size
        except ValueError:
            yield f"--eval_size {self.eval_size!r}: must be HEIGHTxWIDTH, each below 10000"
