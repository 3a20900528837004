#!/usr/bin/env bash
# Train OASIS (Schönfeld, Sushko et al. 2021) on Cityscapes at 512x256 on four GPUs, as in its paper (docs/baselines.md).
python train.py --name label2city_oasis --netG oasis --netD segmentation --lambda_mix 5 --update_order G_first --no_instance --lr 4e-4 --lr_D 4e-4 --beta1 0 --init_gain 0.02 --ema_half_life 13856 --niter 200 --niter_decay 0 --loadSize 512 --batchSize 20 --gpu_ids 0,1,2,3 "$@"
