#!/usr/bin/env bash
# The paper's ablations on the toy streets, with equal steps and seeds: trains each variant, evaluates
# it and writes one page to compare. What is there already is not done again. Arguments go to train.py;
# the environment says the rest:
#   SEEDS="0 1 2"   a page for each
#   EPOCHS=4        of 200 steps
#   VGG=FILE        VGG19's weights: adds the variant with the perceptual loss
#   EVALUATE="--lpips_backbone FILE --inception FILE"   flags of evaluate.py
#   JUDGE="--epochs 20"   flags of evaluate.py train-segmenter
set -euo pipefail
source "$(dirname "$0")/environment.sh" requirements.txt

data=datasets/streets epochs=${EPOCHS:-4} judge=checkpoints/toy_segmenter.pt
[ -d $data ] || python datasets/make_toy_streets.py --out $data
# shellcheck disable=SC2086
python evaluate.py train-segmenter --dataroot $data --out $judge --fineSize 128 ${JUDGE:---epochs 20}

variants=(full no_feature_matching one_discriminator no_boundaries)
[ -z "${VGG:-}" ] || variants+=(with_vgg)
for seed in ${SEEDS:-0}; do
    names=()
    for variant in "${variants[@]}"; do
        loss=(--no_vgg_loss)
        case $variant in
            no_feature_matching) loss+=(--no_ganFeat_loss) ;;
            one_discriminator) loss+=(--num_D 1) ;;
            no_boundaries) loss+=(--no_instance) ;;
            with_vgg) loss=(--vgg_weights "$VGG") ;;
        esac
        name=ablate_${variant}_$seed
        names+=("$name")
        if [ ! -e "checkpoints/$name/done" ]; then
            # As in demo.sh.
            python train.py --name "$name" --dataroot $data --seed "$seed" \
                --resize_or_crop crop --fineSize 128 \
                --netG local --ngf 8 --n_downsample_global 2 --n_blocks_global 4 --n_blocks_local 2 \
                --ndf 24 --n_layers_D 2 --lr 0.0003 --display_freq 200 \
                --niter $((epochs / 2)) --niter_decay $((epochs - epochs / 2)) "${loss[@]}" "$@"
            touch "checkpoints/$name/done"
        fi
        # shellcheck disable=SC2086
        python evaluate.py --name "$name" --segmenter $judge ${EVALUATE:-}
    done
    python evaluate.py compare "${names[@]}" --out "results/ablation_$seed/index.html"
done
