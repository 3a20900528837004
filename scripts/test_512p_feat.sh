#!/usr/bin/env bash
# Cluster the features of train_512p_feat.sh, and render at 1024x512 with styles drawn from them.
set -e
python encode_features.py --name label2city_512p_feat
python test.py --name label2city_512p_feat --instance_feat "$@"
