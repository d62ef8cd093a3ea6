#include "cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void vz_args_help(const struct vz_command *command)
{
    printf("%s\n\nUsage: %s\n", command->summary, command->usage);
    if (command->details)
        printf("\n%s\n", command->details);
    printf("\nOptions:\n");
    for (const struct vz_arg *arg = command->args; arg->name; arg++) {
        char left[48];
        snprintf(left, sizeof left, "%s%s%s", arg->name, arg->meta ? " " : "",
                 arg->meta ? arg->meta : "");
        printf("  %-22s %s\n", left, arg->help);
    }
    printf("  %-22s %s\n", "--help", "print this");
    if (command->examples)
        printf("\nExamples:\n%s\n", command->examples);
}

static const struct vz_arg *find_arg(const struct vz_command *command, const char *text, size_t len)
{
    for (const struct vz_arg *arg = command->args; arg->name; arg++)
        if (strlen(arg->name) == len && memcmp(arg->name, text, len) == 0)
            return arg;
    return NULL;
}

static int wrong(const struct vz_command *command, const char *name, const char *value,
                 const char *what)
{
    fprintf(stderr, "vizsla %s: %s%s%s: %s; see `vizsla %s --help`\n", command->name, name,
            value ? " " : "", value ? value : "", what, command->name);
    return VZ_EXIT_FAILED;
}

static bool parse_long(const char *text, long *out)
{
    char *end;
    errno = 0;
    *out = strtol(text, &end, 10);
    return !errno && end != text && !*end;
}

/* "512m", "2g", "1.5GB", "1048576". */
static bool parse_bytes(const char *text, size_t *out)
{
    char *end;
    errno = 0;
    double number = strtod(text, &end);
    if (errno || end == text || !(number >= 0))
        return false;
    double scale = 1;
    switch (*end | 0x20) {
    case 'k':
        scale = 1024;
        break;
    case 'm':
        scale = 1024.0 * 1024;
        break;
    case 'g':
        scale = 1024.0 * 1024 * 1024;
        break;
    case 't':
        scale = 1024.0 * 1024 * 1024 * 1024;
        break;
    default:
        break;
    }
    if (scale > 1)
        end++;
    if ((*end | 0x20) == 'b')
        end++;
    if (*end || number * scale > 1e18)
        return false;
    *out = (size_t)(number * scale);
    return true;
}

static bool add_to_list(struct vz_arg_list *list, const char *text)
{
    if (list->count == VZ_ARG_LIST_MAX)
        return false;
    list->items[list->count++] = text;
    return true;
}

static bool parse_real(const char *text, double minimum, double maximum, double *out)
{
    char *end;
    errno = 0;
    double number = strtod(text, &end);
    if (errno || end == text || *end || !(number >= minimum && number <= maximum))
        return false;
    *out = number;
    return true;
}

static int set_value(const struct vz_command *command, const struct vz_arg *arg, const char *text)
{
    long number;
    switch (arg->kind) {
    case VZ_ARG_TEXT:
        *(const char **)arg->value = text;
        return -1;
    case VZ_ARG_BYTES:
        if (!parse_bytes(text, arg->value))
            return wrong(command, arg->name, text, "expected a size such as 512m or 2g");
        return -1;
    case VZ_ARG_NUMBER:
        if (!parse_long(text, &number) || number < arg->minimum || number > arg->maximum) {
            char what[80];
            snprintf(what, sizeof what, "expected a number from %ld to %ld", arg->minimum,
                     arg->maximum);
            return wrong(command, arg->name, text, what);
        }
        *(long *)arg->value = number;
        return -1;
    case VZ_ARG_LIST:
        if (!add_to_list(arg->value, text))
            return wrong(command, arg->name, text, "given too often");
        return -1;
    case VZ_ARG_REAL:
        if (!parse_real(text, (double)arg->minimum / 1000, (double)arg->maximum / 1000,
                        arg->value)) {
            char what[80];
            snprintf(what, sizeof what, "expected a number from %g to %g",
                     (double)arg->minimum / 1000, (double)arg->maximum / 1000);
            return wrong(command, arg->name, text, what);
        }
        return -1;
    case VZ_ARG_FLAG:
        break;
    }
    return wrong(command, arg->name, text, "takes no value");
}

int vz_args_parse(const struct vz_command *command, int argc, char **argv, int *rest_count)
{
    int rest = 1;
    bool options_over = false;
    for (int i = 1; i < argc; i++) {
        const char *text = argv[i];
        if (options_over || text[0] != '-' || !text[1]) {
            argv[rest++] = argv[i];
            continue;
        }
        if (strcmp(text, "--") == 0) {
            options_over = true;
            continue;
        }
        if (strcmp(text, "--help") == 0 || strcmp(text, "-h") == 0) {
            vz_args_help(command);
            return VZ_EXIT_OK;
        }
        const char *equals = strchr(text, '=');
        size_t len = equals ? (size_t)(equals - text) : strlen(text);
        const struct vz_arg *arg = find_arg(command, text, len);
        if (!arg && command->signed_words && text[1] != '-') {
            argv[rest++] = argv[i];
            continue;
        }
        if (!arg)
            return wrong(command, text, NULL, "no such option");
        if (arg->kind == VZ_ARG_FLAG && !equals) {
            *(bool *)arg->value = true;
            continue;
        }
        const char *value = equals ? equals + 1 : i + 1 < argc ? argv[++i] : NULL;
        if (!value)
            return wrong(command, text, NULL, "needs a value");
        int leave = set_value(command, arg, value);
        if (leave >= 0)
            return leave;
    }
    *rest_count = rest - 1;
    return -1;
}

void vz_data_folder(const char *given, struct vz_buf *out)
{
    const char *home = getenv("HOME"), *from_env = getenv("VIZSLA_DATA"),
               *xdg = getenv("XDG_DATA_HOME");
    if (given || (from_env && *from_env))
        vz_buf_append_str(out, given ? given : from_env);
    else if (xdg && *xdg)
        vz_buf_printf(out, "%s/vizsla", xdg);
    else
        vz_buf_printf(out, "%s/.local/share/vizsla", home && *home ? home : ".");
}
