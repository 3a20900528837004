# Sourced by demo.sh and run_tests.sh, not run: goes to the project's root, makes .venv there from
# the requirements files given, unless it is up to date, and activates it.
requirements=("$@")
cd "$(dirname "${BASH_SOURCE[0]}")/.."

stamp=.venv/$(basename -a -s .txt "${requirements[@]}" | paste -sd + -)-$(cat requirements*.txt | cksum | cut -d ' ' -f 1)
if [ ! -e "$stamp" ]; then
    python=${PYTHON:-python3}
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
        echo "error: $python is older than Python 3.11; set PYTHON to a newer one" >&2
        exit 2
    }
    echo "making .venv from ${requirements[*]} (once; PyTorch is several GB)"
    [ -x .venv/bin/python ] || "$python" -m venv .venv
    # uv makes environments without pip.
    .venv/bin/python -c 'import pip' 2>/dev/null || .venv/bin/python -m ensurepip >/dev/null
    .venv/bin/python -m pip install --quiet --disable-pip-version-check "${requirements[@]/#/-r}"
    touch "$stamp"
fi
source .venv/bin/activate
