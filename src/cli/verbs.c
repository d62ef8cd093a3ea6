#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

static void print_help(const struct vz_verbs *verbs, FILE *to)
{
    const char *between = verbs->of[0] ? " " : "";
    fprintf(to, "%s\n\nUsage: vizsla%s%s COMMAND [options]\n\nCommands:\n", verbs->summary, between,
            verbs->of);
    for (const struct vz_verb *verb = verbs->verbs; verb->name; verb++)
        fprintf(to, "  %-12s %s\n", verb->name, verb->summary);
    fprintf(to, "\nExamples:\n%s\n`vizsla%s%s COMMAND --help` tells more about each.\n",
            verbs->examples, between, verbs->of);
}

int vz_cli_verbs(const struct vz_verbs *verbs, int argc, char **argv)
{
    const char *between = verbs->of[0] ? " " : "";
    if (argc < 2) {
        print_help(verbs, stderr);
        return VZ_EXIT_FAILED;
    }
    if (argc == 3 && strcmp(argv[1], "help") == 0) { /* `help find` is `find --help` */
        static char help[] = "--help";
        argv[1] = argv[2];
        argv[2] = help;
    }
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcmp(argv[1], "help") == 0) {
        print_help(verbs, stdout);
        return VZ_EXIT_OK;
    }
    for (const struct vz_verb *verb = verbs->verbs; verb->name; verb++)
        if (strcmp(argv[1], verb->name) == 0)
            return verb->run(argc - 1, argv + 1);
    fprintf(stderr, "vizsla: there is no command '%s%s%s'; `vizsla%s%s --help` lists them\n",
            verbs->of, between, argv[1], between, verbs->of);
    return VZ_EXIT_FAILED;
}
