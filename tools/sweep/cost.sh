#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tools/sweep/cost.sh [VITRINE [THREADS [RUNS]]]: the cost of a size alone, for ViT-Ti, S and B of random
# weights from 128 to 1024 px, and docs/images/sweep-cost.png: time against arithmetic and memory against
# tokens, with straight lines beside them. Prints the table of docs/SWEEP.md. Needs a machine that does
# nothing else (20 runs of the largest take ten minutes), and gnuplot for the picture.
set -eu
cd "$(dirname "$0")/../.."
vitrine=${1-build/vitrine}
threads=${2-2}
runs=${3-20}
threads_text="$threads thread$([ "$threads" = 1 ] || echo s)"
work=build/sweep-cost
mkdir -p "$work" docs/images

for name in tiny small base; do
    "$vitrine" sweep --arch "vit_${name}_patch16_224" --sizes 128:1024:128 --threads "$threads" \
        --runs "$runs" -o "$work/$name" >/dev/null
done

# Columns of sweep.csv by their names.
columns='NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }'

echo "| model | size | tokens | GFLOP | median ms | p95 ms | GFLOP/s | peak MB | workspace MB |"
echo "|---|--:|--:|--:|--:|--:|--:|--:|--:|"
for name in tiny small base; do
    awk -F, -v name="$name" "$columns"'
        { printf "| ViT-%s/16 | %d | %d | %.1f | %.1f | %.1f | %.1f | %.1f | %.1f |\n",
          name == "tiny" ? "Ti" : name == "small" ? "S" : "B", $at["width"], $at["tokens"],
          $at["flops"] / 1e9, $at["forward_median_ms"], $at["forward_p95_ms"],
          $at["flops"] / $at["forward_median_ms"] / 1e6, $at["peak_rss_mb"], $at["workspace_mb"] }' \
        "$work/$name/sweep.csv"
    awk -F, "$columns"'
        { print $at["flops"] / 1e9, $at["forward_median_ms"], $at["tokens"], $at["peak_rss_mb"],
          $at["workspace_mb"] }' "$work/$name/sweep.csv" >"$work/$name.dat"
done

command -v gnuplot >/dev/null || exit 0

# The best rate of a model, in ms a GFLOP: the line of time in proportion to arithmetic.
slope() {
    awk '{ s = $2 / $1; if (NR == 1 || s < best) best = s } END { print best }' "$work/$1.dat"
}
# The straight line of memory from the first size to the last: "base slope".
memory() {
    awk 'NR == 1 { t = $3; m = $4 } END { s = ($4 - m) / ($3 - t); print m - s * t, s }' "$work/$1.dat"
}
set -- $(slope tiny) $(slope small) $(slope base) $(memory tiny) $(memory small) $(memory base)
gnuplot <<END
set terminal pngcairo size 1200,560 font "sans,11" background "#ffffff"
set output "docs/images/sweep-cost.png"
set linetype 1 lc rgb "#0072b2"
set linetype 2 lc rgb "#d55e00"
set linetype 3 lc rgb "#009e73"
set grid lc rgb "#dddddd"
set border 3
set tics nomirror out
set key bmargin center horizontal maxcols 2 samplen 2
set bmargin 7
set samples 200
set multiplot layout 1,2
set title "forward pass, batch 1, $threads_text"
set logscale xy
set xlabel "arithmetic (GFLOP)"
set ylabel "median latency (ms)"
plot "$work/tiny.dat" using 1:2 with points lt 1 pt 7 title "ViT-Ti/16", \
    "$work/small.dat" using 1:2 with points lt 2 pt 7 title "ViT-S/16", \
    "$work/base.dat" using 1:2 with points lt 3 pt 7 title "ViT-B/16", \
    $1 * x lt 1 dt 2 notitle, $2 * x lt 2 dt 2 notitle, $3 * x lt 3 dt 2 notitle, \
    NaN with lines lc rgb "#666666" dt 2 title "in proportion, best rate"
unset logscale
set title "memory"
set xlabel "tokens"
set ylabel "peak resident set (MB)"
set yrange [0:*]
plot "$work/tiny.dat" using 3:4 with points lt 1 pt 7 title "ViT-Ti/16", \
    "$work/small.dat" using 3:4 with points lt 2 pt 7 title "ViT-S/16", \
    "$work/base.dat" using 3:4 with points lt 3 pt 7 title "ViT-B/16", \
    $4 + $5 * x lt 1 dt 2 notitle, $6 + $7 * x lt 2 dt 2 notitle, $8 + $9 * x lt 3 dt 2 notitle, \
    NaN with lines lc rgb "#666666" dt 2 title "straight, first to last"
unset multiplot
END
echo "docs/images/sweep-cost.png"
