#!/usr/bin/env bash
# Makes the environment and passes the tests; arguments go to pytest (-m "not slow", a file, ...).
set -euo pipefail
source "$(dirname "$0")/environment.sh" requirements-dev.txt
python -m pytest "$@"
