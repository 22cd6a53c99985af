#!/bin/sh
# Makes a Python environment in .venv-keystone with Keystone and a server to run it; does nothing if it is there.
# Prints the directory of its programs. uwsgi is compiled: needs gcc and python3-dev (scripts/setup.sh installs them).
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
venv="$root/.venv-keystone"
stamp="$venv/.weft-keystone-30"
# Tests may run side by side: one makes the environment, the others wait.
exec 9>"$root/.venv-keystone.lock"
flock 9
if [ ! -f "$stamp" ]; then
    python3 -m venv "$venv" >&2
    "$venv/bin/pip" install --quiet --disable-pip-version-check keystone==30.0.0 uwsgi==2.0.31 >&2
    touch "$stamp"
fi
echo "$venv/bin"
