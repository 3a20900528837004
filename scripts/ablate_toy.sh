#!/usr/bin/env bash
# Ablations on the toy streets, with equal steps and seeds: trains each variant, evaluates it, writes
# one page to compare and prints a table. What is there already is not done again. Arguments go to
# train.py; the environment says the rest:
#   SET=paper       full, and what the paper takes away; or remedies: what was found since, each beside
#                   --upsample resize, without which a grid hides the rest, and together; or systems:
#                   those of docs/baselines.md
#   SEEDS="0 1 2"   a page and a table for each
#   EPOCHS=4        of 200 steps
#   MINUTES=4       of training in place of epochs, at a rate that does not fall
#   VGG=FILE        VGG19's weights: adds the variant with the perceptual loss, and CRN
#   EVALUATE="--lpips_backbone FILE --inception FILE"   flags of evaluate.py
#   JUDGE="--epochs 20"   flags of evaluate.py train-segmenter
set -euo pipefail
source "$(dirname "$0")/environment.sh" requirements.txt

data=datasets/streets prefix=ablate epochs=${EPOCHS:-4} judge=checkpoints/toy_segmenter.pt
networks="--netG local --ngf 8 --n_downsample_global 2 --n_blocks_global 4 --n_blocks_local 2
    --ndf 24 --n_layers_D 2 --lr 0.0003"
declare -A flags=([full]="" [with_vgg]="--vgg_loss --vgg_weights ${VGG:-}")
case ${SET:-paper} in
paper)
    variants=(full no_feature_matching one_discriminator no_boundaries)
    flags+=([no_feature_matching]=--no_ganFeat_loss [one_discriminator]="--num_D 1"
        [no_boundaries]=--no_instance)
    ;;
remedies)
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
    ;;
systems) # with the rates of their papers, in sizes for 256x128
    prefix=compare
    variants=(pix2pixhd pix2pixhd_remedies pix2pix pix2pix_G crn_G spade oasis)
    two_rates="--update_order G_first --lr 0.0001 --lr_D 0.0004 --beta1 0"
    unet="--netG unet_128 --ngf 16" crn="--netG crn --crn_height 128 --ngf 8"
    norm="--ngf 8 --norm_G spectralspadeinstance3x3" # as there is one image in a batch
    flags+=([pix2pixhd]="" [pix2pixhd_remedies]="--upsample resize --pad_down reflect --ema_half_life 500"
        [pix2pix]="$unet --label_color --no_instance --norm batch --use_dropout --netD basic
            --gan_loss vanilla --no_ganFeat_loss --lambda_L1 100 --update_order D_first --lr 0.0002"
        [pix2pix_G]="$unet" [crn_G]="$crn" # with the losses of pix2pixHD
        [crn]="$crn --no_instance --no_flip --init xavier_uniform --no_gan_loss --crn_loss
            --vgg_loss --vgg_weights ${VGG:-} --lr 0.0001 --beta1 0.9"
        [spade]="--netG spade $norm --norm_D spectralinstance --gan_loss hinge --scale_reduction mean
            --init xavier --init_gain 0.02 $two_rates --beta2 0.9"
        [oasis]="--netG oasis $norm --netD segmentation --ndf 12 --no_instance --ema_half_life 500
            --init_gain 0.02 $two_rates")
    if [ -n "${VGG:-}" ]; then variants+=(crn); else echo "without VGG=FILE: CRN is left out"; fi
    ;;
*)
    echo "SET=$SET: must be paper, remedies or systems" >&2
    exit 2
    ;;
esac
[ -z "${VGG:-}" ] || variants+=(with_vgg)

[ -d $data ] || python datasets/make_toy_streets.py --out $data
# shellcheck disable=SC2086
python evaluate.py train-segmenter --dataroot $data --out $judge --fineSize 128 ${JUDGE:---epochs 20}
if [ -n "${MINUTES:-}" ]; then
    limit="timeout --preserve-status --signal INT ${MINUTES}m" length="--niter 1000000 --niter_decay 0"
else
    limit="" length="--niter $((epochs / 2)) --niter_decay $((epochs - epochs / 2))"
fi
for seed in ${SEEDS:-0}; do
    names=()
    for variant in "${variants[@]}"; do
        name=${prefix}_${variant}_$seed
        names+=("$name")
        if [ ! -e "checkpoints/$name/done" ]; then
            # shellcheck disable=SC2086
            $limit python train.py --name "$name" --dataroot $data --seed "$seed" $length \
                --resize_or_crop crop --fineSize 128 --no_vgg_loss --display_freq 200 $networks \
                ${flags[$variant]} "$@" || [ $? = "${limit:+130}" ] # interrupted
            touch "checkpoints/$name/done"
        fi
        # shellcheck disable=SC2086
        python evaluate.py --name "$name" --segmenter $judge ${EVALUATE:-}
    done
    python evaluate.py compare "${names[@]}" --out "results/${prefix}_$seed/index.html"
    python scripts/ablation_table.py "${names[@]}"
done
