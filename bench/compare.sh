#!/bin/sh
# slm beside other engines, in turns, on the same files; `bench/compare.sh --help` is the manual.
exec python3 -B "$(dirname "$0")/compare.py" "$@"
