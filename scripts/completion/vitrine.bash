# SPDX-License-Identifier: MIT
#
# bash's completion of vitrine. `vitrine --complete` says what may stand at the cursor.

_vitrine() {
    local rest=${COMP_LINE:0:COMP_POINT} word= stripped reply line breaks= i
    local -a words=() lines=()
    COMPREPLY=()

    # bash cuts words at the marks of $COMP_WORDBREAKS: what no blank separates is put together again.
    for ((i = 0; i <= COMP_CWORD; i++)); do
        stripped=${rest#"${rest%%[![:blank:]]*}"}
        word=${COMP_WORDS[i]}
        [[ $i -eq $COMP_CWORD ]] && word=$stripped
        if [[ $i -gt 0 && $stripped == "$rest" ]]; then
            words[${#words[@]} - 1]+=$word
        else
            words+=("$word")
        fi
        rest=${stripped#"$word"}
    done
    word=${words[${#words[@]} - 1]}

    local program=${words[0]/#\~\//$HOME/}
    mapfile -t lines < <("$program" --complete "${words[@]:1}" 2>/dev/null)
    [[ ${#lines[@]} -gt 0 ]] || return
    local kind=${lines[0]%%$'\t'*} prefix=${lines[0]#*$'\t'}

    # readline replaces what comes after the last of the marks.
    for i in = : @; do
        [[ $COMP_WORDBREAKS == *"$i"* ]] && breaks+=$i
    done
    stripped=
    [[ -n $breaks && $word == *[$breaks]* ]] && stripped=${word%"${word##*[$breaks]}"}
    for line in "${lines[@]:1}"; do
        reply=$prefix${line%%$'\t'*}
        [[ $reply == "$word"* ]] && COMPREPLY+=("${reply#"$stripped"}")
    done

    # Paths are readline's: it knows about quotes. Beside words of ours, and after -m, they are listed here.
    case $kind in
    files)
        [[ ${#COMPREPLY[@]} -gt 0 || $prefix == *[!=] ]] || return
        while IFS= read -r line; do
            reply=$prefix$line
            [[ -z $prefix || $prefix == *= || ! -d $line ]] || reply+=/ # as readline does by itself
            COMPREPLY+=("${reply#"$stripped"}")
        done < <(compgen -f -- "${word#"$prefix"}")
        compopt -o filenames 2>/dev/null
        ;;
    directories) compopt +o default -o dirnames 2>/dev/null ;;
    *) compopt +o default 2>/dev/null ;;
    esac
    if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=/] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}

complete -o default -F _vitrine vitrine
