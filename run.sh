#!/usr/bin/env bash
# ./run.sh: the demo. ./run.sh test [--fast]: the tests. ./run.sh bench: the measurements. ./run.sh OPTIONS: the job.
set -eu
root="$(cd "$(dirname "$(readlink -f "$0" || echo "$0")")" && pwd -P)"  # the file's own folder, also through a link
venv="$root/.venv"
python="$venv/bin/python"
export MALLOC_ARENA_MAX="${MALLOC_ARENA_MAX:-1}"  # one heap for all threads: a fifth less memory, at no cost in time
export OPENBLAS_NUM_THREADS="${OPENBLAS_NUM_THREADS:-1}"  # numpy, which Beam imports, starts no threads that nobody needs
export PYTHONPATH="$root${PYTHONPATH:+:$PYTHONPATH}"  # in workers too, before any other package named pipeline
fits='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))'  # those that Beam 2.77 has wheels for

find_python() {
    for name in python3 python3.14 python3.13 python3.12 python3.11; do
        if "$name" -c "$fits" 2>/dev/null; then echo "$name"; return; fi
    done
    python3 -c 'import platform, sys; print("Python 3.11 %s is needed, python3 is %s" % ("or later" if sys.version_info <
        (3, 11) else "to 3.14", platform.python_version()))' >&2 2>/dev/null || echo 'Python 3.11 or later is needed' >&2
    return 2
}

install() {  # a stamp for each extra, which names the checkout: one that was cut short, or moved, is made anew
    if [ "$(cat "$venv/$1.stamp" 2>/dev/null)" != "$root" ] || [ "$root/setup.py" -nt "$venv/$1.stamp" ]; then
        if ! "$python" -c "import pip; $fits" 2>/dev/null; then base="$(find_python)"; "$base" -m venv --clear "$venv"; fi
        echo "installing into .venv ($1), a minute or two" >&2
        "$python" -m pip install --quiet --disable-pip-version-check -e "$root[$1]"
        echo "$root" > "$venv/$1.stamp"
    fi
}

# Paths in the options are relative to where the user is, and -P keeps a folder there from being taken for a package.
case "${1-}" in
'') install local; exec "$python" -P -m pipeline.local.demo ;;
test) shift; cd "$root"; install test
    if [ "${1-}" = --fast ]; then shift; set -- --ignore=tests/integration --hypothesis-profile=fast "$@"; else tests/tools/install.sh; fi
    "$python" -m ruff check; "$python" -m mypy
    exec "$python" -m pytest -q -n 2 --dist loadfile --no-loadscope-reorder "$@" ;;
bench) shift; cd "$root"; install test; tests/tools/install.sh; exec "$python" -m tests.bench "$@" ;;
*) install local; exec "$python" -P -m pipeline "$@" ;;
esac
