/* `vizsla embed`: one picture or text in, its vector out. */
#include "cli/cli.h"

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

static bool is_file(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode);
}

/* The folder of a named model, or of one given as a path; NULL for the built-in eye. */
static enum vz_status model_folder(const char *name, const char *data, struct vz_arena *arena,
                                   const char **folder, struct vz_error *err)
{
    struct vz_buf data_folder = {0}, store = {0};
    struct vz_model model;
    *folder = NULL;
    if (!name || strcmp(name, VZ_EYE_ID) == 0)
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
    out->is_image = !as_text && is_file(input);
    if (out->is_image)
        return embed_image(model, input, out->vector, err);
    return vz_model_embed_text(model, vz_slice_from(input), out->vector, &out->truncated, err);
}

static void print(const struct embedded *embedded, const char *model, bool json)
{
    struct vz_buf out = {0}, vector = {0};
    vz_json_append_floats(&vector, embedded->vector, embedded->dims);
    if (json) {
        struct vz_json_writer w = vz_json_writer_on(&out);
        vz_json_begin_object(&w);
        vz_json_field_str(&w, "model", model);
        vz_json_field_str(&w, "kind", embedded->is_image ? "image" : "text");
        vz_json_field_int(&w, "dims", (int64_t)embedded->dims);
        if (embedded->truncated)
            vz_json_field_bool(&w, "is_truncated", true);
        vz_json_key(&w, "embedding");
        vz_json_put_raw(&w, vz_buf_slice(&vector));
        vz_json_end_object(&w);
    } else {
        vz_buf_append_slice(&out, vz_buf_slice(&vector));
    }
    puts(out.data);
    if (embedded->truncated)
        fprintf(stderr, "vizsla: the text is longer than the model reads; its end was cut off\n");
    vz_buf_deinit(&out);
    vz_buf_deinit(&vector);
}

static int do_embed(const char *input, const char *name, const char *data, bool as_text, bool json,
                    const struct vz_nn_options *options)
{
    struct vz_error err = {0};
    struct vz_arena arena = {0};
    struct vz_opened_model *model = NULL;
    struct embedded embedded = {0};
    const char *folder;
    int code = VZ_EXIT_OK;
    if (vz_image_start(&err) != VZ_OK || model_folder(name, data, &arena, &folder, &err) != VZ_OK ||
        vz_model_open(folder, options, &model, &err) != VZ_OK ||
        embed(model, input, as_text, &embedded, &err) != VZ_OK)
        code = vz_complain(&err);
    else
        print(&embedded, name ? name : VZ_EYE_ID, json);
    free(embedded.vector);
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
        .usage = "vizsla embed FILE|TEXT [options]",
        .summary = "Prints the vector of a picture or a text.",
        .details = "An input that names a file is a picture, anything else is text. The built-in\n"
                   "eye sees pictures only; CLIP sees and reads, sentence models read.",
        .examples = "  vizsla embed luigi.png\n"
                    "  vizsla embed \"a black and white terrier\" --model clip-ViT-B-32 --json",
        .args = args,
    };
    int rest, leave = vz_args_parse(&command, argc, argv, &rest);
    if (leave >= 0)
        return leave;
    struct vz_nn_options options = {0};
    if (rest != 1 || !vz_precision_parse(vz_slice_from(precision), &options.precision)) {
        fprintf(stderr, "vizsla embed: expected one picture or text, and a precision of auto, f32, "
                        "bf16 or int8; see `vizsla embed --help`\n");
        return VZ_EXIT_FAILED;
    }
    return do_embed(argv[1], model, data, as_text, json, &options);
}
