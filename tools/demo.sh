#!/bin/sh
# Builds libslm, asks the model that comes with it a question, and speaks with it.
#
#   tools/demo.sh [QUESTION]     one answer in text, and one spoken exchange from sound file to sound file
#   tools/demo.sh --live         a conversation by microphone and loudspeaker
#
# Installs missing packages first (Debian, Ubuntu).

set -eu
cd "$(dirname "$0")/.."
. tools/packages.sh

need gcc g++ libc6-dev cmake ninja-build pkg-config libutf8proc-dev libedit-dev $voice_packages
mkdir -p build
log=build/demo.log
if ! { cmake --preset release -DBUILD_TESTING=OFF &&
    cmake --build --preset release --target slm_program voice_loop; } >"$log" 2>&1; then
    tail -n 40 "$log" >&2
    echo "demo.sh: the build failed; all of its output is in $log" >&2
    exit 1
fi

[ "${1:-}" = --live ] && exec build/release/bin/voice_loop --table

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

said='turn on the kitchen light'
printf '\nSpoken: "%s"\n' "$said"
espeak-ng -v en-us -w build/question.wav "$said"
build/release/bin/voice_loop --wav-in build/question.wav --wav-out build/answer.wav --virtual-clock \
    --ledger build/ledger.jsonl
for field in transcript answer; do
    sed -n "s/.*\"$field\": *\"\([^\"]*\)\".*/$field: \1/p" build/ledger.jsonl
done
waited=$(sed -n 's/.*"total_ms": *\([0-9.]*\).*/\1/p' build/ledger.jsonl)
printf 'from the end of speech to the first sample: %s ms of the virtual clock\n' "${waited:-no}"
echo "question: build/question.wav; answer: build/answer.wav; all times: build/ledger.jsonl"
