/* `vizsla models`: get models from a hub or a folder, list, check and remove them. */
#include "cli/cli.h"

#include "embed/hub.h"
#include "embed/registry.h"
#include "embed/verify_golden.h"
#include "json/json.h"

#include <stdio.h>
#include <stdlib.h>

/* What every one of the verbs takes. */
struct common {
    const char *data, *models;
    bool json, files_only;
    const char *photo;
    struct vz_buf store;
    struct vz_arena arena;
    struct vz_progress bar;
    const char *bar_what;
};

static struct vz_arg models_arg(struct common *c)
{
    return (struct vz_arg){"--models",
                           VZ_ARG_TEXT,
                           &c->models,
                           "DIR",
                           "folder of models (default: $VIZSLA_MODELS or DATA/models)",
                           0,
                           0};
}

static struct vz_arg data_arg(struct common *c)
{
    return (struct vz_arg){"--data",
                           VZ_ARG_TEXT,
                           &c->data,
                           "DIR",
                           "data folder (default: $VIZSLA_DATA or ~/.local/share/vizsla)",
                           0,
                           0};
}

static struct vz_arg json_arg(struct common *c)
{
    return (struct vz_arg){"--json", VZ_ARG_FLAG, &c->json, NULL, "print JSON", 0, 0};
}

/* Parses, wants between `least` and `most` words, and finds the store. -1 to go on. */
static int begin(const struct vz_command *command, struct common *c, int argc, char **argv,
                 int least, int most, int *rest)
{
    int leave = vz_args_parse(command, argc, argv, rest);
    if (leave >= 0)
        return leave;
    if (*rest < least || *rest > most) {
        fprintf(stderr, "vizsla %s: expected %s; see `vizsla %s --help`\n", command->name,
                most == 0   ? "no name"
                : most == 1 ? "one name or folder"
                            : "a name",
                command->name);
        return VZ_EXIT_FAILED;
    }
    if (c->models) {
        vz_buf_append_str(&c->store, c->models);
    } else {
        struct vz_buf data = {0};
        vz_data_folder(c->data, &data);
        if (c->data) /* a folder given here goes before one from the environment */
            vz_buf_printf(&c->store, "%s/models", data.data);
        else
            vz_models_folder(data.data, &c->store);
        vz_buf_deinit(&data);
    }
    return -1;
}

static int end(struct common *c, int code)
{
    vz_progress_end(&c->bar);
    vz_arena_deinit(&c->arena);
    vz_buf_deinit(&c->store);
    return code;
}

static int complain(struct common *c, const struct vz_error *err)
{
    vz_progress_end(&c->bar);
    return vz_complain(err);
}

/* A bar a kind of work: its rate is of that work alone. */
static bool show(void *context, const char *what, uint64_t done, uint64_t total)
{
    struct common *c = context;
    if (c->bar_what != what) {
        vz_progress_start_bytes(&c->bar, what, done, total);
        c->bar_what = what;
    }
    vz_progress_at(&c->bar, done, total);
    return true;
}

static double megabytes(uint64_t bytes)
{
    return (double)bytes / 1e6;
}

static void put_model(struct vz_json_writer *w, const struct vz_model *model)
{
    vz_json_field_str(w, "name", model->name);
    vz_json_field_str(w, "type", model->type);
    vz_json_field_str(w, "folder", model->folder);
    vz_json_field_int(w, "bytes", (int64_t)model->bytes);
    vz_json_field_str(w, "source", model->source);
    vz_json_field_str(w, "revision", model->revision);
    vz_json_field_str(w, "commit", model->commit);
    vz_json_field_str(w, "license", model->license);
    vz_json_field_str(w, "installed", model->installed);
    vz_json_field_str(w, "digest", model->digest);
    vz_json_key(w, "files");
    vz_json_begin_array(w);
    for (size_t i = 0; i < model->file_count; i++) {
        vz_json_begin_object(w);
        vz_json_field_str(w, "path", model->files[i].path);
        vz_json_field_int(w, "bytes", (int64_t)model->files[i].bytes);
        vz_json_field_str(w, "sha256", model->files[i].sha256);
        vz_json_end_object(w);
    }
    vz_json_end_array(w);
}

static void print_out(struct vz_buf *out)
{
    puts(out->data);
    vz_buf_deinit(out);
}

/* ---- pull ---------------------------------------------------------------------------------- */

static void print_pulled(const struct common *c, const struct vz_hub_pulled *pulled)
{
    const struct vz_model *model = &pulled->model;
    if (c->json) {
        struct vz_buf out = {0};
        struct vz_json_writer w = vz_json_writer_on(&out);
        vz_json_begin_object(&w);
        put_model(&w, model);
        vz_json_field_bool(&w, "was_installed", pulled->was_installed);
        vz_json_field_int(&w, "fetched_bytes", (int64_t)pulled->fetched_bytes);
        vz_json_field_int(&w, "resumed_bytes", (int64_t)pulled->resumed_bytes);
        vz_json_field_int(&w, "files_without_checksum", (int64_t)pulled->unchecked_count);
        vz_json_end_object(&w);
        print_out(&out);
    } else if (pulled->was_installed) {
        printf("%s is installed already (%.1f MB in %s).\n", model->name, megabytes(model->bytes),
               model->folder);
    } else {
        printf("%s is installed: %zu files, %.1f MB in %s.\n", model->name, model->file_count,
               megabytes(model->bytes), model->folder);
    }
    if (pulled->unchecked_count)
        fprintf(stderr, "vizsla: the hub told no checksum for %zu of the files\n",
                pulled->unchecked_count);
}

static int do_pull(int argc, char **argv)
{
    struct common c = {0};
    struct vz_hub_options options = {.watch = {show, &c}};
    long retries = 5, silence = 30;
    const struct vz_arg args[] = {
        models_arg(&c),
        data_arg(&c),
        json_arg(&c),
        {"--update", VZ_ARG_FLAG, &options.update, NULL, "replace it when the hub has a newer one",
         0, 0},
        {"--retries", VZ_ARG_NUMBER, &retries, "N",
         "give up after N tries in a row without progress (default 5)", 1, 1000},
        {"--silence", VZ_ARG_NUMBER, &silence, "SECONDS",
         "cut a connection that is silent so long (default 30)", 1, 3600},
        {0},
    };
    const struct vz_command command = {
        .name = "models pull",
        .usage = "vizsla models pull NAME [options]",
        .summary = "Downloads a model from a hub and installs it.",
        .details =
            "NAME is a hub id, ORGANISATION/NAME, with @REVISION for a branch, tag or commit,\n"
            "or a short name such as clip-ViT-B-32. Only the needed files are fetched, each is\n"
            "held against the hub's checksum, and a model is installed whole or not at all. An\n"
            "interrupted download goes on where it stopped when the command is run again.\n"
            "\n"
            "This is the one command that uses a network. HF_ENDPOINT names another hub or\n"
            "mirror, HF_TOKEN is an access token for models that need one, https_proxy a proxy,\n"
            "SSL_CERT_FILE certificates to trust.\n"
            "Exit code: 0 installed, 2 not.",
        .examples = "  vizsla models pull clip-ViT-B-32\n"
                    "  vizsla models pull openai/clip-vit-base-patch32\n"
                    "  HF_TOKEN=hf_... vizsla models pull my-company/private-model@v2",
        .args = args,
    };
    int rest, leave = begin(&command, &c, argc, argv, 1, 1, &rest);
    if (leave >= 0)
        return end(&c, leave);
    struct vz_error err = {0};
    struct vz_hub_pulled pulled;
    options.retries = (unsigned)retries;
    options.silence_s = (unsigned)silence;
    if (vz_hub_pull(c.store.data, argv[1], &options, &c.arena, &pulled, &err) != VZ_OK)
        return end(&c, complain(&c, &err));
    vz_progress_end(&c.bar);
    print_pulled(&c, &pulled);
    return end(&c, VZ_EXIT_OK);
}

/* ---- import -------------------------------------------------------------------------------- */

static int do_import(int argc, char **argv)
{
    struct common c = {0};
    struct vz_model_import import = {0};
    const struct vz_arg args[] = {
        models_arg(&c),
        data_arg(&c),
        json_arg(&c),
        {"--name", VZ_ARG_TEXT, &import.name, "NAME",
         "what to call it (default: the folder's name)", 0, 0},
        {"--copy", VZ_ARG_FLAG, &import.copy, NULL, "copy, where hard links would save the room", 0,
         0},
        {0},
    };
    const struct vz_command command = {
        .name = "models import",
        .usage = "vizsla models import FOLDER [options]",
        .summary = "Installs a model from a folder on this machine; no network is used.",
        .details =
            "FOLDER is in Hugging Face layout: config.json, model.safetensors or\n"
            "pytorch_model.bin, tokenizer files, for sentence-transformers modules.json; or a\n"
            "model of the hub's own cache (~/.cache/huggingface/hub/models--ORG--NAME).\n"
            "Exit code: 0 installed, 2 not.",
        .examples = "  vizsla models import ~/Downloads/clip-ViT-B-32\n"
                    "  vizsla models import /media/usb/model --name my-company/dogs",
        .args = args,
    };
    int rest, leave = begin(&command, &c, argc, argv, 1, 1, &rest);
    if (leave >= 0)
        return end(&c, leave);
    struct vz_error err = {0};
    struct vz_model model;
    struct vz_model_watch watch = {show, &c};
    import.folder = argv[1];
    if (vz_model_import(c.store.data, &import, &watch, &c.arena, &model, &err) != VZ_OK)
        return end(&c, complain(&c, &err));
    vz_progress_end(&c.bar);
    if (c.json) {
        struct vz_buf out = {0};
        struct vz_json_writer w = vz_json_writer_on(&out);
        vz_json_begin_object(&w);
        put_model(&w, &model);
        vz_json_end_object(&w);
        print_out(&out);
    } else {
        printf("%s is installed: %zu files, %.1f MB in %s.\n", model.name, model.file_count,
               megabytes(model.bytes), model.folder);
    }
    return end(&c, VZ_EXIT_OK);
}

/* ---- list ---------------------------------------------------------------------------------- */

static const char *stray_word(enum vz_model_stray_kind kind)
{
    return kind == VZ_STRAY_UNFINISHED    ? "unfinished"
           : kind == VZ_STRAY_NO_MANIFEST ? "no manifest"
                                          : "broken manifest";
}

static const char *stray_advice(enum vz_model_stray_kind kind)
{
    return kind == VZ_STRAY_UNFINISHED    ? "run pull again to go on, rm to remove it"
           : kind == VZ_STRAY_NO_MANIFEST ? "a folder of that name; `vizsla models import` makes "
                                            "it a model"
                                          : "rm and pull it again";
}

static void print_list_json(const struct common *c, const struct vz_model_list *list)
{
    struct vz_buf out = {0};
    struct vz_json_writer w = vz_json_writer_on(&out);
    vz_json_begin_object(&w);
    vz_json_field_str(&w, "folder", c->store.data);
    vz_json_key(&w, "models");
    vz_json_begin_array(&w);
    for (size_t i = 0; i < list->count; i++) {
        vz_json_begin_object(&w);
        put_model(&w, &list->models[i]);
        vz_json_end_object(&w);
    }
    vz_json_end_array(&w);
    vz_json_key(&w, "others");
    vz_json_begin_array(&w);
    for (size_t i = 0; i < list->stray_count; i++) {
        vz_json_begin_object(&w);
        vz_json_field_str(&w, "name", list->strays[i].name);
        vz_json_field_str(&w, "state", stray_word(list->strays[i].kind));
        vz_json_field_int(&w, "bytes", (int64_t)list->strays[i].bytes);
        vz_json_end_object(&w);
    }
    vz_json_end_array(&w);
    vz_json_end_object(&w);
    print_out(&out);
}

static void print_list(const struct common *c, const struct vz_model_list *list)
{
    struct vz_buf out = {0};
    if (list->count)
        vz_buf_append_str(&out, "name                                            type        "
                                "      MB  installed   from\n");
    for (size_t i = 0; i < list->count; i++) {
        const struct vz_model *model = &list->models[i];
        vz_term_cell(&out, vz_slice_from(model->name), 46);
        vz_buf_append_str(&out, "  ");
        vz_term_cell(&out, vz_slice_from(model->type), 10);
        vz_buf_printf(&out, "  %8.1f  %.10s  ", megabytes(model->bytes), model->installed);
        vz_term_cell(&out, vz_slice_from(model->source),
                     (int)VZ_MIN(strlen(model->source), (size_t)100));
        vz_buf_append_char(&out, '\n');
    }
    for (size_t i = 0; i < list->stray_count; i++) {
        const struct vz_model_stray *stray = &list->strays[i];
        vz_term_cell(&out, vz_slice_from(stray->name), 46);
        vz_buf_printf(&out, "  %-10s  %8.1f  %s\n", stray_word(stray->kind),
                      megabytes(stray->bytes), stray_advice(stray->kind));
    }
    if (!list->count)
        vz_buf_printf(&out,
                      "No model is installed in %s. `vizsla models pull clip-ViT-B-32` gets "
                      "the one for pictures and texts.\n",
                      c->store.data);
    fputs(out.data, stdout);
    vz_buf_deinit(&out);
}

static int do_list(int argc, char **argv)
{
    struct common c = {0};
    const struct vz_arg args[] = {models_arg(&c), data_arg(&c), json_arg(&c), {0}};
    const struct vz_command command = {
        .name = "models list",
        .usage = "vizsla models list [options]",
        .summary = "Lists the installed models and what an interrupted download left.",
        .examples = "  vizsla models list\n"
                    "  vizsla models list --json | jq -r '.models[].name'",
        .args = args,
    };
    int rest, leave = begin(&command, &c, argc, argv, 0, 0, &rest);
    if (leave >= 0)
        return end(&c, leave);
    struct vz_error err = {0};
    struct vz_model_list list;
    if (vz_model_list(c.store.data, &c.arena, &list, &err) != VZ_OK)
        return end(&c, complain(&c, &err));
    if (c.json)
        print_list_json(&c, &list);
    else
        print_list(&c, &list);
    return end(&c, VZ_EXIT_OK);
}

/* ---- rm ------------------------------------------------------------------------------------ */

static int do_rm(int argc, char **argv)
{
    struct common c = {0};
    const struct vz_arg args[] = {models_arg(&c), data_arg(&c), json_arg(&c), {0}};
    const struct vz_command command = {
        .name = "models rm",
        .usage = "vizsla models rm NAME... [options]",
        .summary = "Removes models, and what an interrupted download of them left.",
        .details = "Programs that have a model open keep it until they close it.\n"
                   "Exit code: 0 removed, 2 at least one was not.",
        .examples = "  vizsla models rm clip-ViT-B-32",
        .args = args,
    };
    int rest, code = VZ_EXIT_OK, leave = begin(&command, &c, argc, argv, 1, 1000, &rest);
    if (leave >= 0)
        return end(&c, leave);
    for (int i = 1; i <= rest; i++) {
        struct vz_error err = {0};
        uint64_t bytes = 0;
        if (vz_model_remove(c.store.data, argv[i], &bytes, &err) != VZ_OK) {
            code = complain(&c, &err);
            continue;
        }
        if (c.json) {
            struct vz_buf out = {0};
            struct vz_json_writer w = vz_json_writer_on(&out);
            vz_json_begin_object(&w);
            vz_json_field_str(&w, "removed", argv[i]);
            vz_json_field_int(&w, "bytes", (int64_t)bytes);
            vz_json_end_object(&w);
            print_out(&out);
        } else {
            printf("%s is removed (%.1f MB).\n", argv[i], megabytes(bytes));
        }
    }
    return end(&c, code);
}

/* ---- verify -------------------------------------------------------------------------------- */

static const char *state_word(enum vz_model_file_state state)
{
    return state == VZ_FILE_GOOD ? "good" : state == VZ_FILE_MISSING ? "missing" : "changed";
}

static void print_golden(const struct vz_model *model, const struct vz_golden_report *golden)
{
    if (golden->result == VZ_GOLDEN_SAME)
        printf("It computes what is published for this model: %zu vectors, largest difference "
               "%.2g.%s\n",
               golden->checked, golden->worst,
               golden->left_out ? " Pictures were not asked for: --photo does that." : "");
    else if (golden->result == VZ_GOLDEN_DIFFERENT)
        printf("%s is not what its name says: %s.\n", model->name, golden->text);
}

static void print_verified(const struct common *c, const struct vz_model *model,
                           const enum vz_model_file_state *states, bool good,
                           const struct vz_golden_report *golden)
{
    if (c->json) {
        struct vz_buf out = {0};
        struct vz_json_writer w = vz_json_writer_on(&out);
        vz_json_begin_object(&w);
        vz_json_field_str(&w, "name", model->name);
        static const char *const words[] = {"unknown", "same", "different"};
        vz_json_field_bool(&w, "good", good);
        vz_json_field_str(&w, "published_vectors", words[golden->result]);
        if (golden->result == VZ_GOLDEN_DIFFERENT)
            vz_json_field_str(&w, "reason", golden->text);
        vz_json_field_int(&w, "bytes", (int64_t)model->bytes);
        vz_json_key(&w, "files");
        vz_json_begin_array(&w);
        for (size_t i = 0; i < model->file_count; i++) {
            vz_json_begin_object(&w);
            vz_json_field_str(&w, "path", model->files[i].path);
            vz_json_field_str(&w, "state", state_word(states[i]));
            vz_json_end_object(&w);
        }
        vz_json_end_array(&w);
        vz_json_end_object(&w);
        print_out(&out);
        return;
    }
    for (size_t i = 0; i < model->file_count; i++)
        if (states[i] != VZ_FILE_GOOD)
            printf("%s: %s is %s\n", model->name, model->files[i].path, state_word(states[i]));
    if (good)
        printf("%s is whole: %zu files, %.1f MB.\n", model->name, model->file_count,
               megabytes(model->bytes));
    else
        printf("%s is damaged: `vizsla models rm %s`, then pull or import it again.\n", model->name,
               model->name);
    print_golden(model, golden);
}

static int verify_one(struct common *c, const struct vz_model *model)
{
    struct vz_error err = {0};
    struct vz_model_watch watch = {show, c};
    bool good;
    enum vz_model_file_state *states =
        vz_arena_zalloc(&c->arena, (model->file_count + 1) * sizeof *states);
    c->bar_what = NULL;
    if (vz_model_verify(model, &watch, states, &good, &err) != VZ_OK)
        return complain(c, &err);
    vz_progress_end(&c->bar);
    struct vz_golden_report golden = {0};
    enum vz_status asked = VZ_OK;
    if (good && !c->files_only)
        asked = vz_model_verify_golden(model->name, model->folder, c->photo, &golden, &err);
    print_verified(c, model, states, good, &golden);
    if (asked != VZ_OK)
        return complain(c, &err);
    return good && golden.result != VZ_GOLDEN_DIFFERENT ? VZ_EXIT_OK : VZ_EXIT_PARTLY;
}

static int do_verify(int argc, char **argv)
{
    struct common c = {0};
    const struct vz_arg args[] = {
        {"--files-only", VZ_ARG_FLAG, &c.files_only, NULL, "ask for no vectors", 0, 0},
        {"--photo", VZ_ARG_TEXT, &c.photo, "FILE",
         "the photograph whose vector is published (docs/models.md): asks for it too", 0, 0},
        models_arg(&c),
        data_arg(&c),
        json_arg(&c),
        {0}};
    const struct vz_command command = {
        .name = "models verify",
        .usage = "vizsla models verify NAME... [options]",
        .summary = "Reads every file of a model and holds it against its manifest.",
        .details =
            "The manifest, vizsla.json in the model's folder, was written when the model was\n"
            "installed. CLIP ViT-B/32 and all-MiniLM-L6-v2 are also asked for vectors that others\n"
            "have published for them. No network is used.\n"
            "Exit code: 0 whole, 1 a file is missing or changed or the vectors differ, 2 it could\n"
            "not be checked.",
        .examples = "  vizsla models verify clip-ViT-B-32",
        .args = args,
    };
    int rest, code = VZ_EXIT_OK, leave = begin(&command, &c, argc, argv, 1, 1000, &rest);
    if (leave >= 0)
        return end(&c, leave);
    for (int i = 1; i <= rest; i++) {
        struct vz_error err = {0};
        struct vz_model model;
        enum vz_status status = vz_model_find(c.store.data, argv[i], &c.arena, &model, &err);
        int one = status == VZ_OK ? verify_one(&c, &model) : complain(&c, &err);
        code = VZ_MAX(code, one);
    }
    return end(&c, code);
}

/* ---- the verbs ----------------------------------------------------------------------------- */

int vz_cli_models(int argc, char **argv)
{
    static const struct vz_verb list[] = {
        {"pull", "download and install a model", do_pull},
        {"import", "install a model from a folder", do_import},
        {"list", "list the installed models", do_list},
        {"verify", "check a model's files", do_verify},
        {"rm", "remove models", do_rm},
        {0},
    };
    static const struct vz_verbs verbs = {
        .of = "models",
        .summary = "Gets, lists, checks and removes models.",
        .verbs = list,
        .examples = "  vizsla models pull clip-ViT-B-32\n"
                    "  vizsla models list\n",
    };
    return vz_cli_verbs(&verbs, argc, argv);
}
