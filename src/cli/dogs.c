/* `vizsla dogs`: what is registered, and how to take it out again. */
#include "cli/cli.h"

#include "json/json.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

struct common {
    const char *url, *data;
    bool json;
};

#define COMMON_ARGS(c)                                                                             \
    {"--data",                                                                                     \
     VZ_ARG_TEXT,                                                                                  \
     &(c).data,                                                                                    \
     "DIR",                                                                                        \
     "data folder (default: $VIZSLA_DATA or ~/.local/share/vizsla)",                               \
     0,                                                                                            \
     0},                                                                                           \
        {"--url", VZ_ARG_TEXT, &(c).url, "URL", "a server, here or on another machine", 0, 0},     \
    {                                                                                              \
        "--json", VZ_ARG_FLAG, &(c).json, NULL, "print JSON", 0, 0                                 \
    }

/* ---- list ---------------------------------------------------------------------------------- */

static void print_list_json(const struct vz_dog_entry *dogs, size_t count, const char *where)
{
    struct vz_buf out = {0};
    struct vz_json_writer w = vz_json_writer_on(&out);
    vz_json_begin_object(&w);
    vz_json_field_str(&w, "where", where);
    vz_json_key(&w, "dogs");
    vz_json_begin_array(&w);
    for (size_t i = 0; i < count; i++) {
        vz_json_begin_object(&w);
        vz_json_field_string(&w, "dog_id", dogs[i].dog_id);
        vz_json_field_string(&w, "breed", dogs[i].breed);
        vz_json_field_string(&w, "owner_name", dogs[i].owner_name);
        vz_json_key(&w, "pictures");
        vz_json_begin_array(&w);
        for (size_t p = 0; p < dogs[i].picture_count; p++)
            vz_json_put_string(&w, dogs[i].pictures[p]);
        vz_json_end_array(&w);
        vz_json_end_object(&w);
    }
    vz_json_end_array(&w);
    vz_json_end_object(&w);
    puts(out.data);
    vz_buf_deinit(&out);
}

static void print_list(const struct vz_dog_entry *dogs, size_t count, bool with_pictures)
{
    struct vz_buf out = {0};
    int name = 4, breed = 5;
    for (size_t i = 0; i < count; i++) {
        name = VZ_MIN(VZ_MAX(name, vz_term_width(dogs[i].dog_id)), 24);
        breed = VZ_MIN(VZ_MAX(breed, vz_term_width(dogs[i].breed)), 24);
    }
    vz_term_cell(&out, VZ_SLICE("name"), name + 2);
    vz_term_cell(&out, VZ_SLICE("breed"), breed + 2);
    vz_buf_append_str(&out, "pictures  owner\n");
    for (size_t i = 0; i < count; i++) {
        vz_term_cell(&out, dogs[i].dog_id, name);
        vz_buf_append_str(&out, "  ");
        vz_term_cell(&out, dogs[i].breed, breed);
        vz_buf_printf(&out, "  %8zu  ", dogs[i].picture_count);
        vz_term_text(&out, dogs[i].owner_name, INT_MAX);
        vz_buf_append_char(&out, '\n');
        for (size_t p = 0; with_pictures && p < dogs[i].picture_count; p++) {
            vz_buf_append_str(&out, "    ");
            vz_term_text(&out, dogs[i].pictures[p], INT_MAX);
            vz_buf_append_char(&out, '\n');
        }
    }
    fputs(out.data, stdout);
    vz_buf_deinit(&out);
}

static int do_list(int argc, char **argv)
{
    struct common c = {0};
    const struct vz_arg args[] = {COMMON_ARGS(c), {0}};
    const struct vz_command command = {
        .name = "dogs list",
        .usage = "vizsla dogs list [NAME] [options]",
        .summary = "Lists the registered dogs; with a name, that dog and its pictures.",
        .details = "Exit code: 0 listed, 1 there is no dog of that name, 2 it could not be done.",
        .examples = "  vizsla dogs list\n"
                    "  vizsla dogs list Luigi\n"
                    "  vizsla dogs list --json | jq -r '.dogs[].dog_id'",
        .args = args,
    };
    int rest, leave = vz_args_parse(&command, argc, argv, &rest);
    if (leave >= 0)
        return leave;
    if (rest > 1) {
        fprintf(stderr, "vizsla dogs list: expected at most one name; see `vizsla dogs list "
                        "--help`\n");
        return VZ_EXIT_FAILED;
    }
    struct vz_error err = {0};
    struct vz_reach *reach = NULL;
    struct vz_arena arena = {0};
    struct vz_dog_entry *dogs;
    size_t count;
    const char *name = rest ? argv[1] : NULL;
    int code = VZ_EXIT_OK;
    if (vz_reach_new(c.url, c.data, false, &reach, &err) != VZ_OK ||
        vz_dog_repository_list(vz_reach_transport(reach), name, &arena, &dogs, &count, &err) !=
            VZ_OK) {
        code = vz_complain(&err);
    } else {
        if (c.json)
            print_list_json(dogs, count, vz_reach_where(reach));
        else if (count)
            print_list(dogs, count, name != NULL);
        else
            printf(name ? "No dog of that name is registered.\n" : "No dog is registered.\n");
        code = name && !count ? VZ_EXIT_PARTLY : VZ_EXIT_OK;
    }
    vz_reach_free(reach);
    vz_arena_deinit(&arena);
    return code;
}

/* ---- remove -------------------------------------------------------------------------------- */

static void print_removed(const char *name, size_t removed, bool json)
{
    struct vz_buf out = {0};
    if (json) {
        struct vz_json_writer w = vz_json_writer_on(&out);
        vz_json_begin_object(&w);
        vz_json_field_str(&w, "dog_id", name);
        vz_json_field_int(&w, "removed", (int64_t)removed);
        vz_json_end_object(&w);
    } else {
        vz_term_text(&out, vz_slice_from(name), INT_MAX);
        vz_buf_printf(&out, ": %zu picture%s removed from the index (files stay)", removed,
                      removed == 1 ? "" : "s");
    }
    puts(out.data);
    vz_buf_deinit(&out);
}

/* A picture is registered under its absolute path; the file itself may be gone. */
static const char *as_registered(const char *picture, char resolved[PATH_MAX])
{
    return picture && realpath(picture, resolved) ? resolved : picture;
}

static int do_remove(int argc, char **argv)
{
    struct common c = {0};
    const char *picture = NULL;
    const struct vz_arg args[] = {
        {"--picture", VZ_ARG_TEXT, &picture, "FILE", "only this picture of the dog", 0, 0},
        COMMON_ARGS(c),
        {0}};
    const struct vz_command command = {
        .name = "dogs remove",
        .usage = "vizsla dogs remove NAME... [options]",
        .summary = "Takes dogs, or one picture of a dog, out of the index.",
        .details = "Names are exact. Picture files are left alone.\n"
                   "Exit code: 0 removed, 2 at least one was not.",
        .examples = "  vizsla dogs remove Rex\n"
                    "  vizsla dogs remove Rex --picture blurred.jpg",
        .args = args,
    };
    int rest, leave = vz_args_parse(&command, argc, argv, &rest);
    if (leave >= 0)
        return leave;
    if (!rest || (picture && rest != 1)) {
        fprintf(stderr, "vizsla dogs remove: expected a name%s; see `vizsla dogs remove --help`\n",
                picture ? ", one" : "");
        return VZ_EXIT_FAILED;
    }
    struct vz_error err = {0};
    struct vz_reach *reach = NULL;
    char resolved[PATH_MAX];
    int code = VZ_EXIT_OK;
    if (vz_reach_new(c.url, c.data, false, &reach, &err) != VZ_OK)
        return vz_complain(&err);
    for (int i = 1; i <= rest; i++) {
        size_t removed;
        if (vz_dog_repository_remove(vz_reach_transport(reach), argv[i],
                                     as_registered(picture, resolved), &removed, &err) != VZ_OK)
            code = vz_complain(&err);
        else
            print_removed(argv[i], removed, c.json);
    }
    vz_reach_free(reach);
    return code;
}

/* ---- the verbs ----------------------------------------------------------------------------- */

int vz_cli_dogs(int argc, char **argv)
{
    static const struct vz_verb list[] = {
        {"list", "list the dogs, or one dog's pictures", do_list},
        {"remove", "take dogs out of the index", do_remove},
        {0},
    };
    static const struct vz_verbs verbs = {
        .of = "dogs",
        .summary = "Lists and removes registered dogs.",
        .verbs = list,
        .examples = "  vizsla dogs list\n"
                    "  vizsla dogs remove Rex\n",
    };
    return vz_cli_verbs(&verbs, argc, argv);
}
