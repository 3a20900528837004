"""--label_names: the labels are called by their names, in pages and in messages."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from programs import LABELS, run_encode, run_test, run_train, tiny_run, write_tiny_data

NAMES = ["sky", "road", "car", "tree", "wall"]
FEATURES = ("--instance_feat", "--nef", "2", "--n_downsample_E", "1", "--feat_num", "2")


def test_programs_call_labels_by_their_names(tmp_path: Path) -> None:
    write_tiny_data(tmp_path)
    write_tiny_data(tmp_path, phase="test", count=1)
    names = tmp_path / "names.json"
    flags = (*tiny_run(tmp_path), *FEATURES, "--niter", "1", "--niter_decay", "0", "--no_html")
    outcome = run_train(*flags, "--label_names", names)
    assert outcome.code == 2
    assert outcome.err.startswith(f"error: --label_names {names}: cannot be read (No such file")
    assert outcome.err.count("\n") == 1 and not (tmp_path / "ck/tiny").exists()
    assert len(NAMES) == LABELS
    names.write_text(json.dumps(NAMES))
    outcome = run_train(*flags, "--label_names", names)
    assert outcome.code == 0, outcome.err

    where = ("--name", "tiny", "--checkpoints_dir", tmp_path / "ck", "--gpu_ids", "-1")
    outcome = run_encode(*where, "--nThreads", "0", "--min_instance_area", "9999")
    assert outcome.code == 0, outcome.err
    page = (tmp_path / "ck/tiny/features/index.html").read_text()
    for number, name in enumerate(NAMES):
        assert f"label {number} ({name}): none of its " in outcome.out
        assert f">label {number} ({name})<" in page and f">{number} {name}<" in page

    clusters = tmp_path / "ck/tiny/features_clustered_010.npz"
    np.savez(clusters, centres_0=np.zeros((1, 2)))
    outcome = run_test(*where, "--nThreads", "0", "--results_dir", tmp_path / "results")
    assert outcome.code == 0, outcome.err
    assert "label 2 (car) has no clusters: " in outcome.out
