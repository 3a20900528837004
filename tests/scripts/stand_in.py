"""A stand-in for a checkout of pix2pixHD: its modules' names and calls, nothing inside."""

from __future__ import annotations

from pathlib import Path

OPTIONS = """
import argparse
from util import util  # as theirs: the folder of that name must be the checkout's


class TrainOptions:
    def parse(self, save=True):
        assert not save and util.HERE
        parser = argparse.ArgumentParser()
        for name, default in (("ngf", 64), ("nef", 16), ("ndf", 64), ("label_nc", 35)):
            parser.add_argument(f"--{name}", type=int, default=default)
        for name in ("name", "netG", "gpu_ids", "checkpoints_dir", "load_pretrain"):
            parser.add_argument(f"--{name}")
        parser.add_argument("--niter_fix_global", type=int, default=0)
        parser.add_argument("--num_D", type=int, default=2)
        for name in ("instance_feat", "no_vgg_loss"):
            parser.add_argument(f"--{name}", action="store_true")
        opt = parser.parse_args()
        assert (opt.gpu_ids, opt.load_pretrain, opt.niter_fix_global) == ("-1", "", 0)
        return opt
"""
MODELS = """
import torch
from torch import nn


class Model(nn.Module):
    loss_names = ["G_GAN", "G_VGG", "D_real", "D_fake"]

    def __init__(self, opt):
        super().__init__()
        self.opt = opt
        self.netG = nn.Conv2d(opt.label_nc, 3, 1)
        self.netD = nn.Conv2d(3, 1, 4)
        self.before = []
        self.optimizer_G = torch.optim.Adam(self.netG.parameters())
        self.optimizer_D = torch.optim.Adam(self.netD.parameters())
        if not opt.no_vgg_loss:
            from torchvision import models
            self.vgg = models.vgg19(pretrained=True).features[:2].cuda()

    def one_hot(self, label):
        size = (label.size(0), self.opt.label_nc, label.size(2), label.size(3))
        return torch.cuda.FloatTensor(torch.Size(size)).zero_().scatter_(
            1, label.data.long().cuda(), 1.0)

    def forward(self, label, inst, image, feat, infer=False):
        assert label.is_floating_point() and -1 <= image.min() <= image.max() <= 1
        assert inst.shape == label.shape and len(feat) == len(label)
        weights = [net.weight.detach().clone() for net in (self.netG, self.netD)]
        # A step must have updated both since the last call.
        assert all((a != b).any() for a, b in zip(weights, self.before))
        self.before = weights
        fake, real = self.netG(self.one_hot(label)), image.cuda()
        G_GAN, D_real = -self.netD(fake).mean(), -self.netD(real).mean()
        D_fake = self.netD(fake.detach()).mean()
        G_VGG = 0 if self.opt.no_vgg_loss else (self.vgg(fake) - self.vgg(real)).abs().mean()
        return [[G_GAN, G_VGG, D_real, D_fake], None]

    def inference(self, label, inst, image=None):
        assert self.opt.use_encoded_image and not torch.is_grad_enabled()
        return self.netG(self.one_hot(label))


def create_model(opt):
    print("model was created")
    return Model(opt)
"""

PROGRAM = """
import argparse
import pathlib
import sys
import torch
from models import models
from util import util

assert util.HERE and torch.ones(1).cuda() == 1  # on a CPU as well
flags = dict(zip(sys.argv, sys.argv[1:]))
model = models.create_model(argparse.Namespace(label_nc=35, no_vgg_loss=True))
assert flags["--gpu_ids"] == "-1" and flags["--ngf"] == "2"
run = pathlib.Path(flags["--checkpoints_dir"], flags["--name"])
if sys.argv[0] == "train.py":
    assert model.module.optimizer_G and "module" not in dict(model.named_children())
    assert flags["--niter"] == "2" and not run.exists()
else:
    assert torch.load(run / "latest_net_G.pth") and flags["--how_many"] == "1"
assert list(pathlib.Path(flags["--dataroot"], flags.get("--phase", "train") + "_label").iterdir())
"""


def write_checkout(root: Path) -> Path:
    """Write the stand-in; returns its folder."""
    files = {
        "options/train_options.py": OPTIONS,
        "models/models.py": MODELS,
        "util/util.py": "HERE = True\n",
        "train.py": PROGRAM,
        "test.py": PROGRAM,
    }
    for name, text in files.items():
        file = root / name
        file.parent.mkdir(parents=True, exist_ok=True)
        if file.parent != root:
            (file.parent / "__init__.py").touch()
        file.write_text(text)
    return root
