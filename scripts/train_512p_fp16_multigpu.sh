#!/usr/bin/env bash
# Train at 1024x512 on eight GPUs, in mixed precision with float16.
python train.py --name label2city_512p --batchSize 8 --gpu_ids 0,1,2,3,4,5,6,7 --fp16 "$@"
