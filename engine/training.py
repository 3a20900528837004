"""What a training run is made of: data, networks, optimizers and state."""

from __future__ import annotations

import contextlib
import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import torch

from pix2pixhd.data import create_dataset, create_loader
from pix2pixhd.data.dataset import AlignedDataset
from pix2pixhd.data.loader import Loader
from pix2pixhd.data.sampler import EpochSampler
from pix2pixhd.engine.averages import begin_averages
from pix2pixhd.engine.batch_norm import synchronise_batch_norm
from pix2pixhd.engine.builders import (
    build_model,
    perceptual_loss,
    recipe_of,
    require_outermost,
    require_size,
    shares_statistics,
    watch_of,
    without_unusable_vgg,
)
from pix2pixhd.engine.collapse import CollapseWatch
from pix2pixhd.engine.compiled import CompiledGradients, compiled_step
from pix2pixhd.engine.distributed import Vote, barrier, broadcast
from pix2pixhd.engine.label_colours import with_label_colours
from pix2pixhd.engine.memory import TRAINING, require_memory
from pix2pixhd.engine.optimizers import Optimizers
from pix2pixhd.engine.progress import Progress
from pix2pixhd.engine.render import validate_once
from pix2pixhd.engine.run_folder import locked, set_run_aside, write_all
from pix2pixhd.engine.runtime import Runtime, choose_runtime
from pix2pixhd.engine.sizes import Sizes
from pix2pixhd.engine.state import TrainingState
from pix2pixhd.engine.step import Recipe
from pix2pixhd.engine.trained import require_run
from pix2pixhd.engine.validation import Validation, open_validation
from pix2pixhd.models.pix2pixhd import Pix2PixHDModel
from pix2pixhd.options.base_options import RunOptions
from pix2pixhd.options.fields import replaced
from pix2pixhd.options.saved import options_texts, saved_options
from pix2pixhd.options.train_options import TrainOptions
from pix2pixhd.util.errors import UserError
from pix2pixhd.util.labels import LabelSet, label_set
from pix2pixhd.util.tensorboard import require_tensorboard
from pix2pixhd.util.words import counted


@dataclass
class Run:
    """What a training run is made of."""

    options: TrainOptions
    runtime: Runtime
    loader: Loader
    order: EpochSampler  # the loader's
    validation: Validation
    model: Pix2PixHDModel
    optimizers: Optimizers
    state: TrainingState
    vote: Vote  # on whether to stop
    labels: LabelSet
    image_bits: int  # of each value of the photographs
    compiled: CompiledGradients | None  # what --compile makes of a step
    watch: CollapseWatch
    recipe: Recipe
    sizes: Sizes = field(default_factory=Sizes)  # of the batches seen


def build(options: TrainOptions) -> Run:
    """Data, networks and optimizers, checked and on the device; nothing is written yet.

    Raises:
        UserError: the data are not sound, the VGG19 weights cannot be had, or TensorBoard is not
            installed where it is asked for.
    """
    seed = options.run.seed
    if options.run.tf_log:
        require_tensorboard()
    runtime = choose_runtime(options)
    labels = label_set(options.model.label_nc, options.data.label_names)
    options = with_label_colours(options)
    # What one process found when it started, such as a state to go on from, another may not have.
    options = broadcast(options, runtime.world)
    if options.run.precision == "auto":  # what was measured now holds when the run goes on
        options = replaced(options, {"precision": runtime.precision})
    if options.schedule.continue_train:
        require_run(options)
    options = without_unusable_vgg(options, runtime)
    require_memory(lambda: build_model(options), runtime.device, TRAINING)
    dataset, loader = open_data(options, runtime)
    if options.data.output_bits is None:
        options = replaced(options, {"output_bits": dataset.image_bits})
    order = loader.batch_sampler
    assert isinstance(order, EpochSampler)
    validation = open_validation(options, runtime)
    vgg = perceptual_loss(options.loss, runtime.world, options.model.num_images)
    model = build_model(options, vgg)
    require_outermost(options, model)
    if options.run.verbose:
        runtime.print_rank0(str(model))
    runtime.prepare(model)
    if runtime.world.size > 1:
        for name, network in model.trained_networks().items():
            if shares_statistics(options, name):
                synchronise_batch_norm(network)
    if options.schedule.ema_half_life:
        begin_averages(model)
    if not runtime.world.is_main:
        torch.manual_seed((seed + runtime.world.rank) % 2**63)  # else all dropped the same units
    recipe = recipe_of(options)
    optimizers = Optimizers(
        model,
        options.schedule.lr,
        options.schedule.beta1,
        options.schedule.beta2,
        scale_gradients=runtime.dtype == torch.float16,
    )
    return Run(
        options=options,
        runtime=runtime,
        loader=loader,
        order=order,
        validation=validation,
        model=model,
        optimizers=optimizers,
        state=TrainingState(options.run.folder, model, optimizers, runtime.world),
        vote=Vote(runtime.world),
        labels=labels,
        image_bits=dataset.image_bits,
        compiled=compiled_step(model, runtime, recipe),
        watch=watch_of(options),
        recipe=recipe,
    )


def open_data(options: TrainOptions, runtime: Runtime) -> tuple[AlignedDataset, Loader]:
    """The training images, checked by one of the processes, and this one's share of each batch.

    Raises:
        UserError: the data are not sound, or not enough for a batch.
    """
    data, world = options.data, runtime.world
    dataset = create_dataset(
        data,
        options.model,
        phase=options.schedule.phase,
        seed=options.run.seed,
        is_train=True,
        read_features=options.model.load_features,
    )
    validate_once(dataset, runtime, data.batchSize, options.schedule.check_data)
    require_size(options.model, dataset)
    loader = create_loader(
        dataset,
        data,
        seed=options.run.seed,
        is_train=True,
        pin_memory=runtime.device.type == "cuda",
        rank=world.rank,
        ranks=world.size,
        neighbours=world.local_size,
    )
    if dropped := len(dataset) % data.batchSize:
        runtime.print_rank0(
            f"each epoch leaves out {dropped} of {len(dataset)} images: "
            f"a batch takes {data.batchSize}"
        )
    return dataset, loader


def load_start(run: Run) -> Progress:
    """Load what the run starts from; nothing is written yet.

    Raises:
        UserError: weights cannot be loaded, or the progress they are from fits no batch.
    """
    schedule, progress = run.options.schedule, Progress()
    if schedule.continue_train:
        progress, notes = run.state.restore(schedule.which_epoch)
        run.runtime.print_rank0(*notes)
        run.order.start(progress.epoch, progress.images_done)
    elif schedule.load_pretrain:
        source, is_verbose = Path(schedule.load_pretrain), run.options.run.verbose
        lines = run.state.start_from(source, schedule.which_epoch, is_verbose)
        run.runtime.print_rank0(*lines, *other_padding(source, run.options.model.pad_down))
    if progress.before is None:
        before = (progress.epoch - 1) * run.order.epoch_size
        progress = dataclasses.replace(progress, before=before)
    return progress


def other_padding(source: Path, pad_down: str) -> list[str]:
    """A line where a run's options, if it has any, say that its weights, which do not tell, were
    trained with another padding."""
    folder, before = source.absolute(), pad_down
    with contextlib.suppress(UserError):  # of damaged options: they are not needed
        saved = saved_options(RunOptions(name=folder.name, checkpoints_dir=str(folder.parent)))
        before = saved.get("pad_down", pad_down)
    if before == pad_down:
        return []
    told = f"{source}: trained with --pad_down {before}, this run has --pad_down {pad_down}"
    return [f"warning: {told}; its weights fit, but have to be trained for that"]


@contextlib.contextmanager
def opened_folder(run: Run) -> Iterator[Progress]:
    """Load what the run starts from, and hold its folder until the end.

    A run that goes on is locked before it is read: the process that trained it may be saving yet. A
    new run reads the weights that it starts from before it sets an earlier one aside, so that a
    command that fails leaves all as it was.

    Raises:
        UserError: weights cannot be loaded, another process trains the run, or the folder cannot be
            written.
    """
    folder, world = run.state.folder, run.runtime.world
    goes_on = run.options.schedule.continue_train
    with contextlib.ExitStack() as stack:
        if goes_on and world.is_main and folder.is_dir():
            stack.enter_context(locked(folder))
        barrier(world)
        progress = load_start(run)
        barrier(world)  # all have read before the first one renames or writes
        if not goes_on and world.is_main:
            run.runtime.print_rank0(*set_run_aside(folder))
            stack.enter_context(locked(folder))
        stack.callback(run.state.wait)  # before the lock goes: else the next would read the old
        yield progress


@contextlib.contextmanager
def saved_on_error(state: TrainingState) -> Iterator[None]:
    """Save the last whole step if an error, or a second Ctrl-C while nothing is being saved, ends
    the training.

    Where a step itself failed, weights may be a part of it ahead. Of several processes nothing is
    saved: it would take all of them, and one is in trouble.
    """
    try:
        yield
    except (Exception, KeyboardInterrupt):
        if (progress := state.reached) and state.world.size == 1:
            with contextlib.suppress(Exception):  # the error that is told is the first one
                state.save(progress)
                state.wait()
                images = counted(progress.step, "image")
                print(f"saved after {images}; --continue_train goes on", flush=True)
        raise


def save_options(run: Run) -> None:
    """Write the options into the run's folder; a run that goes on may have been given new ones."""
    if run.runtime.world.is_main:
        write_all(run.state.folder, options_texts(run.options))
