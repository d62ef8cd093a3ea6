#include "cli/cli.h"

#include <stdio.h>

struct subcommand {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
};

static const struct subcommand subcommands[] = {
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
};

static void print_help(FILE *to)
{
    fprintf(to, "vizsla finds things by a picture.\n\n"
                "Usage: vizsla COMMAND [options]\n\nCommands:\n");
    for (size_t i = 0; i < VZ_COUNT_OF(subcommands); i++)
        fprintf(to, "  %-12s %s\n", subcommands[i].name, subcommands[i].summary);
    fprintf(to, "\nExamples:\n"
                "  vizsla register --name Luigi --breed \"Jack Russel\" --owner Ully luigi.png\n"
                "  vizsla find lost.png\n"
                "  vizsla serve\n"
                "\n`vizsla COMMAND --help` tells more about each.\n");
}

static bool is_one_of(const char *text, const char *a, const char *b, const char *c)
{
    return strcmp(text, a) == 0 || strcmp(text, b) == 0 || strcmp(text, c) == 0;
}

int vz_cli_main(int argc, char **argv)
{
    if (argc < 2) {
        print_help(stderr);
        return VZ_EXIT_FAILED;
    }
    if (argc == 3 &&
        strcmp(argv[1], "help") == 0) { /* `vizsla help find` is `vizsla find --help` */
        static char help[] = "--help";
        argv[1] = argv[2];
        argv[2] = help;
    }
    if (is_one_of(argv[1], "--help", "-h", "help")) {
        print_help(stdout);
        return VZ_EXIT_OK;
    }
    if (is_one_of(argv[1], "--version", "-V", "-v"))
        return vz_cli_version(1, argv + 1);
    for (size_t i = 0; i < VZ_COUNT_OF(subcommands); i++)
        if (strcmp(argv[1], subcommands[i].name) == 0)
            return subcommands[i].run(argc - 1, argv + 1);
    fprintf(stderr, "vizsla: there is no command '%s'; `vizsla --help` lists them\n", argv[1]);
    return VZ_EXIT_FAILED;
}
