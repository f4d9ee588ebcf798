#!/bin/sh
# Builds examples/models/hearth.gguf from nothing: corpus, vocabulary, training, export, measure.
#
#   SLM_LIBRARY=build/release/libslm.so tools/demo_model/build.sh WORK [MINUTES...]
#
# WORK is a folder outside the repository (about 600 MB); MINUTES are the most time of both processor
# cores that the six stages of the training may take (47, 10.5, 40, 60, 40 and 30; the sixth takes its
# own twice, for its two parts: together 257.5).  Wants the packages of
# requirements.txt in $PYTHON (python3), a C++ compiler for the compiled layers (train.py --no-compile
# does without), and a built shared library, which answers the questions of the measurement.

set -eu
[ $# -ge 1 ] || { sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 2; }
[ -f "${SLM_LIBRARY:-}" ] || { echo "build.sh: SLM_LIBRARY: not a file, wanted libslm.so" >&2; exit 2; }
library=$(cd "$(dirname "$SLM_LIBRARY")" && pwd)/$(basename "$SLM_LIBRARY")
mkdir -p "$1"
work=$(cd "$1" && pwd)
minutes=${2:-47}
second=${3:-10.5}
third=${4:-40}
fourth=${5:-60}
fifth=${6:-40}
sixth=${7:-30}
cd "$(dirname "$0")"
python=${PYTHON:-python3}

# Threads that wait asleep: on a busy machine, waiting in a loop costs most of the speed.
export OMP_WAIT_POLICY=PASSIVE PYTHONDONTWRITEBYTECODE=1

"$python" corpus.py --split train --count 300000 --seed 1 --out "$work/train.jsonl"
"$python" corpus.py --split test --count 2500 --seed 2 --out "$work/test.jsonl"
"$python" bpe.py --corpus "$work/train.jsonl" --out "$work/tokenizer.json"
rm -f "$work/model.pt" "$work/hearth.gguf"
"$python" -u train.py --corpus "$work/train.jsonl" --tokenizer "$work/tokenizer.json" \
    --out "$work/model.pt" --minutes "$minutes" | tee "$work/train.log"
"$python" corpus.py --split train --stage 2 --count 300000 --seed 3 --out "$work/train2.jsonl"
"$python" -u train.py --corpus "$work/train2.jsonl" --tokenizer "$work/tokenizer.json" \
    --start "$work/model.pt" --out "$work/model2.pt" --minutes "$second" --rate 0.008 --seed 8 |
    tee -a "$work/train.log"
"$python" corpus.py --split train --stage 2 --tools 0.6 --count 70000 --seed 5 --out "$work/train3.jsonl"
"$python" grow.py --corpus "$work/train3.jsonl" --tokenizer "$work/tokenizer.json" \
    --model "$work/model.pt" "$work/model2.pt" --out "$work/grown.pt" --out-tokenizer "$work/tokenizer3.json"
"$python" -u train.py --corpus "$work/train3.jsonl" --tokenizer "$work/tokenizer3.json" \
    --start "$work/grown.pt" --out "$work/model3.pt" \
    --tokens 12000000 --minutes "$third" --rate 0.008 --seed 9 | tee -a "$work/train.log"
"$python" corpus.py --split train --stage 1 --tools 0.6 --count 64000 --seed 11 --out "$work/both1.jsonl"
"$python" corpus.py --split train --stage 2 --tools 0.6 --count 64000 --seed 12 --out "$work/both2.jsonl"
cat "$work/both1.jsonl" "$work/both2.jsonl" > "$work/train4.jsonl"
"$python" -u train.py --corpus "$work/train4.jsonl" --tokenizer "$work/tokenizer3.json" \
    --start "$work/model3.pt" --out "$work/model4.pt" \
    --tokens 22000000 --minutes "$fourth" --rate 0.014 --seed 12 | tee -a "$work/train.log"
"$python" corpus.py --split train --stage 3 --tools 0.5 --count 64000 --seed 21 --out "$work/train5.jsonl"
"$python" -u train.py --corpus "$work/train5.jsonl" --tokenizer "$work/tokenizer3.json" \
    --start "$work/model4.pt" --out "$work/model5.pt" \
    --tokens 9000000 --minutes "$fifth" --rate 0.008 --seed 13 | tee -a "$work/train.log"
"$python" corpus.py --split test --tools 1 --count 1200 --seed 4 --out "$work/tools.jsonl"
for half in 31:48000 32:20000; do
    "$python" corpus.py --split train --stage 4 --tools 0.55 --count "${half#*:}" --seed "${half%:*}" \
        --without "$work/test.jsonl" "$work/tools.jsonl" fresh_wordings.jsonl --out "$work/train-${half%:*}.jsonl"
done
"$python" -u train.py --corpus "$work/train-31.jsonl" --tokenizer "$work/tokenizer3.json" \
    --start "$work/model5.pt" --out "$work/model6.pt" --tokens 4000000 --minutes "$sixth" \
    --rate 0.005 --floor 0.25 --mean 150 --seed 14 | tee -a "$work/train.log"
"$python" -u train.py --corpus "$work/train-32.jsonl" --tokenizer "$work/tokenizer3.json" \
    --start "$work/model6.pt" --out "$work/model7.pt" --tokens 1800000 --minutes "$sixth" \
    --rate 0.0015 --mean 60 --seed 15 | tee -a "$work/train.log"
"$python" export.py --model "$work/model5.pt" "$work/model7.pt" --tokenizer "$work/tokenizer3.json" \
    --full "$work/hearth-f16.gguf" --small "$work/hearth.gguf"
"$python" evaluate.py --gguf "$work/hearth.gguf" --corpus "$work/test.jsonl" \
    --tool-corpus "$work/tools.jsonl" --library "$library" --report "$work/answers.jsonl" | tee "$work/quality.md"
mkdir -p ../../examples/models
cp "$work/hearth.gguf" ../../examples/models/hearth.gguf
