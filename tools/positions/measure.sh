#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tools/positions/measure.sh [VITRINE]: measures every model of weights/positions with `vitrine perplexity`
# and draws docs/positions.png and docs/norm-order.png. Prints the tables of docs/POSITIONS.md. VITRINE is the command
# (build/vitrine). The picture needs gnuplot; without it only the tables are made.
set -eu
cd "$(dirname "$0")/../.."
vitrine=${1-build/vitrine}
text=weights/positions/heldout.txt
contexts=256,512,1024,2048,4096
bytes=65536
work=build/positions
mkdir -p "$work"

# NAME MODEL [OPTION]...: one row, the five contexts; keeps "context bits" for the picture.
row() {
    name=$1
    model=$2
    shift 2
    "$vitrine" perplexity --quiet -m "weights/positions/$model" --context "$contexts" \
        --max-bytes "$bytes" --format csv "$@" "$text" >"$work/$name.csv"
    awk -F, -v name="$name" 'NR > 1 { line = line sprintf(" %7s |", $4 == "" ? "-" : sprintf("%.3f", $4)) }
        END { printf "| %-16s |%s\n", name, line }' "$work/$name.csv"
}

# NAME TYPE: a scaling whose factor is the context / 256, a measurement a context.
fitted() {
    line=
    : >"$work/$1.csv"
    echo "context,scaling,tokens,bits_per_token,perplexity" >"$work/$1.csv"
    for context in 256 512 1024 2048 4096; do
        factor=$((context / 256))
        scaling=$2:$factor
        [ "$factor" -gt 1 ] || scaling=none
        bits=$("$vitrine" perplexity --quiet -m weights/positions/rope --context "$context" \
            --max-bytes "$bytes" --format csv --rope-scaling "$scaling" "$text" | tee -a "$work/$1.csv" |
            awk -F, 'NR > 1 { printf "%.3f", $4 }')
        line="$line $(printf '%7s' "$bits") |"
    done
    sed -i '/^context/{1!d}' "$work/$1.csv"
    printf '| %-16s |%s\n' "$1" "$line"
}

echo "| bits per byte    |     256 |     512 |    1024 |    2048 |    4096 |"
echo "|------------------|--------:|--------:|--------:|--------:|--------:|"
row learned learned
row sinusoidal sinusoidal
row t5 t5
row alibi alibi
row rope rope
row rope-window rope-window
fitted rope+linear linear
fitted rope+ntk ntk
fitted rope+yarn yarn
row rope+linear:4 rope --rope-scaling linear:4
row rope+ntk:4 rope --rope-scaling ntk:4
row rope+dynamic:4 rope --rope-scaling dynamic:4
row rope+yarn:4 rope --rope-scaling yarn:4
row rope-linear4-ft rope-linear4-ft
row rope-ft rope-ft

command -v gnuplot >/dev/null || exit 0
gnuplot <<EOF
set terminal pngcairo size 1100,520 font "sans,11" background "#ffffff"
set output "docs/positions.png"
set datafile separator ","
set logscale x 2
set xtics (256, 512, 1024, 2048, 4096)
set xlabel "context (bytes); trained at 256"
set ylabel "bits per byte on held-out text"
set yrange [1.7:5.8]
set grid ytics lc rgb "#dddddd"
set key top left
set style data linespoints
set multiplot layout 1,2
set title "six schemes, equal but for their positions"
plot for [s in "learned sinusoidal t5 alibi rope rope-window"] \
    "$work/".s.".csv" every ::1 using 1:4 title s lw 2 pt 7
set title "RoPE beyond its training length"
plot for [s in "rope rope+linear rope+ntk rope+yarn rope+dynamic:4 rope-linear4-ft rope-ft"] \
    "$work/".s.".csv" every ::1 using 1:4 title s lw 2 pt 7
unset multiplot
reset
set terminal pngcairo size 700,420 font "sans,11" background "#ffffff"
set output "docs/norm-order.png"
set datafile separator ","
set xlabel "training step, learning rate 2e-3"
set ylabel "training loss (bits per byte)"
set yrange [2.2:6]
set grid ytics lc rgb "#dddddd"
set style data lines
plot "weights/positions/curves.csv" every ::1 using 1:2 title "pre-LN, warm-up" lw 2, \
    "" every ::1 using 1:3 title "pre-LN" lw 2, \
    "" every ::1 using 1:4 title "post-LN, warm-up" lw 2, \
    "" every ::1 using 1:5 title "post-LN" lw 2
EOF
echo "docs/positions.png docs/norm-order.png"
