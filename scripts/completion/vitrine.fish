# SPDX-License-Identifier: MIT
#
# fish's completion of vitrine. `vitrine --complete` says what may stand at the cursor.

function __vitrine_complete
    set -l words (commandline -opc)
    set -l word (commandline -ct)
    set -l program (string replace -r '^~/' "$HOME/" -- $words[1])
    set -e words[1]
    set -l lines ($program --complete $words "$word" 2>/dev/null)
    set -q lines[1]; or return
    set -l first (string split -m 1 \t -- $lines[1])
    set -l prefix $first[2]
    set -l value (string sub -s (math (string length -- "$prefix") + 1) -- "$word")
    set -e lines[1]
    for line in $lines
        printf '%s%s\n' "$prefix" $line
    end
    # A command that is not there, of which fish knows nothing, has all files as its operands.
    set -l paths
    switch $first[1]
        case files
            set paths (complete -C "__vitrine_no_command $value")
        case directories
            set paths (complete -C "__vitrine_no_command $value" | string match -r '.*/$')
    end
    for path in $paths
        printf '%s%s\n' "$prefix" $path
    end
end

complete -c vitrine -f -k -a '(__vitrine_complete)'
