/* SPDX-License-Identifier: MIT */
#include "manual.h"

#include <stddef.h>
#include <string.h>

const char manual_title[] = "what is in a picture, by vision transformers";

const char manual_about[] =
    "Opens a checkpoint as it was published, prepares a picture exactly as the model's own "
    "pipeline "
    "does, and runs it at whatever resolution it is given. Without -m MODEL the bundled model "
    "answers, which knows 650 everyday things as emoji draw them. Options are written "
    "--name=value, --name value, -n value or -nvalue, before or after operands; -- ends them.";

const char manual_examples[] =
    "  vitrine classify cat.png             name what is in a picture\n"
    "  vitrine classify --format=csv album  a table of a folder of pictures\n"
    "  vitrine inspect -m MODEL             what a checkpoint is, and what it costs\n";

const manual_row manual_exit_codes[] = {
    {"0", "all done", NULL},
    {"1", "some inputs failed, each named on standard error; the others were processed", NULL},
    {"2", "the command line is wrong", NULL},
    {"3", "the model can't be used", NULL},
    {0},
};

const manual_row manual_variables[] = {
    {"VITRINE_MODEL", "the model where there is no -m, in place of the bundled one", "model"},
    {THREADS_VARIABLE, "how many threads to use where there is no -t", "threads"},
    {"VITRINE_GNUPLOT", "the gnuplot that draws charts and maps", NULL},
    {"NO_COLOR", "set, and not to nothing: no colours", NULL},
    {"TERM", "dumb: neither colours nor a progress bar", NULL},
    {"HF_HUB_CACHE",
     "where models are looked up and pulled to; else $HUGGINGFACE_HUB_CACHE, its "
     "older name, else hub/ in $HF_HOME",
     NULL},
    {"HF_HOME",
     "where Hugging Face's tools keep their files; else huggingface/ in $XDG_CACHE_HOME or in "
     "~/.cache",
     NULL},
    {"XDG_CACHE_HOME", "the folder of caches; else ~/.cache", NULL},
    {"HF_ENDPOINT", "the hub; else https://huggingface.co", "retries"},
    {"HF_TOKEN", "for private and gated models; sent to the hub alone, never printed", "retries"},
    {"HF_TOKEN_PATH", "a file with the token; else token in $HF_HOME", "retries"},
    {"HF_HUB_DISABLE_IMPLICIT_TOKEN", "1: no token but $HF_TOKEN", "retries"},
    {"HF_HUB_OFFLINE", "1: nothing is downloaded", "retries"},
    {"HF_HUB_DOWNLOAD_TIMEOUT", "seconds without a byte that end a connection; else 10", "retries"},
    {"HF_HUB_DISABLE_SYMLINKS", "1: files in the cache in place of links", "retries"},
    {"https_proxy, http_proxy, all_proxy, no_proxy", "proxies, as libcurl reads them", "retries"},
    {"CURL_CA_BUNDLE, SSL_CERT_FILE", "a file of the authorities to trust; else the system's",
     "retries"},
    {"SOURCE_DATE_EPOCH", "the date of a man page, in seconds since 1970; else today", "man"},
    {0},
};

const manual_row manual_files[] = {
    {"share/vitrine/emoji-vit", "the bundled model, seen from the folder that has bin/vitrine",
     "model"},
    {"~/.cache/huggingface/hub", "models that were pulled, shared with Hugging Face's tools", NULL},
    {"~/.cache/vitrine/features", "vectors of pictures that were computed before", "no-cache"},
    {0},
};

bool manual_concerns(const manual_row *row, const command *about) {
    if (!row->option || !about)
        return true;
    for (const option_group *const *group = about->groups; *group; group++)
        for (const option *o = (*group)->options; o->name; o++)
            if (strcmp(o->name, row->option) == 0)
                return true;
    return false;
}
