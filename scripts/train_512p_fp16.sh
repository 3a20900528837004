#!/usr/bin/env bash
# Train at 1024x512 in mixed precision.
python train.py --name label2city_512p --fp16 "$@"
