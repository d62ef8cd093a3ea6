/* `vizsla find`: a picture or a description in, the dogs most like it out, with an honest word on
 * each. */
#include "cli/cli.h"
#include "cli/lens.h"

#include "base/file.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>

struct answer {
    struct vz_dog_matches matches;
    const char *asked, *where;
    bool is_text;
    const struct vz_lens *lens;
};

/* The best one is close, or nobody measured what close is for this model. */
static bool is_found(const struct answer *answer)
{
    if (!answer->matches.count)
        return false;
    const struct vz_verdict *best = &answer->matches.items[0].verdict;
    return !best->is_measured || best->match != VZ_MATCH_NONE;
}

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
    if (match->verdict.is_measured)
        vz_json_field_double(w, "probability", match->verdict.probability);
    vz_json_field_str(w, "match", vz_verdict_word(&match->verdict));
    vz_json_end_object(w);
}

static void print_json(const struct answer *answer)
{
    struct vz_buf out = {0};
    struct vz_json_writer w = vz_json_writer_on(&out);
    const struct vz_dog_matches *matches = &answer->matches;
    vz_json_begin_object(&w);
    vz_json_field_str(&w, answer->is_text ? "text" : "picture", answer->asked);
    vz_json_field_str(&w, "where", answer->where);
    vz_json_field_str(&w, "model", answer->lens->model.name);
    vz_json_field_int(&w, "registered", (int64_t)matches->registered);
    vz_json_field_bool(&w, "found", is_found(answer));
    vz_json_field_str(&w, "verdict",
                      matches->count ? vz_verdict_word(&matches->items[0].verdict)
                                     : vz_match_word(VZ_MATCH_NONE));
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
        vz_buf_printf(&out, "  %.4f  %-14s  ", (double)match->score,
                      vz_verdict_word(&match->verdict));
        vz_term_cell(&out, match->owner_name, vz_term_width(match->owner_name));
        vz_buf_append_char(&out, '\n');
    }
    fputs(out.data, stdout);
    vz_buf_deinit(&out);
}

/* "Luigi, Jack Russell; owner: Ully" */
static void put_dog(struct vz_buf *line, const struct vz_dog_match *dog)
{
    vz_term_text(line, dog->dog_id, 60);
    if (dog->breed.len) {
        vz_buf_append_str(line, ", ");
        vz_term_text(line, dog->breed, 60);
    }
    if (dog->owner_name.len) {
        vz_buf_append_str(line, "; owner: ");
        vz_term_text(line, dog->owner_name, 60);
    }
}

static void print_verdict(const struct answer *answer)
{
    const struct vz_dog_matches *matches = &answer->matches;
    struct vz_buf line = {0};
    if (!matches->registered) {
        printf("No dog is registered yet. `vizsla register --help` says how to add one.\n");
        return;
    }
    if (!is_found(answer)) {
        printf("No good match among %llu picture%s%s.\n"
               "Try a picture where the dog fills the frame.\n",
               (unsigned long long)matches->registered, plural(matches->registered),
               matches->count ? ": the nearest are below, but none is close" : "");
        return;
    }
    const struct vz_dog_match *best = &matches->items[0];
    put_dog(&line, best);
    if (best->verdict.is_measured)
        printf("This looks like %s (%s).\n", line.data, vz_verdict_word(&best->verdict));
    else
        printf("Nearest: %s.\nHow sure that is was not measured for %s%s: the scores only say the "
               "order.\n",
               line.data, answer->lens->model.name, answer->is_text ? " and texts" : "");
    vz_buf_deinit(&line);
}

/* The best dog's registered picture, when its file is on this machine. */
static void draw_best(const struct answer *answer)
{
    if (!is_found(answer))
        return;
    const struct vz_slice path = answer->matches.items[0].image_path;
    vz_draw_pictures(&path, 1, 60, 20);
}

static enum vz_status picture_vector(const char *picture, const struct vz_image_limits *limits,
                                     const struct vz_lens *lens, float *vector, char hash[33],
                                     struct vz_error *err)
{
    struct vz_buf bytes = {0};
    enum vz_status status = vz_file_read(picture, (size_t)100 << 20, &bytes, err);
    if (status == VZ_OK) {
        status = vz_lens_picture(lens, vz_buf_slice(&bytes), limits, vector, err);
        vz_dog_hash(vz_buf_slice(&bytes), hash);
        if (status != VZ_OK) {
            char reason[sizeof err->text];
            memcpy(reason, err->text, sizeof reason);
            vz_fail(err, status, "%s: %s", picture, reason);
        }
    }
    vz_buf_deinit(&bytes);
    return status;
}

static enum vz_status find(const char *asked, bool as_text, const struct vz_image_limits *limits,
                           struct vz_reach *reach, const struct vz_lens *lens, size_t top,
                           struct vz_arena *arena, struct answer *answer, struct vz_error *err)
{
    char hash[33];
    float *vector = vz_arena_zalloc(arena, lens->model.dims * sizeof *vector);
    struct vz_dog_question question = {.vector = vector, .model = &lens->model};
    enum vz_status status;
    *answer = (struct answer){.asked = asked, .where = vz_reach_where(reach), .lens = lens};
    answer->is_text = as_text || !vz_lens_is_picture(asked);
    if (answer->is_text) {
        status = vz_lens_text(lens, asked, vector, err);
        if (status == VZ_UNSUPPORTED)
            vz_fail(err, status,
                    "there is no file '%.200s', and to look for a text the index %s needs a model "
                    "that reads, which %s does not: vizsla models pull " VZ_LENS_DEFAULT
                    ", then vizsla reindex --model " VZ_LENS_DEFAULT,
                    asked, VZ_DOG_INDEX, lens->model.name);
    } else {
        status = picture_vector(asked, limits, lens, vector, hash, err);
        question.image_hash = hash;
    }
    if (status == VZ_OK)
        status = vz_dog_repository_search(vz_reach_transport(reach), &question, top, arena,
                                          &answer->matches, err);
    return status;
}

/* The index decides which model looks; without one there is nothing to look for. */
static enum vz_status open_lens(struct vz_reach *reach, const struct vz_lens_want *want,
                                struct vz_lens *lens, struct vz_error *err)
{
    struct vz_api_about about;
    struct vz_lens_want with_server = *want;
    with_server.server = vz_lens_server(reach);
    enum vz_status status = vz_api_about(vz_reach_transport(reach), VZ_DOG_INDEX, &about, err);
    if (status == VZ_NO_INDEX)
        return vz_fail(err, status,
                       "no dog is registered yet; register one first: vizsla register --name Luigi "
                       "photo.jpg");
    if (status != VZ_OK)
        return status;
    status = vz_lens_open(&with_server, &about.model, VZ_DOG_INDEX, lens, err);
    vz_api_about_deinit(&about);
    return status;
}

struct find_options {
    const char *url;
    struct vz_lens_want want;
    struct vz_image_limits limits;
    size_t top;
    bool json, draw, as_text;
};

static int do_find(const char *asked, const struct find_options *options)
{
    struct vz_error err = {0};
    struct vz_reach *reach = NULL;
    struct vz_lens lens = {0};
    struct vz_arena arena = {0};
    struct answer answer = {0};
    int code = VZ_EXIT_FAILED;
    if (vz_image_start(&err) != VZ_OK ||
        vz_reach_new(options->url, options->want.data, false, &reach, &err) != VZ_OK ||
        open_lens(reach, &options->want, &lens, &err) != VZ_OK ||
        find(asked, options->as_text, &options->limits, reach, &lens, options->top, &arena, &answer,
             &err) != VZ_OK) {
        vz_complain(&err);
        goto out;
    }
    if (options->json) {
        print_json(&answer);
    } else {
        if (options->draw)
            draw_best(&answer);
        print_verdict(&answer);
        if (answer.matches.count)
            print_table(&answer.matches);
    }
    code = is_found(&answer) ? VZ_EXIT_OK : VZ_EXIT_PARTLY;
out:
    vz_lens_close(&lens);
    vz_reach_free(reach);
    vz_arena_deinit(&arena);
    return code;
}

int vz_cli_find(int argc, char **argv)
{
    struct find_options options = {0};
    bool picture = false, no_picture = false;
    long top = 5, megapixels = 0;
    const struct vz_arg args[] = {
        {"--top", VZ_ARG_NUMBER, &top, "N", "how many dogs to show (default 5)", 1, 1000},
        {"--model", VZ_ARG_TEXT, &options.want.model, "NAME",
         "the model the index was made with (default: found by its name)", 0, 0},
        {"--text-model", VZ_ARG_TEXT, &options.want.text_model, "NAME",
         "reads the texts instead, such as clip-ViT-B-32-multilingual-v1", 0, 0},
        {"--text", VZ_ARG_FLAG, &options.as_text, NULL, "a text, even if a file is called so", 0,
         0},
        {"--data", VZ_ARG_TEXT, &options.want.data, "DIR",
         "data folder (default: $VIZSLA_DATA or ~/.local/share/vizsla)", 0, 0},
        {"--url", VZ_ARG_TEXT, &options.url, "URL", "a server, here or on another machine", 0, 0},
        {"--max-megapixels", VZ_ARG_NUMBER, &megapixels, "N",
         "refuse larger pictures (default 100)", 1, 10000},
        {"--json", VZ_ARG_FLAG, &options.json, NULL, "print JSON", 0, 0},
        {"--picture", VZ_ARG_FLAG, &picture, NULL, "draw the found dog even when not on a terminal",
         0, 0},
        {"--no-picture", VZ_ARG_FLAG, &no_picture, NULL, "draw no picture", 0, 0},
        {0},
    };
    const struct vz_command command = {
        .name = "find",
        .usage = "vizsla find PICTURE|TEXT [options]",
        .summary = "Finds the registered dogs most like a picture or a description.",
        .details =
            "A word that names no file is a description; that needs an index made with a model "
            "that\n"
            "reads, such as clip-ViT-B-32. In other languages than English: --text-model\n"
            "clip-ViT-B-32-multilingual-v1.\n"
            "The score is Elasticsearch's for cosine similarity, (1 + cos) / 2. \"How sure\" is "
            "one of\n"
            "no good match, possible match, likely match, same picture; where the lines are and "
            "how\n"
            "often each word is wrong was measured on real photos "
            "(docs/adr/0004-built-in-eye.md).\n"
            "The JSON also has the probability at even odds that both show the same animal.\n"
            "Those lines hold for the built-in eye. For other models none were measured: then "
            "only\n"
            "the scores are told, and \"same picture\" where the files are equal byte for byte.\n"
            "Exit code: 0 a match, 1 no good match, 2 the search could not be done.",
        .examples = "  vizsla find lost.png\n"
                    "  vizsla find \"black and white terrier on a beach\"\n"
                    "  vizsla find lost.png --top 3 --json | jq .dogs[0].owner_name",
        .args = args,
    };
    int rest, leave = vz_args_parse(&command, argc, argv, &rest);
    if (leave >= 0)
        return leave;
    if (rest != 1) {
        fprintf(stderr,
                "vizsla find: expected one picture or one text; see `vizsla find --help`\n");
        return VZ_EXIT_FAILED;
    }
    options.draw = !no_picture && (picture || vz_term_is_terminal());
    options.limits.max_megapixels = (double)megapixels;
    options.top = (size_t)top;
    return do_find(argv[1], &options);
}
