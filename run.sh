#!/usr/bin/env bash
# ./run.sh: the demo. ./run.sh test: the tests. ./run.sh bench: the measurements. ./run.sh OPTIONS: the job.
set -eu
cd "$(dirname "$0")"
python=.venv/bin/python
export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-1}"  # one heap for all threads: a fifth less memory, at no cost in time

install() {  # a stamp for each extra: an installation that was cut short is made anew
    if [ ! -e ".venv/$1.stamp" ] || [ setup.py -nt ".venv/$1.stamp" ]; then
        echo "installing into .venv ($1), a minute or two" >&2
        { [ -x $python ] && $python -m pip --version >/dev/null 2>&1; } || python3 -m venv --clear .venv
        $python -m pip install --quiet --disable-pip-version-check -e ".[$1]"
        touch ".venv/$1.stamp"
    fi
}

case "${1-}" in
'') install local; exec $python -m pipeline.local.demo ;;
test) shift; install test; tests/tools/install.sh; .venv/bin/ruff check; .venv/bin/mypy
    exec $python -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder "$@" ;;
bench) shift; install test; tests/tools/install.sh; exec $python -m tests.bench "$@" ;;
*) install local; exec $python -m pipeline "$@" ;;
esac
