#include "cli/cli.h"

#include <string.h>

static const struct vz_verb subcommands[] = {
    {"register", "add dogs and their pictures", vz_cli_register},
    {"find", "find the dog on a picture, or by a description", vz_cli_find},
    {"dogs", "list and remove registered dogs", vz_cli_dogs},
    {"index", "index any folder of pictures", vz_cli_index},
    {"search", "search an index with pictures and texts", vz_cli_search},
    {"dedupe", "show which pictures are the same one", vz_cli_dedupe},
    {"reindex", "change the model of an index", vz_cli_reindex},
    {"models", "get, list, check and remove models", vz_cli_models},
    {"import-model", "put a model of the hub into a server", vz_cli_import_model},
    {"embed", "print the vector of a picture or a text", vz_cli_embed},
    {"serve", "answer the Elasticsearch REST API over HTTP", vz_cli_serve},
    {"version", "print versions and what this machine can do", vz_cli_version},
    {0},
};

int vz_cli_main(int argc, char **argv)
{
    static const struct vz_verbs verbs = {
        .of = "",
        .summary = "vizsla finds things by a picture.",
        .verbs = subcommands,
        .examples =
            "  vizsla register --name Luigi --breed \"Jack Russel\" --owner Ully luigi.png\n"
            "  vizsla find lost.png\n"
            "  vizsla serve\n",
    };
    if (argc >= 2 && (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0 ||
                      strcmp(argv[1], "-v") == 0))
        return vz_cli_version(1, argv + 1);
    return vz_cli_verbs(&verbs, argc, argv);
}
