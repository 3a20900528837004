"""Parts of a training, built from the options: networks, losses, the order of a step's work."""

from __future__ import annotations

from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.engine.collapse import CollapseWatch
from pix2pixhd.engine.distributed import barrier
from pix2pixhd.engine.runtime import Runtime
from pix2pixhd.engine.step import Recipe
from pix2pixhd.engine.vgg import load_vgg_weights
from pix2pixhd.engine.world import World
from pix2pixhd.models import create_model
from pix2pixhd.models.crn_loss import BALANCES, CRNLoss
from pix2pixhd.models.initialisation import Init
from pix2pixhd.models.perceptual import VGGPerceptualLoss
from pix2pixhd.models.pix2pixhd import Pix2PixHDModel
from pix2pixhd.options.base_options import ModelOptions
from pix2pixhd.options.crn_options import parse_balance
from pix2pixhd.options.fields import replaced
from pix2pixhd.options.spade_options import DOUBLINGS, SPADE, parse_crop_size, parse_norm_G
from pix2pixhd.options.train_options import LossOptions, TrainOptions
from pix2pixhd.util.errors import UserError


def shares_statistics(options: TrainOptions, network: str) -> bool:
    """Whether batch norms of a network (G, D, E) take statistics over all processes."""
    if network == "G" and options.model.netG in SPADE:
        return parse_norm_G(options.model.norm_G).kind == "syncbatch"
    norm_D = options.discriminator.norm_D
    own = norm_D if network == "D" and norm_D != "same" else options.model.norm
    return own == "batch"


def recipe_of(options: TrainOptions) -> Recipe:
    """SPADE synthesises anew for the discriminators, pix2pix shows what it has."""
    order = options.schedule.update_order
    return Recipe(order, generator_forwards=2 if order == "G_first" else 1)


def watch_of(options: TrainOptions) -> CollapseWatch:
    """For a collapse; of PatchGANs, what is usual of their losses is known."""
    netD, loss = options.discriminator.netD, options.loss
    is_summed = netD == "multiscale" and loss.scale_reduction == "sum"
    known = loss.gan_loss if netD != "segmentation" and not loss.no_gan_loss else netD
    return CollapseWatch(known, options.discriminator.num_D if is_summed else 1)


def build_model(options: TrainOptions, vgg: VGGPerceptualLoss | None = None) -> Pix2PixHDModel:
    """The networks of the options, with fresh weights."""
    return create_model(
        options.model,
        options.discriminator,
        options.loss,
        options.run.seed,
        checkpoint_activations=options.schedule.checkpoint_activations,
        vgg=vgg,
        init=Init(options.schedule.init, options.schedule.init_gain),
    )


def without_unusable_vgg(options: TrainOptions, runtime: Runtime) -> TrainOptions:
    """The options without the perceptual loss where VGG19 cannot look at the images; says so."""
    channels = options.model.output_nc
    if channels in (1, 3) or not options.loss.vgg_loss:
        return options
    runtime.print_rank0(
        f"--output_nc {channels}: training without the perceptual loss, as VGG19 sees images of 1 "
        "or 3 channels"
    )
    return replaced(options, {"vgg_loss": False, "vgg_weights": None})


def require_outermost(options: TrainOptions, model: Pix2PixHDModel) -> None:
    """
    Raises:
        UserError: --niter_fix_global, and the generator has no part that could train alone.
    """
    if options.run.niter_fix_global > 0 and not model.netG.outermost_prefixes:
        raise UserError(
            f"--niter_fix_global {options.run.niter_fix_global} with --netG {options.model.netG}: "
            "only a local enhancer, or the last modules of --netG crn, can be trained alone; add "
            "--netG local or leave it out"
        )


def require_size(model: ModelOptions, dataset: AlignedDataset) -> None:
    """
    Raises:
        UserError: --use_vae, which makes images of one size, and the first of these is of another.
    """
    if not model.use_vae:
        return
    file, stride = dataset.files[0]["label"], 2 ** DOUBLINGS[model.num_upsampling_layers]
    width, height = dataset.output_size(dataset.read_header("label", file).size)
    made_for = parse_crop_size(model.crop_size)
    if (width + -width % stride, height + -height % stride) != made_for:
        raise UserError(
            f"{file}: scaled to {width}x{height}, and --use_vae makes images of --crop_size "
            f"{model.crop_size}; scale images to that (--resize_or_crop, --loadSize)"
        )


def perceptual_loss(
    loss: LossOptions, world: World | None = None, num_images: int = 1
) -> VGGPerceptualLoss | None:
    """The perceptual loss that the options ask for.

    Args:
        num_images: that the generator makes of a label map.

    Raises:
        UserError: the VGG19 weights cannot be had.
    """
    if not loss.vgg_loss:
        return None
    world = world or World()
    if not world.is_main:
        barrier(world)  # the first process fetches them into a cache, where the others find them
    weights = load_vgg_weights(loss.vgg_weights)
    if world.is_main:
        barrier(world)
    source = loss.vgg_weights or "torchvision's VGG19"
    if not loss.crn_loss:
        return VGGPerceptualLoss(weights, source)
    balance = parse_balance(loss.crn_balance)
    divisors = BALANCES.get(balance) if isinstance(balance, str) else balance
    vgg = CRNLoss(weights, source, divisors, num_images)
    if vgg.layers == CRNLoss.SHORTER and world.is_main:
        print(f"{source}: ends at conv5_1, which --crn_loss takes in the place of conv5_2")
    return vgg
