#!/usr/bin/env bash
# Makes the environment, draws a data set of streets, trains a small model with instance features on it
# for a few minutes, and renders street scenes that it has never seen: with the features of their real
# images, and in three styles each. With --edit first, it then opens them in the editor; what was
# trained before is not trained again for it. Other arguments go to train.py.
set -euo pipefail
edits=false requirements=(requirements.txt)
if [ "${1:-}" = --edit ]; then
    shift
    edits=true requirements+=(requirements-edit.txt)
fi
source "$(dirname "$0")/environment.sh" "${requirements[@]}"

# The networks are tiny: more threads bring nothing, and beside other work they wait for each other.
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
name=toy_streets
if $edits && [ -e results/$name/test_latest_3styles/index.html ]; then
    exec python edit.py --name $name
fi
python datasets/make_toy_streets.py --out datasets/streets
# Crops halve the time of a step. Two layers in the discriminators look at patches of 34x34 pixels,
# which suits images this small. L1 tells the encoder early what colours are.
python train.py --name $name --dataroot datasets/streets \
    --instance_feat --nef 8 --n_downsample_E 2 \
    --netG unet --ngf 24 --n_downsample_global 3 --n_blocks_global 2 --upsample resize \
    --ndf 24 --n_layers_D 2 --no_vgg_loss --lambda_L1 20 --ema_half_life 500 \
    --resize_or_crop crop --fineSize 128 --lr 0.0003 --niter 7 --niter_decay 3 --display_freq 200 "$@"
python encode_features.py --name $name
python test.py --name $name --use_encoded_image
python test.py --name $name --styles 3
echo "features of the real images: $PWD/results/$name/test_latest_encoded/index.html"
echo "open in a browser: $PWD/results/$name/test_latest_3styles/index.html"
if $edits; then
    exec python edit.py --name $name
fi
