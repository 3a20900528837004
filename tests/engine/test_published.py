"""What weights tell of their networks where no options are saved with them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from shared_data import shared
from torch import Tensor

from pix2pixhd.engine.published import completed, read_architecture
from pix2pixhd.models import create_encoder, create_generator
from pix2pixhd.options.base_options import ModelOptions
from pix2pixhd.options.command_line import read_argv
from pix2pixhd.options.fields import replaced
from pix2pixhd.options.parsing import parse_encode, parse_precompute, parse_test
from pix2pixhd.util.checkpoint import network_file, save_tensors
from pix2pixhd.util.errors import UserError

State = dict[str, Tensor]
DEFAULT = ModelOptions()
SMALL = replace(DEFAULT, ngf=2, n_downsample_global=1, n_blocks_global=1)


def flags(line: str, model: ModelOptions = DEFAULT) -> ModelOptions:
    return read_argv(line.split(), model)


def weights(model: ModelOptions, with_encoder: bool = False) -> tuple[State, State | None]:
    """The state dicts of such a generator and of an encoder, without values."""
    with torch.device("meta"):
        encoder = create_encoder(model).state_dict() if with_encoder else None
        return create_generator(model).state_dict(), encoder


sizes = st.integers(1, 3)
architectures = st.fixed_dictionaries(
    {
        "netG": st.sampled_from(["global", "local", "unet"]),
        "ngf": st.integers(1, 9) | st.just(64),
        "n_downsample_global": sizes | st.just(4),
        "n_blocks_global": st.integers(0, 3) | st.just(9),
        "n_local_enhancers": sizes,
        "n_blocks_local": st.integers(0, 3),
        "norm": st.sampled_from(["instance", "batch"]),
        "output_nc": st.sampled_from([1, 3, 4]),
        "feat_num": st.integers(1, 5),
        "n_downsample_E": sizes,
        "nef": sizes,
        "upsample": st.sampled_from(["deconv", "resize"]),
    }
)


@settings(deadline=None, max_examples=40)
@given(values=architectures, features=st.sampled_from(["", "instance_feat", "label_feat"]))
def test_any_architecture_is_read_back(values: dict[str, Any], features: str) -> None:
    kind = {features: True} if features else {}
    model = replaced(DEFAULT, values | kind)
    if model.netG != "local":
        model = replace(model, n_local_enhancers=1, n_blocks_local=3)
    if not features:
        model = replace(model, feat_num=3, n_downsample_E=4, nef=16)
    said = replaced(DEFAULT, {"label_feat": features == "label_feat"})
    found, _ = read_architecture(*weights(model, bool(features)), said)
    assert found == model


@pytest.mark.parametrize("name", ["G_global_512p", "G_local_1024p", "G_local_2048p"])
def test_published_networks_are_those_of_their_flags(name: str) -> None:
    recorded = json.loads(shared("reference", "state_dict_keys.json").read_text())[name]
    state = {
        key: torch.empty(shape, device="meta") for key, shape in recorded["state_dict"].items()
    }
    found, [line] = read_architecture(state, None, DEFAULT)
    assert found == flags(recorded["flags"])
    assert line.endswith("; 36 input channels: 35 labels, the boundaries of instances")
    assert all(word in line for word in recorded["flags"].split())


@pytest.mark.parametrize(
    "line", ["--num_images 9", "--crn_height 16 --ngf 3", "--crn_height 64 --output_nc 1"]
)
def test_crn_is_read_back(line: str) -> None:
    model = flags(f"--netG crn {line}")
    assert read_architecture(*weights(model), DEFAULT)[0] == model


def test_published_weights_of_crn() -> None:
    file = shared("reference", "baselines", "state_dict_keys_crn.json")
    shapes = json.loads(file.read_text())["result_512p"]["state_dict"]
    state = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    found, [line] = read_architecture(state, None, flags("--no_instance"))
    assert found == flags("--netG crn --crn_height 512 --label_nc 20 --no_instance")
    assert line.endswith("; 20 input channels: 20 labels")


INPUTS = [
    # what the run is, what is said, what else follows
    ("", "", ""),
    ("--instance_feat", "", "--instance_feat"),
    ("--instance_feat --feat_num 5", "", "--instance_feat --feat_num 5"),
    ("--label_feat", "--label_feat", ""),
    ("--label_nc 12", "--label_nc 12", ""),
    ("--label_nc 12 --no_instance", "--label_nc 12", "--no_instance"),
    ("--label_nc 12 --no_instance", "--no_instance", "--label_nc 12"),
    ("--label_nc 12 --instance_feat", "--label_nc 12", "--instance_feat"),
    ("--label_nc 12 --extra_nc 2 --no_instance", "--no_instance --extra_nc 2", "--label_nc 12"),
    ("--label_nc 0", "--label_nc 0", ""),
    ("--label_nc 0 --input_nc 1 --no_instance", "--label_nc 0", "--input_nc 1 --no_instance"),
    ("--label_nc 0 --input_nc 7", "--input_nc 7", "--label_nc 0"),
    ("--label_nc 12 --z_dim 3", "--label_nc 12 --z_dim 3", ""),
    ("--label_nc 12 --z_dim 3 --no_instance", "--no_instance --z_dim 3", "--label_nc 12"),
]


@pytest.mark.parametrize(("run", "said", "more"), INPUTS)
def test_the_input_is_what_alone_makes_its_channels(run: str, said: str, more: str) -> None:
    model = flags(run, SMALL)
    found, [line] = read_architecture(*weights(model, model.uses_features), flags(said))
    assert found == model == flags(more, flags(said, SMALL))
    assert " input channels: " in line


AMBIGUOUS = [
    ("--label_nc 12", "", "13", "--label_nc 12, or --label_nc 13 --no_instance"),
    ("--no_instance", "", "35", "--label_nc 34, or --no_instance"),
    ("--label_nc 0", "", "4", "--label_nc 3, or --label_nc 0, or --label_nc 4 --no_instance"),
    (
        "--label_nc 0 --no_instance",
        "",
        "3",
        "--label_nc 2, or --label_nc 3 --no_instance, or --label_nc 0 --no_instance",
    ),
    ("--label_nc 0 --no_instance", "--label_nc 0", "3", "--input_nc 2, or --no_instance"),
    ("--label_nc 3 --no_instance", "--no_instance", "3", "--label_nc 3, or --label_nc 0"),
    (
        "--label_nc 12 --extra_nc 2",
        "--label_nc 12",
        "15",
        "--extra_nc 2, or --z_dim 2, or --extra_nc 3 --no_instance, or --z_dim 3 --no_instance, or "
        "--no_instance --label_feat",
    ),
    # One reading of maps alone, but noise makes as many channels.
    ("--no_instance --z_dim 16", "--no_instance", "51", "--label_nc 51, or --z_dim 16"),
    (
        *("--label_nc 12 --z_dim 4 --no_instance", "--label_nc 12 --no_instance"),
        *("16", "--extra_nc 4, or --z_dim 4"),
    ),
    (
        *("--label_nc 0 --input_nc 7 --no_instance", "--label_nc 0 --no_instance"),
        *("7", "--input_nc 7, or --z_dim 4"),
    ),
]
# Without the encoder, which --load_features needs not.
AMBIGUOUS_FEATURES = [
    (
        *("", "39"),
        "--label_nc 38, or --z_dim 3, or --instance_feat, or --label_nc 39 --no_instance, or "
        "--z_dim 4 --no_instance",
    ),
    (
        *("--label_nc 12", "16"),
        "--extra_nc 3, or --z_dim 3, or --instance_feat, or --extra_nc 4 --no_instance, or "
        "--z_dim 4 --no_instance",
    ),
]


@pytest.mark.parametrize(("run", "said", "channels", "ways"), AMBIGUOUS)
def test_what_the_input_may_be_is_asked(run: str, said: str, channels: str, ways: str) -> None:
    with pytest.raises(UserError) as caught:
        read_architecture(*weights(flags(run, SMALL)), flags(said))
    assert str(caught.value) == (
        f"the generator takes {channels} input channels, and the weights do not say what they are; "
        f"also give {ways}"
    )


@pytest.mark.parametrize(("said", "channels", "ways"), AMBIGUOUS_FEATURES)
def test_features_without_their_encoder_are_asked(said: str, channels: str, ways: str) -> None:
    run = flags(f"{said} --instance_feat", SMALL)
    with pytest.raises(UserError, match=f"takes {channels} .* also give {ways}$"):
        read_architecture(*weights(run), flags(said))
    assert read_architecture(*weights(run), flags(f"{said} --instance_feat"))[0].instance_feat


def test_an_encoder_and_no_room_for_the_boundaries_of_instances() -> None:
    run = flags("--label_feat --no_instance", SMALL)
    with pytest.raises(UserError, match=r"--label_nc 34, or --no_instance --label_feat$"):
        read_architecture(*weights(run, True), DEFAULT)


@pytest.mark.parametrize(
    "said", ["--ngf 8", "--netG local", "--label_nc 40", "--n_blocks_global 2"]
)
def test_flags_stay_even_if_the_weights_contradict_them(said: str) -> None:
    found, _ = read_architecture(*weights(SMALL), flags(said))
    [name] = [word[2:] for word in said.split() if word.startswith("--")]
    assert getattr(found, name) == getattr(flags(said), name)


@pytest.mark.parametrize(
    "state", [{}, {"first.weight": torch.ones(2, 3, 3, 3)}, {"model.1.weight": 5}]
)
def test_of_other_networks_nothing_is_read(state: dict[str, Any]) -> None:
    assert read_architecture(state, None, DEFAULT) == (DEFAULT, [])


def test_statistics_of_old_instance_norms_are_no_batch_norm() -> None:
    state, _ = weights(SMALL)
    state |= {"model.2.running_mean": torch.ones(2), "model.2.running_var": torch.ones(2)}
    assert read_architecture(state, None, DEFAULT)[0].norm == "instance"


# ---------------------------------------------------------------- programs


def publish(folder: Path, line: str = "", with_encoder: bool = False, prefix: str = "") -> None:
    """A run's folder with weights alone."""
    model = flags(line, SMALL)
    networks = {"G": create_generator(model)} | (
        {"E": create_encoder(model)} if with_encoder else {}
    )
    for name, network in networks.items():
        state = {prefix + key: value for key, value in network.state_dict().items()}
        save_tensors(state, network_file(folder, "latest", name))


@pytest.fixture(autouse=True)
def in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("prefix", ["", "module.", "module.module."])
def test_what_was_read_is_told(prefix: str, capsys: pytest.CaptureFixture[str]) -> None:
    publish(Path("checkpoints/one"), "--instance_feat", with_encoder=True, prefix=prefix)
    options = completed(parse_test(["--name", "one", "--styles", "2"]), "latest")
    assert options.model == flags("--instance_feat", SMALL)
    assert capsys.readouterr().out == (
        "checkpoints/one: has no saved options; by its weights, the networks are of --ngf 2 "
        "--n_downsample_global 1 --n_blocks_global 1; 39 input channels: 35 labels, the "
        "boundaries of instances, 3 features\n"
    )


MESSAGES = [
    ("--label_nc 12", parse_test, "", "checkpoints/one/latest_net_G.pth: the generator takes 13"),
    ("", parse_test, "--styles 2", "--styles 2: the run was trained without features"),
    ("", parse_encode, "", "the run has no encoder: it was trained without --instance_feat"),
    ("--instance_feat", parse_precompute, "--instance_feat --load_features", "--load_features: th"),
    ("--output_nc 4 --ngf 3", parse_test, "--feat_num 5000", "--feat_num 5000: must be"),
    ("", parse_test, "--which_epoch 3", "checkpoints/one: no weights of epoch '3' (3_net_G.pth)"),
    ("", parse_test, "--name two", "checkpoints/two: there is no such run; checkpoints has one"),
    ("", parse_encode, "--name two", "checkpoints/two: there is no such run; checkpoints has one"),
    ("", parse_precompute, "--name two", "checkpoints/two: there is no such run; checkpoints has"),
]


@pytest.mark.parametrize(("run", "parse", "said", "message"), MESSAGES)
def test_what_does_not_suit_the_weights(run: str, parse: Any, said: str, message: str) -> None:
    publish(Path("checkpoints/one"), run)

    def call() -> None:
        options = parse(["--name", "one", *said.split()])
        part = options.results if parse is parse_test else options.encoding
        completed(options, part.which_epoch)

    with pytest.raises(UserError) as caught:
        call()
    [problem] = caught.value.problems
    assert problem.startswith(message)
