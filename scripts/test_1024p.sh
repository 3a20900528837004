#!/usr/bin/env bash
# Render at 2048x1024 with the weights of train_1024p_24G.sh.
python test.py --name label2city_1024p --netG local --ngf 32 --resize_or_crop none "$@"
