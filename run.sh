#!/usr/bin/env bash
# ./run.sh: the demo. ./run.sh test: the tests. ./run.sh bench: the measurements. ./run.sh OPTIONS: the job.
set -eu
root="$(cd "$(dirname "$0")" && pwd)"
venv="$root/.venv"
python="$venv/bin/python"
export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-1}"  # one heap for all threads: a fifth less memory, at no cost in time
export OPENBLAS_NUM_THREADS="${OPENBLAS_NUM_THREADS:-1}"  # numpy, which Beam imports, starts no threads that nobody needs

install() {  # a stamp for each extra: an installation that was cut short is made anew
    if [ ! -e "$venv/$1.stamp" ] || [ "$root/setup.py" -nt "$venv/$1.stamp" ]; then
        echo "installing into .venv ($1), a minute or two" >&2
        "$python" -c 'import pip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || python3 -m venv --clear "$venv"
        "$python" -m pip install --quiet --disable-pip-version-check -e "$root[$1]"
        touch "$venv/$1.stamp"
    fi
}

# Paths in the options are relative to where the user is, and -P keeps a folder there from being taken for a package.
case "${1-}" in
'') install local; exec "$python" -P -m pipeline.local.demo ;;
test) shift; cd "$root"; install test; tests/tools/install.sh; .venv/bin/ruff check; .venv/bin/mypy
    exec "$python" -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder "$@" ;;
bench) shift; cd "$root"; install test; tests/tools/install.sh; exec "$python" -m tests.bench "$@" ;;
*) install local; exec "$python" -P -m pipeline "$@" ;;
esac
