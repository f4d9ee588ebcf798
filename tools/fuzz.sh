#!/bin/sh
# Runs fuzz targets for as long as wanted, one after another.
#
#   tools/fuzz.sh [--keep] [SECONDS [TARGET...]]    (3600 seconds each, all targets)
#
# A target is named as in tests/fuzz/fuzz_<name>.c. It starts from tests/fuzz/seeds/<name> and from what
# earlier runs found, in build/fuzz/corpus/fuzz_<name>. For each target a line says how many inputs ran and
# how much of the code the seeds reached, and what all inputs reached in the end. --keep puts the
# inputs of up to a kilobyte that reach more than the seeds into tests/fuzz/seeds/<name>/found.
set -u
cd "$(dirname "$0")/.." || exit 1

keep=
if [ "${1:-}" = --keep ]; then
    keep=1
    shift
fi
seconds=${1:-3600}
[ $# -gt 0 ] && shift
case $seconds in
'' | *[!0-9]* | 0)
    echo "usage: tools/fuzz.sh [--keep] [SECONDS [TARGET...]]" >&2
    exit 2
    ;;
esac

coverage() { # LOG: the last that it tells
    sed -n 's/.* cov: \([0-9]*\).*/\1/p' "$1" | tail -n 1
}

keep_small() { # PROGRAM SEEDS CORPUS
    small=build/fuzz/small
    rm -rf "$small"
    mkdir -p "$small" "$2/found"
    find "$3" -type f -size -1025c -exec cp {} "$small" \;
    "$1" -set_cover_merge=1 "$2" "$small" >/dev/null 2>&1
    for file in "$2"/*; do # libFuzzer puts new ones beside the others, named by their SHA-1
        name=$(basename "$file")
        if [ -f "$file" ] && [ ${#name} -eq 40 ]; then
            mv "$file" "$2/found/"
        fi
    done
    rmdir "$2/found" 2>/dev/null
    rm -rf "$small"
}

one() { # NAME
    program=build/fuzz/bin/fuzz_$1
    seeds=tests/fuzz/seeds/$1
    corpus=build/fuzz/corpus/fuzz_$1
    log=build/fuzz/$1.log
    if [ ! -x "$program" ]; then
        echo "$1: there is no tests/fuzz/fuzz_$1.c"
        return 1
    fi
    mkdir -p "$corpus" "$seeds"
    "$program" -runs=0 "$seeds" >"$log" 2>&1
    before=$(coverage "$log")
    "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/fuzz_$1-" "$corpus" "$seeds" >"$log" 2>&1
    status=$?
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
    printf '%s: %s inputs, coverage %s, by the seeds %s\n' "$1" "${runs:-?}" "$(coverage "$log")" \
        "${before:-0}"
    if [ "$status" -ne 0 ]; then
        tail -n 40 "$log"
        return 1
    fi
    if [ -n "$keep" ]; then
        keep_small "$program" "$seeds" "$corpus"
    fi
    rmdir "$seeds" 2>/dev/null
    return 0
}

cmake --preset fuzz >/dev/null && cmake --build --preset fuzz --target tests_fuzz || exit 1
[ $# -gt 0 ] || set -- $(cd tests/fuzz && ls fuzz_*.c | sed 's/^fuzz_\(.*\)\.c$/\1/')
failed=0
for target; do
    one "$target" || failed=1
done
exit $failed
