"""Another checkout of pix2pixHD: its networks, trained as it trains them, in float32."""

from __future__ import annotations

import contextlib
import importlib.util
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest import mock

import torch
from torch import Tensor, nn

from models import uses_features
from models.conditioning import condition, condition_channels
from models.pix2pixhd import Batch
from options.train_options import TrainOptions
from scripts.benchmarks.plain_step import Networks, PlainStep
from util.errors import UserError
from util.image_pool import ImagePool

FILE = Path("models") / "networks.py"
NEEDED = ("define_G", "define_D", "GANLoss", "VGGLoss")


class Checkout:
    """Networks of a checkout, of any recipe.

    Raises:
        UserError: there is no checkout, or not one of pix2pixHD that this machine can run.
    """

    def __init__(self, path: Path, weights: dict[str, Tensor]) -> None:
        self.path = path
        self._weights = weights  # of a VGG19, under torchvision's names
        self._networks = load(path)

    def step(self, options: TrainOptions, device: torch.device) -> PlainStep:
        """The step that trains fresh networks of a recipe.

        Raises:
            UserError: the checkout's functions do not take the arguments that pix2pixHD's do.
        """
        try:
            return PlainStep(self._build(options, device), options, foreach=None)
        # Whatever somebody else's code raises, its user is to learn which code it was.
        except Exception as error:
            raise UserError(
                f"--against {self.path}: its networks cannot be built "
                f"({type(error).__name__}: {error}); leave the flag out, or give another checkout"
            ) from error

    def _build(self, options: TrainOptions, device: torch.device) -> Networks:
        theirs, model, loss = self._networks, options.model, options.loss
        d = options.discriminator
        channels = condition_channels(model.label_nc, model.input_nc, model.instance)
        features = model.feat_num if uses_features(model) else 0
        netG = theirs.define_G(
            *(channels + features, model.output_nc, model.ngf, model.netG),
            *(model.n_downsample_global, model.n_blocks_global),
            *(model.n_local_enhancers, model.n_blocks_local, model.norm),
            gpu_ids=[],
        ).to(device)
        netD = theirs.define_D(
            *(channels + model.output_nc, d.ndf, d.n_layers_D, model.norm),
            *(not loss.lsgan, d.num_D, loss.ganFeat_loss),
            gpu_ids=[],
        ).to(device)
        parameters_G, netE = list(netG.parameters()), None
        if features and not model.load_features:
            netE = theirs.define_G(
                *(model.output_nc, model.feat_num, model.nef, "encoder", model.n_downsample_E),
                norm=model.norm,
                gpu_ids=[],
            ).to(device)
            parameters_G += netE.parameters()
        kind = (torch.cuda if device.type == "cuda" else torch).FloatTensor
        gan = theirs.GANLoss(use_lsgan=loss.lsgan, tensor=kind)
        return Networks(
            condition=lambda batch: condition(
                batch["label"], batch["inst"] if model.instance else None, model.label_nc
            ),
            generate=lambda batch, given: netG(with_features(batch, given, netE, options)),
            discriminate=netD,
            gan=lambda scales, is_real: scalar(gan(scales, is_real)),
            perceptual=self._perceptual(device) if loss.vgg_loss else None,
            pool=ImagePool(loss.pool_size, options.run.seed).query,
            parameters_G=parameters_G,
            parameters_D=list(netD.parameters()),
        )

    def _perceptual(self, device: torch.device) -> Callable[[Tensor, Tensor], Tensor]:
        with vgg_without_download(self._weights), cuda_only_where_it_is(device):
            loss: nn.Module = self._networks.VGGLoss([device.index or 0] * (device.type == "cuda"))
        loss = loss.to(device)
        loss.requires_grad_(False)
        return lambda fake, real: scalar(loss(fake, real))


def with_features(
    batch: Batch, given: Tensor, netE: nn.Module | None, options: TrainOptions
) -> Tensor:
    """What the generator sees: the condition, and features where the recipe has them."""
    if not uses_features(options.model):
        return given
    if netE is None:
        return torch.cat([given, batch["feat"]], dim=1)
    ids = batch["label" if options.model.label_feat else "inst"]
    return torch.cat([given, netE(batch["image"], ids)], dim=1)


def scalar(loss: Tensor | int) -> Tensor:
    """A loss of no dimensions: older code returns [1], or 0 where there is nothing to add up."""
    return torch.as_tensor(loss, dtype=torch.float32).sum()


def load(path: Path) -> ModuleType:
    """The module `models/networks.py` of a checkout, under a name that is not ours.

    Raises:
        UserError: it is not there, cannot be imported, or is not pix2pixHD's.
    """
    file = path / FILE
    remedy = "give the folder of a checkout of pix2pixHD"
    if not file.is_file():
        raise UserError(f"--against {path}: has no {FILE}; {remedy}")
    spec = importlib.util.spec_from_file_location("networks_of_checkout", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    # The file may raise anything at all.
    except Exception as error:
        raise UserError(
            f"--against {path}: {FILE} cannot be imported "
            f"({type(error).__name__}: {error}); {remedy} that runs on this machine"
        ) from error
    missing = [name for name in NEEDED if not hasattr(module, name)]
    if missing:
        raise UserError(f"--against {path}: {FILE} has no {', '.join(missing)}; {remedy}")
    return module


@contextlib.contextmanager
def vgg_without_download(weights: dict[str, Tensor]) -> Iterator[None]:
    """While it lasts, `torchvision.models.vgg19` fetches nothing and has the weights given."""
    from torchvision import models

    plain = models.vgg19

    def vgg19(*args: Any, **kwargs: Any) -> nn.Module:
        with torch.device("meta"):
            network = plain()
        # The classifier alone would be 0.5 GB, and the loss takes none of it.
        network.classifier = nn.Identity()
        network.load_state_dict(weights, strict=False, assign=True)
        # Of the layers after the last weight that was given there is nothing to compute.
        network.features = nn.Sequential(
            *(
                layer.to_empty(device="cpu") if is_meta(layer) else layer
                for layer in network.features
            )
        )
        return network

    with mock.patch.object(models, "vgg19", vgg19):
        yield


def is_meta(layer: nn.Module) -> bool:
    """Whether a layer has weights without values."""
    return any(weight.is_meta for weight in layer.parameters())


@contextlib.contextmanager
def cuda_only_where_it_is(device: torch.device) -> Iterator[None]:
    """While it lasts, `.cuda()` of a network leaves it where it is, if the device is no GPU."""
    if device.type == "cuda":
        yield
        return
    with mock.patch.object(nn.Module, "cuda", lambda module, *_: module):
        yield
