#!/usr/bin/env bash
# Train CRN at 512x256 on one GPU as in its paper, nine images of a label map at once.
# docs/baselines.md#crn has the commands that grow it to 1024x512 and 2048x1024.
python train.py --name label2city_crn_256p --netG crn --num_images 9 --loadSize 512 --no_instance --no_flip \
    --no_gan_loss --crn_loss --init xavier_uniform --lr 0.0001 --beta1 0.9 --niter 200 --niter_decay 0 "$@"
