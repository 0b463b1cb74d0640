/* SPDX-License-Identifier: MIT */
#include "folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "text.h"

static int not_hidden(const struct dirent *found) {
    return found->d_name[0] != '.';
}

/* By bytes: the same order in every locale. */
static int by_name(const struct dirent **a, const struct dirent **b) {
    return strcmp((*a)->d_name, (*b)->d_name);
}

bool folder_each(const char *folder, folder_fn visit, void *user) {
    struct dirent **found;
    int count = scandir(folder, &found, not_hidden, by_name);
    for (int i = 0; i < count; i++) {
        char *path = text_format("%s/%s", folder, found[i]->d_name);
        visit(user, path, found[i]->d_name);
        free(path);
        free(found[i]);
    }
    if (count >= 0)
        free(found);
    else if (errno == ENOMEM)
        out_of_memory();
    return count >= 0;
}
