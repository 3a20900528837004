#!/usr/bin/env bash
# Makes the environment, draws a data set of streets, trains a small model on it for a few minutes
# and renders street scenes that it has never seen. With --features first, the model has instance
# features, and each scene is rendered in three styles. Other arguments go to train.py.
set -euo pipefail
source "$(dirname "$0")/environment.sh" requirements.txt

name=toy_streets features=() styles=() gallery=test_latest
if [ "${1:-}" = --features ]; then
    shift
    name=toy_styles features=(--instance_feat --nef 8 --n_downsample_E 2) styles=(--styles 3)
    gallery=test_latest_3styles
fi

python datasets/make_toy_streets.py --out datasets/streets
# Crops halve the time of a step. Two layers in the discriminators look at patches of 34x34 pixels,
# which suits images this small.
python train.py --name $name --dataroot datasets/streets \
    --resize_or_crop crop --fineSize 128 --no_vgg_loss \
    --netG local --ngf 8 --n_downsample_global 2 --n_blocks_global 4 --n_blocks_local 2 \
    --ndf 24 --n_layers_D 2 --lr 0.0003 --niter 5 --niter_decay 3 --display_freq 200 \
    ${features[@]+"${features[@]}"} "$@"
if [ ${#features[@]} -gt 0 ]; then
    python encode_features.py --name $name
fi
python test.py --name $name ${styles[@]+"${styles[@]}"}
echo "open in a browser: $PWD/results/$name/$gallery/index.html"
