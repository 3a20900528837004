"""The commands that an installation brings: `pix2pixhd-train` is `python -m pix2pixhd.train`."""

from __future__ import annotations

import os
import sys
from functools import partial
from typing import NoReturn


def run(program: str) -> NoReturn:
    """Become the program. It is to be Python's main module, as in a checkout: it reads the command
    line before it loads PyTorch, and the processes that it starts import it under that name."""
    # -P: modules of the folder that the user happens to be in are not taken for ours or PyTorch's.
    module = ["-P", "-m", f"pix2pixhd.{program}"]
    os.execv(sys.executable, [sys.executable, *module, *sys.argv[1:]])


train = partial(run, "train")
test = partial(run, "test")
encode_features = partial(run, "encode_features")
precompute_feature_maps = partial(run, "precompute_feature_maps")
check_data = partial(run, "check_data")
evaluate = partial(run, "evaluate")
edit = partial(run, "edit")
