#!/usr/bin/env bash
# Train SPADE (Park et al. 2019) on Cityscapes at 512x256 on eight GPUs, as in its paper (docs/baselines.md).
python train.py --name label2city_spade --netG spade --num_upsampling_layers more --norm_D spectralinstance --gan_loss hinge --scale_reduction mean --update_order G_first --lr 1e-4 --lr_D 4e-4 --beta1 0 --beta2 0.9 --init xavier --init_gain 0.02 --loadSize 512 --batchSize 16 --gpu_ids 0,1,2,3,4,5,6,7 "$@"
