/* `vizsla find`: a picture in, the dogs that look most like it out, with an honest word on each. */
#include "cli/cli.h"

#include "base/file.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>

struct answer {
    struct vz_dog_matches matches;
    const char *picture, *where;
};

static const char *plural(uint64_t count)
{
    return count == 1 ? "" : "s";
}

static void put_match(struct vz_json_writer *w, const struct vz_dog_match *match)
{
    vz_json_begin_object(w);
    vz_json_field_string(w, "dog_id", match->dog_id);
    vz_json_field_string(w, "breed", match->breed);
    vz_json_field_string(w, "owner_name", match->owner_name);
    vz_json_field_string(w, "image_path", match->image_path);
    if (match->exif_date.len)
        vz_json_field_string(w, "date", match->exif_date);
    if (match->has_location) {
        vz_json_key(w, "location");
        vz_json_begin_object(w);
        vz_json_field_double(w, "lat", match->lat);
        vz_json_field_double(w, "lon", match->lon);
        vz_json_end_object(w);
    }
    vz_json_key(w, "score");
    vz_json_put_float(w, match->score);
    vz_json_field_double(w, "probability", match->probability);
    vz_json_field_str(w, "match", vz_match_word(match->match));
    vz_json_end_object(w);
}

static void print_json(const struct answer *answer)
{
    struct vz_buf out = {0};
    struct vz_json_writer w = vz_json_writer_on(&out);
    const struct vz_dog_matches *matches = &answer->matches;
    vz_json_begin_object(&w);
    vz_json_field_str(&w, "picture", answer->picture);
    vz_json_field_str(&w, "where", answer->where);
    vz_json_field_int(&w, "registered", (int64_t)matches->registered);
    vz_json_field_bool(&w, "found", matches->count && matches->items[0].match != VZ_MATCH_NONE);
    vz_json_field_str(&w, "verdict",
                      vz_match_word(matches->count ? matches->items[0].match : VZ_MATCH_NONE));
    vz_json_key(&w, "dogs");
    vz_json_begin_array(&w);
    for (size_t i = 0; i < matches->count; i++)
        put_match(&w, &matches->items[i]);
    vz_json_end_array(&w);
    vz_json_end_object(&w);
    puts(out.data);
    vz_buf_deinit(&out);
}

/* Cells of the widest of a column, at most `most`. */
static int widest(const struct vz_dog_matches *matches, size_t offset, int least, int most)
{
    int cells = least;
    for (size_t i = 0; i < matches->count; i++) {
        const struct vz_slice *text =
            (const struct vz_slice *)((const char *)&matches->items[i] + offset);
        cells = VZ_MAX(cells, vz_term_width(*text));
    }
    return VZ_MIN(cells, most);
}

/* The owner stands last and is never cut: it may hold a telephone number. */
static void print_table(const struct vz_dog_matches *matches)
{
    struct vz_buf out = {0};
    int name = widest(matches, offsetof(struct vz_dog_match, dog_id), 4, 24);
    int breed = widest(matches, offsetof(struct vz_dog_match, breed), 5, 24);
    vz_buf_append_str(&out, "    ");
    vz_term_cell(&out, VZ_SLICE("name"), name + 2);
    vz_term_cell(&out, VZ_SLICE("breed"), breed + 2);
    vz_buf_append_str(&out, "score   how sure        owner\n");
    for (size_t i = 0; i < matches->count; i++) {
        const struct vz_dog_match *match = &matches->items[i];
        vz_buf_printf(&out, "%2zu  ", i + 1);
        vz_term_cell(&out, match->dog_id, name);
        vz_buf_append_str(&out, "  ");
        vz_term_cell(&out, match->breed, breed);
        vz_buf_printf(&out, "  %.4f  %-14s  ", (double)match->score, vz_match_word(match->match));
        vz_term_cell(&out, match->owner_name, vz_term_width(match->owner_name));
        vz_buf_append_char(&out, '\n');
    }
    fputs(out.data, stdout);
    vz_buf_deinit(&out);
}

static void print_verdict(const struct vz_dog_matches *matches)
{
    if (!matches->registered) {
        printf("No dog is registered yet. `vizsla register --help` says how to add one.\n");
        return;
    }
    if (!matches->count || matches->items[0].match == VZ_MATCH_NONE) {
        printf("No good match among %llu picture%s%s.\n"
               "Try a picture where the dog fills the frame.\n",
               (unsigned long long)matches->registered, plural(matches->registered),
               matches->count ? ": the nearest are below, but none is close" : "");
        return;
    }
    const struct vz_dog_match *best = &matches->items[0];
    struct vz_buf line = {0};
    vz_buf_append_str(&line, "This looks like ");
    vz_term_text(&line, best->dog_id, 60);
    if (best->breed.len) {
        vz_buf_append_str(&line, ", ");
        vz_term_text(&line, best->breed, 60);
    }
    if (best->owner_name.len) {
        vz_buf_append_str(&line, "; owner: ");
        vz_term_text(&line, best->owner_name, 60);
    }
    printf("%s (%s).\n", line.data, vz_match_word(best->match));
    vz_buf_deinit(&line);
}

/* The best dog's registered picture, when its file is on this machine. */
static void draw_best(const struct vz_dog_matches *matches)
{
    struct vz_buf bytes = {0}, out = {0};
    struct vz_image image = {0};
    if (!matches->count || matches->items[0].match == VZ_MATCH_NONE)
        return;
    char *path = vz_strndup(matches->items[0].image_path.ptr, matches->items[0].image_path.len);
    if (vz_file_read(path, (size_t)100 << 20, &bytes, NULL) == VZ_OK &&
        vz_image_decode(vz_buf_slice(&bytes), &(struct vz_image_limits){0}, 480, &image, NULL) ==
            VZ_OK) {
        vz_image_terminal(&image, VZ_MIN(vz_term_columns(), 60), 20, &out);
        fwrite(out.data, 1, out.len, stdout);
    }
    vz_image_deinit(&image);
    vz_buf_deinit(&bytes);
    vz_buf_deinit(&out);
    free(path);
}

static enum vz_status find(const char *picture, const struct vz_image_limits *limits,
                           struct vz_reach *reach, size_t top, struct vz_arena *arena,
                           struct answer *answer, struct vz_error *err)
{
    struct vz_buf bytes = {0};
    struct vz_dog lost = {0};
    enum vz_status status = vz_file_read(picture, (size_t)100 << 20, &bytes, err);
    if (status == VZ_OK) {
        status = vz_dog_look(vz_buf_slice(&bytes), limits, &lost, NULL, err);
        if (status != VZ_OK) {
            char reason[sizeof err->text];
            memcpy(reason, err->text, sizeof reason);
            vz_fail(err, status, "%s: %s", picture, reason);
        }
    }
    if (status == VZ_OK)
        status = vz_dog_repository_search_by_image(vz_reach_transport(reach), lost.image_embedding,
                                                   top, arena, &answer->matches, err);
    answer->picture = picture;
    answer->where = vz_reach_where(reach);
    vz_buf_deinit(&bytes);
    return status;
}

static int do_find(const char *picture, const struct vz_image_limits *limits, const char *url,
                   const char *data, size_t top, bool json, bool draw)
{
    struct vz_error err = {0};
    struct vz_reach *reach = NULL;
    struct vz_arena arena = {0};
    struct answer answer = {0};
    int code = VZ_EXIT_FAILED;
    if (vz_image_start(&err) != VZ_OK || vz_reach_new(url, data, false, &reach, &err) != VZ_OK ||
        find(picture, limits, reach, top, &arena, &answer, &err) != VZ_OK) {
        vz_complain(&err);
        goto out;
    }
    if (json) {
        print_json(&answer);
    } else {
        if (draw)
            draw_best(&answer.matches);
        print_verdict(&answer.matches);
        if (answer.matches.count)
            print_table(&answer.matches);
    }
    bool found = answer.matches.count && answer.matches.items[0].match != VZ_MATCH_NONE;
    code = found ? VZ_EXIT_OK : VZ_EXIT_PARTLY;
out:
    vz_reach_free(reach);
    vz_arena_deinit(&arena);
    return code;
}

int vz_cli_find(int argc, char **argv)
{
    const char *url = NULL, *data = NULL;
    bool json = false, picture = false, no_picture = false;
    long top = 5, megapixels = 0;
    const struct vz_arg args[] = {
        {"--top", VZ_ARG_NUMBER, &top, "N", "how many dogs to show (default 5)", 1, 1000},
        {"--data", VZ_ARG_TEXT, &data, "DIR",
         "data folder (default: $VIZSLA_DATA or ~/.local/share/vizsla)", 0, 0},
        {"--url", VZ_ARG_TEXT, &url, "URL", "a server, here or on another machine", 0, 0},
        {"--max-megapixels", VZ_ARG_NUMBER, &megapixels, "N",
         "refuse larger pictures (default 100)", 1, 10000},
        {"--json", VZ_ARG_FLAG, &json, NULL, "print JSON", 0, 0},
        {"--picture", VZ_ARG_FLAG, &picture, NULL, "draw the found dog even when not on a terminal",
         0, 0},
        {"--no-picture", VZ_ARG_FLAG, &no_picture, NULL, "draw no picture", 0, 0},
        {0},
    };
    const struct vz_command command = {
        .name = "find",
        .usage = "vizsla find PICTURE [options]",
        .summary = "Finds the registered dogs that look most like the one on a picture.",
        .details =
            "The score is Elasticsearch's for cosine similarity, (1 + cos) / 2. \"How sure\" is one of\n"
            "no good match, possible match, likely match, same picture; where the lines are and how\n"
            "often each word is wrong was measured on real photos (docs/adr/0004-built-in-eye.md).\n"
            "The JSON also has the probability at even odds that both show the same animal.\n"
            "Exit code: 0 a match, 1 no good match, 2 the search could not be done.",
        .examples = "  vizsla find lost.png\n"
                    "  vizsla find lost.png --top 3 --json | jq .dogs[0].owner_name",
        .args = args,
    };
    int rest, leave = vz_args_parse(&command, argc, argv, &rest);
    if (leave >= 0)
        return leave;
    if (rest != 1) {
        fprintf(stderr, "vizsla find: expected one picture; see `vizsla find --help`\n");
        return VZ_EXIT_FAILED;
    }
    bool draw = !no_picture && (picture || vz_term_is_terminal());
    const struct vz_image_limits limits = {.max_megapixels = (double)megapixels};
    return do_find(argv[1], &limits, url, data, (size_t)top, json, draw);
}
