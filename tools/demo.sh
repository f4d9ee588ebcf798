#!/bin/sh
# Builds libslm and asks the model that comes with it a question.
#
#   tools/demo.sh [QUESTION]
#
# Installs missing packages first (Debian, Ubuntu).

set -eu
cd "$(dirname "$0")/.."
. tools/packages.sh

need gcc libc6-dev cmake ninja-build pkg-config libutf8proc-dev libedit-dev
mkdir -p build
log=build/demo.log
if ! { cmake --preset release -DBUILD_TESTING=OFF &&
    cmake --build --preset release --target slm_program; } >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    echo "demo.sh: the build failed; all of its output is in $log" >&2
    exit 1
fi

question=${1:-What can you do?}
printf '> %s\n\n' "$question"
build/release/bin/slm run examples/models/hearth.gguf "$question" --stats 2>build/demo.stats || {
    status=$?
    cat build/demo.stats >&2
    exit $status
}
speed=$(sed -n 's/.*"tokens_per_second": *\([0-9.]*\).*/\1/p' build/demo.stats)
printf '\n%s tokens/s on this machine; every number of the run:\n' "${speed:-no}"
cat build/demo.stats
