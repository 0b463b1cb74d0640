/* SPDX-License-Identifier: MIT
 *
 * A command line: the first byte says which command ('a' is the first), then come words with a NUL
 * after each.
 */
#include "fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "cli/command.h"

enum { MAX_WORDS = 64 };

static void check_settings(const settings *s, char *const *words, size_t count) {
    fuzz_check(s->num_operands <= count, "no more operands than words");
    for (size_t i = 0; i < s->num_operands; i++)
        fuzz_touch(words[i], strlen(words[i]));
    fuzz_check(s->sizes.count <= MAX_SIZES && s->thread_counts.count <= MAX_REPEATS &&
                   s->batches.count <= MAX_REPEATS && s->precisions.count <= MAX_REPEATS &&
                   s->templates.count <= MAX_REPEATS,
               "lists hold what they have room for");
    for (size_t i = 0; i < s->sizes.count; i++)
        fuzz_check(s->sizes.items[i][0] && s->sizes.items[i][1], "a size is not 0");
    fuzz_check(s->temperature >= 0, "a temperature is a number");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    char *words[MAX_WORDS], *given[MAX_WORDS];
    size_t count = 0, commands = 0;
    option_error error = {""};
    fuzz_input input = {data, size};
    while (command_at(commands))
        commands++;
    const command *chosen = command_at((uint8_t)(fuzz_byte(&input) - 'a') % commands);
    for (; input.size && count < MAX_WORDS; count++) {
        const fuzz_input word = fuzz_part(&input);
        words[count] = given[count] = fuzz_copy(word.data, word.size, true);
    }
    settings s = {.image = VT_IMAGE_OPTIONS_INIT, .operands = words};
    if (options_parse(chosen->groups, (int)count, words, &s, &s.num_operands, &error))
        check_settings(&s, words, count);
    else
        fuzz_check(error.message[0] != '\0', "the error has a message");
    for (size_t i = 0; i < count; i++)
        free(given[i]);
    return 0;
}
