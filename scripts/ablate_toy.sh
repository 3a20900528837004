#!/usr/bin/env bash
# Ablations on the toy streets, with equal steps and seeds: trains each variant, evaluates it, writes
# one page to compare and prints a table. What is there already is not done again. Arguments go to
# train.py; the environment says the rest:
#   SET=paper       full, and what the paper takes away; or remedies: what was found since, each beside
#                   --upsample resize, without which a grid hides the rest, and together
#   SEEDS="0 1 2"   a page and a table for each
#   EPOCHS=4        of 200 steps
#   VGG=FILE        VGG19's weights: adds the variant with the perceptual loss
#   EVALUATE="--lpips_backbone FILE --inception FILE"   flags of evaluate.py
#   JUDGE="--epochs 20"   flags of evaluate.py train-segmenter
set -euo pipefail
source "$(dirname "$0")/environment.sh" requirements.txt

data=datasets/streets epochs=${EPOCHS:-4} judge=checkpoints/toy_segmenter.pt
networks="--netG local --ngf 8 --n_downsample_global 2 --n_blocks_global 4 --n_blocks_local 2
    --ndf 24 --n_layers_D 2 --lr 0.0003"
declare -A flags=([full]="" [with_vgg]="--vgg_loss --vgg_weights ${VGG:-}")
if [ "${SET:-paper}" = paper ]; then
    variants=(full no_feature_matching one_discriminator no_boundaries)
    flags+=([no_feature_matching]=--no_ganFeat_loss [one_discriminator]="--num_D 1"
        [no_boundaries]=--no_instance)
else
    variants=(full resize reflect xavier spectral_norm ema lr_D l1 hinge diffaug augment
        segmentation_D unet together)
    flags+=([resize]="" [reflect]="--pad_down reflect" [xavier]="--init xavier"
        [spectral_norm]="--spectral_norm D" [ema]="--ema_half_life 500" [lr_D]="--lr_D 0.0006"
        [l1]="--lambda_L1 20" [hinge]="--gan_loss hinge"
        [diffaug]="--diffaug color,translation,cutout" [augment]=--augment
        [segmentation_D]="--netD segmentation --ndf 12"
        [unet]="--netG unet --ngf 24 --n_downsample_global 3 --n_blocks_global 2"
        [together]="--pad_down reflect --ema_half_life 500")
    for variant in "${variants[@]:1}"; do
        flags[$variant]+=" --upsample resize"
    done
fi
[ -z "${VGG:-}" ] || variants+=(with_vgg)

[ -d $data ] || python datasets/make_toy_streets.py --out $data
# shellcheck disable=SC2086
python evaluate.py train-segmenter --dataroot $data --out $judge --fineSize 128 ${JUDGE:---epochs 20}
for seed in ${SEEDS:-0}; do
    names=()
    for variant in "${variants[@]}"; do
        name=ablate_${variant}_$seed
        names+=("$name")
        if [ ! -e "checkpoints/$name/done" ]; then
            # shellcheck disable=SC2086
            python train.py --name "$name" --dataroot $data --seed "$seed" \
                --resize_or_crop crop --fineSize 128 --no_vgg_loss --display_freq 200 $networks \
                --niter $((epochs / 2)) --niter_decay $((epochs - epochs / 2)) \
                ${flags[$variant]} "$@"
            touch "checkpoints/$name/done"
        fi
        # shellcheck disable=SC2086
        python evaluate.py --name "$name" --segmenter $judge ${EVALUATE:-}
    done
    python evaluate.py compare "${names[@]}" --out "results/ablation_$seed/index.html"
    python scripts/ablation_table.py "${names[@]}"
done
