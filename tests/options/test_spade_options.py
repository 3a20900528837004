"""Options of --netG spade and oasis: what they mean, and contradictions."""

from __future__ import annotations

import pytest

from pix2pixhd.engine.builders import shares_statistics
from pix2pixhd.options.ineffective import ineffective_flags
from pix2pixhd.options.parsing import parse_test, parse_train
from pix2pixhd.options.spade_options import SpadeNorm, parse_norm_G
from pix2pixhd.util.errors import UserError


def test_names_of_norms() -> None:
    assert parse_norm_G("spectralspadesyncbatch3x3") == SpadeNorm(True, "syncbatch", 3)
    assert parse_norm_G("spadeinstance5x5") == SpadeNorm(False, "instance", 5)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ("--netG spade --norm_G spectralinstance", "--norm_G 'spectralinstance': must be spectral"),
        ("--netG spade --norm_G spadebatch3x5", "--norm_G 'spadebatch3x5': must be"),
        ("--netG oasis --norm_G spadebatch4x4", "--norm_G 'spadebatch4x4': must be"),
        ("--use_vae", "--use_vae with --netG global: only SPADE's"),
        ("--netG oasis --use_vae --crop_size 256", "--use_vae with --netG oasis: only SPADE's"),
        ("--netG spade --use_vae --instance_feat --crop_size 64", "--use_vae with --instance_feat"),
        ("--netG spade --use_vae", "--crop_size '': must be the images' WIDTHxHEIGHT"),
        ("--netG spade --use_vae --crop_size 256x", "--crop_size '256x'"),
        ("--netG spade --use_vae --crop_size 500x250", "--crop_size '500x250': .*multiples of 32"),
        ("--netG spade --use_vae --crop_size 32", "--crop_size '32': .*larger than 32x32"),
        ("--netG spade --use_vae --crop_size 512x256", "--crop_size 512x256 and --loadSize 1024"),
        (
            "--netG spade --use_vae --crop_size 512x256 --resize_or_crop crop --fineSize 512",
            "--crop_size 512x256 and --fineSize 512",
        ),
        ("--netG spade --spectral_norm GD", "--spectral_norm GD with --netG spade"),
        ("--netG oasis --checkpoint_activations", "--checkpoint_activations with --netG oasis"),
        ("--norm_D spectralinstance --spectral_norm D", "--spectral_norm D with --norm_D"),
    ],
)
def test_contradictions(flags: str, words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        parse_train(flags.split())
    assert len(caught.value.problems) == 1


@pytest.mark.parametrize(
    ("flags", "names"),
    [
        ("--netG spade --n_blocks_global 3 --upsample resize", "n_blocks_global upsample"),
        ("--netG spade --instance_feat --upsample resize", ""),
        ("--netG oasis --num_upsampling_layers more --crop_size 64", "num_upsampling_layers crop"),
        ("--norm_G spadebatch3x3 --lambda_kld 1", "norm_G lambda_kld"),
    ],
)
def test_flags_without_effect(flags: str, names: str) -> None:
    lines = ineffective_flags(parse_train(flags.split()))
    assert len(lines) == len(names.split())
    for name, line in zip(names.split(), lines, strict=True):
        assert line.startswith(f"--{name}") and "it has no effect; " in line


def test_numbers_of_noise() -> None:
    for flags, numbers in {
        "--netG spade": 0,
        "--netG spade --use_vae --crop_size 512x256 --loadSize 512": 256,
        "--netG spade --use_vae --crop_size 64 --loadSize 64 --z_dim 8": 8,
        "--netG oasis": 64,
        "--netG oasis --instance_feat": 0,
    }.items():
        assert parse_train(flags.split()).model.z_dim == numbers
    assert parse_test(["--netG", "oasis", "--styles", "2"]).model.z_dim == 64


@pytest.mark.parametrize(
    ("flags", "networks"),
    [
        ("", ""),
        ("--norm batch", "GDE"),
        ("--netG spade", "G"),
        ("--netG spade --norm_G spadebatch3x3 --norm batch", "DE"),
        ("--netG oasis --norm_D batch", "GD"),
    ],
)
def test_batch_norms_that_look_at_all_processes(flags: str, networks: str) -> None:
    options = parse_train(flags.split())
    assert "".join(n for n in "GDE" if shares_statistics(options, n)) == networks
