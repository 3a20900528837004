#!/usr/bin/env bash
# Render at 1024x512 with the weights of train_512p.sh.
python test.py --name label2city_512p "$@"
