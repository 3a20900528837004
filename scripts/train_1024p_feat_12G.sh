#!/usr/bin/env bash
# As train_1024p_feat_24G.sh, on random crops of 896x896, for a GPU with 12 GB.
set -e
python precompute_feature_maps.py --name label2city_512p_feat
python train.py --name label2city_1024p_feat --netG local --ngf 32 --num_D 3 --load_pretrain checkpoints/label2city_512p_feat/ --niter_fix_global 20 --resize_or_crop crop --fineSize 896 --instance_feat --load_features "$@"
