"""The public pix2pixHD code's own training step and rendering, timed in a process of their own.

`checkout.py` starts it in the checkout, whose folders `options`, `models` and
`util` are named as ours. The task comes as JSON in argv, what was found goes out in the last line.
"""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from scripts.reference_program import stay_on_cpu  # noqa: E402
from scripts.timing import time_calls  # noqa: E402


def main() -> None:
    """Do the task."""
    task = json.loads(sys.argv[1])
    ours = {ROOT, ROOT / "scripts"}
    sys.path[:] = [str(Path.cwd()), *(p for p in sys.path if Path(p).resolve() not in ours)]
    torch.set_num_threads(task["threads"])
    cudnn: Any = torch.backends.cudnn
    cudnn.conv.fp32_precision = task["convolutions"]
    if task["device"] == "cpu":
        stay_on_cpu()
    # Their perceptual loss would fetch half a gigabyte; the time does not depend on the weights.
    torchvision_models: Any = import_module("torchvision.models")
    random_vgg19 = torchvision_models.vgg19
    torchvision_models.vgg19 = lambda *_, **__: random_vgg19()
    sys.argv[1:] = task["flags"]
    options = import_module("options.train_options").TrainOptions().parse(save=False)
    maps = torch.load(task["batch"], weights_only=True, map_location=task["device"])

    def build() -> Callable[[], object]:
        model = import_module("models.models").create_model(options)
        inner = getattr(model, "module", model)  # on a GPU it is in a DataParallel
        if task["section"] == "training":
            return lambda: train_step(model, inner, maps)
        # As their test.py, with features of the photograph, if any: an option of that one alone.
        inner.opt.use_encoded_image = True
        render = torch.no_grad()(inner.inference)  # theirs turns gradients off in PyTorch 0.4 alone
        return lambda: render(maps["label"], maps["inst"], maps["image"])

    timed = time_calls(build, task["device"], task["samples"], counts=True)
    print("\n" + json.dumps(dataclasses.asdict(timed)))


def train_step(model: Any, inner: Any, maps: dict[str, torch.Tensor]) -> None:
    """A step as their `train.py` takes it."""
    losses, _ = model(maps["label"], maps["inst"], maps["image"], maps["feat"], infer=False)
    means = [x if isinstance(x, int) else x.mean() for x in losses]
    terms = dict(zip(inner.loss_names, means, strict=True))
    loss_G = terms["G_GAN"] + terms.get("G_GAN_Feat", 0) + terms.get("G_VGG", 0)
    loss_D = (terms["D_fake"] + terms["D_real"]) * 0.5
    for loss, optimizer in ((loss_G, inner.optimizer_G), (loss_D, inner.optimizer_D)):
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


if __name__ == "__main__":
    main()
