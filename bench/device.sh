#!/bin/sh
# A machine with a GPU, in three stages of less than eight minutes each: is it right, is it clean, how
# fast is it. bench/README.md is the manual.
#
#   bench/device.sh [OPTION...] [parity] [sanitize] [measure]     all three where none is named
#
#   --build DIR            build folder (build/device)
#   --out DIR              where the CSV files go (bench/results/<gpu>)
#   --arch LIST            CMAKE_CUDA_ARCHITECTURES (of the GPU here, and 87)
#   --models LIST          shapes:types to make and measure, with blanks between
#   --llama-bench PROGRAM  measured beside slm
#   --limit SECONDS        of a stage: nothing begins later (450)
#   --rehearse             all of it over the fake run time of a finished --build (build/release), with
#                          tiny shapes: finds mistakes of this script where there is no GPU
#
# A failed item does not end a stage. The exit status is 0 when there was a GPU and nothing failed or was
# left out for lack of time. Nothing of the GPU's settings is touched.

set -u
cd "$(dirname "$0")/.." || exit 1

rehearse=
build=
out=
arch=
models="llama-3.2-1b:Q4_K_M llama-3.2-3b:Q4_K_M qwen2.5-7b:Q4_K_M"
peer=
limit=450
stages=

usage() {
    sed -n '2,/^$/s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

while [ $# -gt 0 ]; do
    case $1 in
    --rehearse)
        rehearse=yes
        ;;
    --build | --out | --arch | --models | --llama-bench | --limit)
        [ $# -gt 1 ] || usage
        case $1 in
        --build) build=$2 ;;
        --out) out=$2 ;;
        --arch) arch=$2 ;;
        --models) models=$2 ;;
        --llama-bench) peer=$2 ;;
        --limit) limit=$2 ;;
        esac
        shift
        ;;
    parity | sanitize | measure)
        stages="$stages $1"
        ;;
    *)
        usage
        ;;
    esac
    shift
done
case $limit in '' | *[!0-9]*) usage ;; esac
stages=${stages:-parity sanitize measure}
jobs=$(nproc 2>/dev/null || echo 2)

# The names of the programs differ only by their folder.
if [ -n "$rehearse" ]; then
    build=${build:-build/release}
    programs=$build/simt
    test_of=$build/tests/test_simt_
    quick=--quick
    folder=$build/rehearsal
else
    build=${build:-build/device}
    programs=$build/bin
    test_of=$build/tests/test_device_
    quick=
    folder=$build/models
fi
logs=$build/device-logs
mkdir -p "$logs" "$folder" || exit 1
[ -x /usr/local/cuda/bin/nvcc ] && PATH=$PATH:/usr/local/cuda/bin
tiny=examples/models/hearth.gguf # a whole model, small enough for sanitizers
failed=0

# ---------------------------------------------------------------- items

# line NAME RESULT SECONDS NOTE
line() {
    printf '%-24s %-8s %4d s  %s\n' "$1" "$2" "$3" "$4" | tee -a "$table"
}

# item NAME SECONDS COMMAND...: runs it for at most so long, its output in a log. The note is the last
# line of what it says.
item() {
    item_name=$1
    most=$2
    shift 2
    left=$((deadline - $(date +%s)))
    if [ "$left" -lt 1 ]; then
        line "$item_name" left-out 0 "the stage's time is used up"
        failed=1
        return 1
    fi
    [ "$most" -le "$left" ] || most=$left
    log=$logs/$stage-$item_name.log
    started=$(date +%s)
    timeout -k 5 "$most" "$@" >"$log" 2>&1 </dev/null
    status=$?
    note=$(sed '/^[[:space:]]*$/d' "$log" | tail -n 1 | cut -c 1-150)
    took=$(($(date +%s) - started))
    case $status in
    0)
        line "$item_name" passed $took "$note"
        return 0
        ;;
    77)
        line "$item_name" skipped $took "$note"
        return 1
        ;;
    124 | 137) note="not done after $most s" ;;
    *) note="status $status: $note" ;;
    esac
    line "$item_name" FAILED $took "$note"
    tail -n 12 "$log" | sed 's/^/    /'
    failed=1
    return 1
}

skip() {
    line "$1" skipped 0 "$2"
}

# csv NAME SECONDS FILE COMMAND...: what the command prints becomes the file, if it gets to its end.
csv() {
    csv_name=$1
    csv_most=$2
    csv_file=$3
    shift 3
    item "$csv_name" "$csv_most" sh -c 'file=$0; "$@" >"$file.part" && mv "$file.part" "$file"' \
        "$csv_file" "$@"
}

# ---------------------------------------------------------------- what stages share

# The compute capability of the GPU here, as 90; nothing where that cannot be told.
capability() {
    nvidia-smi --query-gpu=compute_cap --format=csv,noheader 2>/dev/null | sed -n '1s/[^0-9]//gp'
}

# A library of the tests that is missing leaves the tests out, not the measurements.
has_test_libraries() {
    command -v pkg-config >/dev/null 2>&1 && pkg-config --exists cmocka jansson
}

built() {
    if [ -n "$rehearse" ]; then
        for program in slm slm_bench_cuda slm_check_cuda slm_bench_load; do
            [ -x "$programs/$program" ] || {
                line build FAILED 0 "no $programs/$program: wanted a finished build with tests"
                failed=1
                return 1
            }
        done
        return 0
    fi
    if [ -z "$arch" ]; then
        arch=$(capability)
        case $arch in '' | 87) arch=87 ;; *) arch="$arch;87-real" ;; esac
    fi
    testing=ON
    targets="slm_program slm_make_model slm_bench_cuda slm_check_cuda slm_bench_load"
    if has_test_libraries; then
        targets="$targets tests_device"
    else
        testing=OFF
        skip test-libraries "pkg-config finds no cmocka and jansson: no test program is built"
    fi
    generator=
    command -v ninja >/dev/null 2>&1 && generator="-G Ninja"
    item configure 120 cmake -S . -B "$build" $generator -DCMAKE_BUILD_TYPE=RelWithDebInfo \
        -DSLM_CUDA=ON "-DCMAKE_CUDA_ARCHITECTURES=$arch" -DBUILD_TESTING=$testing \
        ${SLM_SHARED_DIR:+"-DSLM_SHARED_DIR=$SLM_SHARED_DIR"} &&
        item build 400 cmake --build "$build" -j "$jobs" --target $targets
}

# Who this is; without a GPU the stage ends here.
identified() {
    csv identify 60 "$logs/identify" "$programs/slm_bench_cuda" identify || {
        failed=1
        return 1
    }
    name=$(sed -n 's/^name=//p' "$logs/identify")
    line gpu '' 0 "$name, $(sed -n 's/^multiprocessors=//p' "$logs/identify") SM"
    if [ -z "$out" ]; then
        out=bench/results/$(echo "$name" | tr 'A-Z ' 'a-z-' | tr -cd 'a-z0-9-')
        [ -z "$rehearse" ] || out=$folder
    fi
    mkdir -p "$out" || return 1
    {
        echo key,value
        sed 's/=/,/' "$logs/identify"
        echo "nvcc,$(nvcc --version 2>/dev/null | sed -n 's/.*release \([0-9.]*\).*/\1/p')"
        echo "commit,$(git --no-optional-locks describe --always --dirty 2>/dev/null)"
        for key in driver_version clocks.max.sm clocks.max.mem power.limit; do
            value=$(nvidia-smi --query-gpu=$key --format=csv,noheader 2>/dev/null | head -n 1)
            [ -z "$value" ] || echo "$key,$value"
        done
    } >"$out/device.csv"
}

# made SHAPE:TYPE: makes the model if it is not there; its path is $model.
made() {
    shape=${1%%:*}
    type=${1#*:}
    model=$folder/$shape-$type.gguf
    [ -f "$model" ] || item "make-$shape" 150 "$build/bin/slm_make_model" "$shape" "$type" "$model"
}

# ---------------------------------------------------------------- stages

# tested NAME SECONDS
tested() {
    if [ -x "$test_of$1" ]; then
        item "test-$1" "$2" "$test_of$1"
    else
        skip "test-$1" "not built"
    fi
}

parity() {
    item doctor 60 sh -c '"$0" doctor; [ $? -le 1 ]' "$programs/slm"
    for name in collectives instructions demo products qkv rows pairs scan; do
        tested "$name" 120
    done
    item tokens-tiny 120 "$programs/slm_check_cuda" "$tiny" $(rehearsed -n 4)
    made tiny-flash:Q4_K_M &&
        item tokens-recurrent 120 "$programs/slm_check_cuda" "$model" $(rehearsed -n 4)
    if [ -n "$rehearse" ]; then
        skip test-attend "takes long here; CTest runs it as simt/attend"
        skip test-models "take long here; CTest runs them as simt/model_golden, simt/model_equivalence"
        return
    fi
    tested attend 120
    tested model_golden 150
    tested model_equivalence 150
    made "${models%% *}" && item tokens-full-size 150 "$programs/slm_check_cuda" "$model"
}

# What follows, in a rehearsal only.
rehearsed() {
    [ -z "$rehearse" ] || printf '%s ' "$@"
}

sanitize() {
    sanitizer=$(command -v compute-sanitizer ||
        ls /usr/local/cuda/compute-sanitizer/compute-sanitizer 2>/dev/null)
    if [ -z "$sanitizer" ] && [ -z "$rehearse" ]; then
        skip sanitizers "there is no compute-sanitizer here (a part of the CUDA toolkit)"
        return
    fi
    for tool in memcheck racecheck synccheck initcheck; do
        # Rehearsed, the programs run as they are.
        under=env
        [ -n "$rehearse" ] || under="$sanitizer --tool $tool --error-exitcode 9 --print-limit 10"
        item "$tool-kernels" 120 $under "$programs/slm_bench_cuda" kernels --quick
        item "$tool-steps" 120 $under "$programs/slm_check_cuda" "$tiny" -n 3
        made tiny-flash:Q4_K_M &&
            item "$tool-recurrent" 120 $under "$programs/slm_check_cuda" "$model" -n 3
        [ "$tool" = initcheck ] || for name in collectives demo; do
            [ ! -x "$test_of$name" ] || item "$tool-$name" 60 $under "$test_of$name"
        done
    done
}

measure() {
    csv ceilings 90 "$out/ceilings.csv" "$programs/slm_bench_cuda" ceilings $quick &&
        sed 's/^/    /' "$out/ceilings.csv"
    csv kernels 200 "$out/kernels.csv" "$programs/slm_bench_cuda" kernels $quick &&
        sed 's/^/    /' "$logs/measure-kernels.log"
    csv partitions 120 "$out/partitions.csv" "$programs/slm_bench_cuda" partitions $quick &&
        sed 's/^/    /' "$out/partitions.csv"
    if [ -n "$rehearse" ]; then
        model=$tiny
        loaded tiny -r 1
        tokens tiny -p 8 -n 2 -d 0,40 --rounds 1
        return
    fi
    for spec in $models; do
        made "$spec" || continue
        loaded "$(basename "$model" .gguf)" -r 3
        tokens "$(basename "$model" .gguf)" -d 0,8192,16384
    done
}

# loaded NAME OPTION...: how fast $model comes to the GPU, beside the reading of its file
loaded() {
    loaded_name=$1
    shift
    csv "load-$loaded_name" 120 "$out/load-$loaded_name.csv" "$programs/slm_bench_load" -d cuda "$@" \
        "$model" && sed 's/^/    /' "$out/load-$loaded_name.csv"
}

# tokens NAME OPTION...: tokens/s of $model
tokens() {
    tokens_name=$1
    shift
    rm -f "$logs/measure-tokens-$tokens_name.log"
    item "tokens-$tokens_name" 240 python3 -B bench/device_tokens.py --slm "$programs/slm" \
        --ceilings "$out/ceilings.csv" --csv "$out/tokens-$tokens_name.csv" \
        ${peer:+--llama-bench "$peer"} "$@" "$model"
    sed '$d; s/^/    /' "$logs/measure-tokens-$tokens_name.log" 2>/dev/null
}

all_failed=0
for stage in $stages; do
    table=$logs/$stage.summary
    : >"$table"
    failed=0
    begun=$(date +%s)
    deadline=$((begun + limit))
    echo "== $stage"
    built && identified && "$stage"
    echo "== $stage: $(grep -c ' passed ' "$table") passed, $(grep -c ' FAILED ' "$table") failed," \
        "$(grep -c ' skipped ' "$table") skipped, $(grep -c ' left-out ' "$table") left out," \
        "$(($(date +%s) - begun)) s"
    [ -z "$out" ] || [ ! -d "$out" ] || cp "$table" "$out/$stage.txt"
    [ $failed -eq 0 ] || all_failed=1
done
exit $all_failed
