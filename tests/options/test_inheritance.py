"""Options saved with a run, and what resuming and rendering take over from them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import Phase, example, given, settings
from hypothesis import strategies as st

from options.base_options import DataOptions, RunOptions
from options.parsing import parse_test, parse_train, uncropped
from options.saved import flat, options_texts, replaced, saved_options
from options.train_options import TrainOptions
from util.errors import UserError

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
            (folder / name).write_text(text)
        return folder

    return write


def error_lines(call: Callable[[], object]) -> list[str]:
    with pytest.raises(UserError) as caught:
        call()
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
    assert (other.dataroot, other.loadSize, other.resize_or_crop) == ("e", 512, "crop")


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
    assert len(lines) == 2
    assert lines[0].startswith("--no_instance: the run 'label2city' in ./checkpoints")
    assert lines[1].startswith("--ngf 9: ")
    assert "was trained with --ngf 8; leave the flag out" in lines[1]


DAMAGED = [
    *(("options_json", text) for text in ("", "[]", "5", "null", '{"ngf": 8', '{"ngf": "many"}')),
    *(("opt_txt", text) for text in ("", "\x00", "ngf 8\n", "ngf: many\n", "netG: locl\n")),
]


@pytest.mark.parametrize(("name", "text"), DAMAGED)
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
    assert line.startswith(f"{file.relative_to(Path.cwd())}: ")


def test_a_copied_run_goes_on_in_its_own_folder(save: Save) -> None:
    """What the folder was called where its options were written does not matter."""
    texts = options_texts(replaced(TrainOptions(), {"name": "first", "checkpoints_dir": "/old"}))
    save(options_json=texts["options.json"])
    run = parse_train(["--continue_train"]).run
    assert (run.name, run.checkpoints_dir) == ("label2city", "./checkpoints")


words = st.text("abcXYZ019_-./ é", max_size=12).map(str.strip)
recorded = st.fixed_dictionaries(
    {
        "ngf": st.integers(1, 10**6),
        "gpu_ids": st.sampled_from(["-1", "0", "0,1"]),
        "lr": st.floats(0, 1),
        "lambda_feat": st.floats(0, 1e9),
        "max_dataset_size": st.none() | st.integers(1, 10**9),
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
    assert values == flat(replaced(TrainOptions(), {"flip": False, "ngf": 8}))
    first, *lines, last = texts["opt.txt"].splitlines()
    assert (first, last) == (
        "------------ Options -------------",
        "-------------- End ----------------",
    )
    assert lines == sorted(lines)
    assert {"no_flip: True", "no_lsgan: False", "ngf: 8", "fp16: False"} < set(lines)
    assert len(lines) == len(values)
