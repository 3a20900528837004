#!/usr/bin/env bash
# Trains pix2pixHD and the systems of docs/baselines.md on the toy streets for the same time, evaluates
# them, writes results/compare_0/index.html and prints a table. See ablate_toy.sh.
MINUTES=${MINUTES:-4} SET=systems exec bash "$(dirname "$0")/ablate_toy.sh" "$@"
