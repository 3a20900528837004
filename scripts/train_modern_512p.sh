#!/usr/bin/env bash
# Train at 1024x512 on one GPU with what was found since 2018 (docs/results.md says what helped).
python train.py --name label2city_modern_512p --upsample resize --pad_down reflect --ema_half_life 10000 "$@"
