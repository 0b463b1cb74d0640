/* SPDX-License-Identifier: MIT
 *
 * What may stand at a place of the command line, for the completions of shells
 * (scripts/completion/), which are three ways to ask this:
 *
 *     $ vitrine --complete classify --format=
 *     words	--format=
 *     text
 *     json
 *     csv
 *
 * The first line is what else the shell is to offer ("words": nothing, "files", "directories"), a
 * tab, and how the word begins before its value. Then come values, each with a tab and a
 * description where there is one; the shell leaves out those that do not go with what was typed.
 *
 * What an operand or an option's value may be goes by what help calls it: FILE, IMAGE, OUT, CSV and
 * HEAD are files, DIR and FOLDER directories, a MODEL is a file, a directory or a name in the
 * cache, a COMMAND one of ours. For an option with a choice it is the words of that.
 */
#ifndef CLI_COMPLETE_H
#define CLI_COMPLETE_H

#include <stdio.h>

/* `words` are those after "vitrine", up to the one that is being written, which may be "". */
void complete_print(FILE *out, int count, char **words);

#endif
