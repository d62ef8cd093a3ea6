/* Asks installed models, for tests/models: a JSON request a line on stdin, an answer a line.
 *
 *     ask_models STORE PRECISION
 *     {"model": "m", "task": "embed|classify|zero_shot|similarity", "inputs": ["text", {"image":
 * "PATH"}], "labels": [..], "template": "a photo of {}", "query": ".."}
 *     -> {"vectors": [[..]], "classes": [{"label": probability}], "scores": [..]} or {"error":
 * ".."}
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "image/image.h"
#include "infer/infer.h"
#include "json/json.h"

enum { MOST = 64 };

static struct vz_slice member(struct vz_json root, const char *key)
{
    struct vz_json value;
    return vz_json_get(root, key, &value) ? vz_json_string(value) : (struct vz_slice){0};
}

static enum vz_status read_input(struct vz_json value, struct vz_arena *arena,
                                 struct vz_infer_input *out, struct vz_error *err)
{
    struct vz_slice path = member(value, "image");
    struct vz_buf bytes = {0};
    *out = (struct vz_infer_input){.is_image = path.len > 0, .text = vz_json_string(value)};
    if (!path.len)
        return VZ_OK;
    enum vz_status status = vz_file_read(vz_arena_strdup(arena, path), 0, &bytes, err);
    out->bytes = vz_arena_copy(arena, vz_buf_slice(&bytes));
    vz_buf_deinit(&bytes);
    return status;
}

static void print_answer(const struct vz_infer_answer *a, struct vz_buf *out)
{
    struct vz_json_writer w = vz_json_writer_on(out);
    vz_json_begin_object(&w);
    vz_json_key(&w, "answers");
    vz_json_begin_array(&w);
    for (size_t i = 0; i < a->count; i++) {
        const struct vz_infer_one *one = &a->ones[i];
        vz_json_begin_object(&w);
        vz_json_field_double(&w, "score", one->score);
        if (one->vector) {
            vz_json_key(&w, "vector");
            vz_json_begin_array(&w);
            for (uint32_t d = 0; d < a->dims; d++)
                vz_json_put_float(&w, one->vector[d]);
            vz_json_end_array(&w);
        }
        vz_json_key(&w, "classes");
        vz_json_begin_object(&w);
        for (size_t k = 0; k < one->class_count; k++) {
            char label[200];
            snprintf(label, sizeof label, "%.*s", (int)one->classes[k].label.len,
                     one->classes[k].label.ptr);
            vz_json_field_double(&w, label, one->classes[k].probability);
        }
        vz_json_end_object(&w);
        vz_json_end_object(&w);
    }
    vz_json_end_array(&w);
    vz_json_end_object(&w);
}

static enum vz_status answer(struct vz_infer *infer, struct vz_json root, struct vz_arena *arena,
                             struct vz_buf *out, struct vz_error *err)
{
    static struct vz_infer_input inputs[MOST];
    static struct vz_slice labels[MOST];
    struct vz_infer_request request = {.model = member(root, "model"),
                                       .inputs = inputs,
                                       .query = member(root, "query"),
                                       .labels = labels,
                                       .template = member(root, "template")};
    struct vz_slice task = member(root, "task");
    request.task = vz_slice_is(task, "classify")     ? VZ_TASK_CLASSIFY
                   : vz_slice_is(task, "zero_shot")  ? VZ_TASK_ZERO_SHOT
                   : vz_slice_is(task, "similarity") ? VZ_TASK_SIMILARITY
                                                     : VZ_TASK_EMBED;
    struct vz_json list, value;
    enum vz_status status = VZ_OK;
    if (vz_json_get(root, "inputs", &list)) {
        struct vz_json_iter it = vz_json_iterate(list);
        while (status == VZ_OK && request.count < MOST && vz_json_next(&it, NULL, &value))
            status = read_input(value, arena, &inputs[request.count++], err);
    }
    if (vz_json_get(root, "labels", &list)) {
        struct vz_json_iter it = vz_json_iterate(list);
        while (request.label_count < MOST && vz_json_next(&it, NULL, &value))
            labels[request.label_count++] = vz_json_string(value);
    }
    struct vz_infer_answer answers;
    if (status == VZ_OK)
        status = vz_infer_run(infer, &request, arena, &answers, err);
    if (status == VZ_OK)
        print_answer(&answers, out);
    return status;
}

static void ask(struct vz_infer *infer, struct vz_slice line)
{
    struct vz_arena arena = {0};
    struct vz_buf out = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_json root;
    struct vz_error err = {0};
    enum vz_status status = vz_json_parse(line, &doc, &root, &err);
    if (status == VZ_OK)
        status = answer(infer, root, &arena, &out, &err);
    if (status != VZ_OK) {
        struct vz_json_writer w = vz_json_writer_on(&out);
        vz_json_begin_object(&w);
        vz_json_field_str(&w, "error", err.text);
        vz_json_end_object(&w);
    }
    printf("%.*s\n", (int)out.len, out.data);
    fflush(stdout);
    vz_json_free(doc);
    vz_buf_deinit(&out);
    vz_arena_deinit(&arena);
}

int main(int argc, char **argv)
{
    struct vz_infer *infer;
    struct vz_error err = {0};
    struct vz_infer_options options = {.models = argc > 1 ? argv[1] : ""};
    char *line = NULL;
    size_t room = 0;
    ssize_t len;
    if (argc != 3 || !vz_precision_parse(vz_slice_from(argv[2]), &options.precision)) {
        fprintf(stderr, "usage: ask_models STORE auto|f32|bf16|int8\n");
        return 2;
    }
    if (vz_image_start(&err) != VZ_OK || vz_infer_new(&options, &infer, &err) != VZ_OK) {
        fprintf(stderr, "ask_models: %s\n", err.text);
        return 1;
    }
    while ((len = getline(&line, &room, stdin)) > 0)
        ask(infer, (struct vz_slice){line, (size_t)len});
    free(line);
    vz_infer_free(infer);
    vz_image_stop();
    return 0;
}
