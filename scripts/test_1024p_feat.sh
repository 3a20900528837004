#!/usr/bin/env bash
# The same at 2048x1024, after train_1024p_feat_24G.sh.
set -e
python encode_features.py --name label2city_1024p_feat --netG local --ngf 32 --resize_or_crop none --instance_feat --load_features
python test.py --name label2city_1024p_feat --netG local --ngf 32 --resize_or_crop none --instance_feat "$@"
