"""Options saved with a run, and what resuming and rendering take over from them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from pix2pixhd.data.transforms import output_size
from pix2pixhd.options.base_options import DataOptions, RunOptions, TrainedRunOptions
from pix2pixhd.options.fields import flat, replaced
from pix2pixhd.options.parsing import (
    parse_encode,
    parse_for_run,
    parse_test,
    parse_train,
    uncropped,
)
from pix2pixhd.options.saved import options_texts, saved_options
from pix2pixhd.options.train_options import TrainOptions
from pix2pixhd.util.errors import UserError

# As the reference implementation writes it: every flag, sorted, Python's spelling of values.
REFERENCE_OPT_TXT = """\
------------ Options -------------
batchSize: 1
beta1: 0.5
checkpoints_dir: ./checkpoints
continue_train: False
data_type: 32
dataroot: ./datasets/maps/
debug: False
display_freq: 100
display_winsize: 512
feat_num: 3
fineSize: 512
fp16: False
gpu_ids: [0, 1]
input_nc: 3
instance_feat: False
isTrain: True
label_feat: False
label_nc: 12
lambda_feat: 10.0
loadSize: 768
load_features: False
load_pretrain: 
local_rank: 0
lr: 0.0001
max_dataset_size: inf
model: pix2pixHD
nThreads: 2
n_blocks_global: 9
n_downsample_global: 3
name: label2city
ndf: 64
netG: local
ngf: 16
niter: 7
niter_fix_global: 2
no_flip: True
no_ganFeat_loss: False
no_html: False
no_instance: True
no_lsgan: False
no_vgg_loss: True
norm: instance
num_D: 3
output_nc: 3
phase: train
resize_or_crop: crop
which_epoch: latest
-------------- End ----------------
"""  # noqa: W291

Save = Callable[..., Path]


@pytest.fixture
def save(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Save:
    """Makes ./checkpoints/label2city with `texts`, or with the options of a command line."""
    monkeypatch.chdir(tmp_path)

    def write(line: str = "", **texts: str) -> Path:
        folder = tmp_path / "checkpoints" / "label2city"
        folder.mkdir(parents=True)
        named = {name.replace("_", "."): text for name, text in texts.items()}
        for name, text in (named or options_texts(parse_train(line.split()))).items():
            (folder / name).write_text(text, errors="surrogateescape")  # \udcff: the byte 0xff
        return folder

    return write


def error_lines(call: Callable[[], object]) -> list[str]:
    with pytest.raises(UserError) as caught:
        call()
    assert not any("\n" in line for line in caught.value.problems)
    return caught.value.problems


def test_rendering_inherits_architecture_and_data(save: Save) -> None:
    save(
        "--netG local --ngf 8 --label_nc 12 --no_instance --norm batch --dataroot d --loadSize 256"
        " --resize_or_crop crop --ignore_label 11 --batchSize 4 --seed 3 --phase mine"
    )
    options = parse_test([])
    model, data = options.model, options.data
    assert (model.netG, model.ngf, model.label_nc) == ("local", 8, 12)
    assert (model.instance, model.norm) == (False, "batch")
    assert (data.dataroot, data.loadSize, data.ignore_label) == ("d", 256, 11)
    assert data.resize_or_crop == "none"  # not a crop: the whole image
    assert (data.batchSize, options.run.seed, options.results.phase) == (1, 0, "test")
    other = parse_test(["--dataroot", "e", "--loadSize", "512", "--resize_or_crop", "crop"]).data
    assert (other.dataroot, other.loadSize, other.resize_or_crop) == ("e", 512, "none")


@pytest.mark.parametrize(
    ("mode", "whole", "fineSize"),
    [
        ("scale_width", "scale_width", 256),
        ("scale_width_and_crop", "scale_width", 256),
        ("resize_and_crop", "resize_and_crop", 512),  # to a square of loadSize, all of it
        ("crop", "none", 256),
        ("none", "none", 256),
    ],
)
def test_uncropped_shows_the_whole_image(mode: Any, whole: str, fineSize: int) -> None:
    data = DataOptions(resize_or_crop=mode, loadSize=512, fineSize=256, dataroot="d")
    assert uncropped(data) == replace(data, resize_or_crop=whole, fineSize=fineSize)


def test_resuming_inherits_all_but_what_belongs_to_one_call(save: Save) -> None:
    save(
        "--ngf 8 --lr 0.01 --niter 7 --seed 5 --batchSize 2 --max_dataset_size 9 --pool_size 4"
        " --load_pretrain old --which_epoch 3 --verbose --local_rank 1 --no_flip --no_lsgan"
    )
    kept = flat(parse_train(["--continue_train"]))
    expected = {"ngf": 8, "lr": 0.01, "niter": 7, "seed": 5, "batchSize": 2, "pool_size": 4}
    expected |= {"max_dataset_size": 9, "flip": False, "lsgan": False}
    expected |= {"load_pretrain": "", "which_epoch": "latest", "verbose": False, "local_rank": 0}
    assert {name: kept[name] for name in expected} == expected
    assert kept["continue_train"] is True


def test_flags_win_over_what_is_inherited(save: Save) -> None:
    save("--lr 0.01 --niter 7 --no_flip --max_dataset_size 9")
    words = "--niter 9 --flip --max_dataset_size None --lr 0.0002"
    given = flat(parse_train(["--continue_train", *words.split()]))
    assert (given["niter"], given["flip"], given["lr"]) == (9, True, 0.0002)
    assert given["max_dataset_size"] is None


def test_a_new_run_inherits_nothing(save: Save) -> None:
    save("--ngf 8 --lr 0.01")
    assert flat(parse_train([])) == flat(TrainOptions())


def test_a_run_without_options_is_taken_at_the_flags(save: Save) -> None:
    assert parse_test(["--ngf", "8"]).model.ngf == 8
    assert parse_train(["--continue_train", "--ngf", "8"]).model.ngf == 8


def test_options_of_the_reference(save: Save) -> None:
    save(opt_txt=REFERENCE_OPT_TXT)
    found = flat(parse_train(["--continue_train"]))
    expected = {
        "gpu_ids": "0,1",
        "dataroot": "./datasets/maps/",
        "label_nc": 12,
        "loadSize": 768,
        "lr": 0.0001,
        "load_pretrain": "",
        "max_dataset_size": None,
        "nThreads": 2,
        "n_downsample_global": 3,
        "netG": "local",
        "ngf": 16,
        "niter": 7,
        "niter_fix_global": 2,
        "flip": False,
        "instance": False,
        "vgg_loss": False,
        "lsgan": True,
        "html": True,
        "num_D": 3,
        "resize_or_crop": "crop",
    }
    assert {name: found[name] for name in expected} == expected
    assert found == flat(TrainOptions()) | expected | {"continue_train": True}
    rendering = parse_test([])
    assert (rendering.model.netG, rendering.model.instance) == ("local", False)
    assert (rendering.data.loadSize, rendering.data.resize_or_crop) == (768, "none")
    assert rendering.run.gpu_ids == "0"


@pytest.mark.parametrize(("printed", "gpu_ids"), [("[]", "-1"), ("[0]", "0"), ("[2, 3]", "2,3")])
def test_gpus_of_the_reference(printed: str, gpu_ids: str, save: Save) -> None:
    save(opt_txt=f"gpu_ids: {printed}\nname: label2city\n")
    assert parse_train(["--continue_train"]).run.gpu_ids == gpu_ids


def test_options_json_is_read_before_opt_txt(save: Save) -> None:
    texts = options_texts(replaced(TrainOptions(), {"ngf": 8}))
    save(options_json=texts["options.json"], opt_txt=REFERENCE_OPT_TXT)
    assert parse_test([]).model.ngf == 8


@pytest.mark.parametrize(
    "parse", [parse_test, lambda words: parse_train([*words, "--continue_train"])]
)
def test_contradicting_architecture_is_an_error(
    parse: Callable[[list[str]], object], save: Save
) -> None:
    save("--ngf 8 --netG local")
    lines = error_lines(lambda: parse(["--ngf", "9", "--no_instance", "--netG", "local"]))
    instance, ngf = sorted(lines, reverse=True)
    assert instance.startswith("--no_instance: the run 'label2city' in ./checkpoints")
    assert ngf.startswith("--ngf 9: ")
    assert "was trained with --ngf 8; leave the flag out" in ngf


@pytest.mark.parametrize(("flag", "other"), [("--upsample resize", "deconv"), ("--z_dim 4", "5")])
def test_later_parts_of_the_architecture_too(flag: str, other: str, save: Save) -> None:
    save(flag + " --pad_down reflect")
    assert parse_test([]).model == parse_train(f"{flag} --pad_down reflect".split()).model
    name = flag.split()[0]
    lines = error_lines(lambda: parse_test([name, other, "--pad_down", "zero"]))
    assert [line.split(":")[0] for line in sorted(lines)] == ["--pad_down zero", f"{name} {other}"]


def test_the_kind_of_discriminators_stays(save: Save) -> None:
    save("--netD segmentation")
    assert parse_train(["--continue_train"]).discriminator.netD == "segmentation"
    [line] = error_lines(lambda: parse_train(["--continue_train", "--netD", "multiscale"]))
    assert line.endswith("was trained with --netD segmentation; leave the flag out")


def test_how_weights_began_stays(save: Save) -> None:
    save("--init xavier")
    assert parse_train(["--continue_train", "--init", "xavier"]).schedule.init == "xavier"
    words = "--continue_train --init orthogonal --init_gain 3"
    lines = error_lines(lambda: parse_train(words.split()))
    assert [line.split(":")[0] for line in lines] == ["--init orthogonal", "--init_gain 3.0"]
    assert parse_train(["--init", "orthogonal"]).schedule.init == "orthogonal"  # a run anew


def test_the_range_that_networks_learned_stays(save: Save) -> None:
    save("--value_range 0,4095")
    assert parse_test([]).data.value_range == "0,4095"
    [line] = error_lines(lambda: parse_test(["--value_range", "0,65535"]))
    assert line.startswith("--value_range 0,65535: the run 'label2city'")
    assert line.endswith("was trained with --value_range 0,4095; leave the flag out")


DAMAGED = [
    *(("options_json", text) for text in ("", "[]", "5", "null", '{"ngf": 8', '{"colour": 8}')),
    *(("options_json", text) for text in ("[" * 100_000, '{"ngf":' * 100_000, "\udcff\udcfe")),
    *(("opt_txt", text) for text in ("", "\x00", "ngf 8\n", "colour: 8\n", "ngf: 8\n\udcff")),
]


@pytest.mark.parametrize(("name", "text"), DAMAGED, ids=lambda text: text[:12])
@pytest.mark.parametrize("parse", [parse_test, parse_train])
def test_damaged_options_are_one_line(
    name: str,
    text: str,
    parse: Callable[[list[str]], object],
    save: Save,
) -> None:
    file = save(**{name: text}) / name.replace("_", ".")
    words = ["--continue_train"] if parse is parse_train else []
    (line,) = error_lines(lambda: parse(words))
    assert line.startswith(f"{file.relative_to(Path.cwd())}: not a run's saved options (")
    assert line.endswith("; restore or remove it") and len(line) < 200


WRONG = [
    ("options_json", '{"ngf": "many"}', "ngf is 'many', but must be a whole number from 1 to 8192"),
    ("options_json", '{"ngf": "8"}', "ngf is '8', but must be a whole number"),
    ("options_json", '{"ngf": true}', "ngf is True, but must be a whole number"),
    ("options_json", '{"ngf": 8.0}', "ngf is 8.0, but must be a whole number"),
    ("options_json", '{"ngf": null}', "ngf is None, but must be a whole number"),
    ("options_json", '{"ngf": [[[[[[[[8]]]]]]]]}', "ngf is [[[[[[[...]]]]]]], but must be a whole"),
    ("options_json", '{"label_nc": 1099511627776}', "label_nc is 1099511627776, but must be a"),
    ("options_json", '{"netG": "locl"}', "netG is 'locl', but must be global or local"),
    ("options_json", '{"data_type": "32"}', "data_type is '32', but must be 32 or 16 or 8"),
    ("options_json", '{"flip": "no"}', "flip is 'no', but must be true or false"),
    ("options_json", '{"flip": 0}', "flip is 0, but must be true or false"),
    ("options_json", '{"dataroot": 5}', "dataroot is 5, but must be text"),
    ("options_json", '{"lr": NaN}', "lr is nan, but must be a finite number of 0 or more"),
    ("options_json", '{"ignore_label": "x"}', "ignore_label is 'x', but must be a whole number"),
    ("opt_txt", "ngf: many\n", "ngf is 'many', but must be a whole number from 1 to 8192"),
    ("opt_txt", "ngf: inf\n", "ngf is 'inf', but must be a whole number"),
    ("opt_txt", "netG: locl\n", "netG is 'locl', but must be global or local"),
    ("opt_txt", "no_flip: perhaps\n", "flip is 'perhaps', but must be true or false"),
]


@pytest.mark.parametrize(("name", "text", "problem"), WRONG, ids=lambda text: text[:24].strip())
@pytest.mark.parametrize("parse", [parse_test, parse_train])
def test_a_wrong_value_is_one_line_with_what_is_expected(
    name: str, text: str, problem: str, parse: Callable[[list[str]], object], save: Save
) -> None:
    file = save(**{name: text}) / name.replace("_", ".")
    words = ["--continue_train"] if parse is parse_train else []
    (line,) = error_lines(lambda: parse(words))
    assert line.startswith(f"{file.relative_to(Path.cwd())}: {problem}")
    assert line.endswith("; correct it there, or restore the file")


def test_all_wrong_values_are_told_at_once(save: Save) -> None:
    save(options_json='{"ngf": "many", "netG": "locl", "ndf": 8, "unheard_of": []}')
    assert [line.split()[1] for line in error_lines(lambda: parse_test([]))] == ["netG", "ngf"]


def test_words_of_the_reference_are_read_by_the_type_of_the_field(save: Save) -> None:
    save(opt_txt="load_pretrain: \ndataroot: True\nphase: 5\nlr: 1\ncache: None\nno_flip: True\n")
    found = saved_options(RunOptions())
    assert (found["dataroot"], found["phase"], found["lr"]) == ("True", "5", 1.0)
    assert (found["load_pretrain"], found["cache"], found["flip"]) == ("", None, False)


@pytest.mark.parametrize("crop", ["resize_and_crop", "scale_width_and_crop", "crop"])
@pytest.mark.parametrize("given", ["--loadSize 512", "--loadSize 64", "--fineSize 32", "own crop"])
def test_rendering_takes_whole_images_whatever_argv_changes(
    crop: str, given: str, save: Save
) -> None:
    save(f"--resize_or_crop {crop} --loadSize 286 --fineSize 256")
    line = f"--resize_or_crop {crop} --loadSize 512" if given == "own crop" else given
    data = parse_test(line.split()).data
    asked = {"--loadSize 64": 64, "--fineSize 32": 286}.get(given, 512)
    assert data.loadSize == asked
    file = (96, 48)
    assert (
        output_size(file, data.resize_or_crop, data.loadSize, data.fineSize)
        == {
            "resize_and_crop": (asked, asked),
            "scale_width_and_crop": (asked, asked // 2),
            "crop": file,
        }[crop]
    )


@dataclass(frozen=True)
class MeasureOptions:
    """What is measured."""

    how: str = "l1"
    """Name of a metric."""


@dataclass(frozen=True)
class EvaluateOptions(TrainedRunOptions):
    """A program that does not exist."""

    measure: MeasureOptions = field(default_factory=MeasureOptions)


def test_a_program_that_uses_a_run_is_a_dataclass_and_a_line(save: Save) -> None:
    save("--ngf 8 --dataroot d --resize_or_crop crop --batchSize 4")
    options = parse_for_run(EvaluateOptions, ["--how", "fid"])
    assert (options.measure.how, options.model.ngf, options.data.dataroot) == ("fid", 8, "d")
    assert (options.data.batchSize, options.data.resize_or_crop) == (1, "none")
    assert len(error_lines(lambda: parse_for_run(EvaluateOptions, ["--ngf", "9"]))) == 1


FOR_RUNS_WITH_FEATURES = [
    (parse_encode, "", "the run has no encoder: it was trained without --instance_feat and"),
    (parse_test, "--styles 2", "--styles 2: the run was trained without features; leave it out"),
    (parse_test, "--style_from a.png", "--style_from a.png: the run was trained without features"),
    (parse_test, "--use_encoded_image", "--use_encoded_image: the run was trained without"),
]


@pytest.mark.parametrize(("parse", "line", "problem"), FOR_RUNS_WITH_FEATURES)
def test_what_only_a_run_with_features_can_do(
    parse: Callable[[list[str]], object], line: str, problem: str, save: Save
) -> None:
    parse(line.split())  # of a run that nothing is known of yet: see engine.published
    save("")
    assert error_lines(lambda: parse(line.split()))[0].startswith(problem)


def test_noise_has_styles_but_no_photographs(save: Save) -> None:
    save("--z_dim 4")
    assert parse_test(["--styles", "3"]).results.styles == 3
    [line] = error_lines(lambda: parse_test(["--styles", "2", "--style_from", "a.png"]))
    assert line == "--style_from a.png: the run was trained without features; leave it out"
    assert error_lines(lambda: parse_encode([]))[0].startswith("the run has no encoder")


def test_the_encoder_s_programs_take_the_images_that_were_trained_on(save: Save) -> None:
    save("--instance_feat --phase mine")
    assert parse_encode([]).encoding.phase == "mine"
    assert parse_encode(["--phase", "val"]).encoding.phase == "val"
    assert parse_test([]).results.phase == "test"


@pytest.mark.parametrize(("netD", "is_fixed"), [("multiscale", True), ("segmentation", False)])
def test_feature_matching_names_the_tensors_of_the_patchgans(
    netD: str, is_fixed: bool, save: Save
) -> None:
    save(f"--netD {netD}")
    flag = "--no_ganFeat_loss" if is_fixed else "--ganFeat_loss"
    argv = ["--continue_train", flag]
    if not is_fixed:
        assert parse_train(argv).loss.ganFeat_loss
        return
    [line] = error_lines(lambda: parse_train(argv))
    assert line.startswith("--no_ganFeat_loss: the run ") and "leave the flag out" in line


def test_noise_with_an_encoder_is_drawn_or_of_one_photograph(save: Save) -> None:
    save("--netG spade --use_vae --crop_size 64 --loadSize 64")
    for line in ("--styles 3", "--use_encoded_image", "--style_from a.png"):
        parse_test(line.split())
    [line] = error_lines(lambda: parse_test(["--styles", "2", "--use_encoded_image"]))
    both = "--use_encoded_image with --styles 2"
    assert line == f"{both}: noise comes from one source; leave one of them"


def test_gpus_are_the_launchers_where_there_is_one(save: Save) -> None:
    save("--gpu_ids 4,5,6,7")
    assert parse_train(["--continue_train"]).run.gpu_ids == "4,5,6,7"
    assert parse_train(["--continue_train"], launched=True).run.gpu_ids == "0"
    given = ["--continue_train", "--gpu_ids", "1"]
    assert parse_train(given, launched=True).run.gpu_ids == "1"


@pytest.mark.parametrize(
    ("saved", "given", "loss"),
    [
        ("--no_lsgan", "", "vanilla"),
        ("--gan_loss hinge", "", "hinge"),
        ("--gan_loss hinge", "--no_lsgan", "vanilla"),
        ("--no_lsgan", "--gan_loss hinge", "hinge"),
        ("--no_lsgan", "--lsgan", "lsgan"),
        ("--gan_loss hinge", "--lsgan", "lsgan"),
    ],
)
def test_a_run_goes_on_with_the_gan_loss_that_is_given(
    saved: str, given: str, loss: str, save: Save
) -> None:
    save(saved)
    assert parse_train(["--continue_train", *given.split()]).loss.gan_loss == loss


def test_older_options_json_say_it_with_the_older_flags(save: Save) -> None:
    save(options_json='{"lsgan": false, "fp16": true, "precision": "auto", "data_type": 32}')
    options = parse_train(["--continue_train"])
    assert (options.loss.gan_loss, options.run.precision) == ("vanilla", "fp16")
    texts = options_texts(options)
    assert {"fp16: True", "data_type: 32", "no_lsgan: True"} < set(texts["opt.txt"].splitlines())
    values = json.loads(texts["options.json"])
    assert (values["gan_loss"], values["lsgan"]) == ("vanilla", False)
    assert (values["precision"], values["fp16"]) == ("fp16", True)


def test_a_copied_run_goes_on_in_its_own_folder(save: Save) -> None:
    """What the folder was called where its options were written does not matter."""
    texts = options_texts(replaced(TrainOptions(), {"name": "first", "checkpoints_dir": "/old"}))
    save(options_json=texts["options.json"])
    run = parse_train(["--continue_train"]).run
    assert (run.name, run.checkpoints_dir) == ("label2city", "./checkpoints")


words = st.text("abcXYZ019_-./ é", max_size=12).map(str.strip)
recorded = st.fixed_dictionaries(
    {
        "ngf": st.integers(1, 8192),
        "gpu_ids": st.sampled_from(["-1", "0", "0,1"]),
        "lr": st.floats(0, 1),
        "lambda_feat": st.floats(0, 1e9),
        "max_dataset_size": st.none() | st.integers(1, 10**9),
        "gan_loss": st.sampled_from(["lsgan", "vanilla", "hinge"]),
        "ignore_label": st.none() | st.integers(0, 255),
        "flip": st.booleans(),
        "instance": st.booleans(),
        "fp16": st.booleans(),
        "netG": st.sampled_from(["global", "local"]),
        "resize_or_crop": st.sampled_from(["none", "crop", "scale_width"]),
        "data_type": st.sampled_from([32, 16, 8]),
        "dataroot": words,
        "load_pretrain": words,
        "vgg_weights": st.none() | words.filter(lambda word: word not in ("", "None")),
    }
)


@pytest.mark.parametrize("name", ["options.json", "opt.txt"])
@settings(deadline=None, max_examples=15, phases=[Phase.explicit, Phase.generate])
@given(values=recorded)
@example(values={"dataroot": "-1", "load_pretrain": "--name"})
def test_saved_options_are_read_back(
    name: str, values: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("checkpoints")
    run = {"checkpoints_dir": str(folder), "name": "run"}
    saved = replaced(TrainOptions(), values | run)
    (folder / "run").mkdir()
    (folder / "run" / name).write_text(options_texts(saved)[name])
    assert saved_options(RunOptions(**run)) == flat(saved)


def test_texts() -> None:
    texts = options_texts(replaced(TrainOptions(), {"flip": False, "ngf": 8}))
    values = json.loads(texts["options.json"])
    assert values.pop("cwd") == str(Path.cwd())
    assert values == flat(replaced(TrainOptions(), {"flip": False, "ngf": 8}))
    first, *lines, last = texts["opt.txt"].splitlines()
    assert (first, last) == (
        "------------ Options -------------",
        "-------------- End ----------------",
    )
    assert lines == sorted(lines)
    assert {"no_flip: True", "no_lsgan: False", "ngf: 8", "fp16: False"} < set(lines)
    assert len(lines) == len(values)


def test_what_argv_switches_off_takes_its_weights_along(save: Save) -> None:
    save("--vgg_weights vgg.pth")
    assert parse_train(["--continue_train"]).loss.vgg_weights == "vgg.pth"
    assert parse_train(["--continue_train", "--vgg_loss"]).loss.vgg_weights == "vgg.pth"
    for flag in ("--no_vgg_loss", "--no-vgg-loss"):
        loss = parse_train(["--continue_train", flag]).loss
        assert (loss.vgg_loss, loss.vgg_weights) == (False, None)
    words = "--continue_train --no_vgg_loss --vgg_weights other.pth"
    [line] = error_lines(lambda: parse_train(words.split()))
    assert line.startswith("--vgg_weights with --no_vgg_loss")


def test_weights_switch_their_loss_on(save: Save) -> None:
    save("--netD segmentation")
    assert not parse_train(["--continue_train"]).loss.vgg_loss
    assert not parse_train(["--continue_train", "--vgg_weights", "None"]).loss.vgg_loss
    assert parse_train(["--continue_train", "--vgg_weights", "vgg.pth"]).loss.vgg_loss
