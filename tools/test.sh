#!/bin/sh
# All the checks of the library on one machine, and at the end a table of them.
#
#   tools/test.sh          everything; installs missing packages first (Debian, Ubuntu)
#   tools/test.sh quick    the release build and its tests only
#
# The exit status is 0 when every stage passed. The last lines are those of CTest for the release
# build. Logs stay in build/logs. With CI=true, reference data must be there (../shared).

set -u
cd "$(dirname "$0")/.." || exit 1
. tools/packages.sh

mode=${1:-all}
case $mode in
all | quick) ;;
*)
    echo "usage: tools/test.sh [quick]" >&2
    exit 2
    ;;
esac

jobs=$(nproc 2>/dev/null || echo 2)
logs=build/logs
table=$logs/summary
mkdir -p "$logs"
: >"$table"
failed=0
fuzz_seconds=20

# What the tests that failed printed, the last 40 lines of each, from CTest's log.
failures() {
    awk '/^ *[0-9]+\/[0-9]+ Test +#|^ +Start +[0-9]+:|^[0-9]+% tests passed/ {
             show()
             n = 0
             name = /\*\*\*(Failed|Timeout|Exception)/ ? $0 : ""
             next
         }
         name != "" { line[n++] = $0 }
         function show(    i) {
             if (name == "")
                 return
             print "-- " name
             for (i = n > 40 ? n - 40 : 0; i < n; i++)
                 print line[i]
         }' "$1"
}

# stage NAME COMMAND...: runs it with its output in a log; a failure shows the log's end.
stage() {
    name=$1
    shift
    log=$logs/$name.log
    echo "== $name"
    started=$(date +%s)
    if "$@" >"$log" 2>&1; then
        result=passed
    else
        result=FAILED
        failed=1
        tail -n 60 "$log"
    fi
    seconds=$(($(date +%s) - started))
    note=$(sed -n 's/^note: //p' "$log" | tail -n 1)
    if [ -z "$note" ]; then
        note=$(grep -E '^[0-9]+% tests passed' "$log" | tail -n 1)
        skipped=$(grep -c '\*\*\*Skipped' "$log")
        [ "$skipped" -eq 0 ] || note="$note, $skipped skipped"
    fi
    printf '%-12s %-8s %4d s  %s\n' "$name" "$result" "$seconds" "$note" >>"$table"
}

skip() {
    echo "== $1: skipped, $2"
    printf '%-12s %-8s %4d s  %s\n' "$1" skipped 0 "$2" >>"$table"
}

packages() {
    need gcc g++ libc6-dev binutils cmake ninja-build pkg-config python3 libutf8proc-dev libedit-dev \
        libcmocka-dev libjansson-dev libmicrohttpd-dev curl python3-venv luajit qemu-user \
        libcurl4-openssl-dev openssl dpkg-dev \
        haproxy $voice_packages $sound_packages || return 1
    # A browser for the chat page, where there is one as a package: elsewhere its test is skipped.
    for browser in chromium-headless-shell chromium; do
        if apt-cache show "$browser" 2>/dev/null | grep -q '^Filename:'; then
            need "$browser" || echo "$browser cannot be installed; the test of the chat page is skipped"
            break
        fi
    done
    [ "$mode" = quick ] && return 0
    need clang libomp-dev gcc-aarch64-linux-gnu g++-aarch64-linux-gnu libc6-dev-arm64-cross \
        libgomp1:arm64 libutf8proc-dev:arm64 libcmocka-dev:arm64 libjansson-dev:arm64 || return 1
    # The sanitizers' run time is a package of its own in newer releases.
    runtime=libclang-rt-$(clang -dumpversion | cut -d . -f 1)-dev
    if apt-cache show "$runtime" >/dev/null 2>&1; then
        need "$runtime"
    fi
}

reference_data() {
    shared=${SLM_SHARED_DIR:-../shared}
    if [ -d "$shared" ]; then
        echo "note: reference data in $shared"
    elif [ "${CI:-}" = true ]; then
        echo "$shared: not there, and CI is true"
        return 1
    else
        echo "note: no reference data in $shared; the tests that need it are skipped"
    fi
}

# build PRESET [CMAKE OPTION...] [-- TARGET...]
build() {
    preset=$1
    shift
    options=
    while [ $# -gt 0 ] && [ "$1" != -- ]; do
        options="$options $1"
        shift
    done
    [ $# -gt 0 ] && shift
    cmake --preset "$preset" ${SLM_SHARED_DIR:+-DSLM_SHARED_DIR="$SLM_SHARED_DIR"} $options &&
        cmake --build --preset "$preset" -j "$jobs" ${1:+--target} "$@"
}

release_build() {
    build release -DSLM_WERROR=ON
}

release_tests() {
    ctest --preset release -j "$jobs"
}

clang_build() {
    build clang
}

asan() {
    build asan && ctest --preset asan -j "$jobs"
}

tsan() {
    build tsan -- tests_model tests_api &&
        ctest --preset tsan -L '^(model|api)$' -E '^model/golden$'
}

aarch64() {
    build aarch64 -- check_kernels tests_model tests_simt_machine &&
        ctest --preset aarch64 -j "$jobs" -L '^(check_kernels|model|simt_machine)$'
}

# Each target runs for $fuzz_seconds on its seeds (tests/fuzz/seeds/<name>) and on what earlier
# runs found, with the same random numbers each time: a failure here is of the change at hand.
# tools/fuzz.sh looks for what nobody knows yet.
fuzz_one() {
    name=$(basename "$1")
    corpus=build/fuzz/corpus/$name
    mkdir -p "$corpus"
    seeds=tests/fuzz/seeds/${name#fuzz_}
    [ -d "$seeds" ] || seeds=
    "$1" -seed=1 -max_total_time=$fuzz_seconds -timeout=25 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/$name-" "$corpus" $seeds >"$logs/$name.log" 2>&1 ||
        { tail -n 40 "$logs/$name.log"; return 1; }
    sed -n "s/^stat::number_of_executed_units: */$name: runs /p" "$logs/$name.log"
}

fuzz() {
    build fuzz -- tests_fuzz || return 1
    status=0
    count=0
    pids=
    for program in build/fuzz/bin/fuzz_*; do
        [ -x "$program" ] || continue
        fuzz_one "$program" &
        pids="$pids $!"
        count=$((count + 1))
        if [ $((count % jobs)) -eq 0 ]; then
            for pid in $pids; do
                wait "$pid" || status=1
            done
            pids=
        fi
    done
    for pid in $pids; do
        wait "$pid" || status=1
    done
    [ "$count" -gt 0 ] || { echo "no fuzz targets were built"; return 1; }
    echo "note: $count targets, $fuzz_seconds s each"
    return $status
}

find_nvcc() {
    command -v nvcc || ls /usr/local/cuda/bin/nvcc 2>/dev/null
}

# What is linked, installed and exported, and what is said where there is no GPU; kernels for Orin.
cuda() {
    build cuda -DSLM_WERROR=ON -DCMAKE_CUDA_ARCHITECTURES=87-real -DCMAKE_CUDA_COMPILER="$nvcc" -- \
        slm_shared slm_static slm_program slm_bench_cuda &&
        ctest --preset cuda -R '^(device/none|house/symbols.py|consumer/consumer.py)$'
}

stage packages packages
stage data reference_data
stage build release_build
stage tests release_tests
if [ "$mode" = all ]; then
    stage clang clang_build
    stage asan asan
    stage tsan tsan
    stage aarch64 aarch64
    stage fuzz fuzz
    if nvcc=$(find_nvcc); then
        stage cuda cuda
    else
        skip cuda "there is no nvcc here"
    fi
fi

echo
cat "$table"
echo
if [ "$failed" -ne 0 ]; then
    for log in "$logs"/*.log; do
        failures "$log"
    done
fi
sed -n '/tests passed, /,$p' "$logs/tests.log"
exit $failed
