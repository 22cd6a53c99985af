#!/bin/sh
# Makes a Python environment in .venv with the published client of the existing system and a validator of OpenAPI
# documents; does nothing if it is there.
# The client forgets to declare its dependencies, so they are named here. Prints the interpreter's path.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
venv="$root/.venv"
stamp="$venv/.weft-client-2005-2"
# Tests may run side by side: one makes the environment, the others wait.
exec 9>"$root/.venv.lock"
flock 9
if [ ! -f "$stamp" ]; then
    python3 -m venv "$venv" >&2
    "$venv/bin/pip" install --quiet --disable-pip-version-check \
        contrail-api-client==2005 future six requests gevent openapi-spec-validator >&2
    touch "$stamp"
fi
echo "$venv/bin/python"
