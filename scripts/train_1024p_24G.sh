#!/usr/bin/env bash
# Train at 2048x1024, from the weights of train_512p.sh, on a GPU with 24 GB.
python train.py --name label2city_1024p --netG local --ngf 32 --num_D 3 --load_pretrain checkpoints/label2city_512p/ --niter 50 --niter_decay 50 --niter_fix_global 10 --resize_or_crop none "$@"
