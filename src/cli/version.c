#include "cli/cli.h"

#include "base/cpu.h"
#include "base/thread.h"

#include <stdio.h>

int vz_cli_version(int argc, char **argv)
{
    bool json = false;
    const struct vz_arg args[] = {
        {"--json", VZ_ARG_FLAG, &json, NULL, "print JSON", 0, 0},
        {0},
    };
    const struct vz_command command = {
        .name = "version",
        .usage = "vizsla version [--json]",
        .summary = "Prints the program's version, its built-in eye and the processor's features.",
        .args = args,
    };
    int rest, leave = vz_args_parse(&command, argc, argv, &rest);
    if (leave >= 0)
        return leave;
    if (json)
        printf("{\"vizsla\":\"%s\",\"eye\":\"%s\",\"elasticsearch_api\":\"8.19\",\"cpu\":\"%s\","
               "\"cores\":%u}\n",
               VZ_VERSION, VZ_EYE_ID, vz_cpu_describe(), vz_cpu_count());
    else
        printf("vizsla %s\nbuilt-in eye      %s, %d dimensions\nElasticsearch API 8.19\n"
               "processor         %s, %u cores\n",
               VZ_VERSION, VZ_EYE_ID, VZ_EYE_DIMS, vz_cpu_describe(), vz_cpu_count());
    return VZ_EXIT_OK;
}
