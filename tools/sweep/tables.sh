#!/bin/sh
# SPDX-License-Identifier: MIT
#
# tools/sweep/tables.sh SIZES.csv RULES.csv: the tables of docs/SWEEP.md, from what emoji.sh swept.
set -eu
columns='NR == 1 { for (i = 1; i <= NF; i++) at[$i] = i; next }'

echo "| size | held-in, top-1 | top-5 | emojione-v1, top-1 | top-5 | openmoji, top-1 | top-5 |"
echo "|--:|--:|--:|--:|--:|--:|--:|"
awk -F, "$columns"'
    { top1[$at["width"], $at["group"]] = $at["top1"]; top5[$at["width"], $at["group"]] = $at["top5"] }
    $at["group"] == "all" { sizes[++n] = $at["width"] }
    END {
        split("held-in emojione-v1 openmoji", groups, " ")
        for (i = 1; i <= n; i++) {
            line = "| " sizes[i] " |"
            for (g = 1; g <= 3; g++)
                line = line sprintf(" %.1f%% | %.1f%% |", 100 * top1[sizes[i], groups[g]],
                                    100 * top5[sizes[i], groups[g]])
            print line
        }
    }' "$1"

for size in 96 224; do
    echo
    echo "| at $size px | agreement | KL | cosine | held-in, top-1 | emojione-v1 | openmoji |"
    echo "|---|--:|--:|--:|--:|--:|--:|"
    awk -F, -v size="$size" "$columns"'
        $at["width"] != size { next }
        { top1[$at["pos_resize"], $at["group"]] = $at["top1"] }
        $at["group"] == "all" {
            rules[++n] = $at["pos_resize"]
            text[n] = sprintf("| `%s` | %.1f%% | %.3f | %.3f |", $at["pos_resize"], 100 * $at["agreement"],
                              $at["kl"], $at["cosine"])
        }
        END {
            for (i = 1; i <= n; i++)
                printf "%s %.1f%% | %.1f%% | %.1f%% |\n", text[i], 100 * top1[rules[i], "held-in"],
                       100 * top1[rules[i], "emojione-v1"], 100 * top1[rules[i], "openmoji"]
        }' "$2"
done
