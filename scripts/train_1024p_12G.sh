#!/usr/bin/env bash
# As train_1024p_24G.sh, on random crops of 1024x1024, for a GPU with 12 GB.
python train.py --name label2city_1024p --netG local --ngf 32 --num_D 3 --load_pretrain checkpoints/label2city_512p/ --niter_fix_global 20 --resize_or_crop crop --fineSize 1024 "$@"
