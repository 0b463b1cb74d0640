#!/bin/sh
# Run the whole study of positions: text, trainings, measurements.
#
#   run.sh [DIRECTORY]         (default: weights/positions of this checkout)
#
# Two processes of one thread each train at a time. From the environment:
#   WORK     directory for the text and the logs (build/positions)
#   PYTHON   python with torch and safetensors (python3)
#   STEPS    training steps of every scheme (1500)
#   PAUSE    trainings sleep while this file exists (none)
set -eu

case "${1-}" in -h|--help) sed -n '2,/^set/{/^#/s/^# \{0,1\}//p}' "$0"; exit ;; esac

here=$(cd "$(dirname "$0")" && pwd)
out=${1-$here/../../weights/positions}
work=${WORK-$here/../../build/positions}
python=${PYTHON-python3}
steps=${STEPS-1500}

mkdir -p "$out" "$work"
[ -e "$work/train.txt" ] || "$here/text.sh" "$work"
cp "$work/heldout.txt" "$out/heldout.txt"

train() {       # NAME and the options that set it apart
    name=$1
    shift
    "$python" "$here/train.py" --text "$work/train.txt" --out "$out/$name" \
        --steps "$steps" ${PAUSE:+--pause "$PAUSE"} "$@" >"$work/$name.log"
}

curves() {      # learning rate and name of the file
    "$python" "$here/curves.py" --text "$work/train.txt" --out "$out/$2" \
        --rate "$1" ${PAUSE:+--pause "$PAUSE"} >"$work/$2.log"
}

(
    train rope --position rope
    train alibi --position alibi
    train learned --position learned
    train rope-linear4-ft --start "$out/rope" --linear 4 --context 1024 \
        --steps $((steps / 10)) --batch 2 --rate 2e-3 --warmup 10
    train rope-ft --start "$out/rope" --context 1024 \
        --steps $((steps / 10)) --batch 2 --rate 2e-3 --warmup 10
) &
first=$!
(
    train t5 --position t5
    train sinusoidal --position sinusoidal
    train rope-window --position rope --window 64
    curves 1e-3 curves-half-rate.csv
    curves 2e-3 curves.csv
    curves 4e-3 curves-double-rate.csv
) &
second=$!
wait "$first"
wait "$second"

"$python" "$here/evaluate.py" --weights "$out" ${PAUSE:+--pause "$PAUSE"}
