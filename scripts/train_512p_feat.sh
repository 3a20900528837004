#!/usr/bin/env bash
# Train at 1024x512 with instance features.
python train.py --name label2city_512p_feat --instance_feat "$@"
