"""The public pix2pixHD code's own train.py or test.py, run in its checkout, on a CPU as well:

python .../reference_program.py test.py cpu --name label2city --gpu_ids -1
"""

from __future__ import annotations

import runpy
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

import torch


def main() -> None:
    """Run the program, on the device, with the flags that follow them in argv."""
    program, device, *flags = sys.argv[1:]
    sys.path[0], sys.argv[:] = str(Path.cwd()), [program, *flags]
    if device == "cpu":
        stay_on_cpu()
        # Their train.py takes every model to be in a DataParallel.
        models: Any = import_module("models.models")
        create = models.create_model
        models.create_model = lambda options: with_itself(create(options))
    runpy.run_path(program, run_name="__main__")


def with_itself(model: torch.nn.Module) -> torch.nn.Module:
    """The model, which is its own `module`, though not among its modules."""
    object.__setattr__(model, "module", model)
    return model


def stay_on_cpu() -> None:
    """Where there is no GPU, what their code moves to it in any case stays where it is."""
    torch.Tensor.cuda = lambda tensor, *_, **__: tensor  # type: ignore[method-assign]
    torch.nn.Module.cuda = lambda module, *_: module  # type: ignore[method-assign]
    for name in ("FloatTensor", "ByteTensor"):
        setattr(torch.cuda, name, getattr(torch, name))


if __name__ == "__main__":
    main()
