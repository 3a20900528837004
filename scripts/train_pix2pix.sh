#!/usr/bin/env bash
# Train pix2pix (Isola et al. 2017) on colour pictures of the labels at 256x256, with its own losses (docs/baselines.md).
python train.py --name label2city_pix2pix --netG unet_256 --use_dropout --norm batch --netD basic --gan_loss vanilla --no_ganFeat_loss --no_vgg_loss --lambda_L1 100 --update_order D_first --label_color --no_instance --resize_or_crop resize_and_crop --loadSize 286 --fineSize 256 "$@"
