/* `vizsla embed`: pictures and texts in, their vectors out, in the same order. */
#include "cli/cli.h"
#include "cli/lens.h"
#include "cli/pipeline.h"

#include "base/file.h"
#include "embed/model.h"
#include "embed/registry.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

struct embedded {
    float *vector;
    size_t dims;
    bool is_image, truncated;
};

/* The folder of a named model, or of one given as a path; NULL for the built-in eye. */
static enum vz_status model_folder(const char *name, const char *data, struct vz_arena *arena,
                                   const char **folder, struct vz_error *err)
{
    struct vz_buf data_folder = {0}, store = {0};
    struct vz_model model;
    *folder = NULL;
    if (!name || strcmp(name, "eye") == 0 || strcmp(name, VZ_EYE_ID) == 0)
        return VZ_OK;
    if (strchr(name, '/') && (name[0] == '/' || name[0] == '.')) {
        *folder = name;
        return VZ_OK;
    }
    vz_data_folder(data, &data_folder);
    vz_models_folder(data_folder.data, &store);
    enum vz_status status = vz_model_find(store.data, name, arena, &model, err);
    if (status == VZ_OK)
        *folder = model.folder;
    vz_buf_deinit(&data_folder);
    vz_buf_deinit(&store);
    return status;
}

static enum vz_status embed_image(const struct vz_opened_model *model, const char *path, float *out,
                                  struct vz_error *err)
{
    struct vz_buf bytes = {0};
    struct vz_image image = {0};
    enum vz_status status = vz_file_read(path, (size_t)100 << 20, &bytes, err);
    if (status == VZ_OK)
        status = vz_image_decode(vz_buf_slice(&bytes), &(struct vz_image_limits){0},
                                 vz_model_image_side(model), &image, err);
    if (status == VZ_OK)
        status = vz_model_embed_image(model, &image, out, err);
    vz_image_deinit(&image);
    vz_buf_deinit(&bytes);
    return status;
}

static enum vz_status embed(const struct vz_opened_model *model, const char *input, bool as_text,
                            struct embedded *out, struct vz_error *err)
{
    out->dims = vz_model_dims(model);
    out->vector = vz_calloc(out->dims, sizeof *out->vector);
    out->is_image = !as_text && vz_lens_is_picture(input);
    if (out->is_image)
        return embed_image(model, input, out->vector, err);
    return vz_model_embed_text(model, vz_slice_from(input), out->vector, &out->truncated, err);
}

/* The answer's line. `input` is told when there are several. */
static void put_line(struct vz_buf *out, const struct embedded *embedded, const char *model,
                     const char *input, bool json)
{
    struct vz_buf vector = {0};
    vz_json_append_floats(&vector, embedded->vector, embedded->dims);
    if (json) {
        struct vz_json_writer w = vz_json_writer_on(out);
        vz_json_begin_object(&w);
        if (input)
            vz_json_field_str(&w, "input", input);
        vz_json_field_str(&w, "model", model);
        vz_json_field_str(&w, "kind", embedded->is_image ? "image" : "text");
        vz_json_field_int(&w, "dims", (int64_t)embedded->dims);
        if (embedded->truncated)
            vz_json_field_bool(&w, "is_truncated", true);
        vz_json_key(&w, "embedding");
        vz_json_put_raw(&w, vz_buf_slice(&vector));
        vz_json_end_object(&w);
    } else {
        vz_buf_append_slice(out, vz_buf_slice(&vector));
    }
    vz_buf_deinit(&vector);
}

static void warn_truncated(const char *input)
{
    fprintf(stderr, "vizsla: %s%.60s%s is longer than the model reads; its end was cut off\n",
            input ? "'" : "", input ? input : "the text", input ? "'" : "");
}

/* ---- several ------------------------------------------------------------------------------- */

#define PAGE 256 /* embedded in any order, printed in theirs */

struct many {
    const struct vz_opened_model *model;
    const char *name;
    char **inputs;
    bool as_text, json;
    struct vz_buf lines[PAGE];
    bool truncated[PAGE];
    char *reasons[PAGE]; /* of those that failed */
};

static void embed_one(void *context, size_t at, float *vector, struct vz_looked *looked)
{
    struct many *many = context;
    struct embedded embedded = {0};
    struct vz_error err = {0};
    const char *input = many->inputs[at];
    (void)vector;
    (void)looked;
    enum vz_status status = embed(many->model, input, many->as_text, &embedded, &err);
    many->truncated[at] = embedded.truncated;
    if (status == VZ_OK)
        put_line(&many->lines[at], &embedded, many->name, input, many->json);
    else
        many->reasons[at] = vz_strdup(err.text);
    free(embedded.vector);
}

static void print_failed(const struct many *many, size_t i)
{
    struct vz_error err = {0};
    struct vz_buf line = {0};
    vz_fail(&err, VZ_BAD_ARGUMENT, "%.200s was not embedded", many->inputs[i]);
    vz_fail_cause(&err, "%.300s", many->reasons[i]);
    vz_complain(&err);
    if (many->json) {
        struct vz_json_writer w = vz_json_writer_on(&line);
        vz_json_begin_object(&w);
        vz_json_field_str(&w, "input", many->inputs[i]);
        vz_json_field_str(&w, "error", many->reasons[i]);
        vz_json_end_object(&w);
    }
    puts(line.len ? line.data : ""); /* the lines stay those of the inputs */
    vz_buf_deinit(&line);
}

static bool print_page(struct many *many, size_t count)
{
    bool good = true;
    for (size_t i = 0; i < count; i++) {
        good &= !many->reasons[i];
        if (many->reasons[i])
            print_failed(many, i);
        else
            puts(many->lines[i].data);
        if (many->truncated[i])
            warn_truncated(many->inputs[i]);
    }
    return good;
}

static void clear_page(struct many *many)
{
    for (size_t i = 0; i < PAGE; i++) {
        vz_buf_deinit(&many->lines[i]);
        free(many->reasons[i]);
        many->reasons[i] = NULL;
        many->truncated[i] = false;
    }
}

static int embed_many(const struct vz_opened_model *model, const char *name, char **inputs,
                      size_t count, bool as_text, bool json)
{
    struct many *many = vz_calloc(1, sizeof *many);
    struct vz_progress progress;
    bool good = true;
    many->model = model;
    many->name = name;
    many->as_text = as_text;
    many->json = json;
    vz_stop_watch();
    vz_progress_start(&progress, "embedding", count);
    for (size_t from = 0; from < count && !vz_stop_asked(); from += PAGE) {
        const struct vz_pipeline pipeline = {.count = VZ_MIN(count - from, (size_t)PAGE),
                                             .dims = 1,
                                             .progress = &progress,
                                             .context = many,
                                             .look = embed_one};
        many->inputs = inputs + from;
        vz_pipeline_run(&pipeline, NULL);
        if (!vz_stop_asked())
            good &= print_page(many, pipeline.count);
        clear_page(many);
    }
    vz_progress_end(&progress);
    free(many);
    return good && !vz_stop_asked() ? VZ_EXIT_OK : VZ_EXIT_PARTLY;
}

/* ---- the command --------------------------------------------------------------------------- */

static enum vz_status embed_alone(const struct vz_opened_model *model, const char *name,
                                  const char *input, bool as_text, bool json, struct vz_error *err)
{
    struct embedded embedded = {0};
    struct vz_buf line = {0};
    enum vz_status status = embed(model, input, as_text, &embedded, err);
    if (status == VZ_OK) {
        put_line(&line, &embedded, name, NULL, json);
        puts(line.data);
    }
    if (embedded.truncated)
        warn_truncated(NULL);
    vz_buf_deinit(&line);
    free(embedded.vector);
    return status;
}

static int do_embed(char **inputs, size_t count, const char *name, const char *data, bool as_text,
                    bool json, struct vz_nn_options *options)
{
    struct vz_error err = {0};
    struct vz_arena arena = {0};
    struct vz_opened_model *model = NULL;
    const char *folder, *shown = name ? name : VZ_EYE_ID;
    int code = VZ_EXIT_OK;
    if (count > 1) { /* a core each: handing parts to other threads only waits */
        options->threads = 1;
        setenv("VIPS_CONCURRENCY", "1", 0);
    }
    if (vz_image_start(&err) != VZ_OK || model_folder(name, data, &arena, &folder, &err) != VZ_OK ||
        vz_model_open(folder, options, &model, &err) != VZ_OK)
        code = vz_complain(&err);
    else if (count > 1)
        code = embed_many(model, shown, inputs, count, as_text, json);
    else if (embed_alone(model, shown, inputs[0], as_text, json, &err) != VZ_OK)
        code = vz_complain(&err);
    vz_model_close(model);
    vz_arena_deinit(&arena);
    return code;
}

int vz_cli_embed(int argc, char **argv)
{
    const char *model = NULL, *data = NULL, *precision = "auto";
    bool json = false, as_text = false;
    const struct vz_arg args[] = {
        {"--model", VZ_ARG_TEXT, &model, "NAME",
         "an installed model (vizsla models list) or a folder; default: the built-in eye", 0, 0},
        {"--precision", VZ_ARG_TEXT, &precision, "P", "auto, f32, bf16 or int8 (default auto)", 0,
         0},
        {"--text", VZ_ARG_FLAG, &as_text, NULL, "the input is text even if a file is called so", 0,
         0},
        {"--data", VZ_ARG_TEXT, &data, "DIR",
         "data folder (default: $VIZSLA_DATA or ~/.local/share/vizsla)", 0, 0},
        {"--json", VZ_ARG_FLAG, &json, NULL, "print JSON with the model and the kind of input", 0,
         0},
        {0},
    };
    const struct vz_command command = {
        .name = "embed",
        .usage = "vizsla embed FILE|TEXT... [options]",
        .summary = "Prints the vectors of pictures and texts, a line each.",
        .details =
            "An input that names a file is a picture, anything else is text. The built-in\n"
            "eye sees pictures only; CLIP sees and reads, sentence models read. Several are\n"
            "embedded on all cores and printed in their order; with --json each line is an\n"
            "object that names its input, one that failed has an \"error\".\n"
            "Exit code: 0 all, 1 some failed, 2 it could not be done.",
        .examples = "  vizsla embed luigi.png\n"
                    "  vizsla embed \"a black and white terrier\" --model clip-ViT-B-32 --json\n"
                    "  vizsla embed *.jpg --model clip-ViT-B-32 --json > vectors.ndjson",
        .args = args,
    };
    int rest, leave = vz_args_parse(&command, argc, argv, &rest);
    if (leave >= 0)
        return leave;
    struct vz_nn_options options = {0};
    if (!rest || !vz_precision_parse(vz_slice_from(precision), &options.precision)) {
        fprintf(stderr, "vizsla embed: expected a picture or text, and a precision of auto, f32, "
                        "bf16 or int8; see `vizsla embed --help`\n");
        return VZ_EXIT_FAILED;
    }
    return do_embed(argv + 1, (size_t)rest, model, data, as_text, json, &options);
}
