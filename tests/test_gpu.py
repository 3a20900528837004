"""What only a CUDA device shows. Without one these are skipped."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from programs import metrics, run_encode, run_test, run_train, tiny_run, write_tiny_data
from shared_data import shared
from test_conformance import expect_losses, flags

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

ON_GPU = ("--gpu_ids", "0", "--nThreads", "1", "--print_freq", "1")


def test_losses_of_the_reference_on_the_gpu(tmp_path: Path) -> None:
    outcome = run_train(
        *("--name", "labels", "--checkpoints_dir", tmp_path, "--no_html"),
        *("--load_pretrain", shared("reference") / "labels/init", *flags("labels"), *ON_GPU),
    )
    assert outcome.code == 0, outcome.err
    expect_losses(metrics(tmp_path / "labels"), "labels")


def test_features_on_the_gpu_are_those_on_the_cpu(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    write_tiny_data(tmp_path, phase="test", count=1)
    run = (*tiny_run(tmp_path), "--instance_feat", "--nef", "2", "--n_downsample_E", "1")
    assert run_train(*run, *ON_GPU, "--niter", "1", "--niter_decay", "0").code == 0
    where = ("--name", "tiny", "--checkpoints_dir", tmp_path / "ck", "--nThreads", "0")
    rows = []
    for gpu_ids in ("0", "-1"):
        assert run_encode(*where, "--gpu_ids", gpu_ids).code == 0
        features = np.load(tmp_path / "ck/tiny/features.npz")
        rows.append(np.concatenate([features[name] for name in sorted(features.files)]))
    np.testing.assert_allclose(rows[0], rows[1], atol=1e-3)
    styles = ("--results_dir", tmp_path, "--gpu_ids", "0", "--styles", "2")
    assert run_test(*where, *styles).code == 0


def test_mixed_precision_trains_resumes_and_renders(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    write_tiny_data(tmp_path, phase="test", count=2)
    run = (*tiny_run(tmp_path), *ON_GPU, "--fp16", "--use_dropout", "--pool_size", "2")
    assert run_train(*run, "--niter", "2", "--niter_decay", "0").code == 0
    assert run_train(*run, "--niter", "3", "--niter_decay", "0", "--continue_train").code == 0
    losses = metrics(tmp_path / "ck/tiny")
    assert [line["step"] for line in losses] == list(range(1, 13))
    assert all(math.isfinite(line["G_GAN"]) for line in losses)
    where = ("--name", "tiny", "--checkpoints_dir", tmp_path / "ck", "--results_dir", tmp_path)
    outcome = run_test(*where, *ON_GPU[:2], "--fp16")
    assert outcome.code == 0, outcome.err
    assert len(list((tmp_path / "tiny/test_latest/images").glob("*synthesized_image.png"))) == 2


def test_a_run_on_the_gpu_goes_on_on_the_cpu(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    run = tiny_run(tmp_path)
    assert run_train(*run, *ON_GPU, "--niter", "1", "--niter_decay", "0").code == 0
    on_cpu = ("--continue_train", "--niter", "2", "--niter_decay", "0", "--gpu_ids", "-1")
    outcome = run_train(*run, *on_cpu)
    assert outcome.code == 0, outcome.err
