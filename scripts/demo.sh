#!/usr/bin/env bash
# Makes the environment, draws a data set of streets, trains a small model on it for a few minutes
# and renders street scenes that it has never seen.
set -euo pipefail
source "$(dirname "$0")/environment.sh" requirements.txt

python datasets/make_toy_streets.py --out datasets/toy_streets
python train.py --name toy_streets --dataroot datasets/toy_streets --resize_or_crop none \
    --ngf 16 --n_downsample_global 3 --n_blocks_global 4 --ndf 16 --no_vgg_loss \
    --niter 3 --niter_decay 3 --print_freq 50 --display_freq 100 "$@"
python test.py --name toy_streets
echo "open in a browser: $PWD/results/toy_streets/test_latest/index.html"
