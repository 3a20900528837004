#!/usr/bin/env bash
# Makes the environment and passes the tests; arguments go to pytest (a file, -m "" for the slow
# ones, too, ...).
set -euo pipefail
source "$(dirname "$0")/environment.sh" requirements-dev.txt
# The networks are tiny, and some tests run several processes: more threads only wait. In their own
# order, files with one long test are not left to the end.
OMP_NUM_THREADS=${OMP_NUM_THREADS:-1} python -m pytest -n 2 --dist loadfile --no-loadscope-reorder "$@"
