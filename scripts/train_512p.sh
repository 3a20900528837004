#!/usr/bin/env bash
# Train at 1024x512 on one GPU.
python train.py --name label2city_512p "$@"
