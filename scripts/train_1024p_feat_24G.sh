#!/usr/bin/env bash
# Train at 2048x1024 on the features that the encoder of train_512p_feat.sh makes, with 24 GB.
set -e
python precompute_feature_maps.py --name label2city_512p_feat
python train.py --name label2city_1024p_feat --netG local --ngf 32 --num_D 3 --load_pretrain checkpoints/label2city_512p_feat/ --niter 50 --niter_decay 50 --niter_fix_global 10 --resize_or_crop none --instance_feat --load_features "$@"
