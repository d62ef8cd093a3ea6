/* `vizsla register`: pictures in, dogs in the index out.
 *
 * A list of work items is made first (one picture of one dog each), then done in batches: a batch's
 * pictures are read, decoded and embedded on all cores, and written with one _bulk, so that memory
 * stays bounded and what is acknowledged is on disk before the next batch starts. A picture that
 * fails is told and skipped; the rest goes on.
 */
#include "cli/cli.h"
#include "cli/lens.h"

#include "base/file.h"
#include "base/thread.h"
#include "json/json.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>

#define BATCH 64

struct item {
    struct vz_slice name, breed, owner;
    char *file; /* absolute when it could be resolved; owned */
    enum vz_dog_outcome outcome;
    char *reason; /* when it failed; owned */
};

struct items {
    struct item *list;
    size_t count, capacity;
};

struct batch {
    struct item *items;
    struct vz_dog dogs[BATCH]; /* of the items; vectors are large, so only for one batch */
    float *vectors;            /* [BATCH, dims] */
    const struct vz_lens *lens;
    const struct vz_image_limits *limits;
    pthread_mutex_t mutex; /* guards done */
    pthread_cond_t changed;
    size_t done;
};

struct look_job {
    struct batch *batch;
    size_t at;
};

static void add_item(struct items *items, struct vz_slice name, struct vz_slice breed,
                     struct vz_slice owner, const char *file)
{
    if (items->count == items->capacity) {
        items->capacity = items->capacity ? items->capacity * 2 : 16;
        items->list = vz_realloc(items->list, items->capacity * sizeof *items->list);
    }
    char resolved[PATH_MAX];
    const char *path = realpath(file, resolved) ? resolved : file;
    items->list[items->count++] =
        (struct item){.name = name, .breed = breed, .owner = owner, .file = vz_strdup(path)};
}

static void free_items(struct items *items)
{
    for (size_t i = 0; i < items->count; i++) {
        free(items->list[i].file);
        free(items->list[i].reason);
    }
    free(items->list);
}

/* A misspelt key would silently lose what it holds, a telephone number perhaps. */
static enum vz_status check_keys(struct vz_json dog, size_t i, struct vz_error *err)
{
    struct vz_slice key;
    struct vz_json value;
    struct vz_json_iter it = vz_json_iterate(dog);
    while (vz_json_next(&it, &key, &value))
        if (!vz_slice_is(key, "dog_id") && !vz_slice_is(key, "file") &&
            !vz_slice_is(key, "breed") && !vz_slice_is(key, "owner_name"))
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "dogs[%zu] has \"%.*s\"; known are \"dog_id\", \"file\", \"breed\" and "
                           "\"owner_name\"",
                           i, (int)VZ_MIN(key.len, (size_t)60), key.ptr);
    return VZ_OK;
}

/* {"dogs": [{"dog_id", "file", "breed", "owner_name"}]}. Texts stay in `doc`. */
static enum vz_status read_list(struct vz_json root, const char *folder, struct items *items,
                                struct vz_error *err)
{
    struct vz_json dogs, dog, value;
    if (!vz_json_get(root, "dogs", &dogs) || vz_json_type(dogs) != VZ_JSON_ARRAY)
        return vz_fail(err, VZ_BAD_ARGUMENT, "expected {\"dogs\": [...]} at the top");
    struct vz_json_iter it = vz_json_iterate(dogs);
    for (size_t i = 0; vz_json_next(&it, NULL, &dog); i++) {
        struct vz_slice name = {0}, file = {0}, breed = {0}, owner = {0};
        enum vz_status status = check_keys(dog, i, err);
        if (status != VZ_OK)
            return status;
        if (vz_json_get(dog, "dog_id", &value))
            name = vz_json_string(value);
        if (vz_json_get(dog, "file", &value))
            file = vz_json_string(value);
        if (vz_json_get(dog, "breed", &value))
            breed = vz_json_string(value);
        if (vz_json_get(dog, "owner_name", &value))
            owner = vz_json_string(value);
        if (!name.len || !file.len)
            return vz_fail(err, VZ_BAD_ARGUMENT,
                           "dogs[%zu] needs \"dog_id\" and \"file\", both text", i);
        struct vz_buf path = {0};
        if (file.ptr[0] != '/')
            vz_buf_printf(&path, "%s/", folder);
        vz_buf_append_slice(&path, file);
        add_item(items, name, breed, owner, path.data);
        vz_buf_deinit(&path);
    }
    return VZ_OK;
}

static enum vz_status load_list(const char *list_file, const char *folder, struct vz_json_doc **doc,
                                struct items *items, struct vz_error *err)
{
    struct vz_buf text = {0}, beside = {0};
    struct vz_json root;
    const char *slash = strrchr(list_file, '/');
    if (!folder) {
        vz_buf_append(&beside, list_file, slash ? (size_t)(slash - list_file) : 0);
        if (!beside.len)
            vz_buf_append_str(&beside, slash ? "/" : ".");
        folder = beside.data;
    }
    enum vz_status status = vz_file_read(list_file, (size_t)256 << 20, &text, err);
    if (status == VZ_OK)
        status = vz_json_parse(vz_buf_slice(&text), doc, &root, err);
    if (status == VZ_OK)
        status = read_list(root, folder, items, err);
    if (status != VZ_OK) {
        char reason[sizeof err->text];
        memcpy(reason, err->text, sizeof reason);
        vz_fail(err, status, "%s: %s", list_file, reason);
    }
    vz_buf_deinit(&text);
    vz_buf_deinit(&beside);
    return status;
}

static void set_failed(struct item *item, const struct vz_error *err)
{
    item->outcome = VZ_DOG_FAILED;
    item->reason = vz_strdup(err->text);
}

/* A pipe would hang the whole batch, a device never end. */
static enum vz_status read_picture(const char *path, size_t max_bytes, struct vz_buf *bytes,
                                   struct vz_error *err)
{
    struct stat info;
    if (stat(path, &info) == 0 && !S_ISREG(info.st_mode))
        return vz_fail(err, VZ_BAD_ARGUMENT, "%s is not a file", path);
    return vz_file_read(path, max_bytes ? max_bytes : (size_t)100 << 20, bytes, err);
}

static void look(void *context)
{
    struct look_job *job = context;
    struct item *item = &job->batch->items[job->at];
    struct vz_dog *dog = &job->batch->dogs[job->at];
    struct vz_buf bytes = {0};
    struct vz_error err = {0};
    enum vz_status status = read_picture(item->file, job->batch->limits->max_bytes, &bytes, &err);
    *dog = (struct vz_dog){.dog_id = item->name,
                           .breed = item->breed,
                           .owner_name = item->owner,
                           .image_path = vz_slice_from(item->file)};
    if (status == VZ_OK)
        status =
            vz_dog_look(vz_buf_slice(&bytes), job->batch->limits, job->batch->lens->images, dog,
                        job->batch->vectors + job->at * job->batch->lens->model.dims, &err);
    if (status != VZ_OK)
        set_failed(item, &err);
    vz_buf_deinit(&bytes);
    pthread_mutex_lock(&job->batch->mutex);
    job->batch->done++;
    pthread_cond_signal(&job->batch->changed);
    pthread_mutex_unlock(&job->batch->mutex);
}

/* Reads, decodes and embeds `count` items on the pool; draws progress meanwhile. */
static void look_at_all(struct vz_pool *pool, struct batch *batch, size_t count,
                        struct vz_progress *progress)
{
    struct look_job jobs[BATCH];
    batch->done = 0;
    for (size_t i = 0; i < count; i++) {
        jobs[i] = (struct look_job){batch, i};
        vz_pool_push(pool, look, &jobs[i]); /* the queue holds a whole batch */
    }
    size_t seen = 0;
    pthread_mutex_lock(&batch->mutex);
    while (batch->done < count) {
        pthread_cond_wait(&batch->changed, &batch->mutex);
        size_t done = batch->done;
        pthread_mutex_unlock(&batch->mutex);
        vz_progress_step(progress, done - seen);
        seen = done;
        pthread_mutex_lock(&batch->mutex);
    }
    pthread_mutex_unlock(&batch->mutex);
    vz_progress_step(progress, count - seen);
}

static enum vz_status insert_looked_at(const struct vz_transport *transport, struct batch *batch,
                                       size_t count, struct vz_error *err)
{
    struct item *items = batch->items;
    struct vz_dog_report *reports = vz_alloc(count * sizeof *reports);
    size_t good = 0;
    for (size_t i = 0; i < count; i++)
        if (items[i].outcome != VZ_DOG_FAILED)
            batch->dogs[good++] = batch->dogs[i];
    enum vz_status status = VZ_OK;
    if (good)
        status = vz_dog_repository_bulk_insert(transport, batch->dogs, good, reports, err);
    for (size_t i = 0, next = 0; i < count && status == VZ_OK; i++) {
        if (items[i].outcome == VZ_DOG_FAILED)
            continue;
        const struct vz_dog_report *report = &reports[next++];
        items[i].outcome = report->outcome;
        if (report->outcome == VZ_DOG_FAILED)
            set_failed(&items[i], &report->error);
    }
    free(reports);
    return status;
}

static enum vz_status register_all(const struct vz_transport *transport, struct items *items,
                                   const struct vz_lens *lens, const struct vz_image_limits *limits,
                                   struct vz_error *err)
{
    bool is_new;
    enum vz_status status = vz_dog_repository_create_index(transport, &lens->model, &is_new, err);
    if (status != VZ_OK)
        return status;
    if (is_new)
        vz_lens_say(lens, VZ_DOG_INDEX);
    struct vz_pool *pool = vz_pool_new("look", vz_cpu_count(), BATCH);
    struct batch *batch = vz_calloc(1, sizeof *batch);
    struct vz_progress progress;
    batch->limits = limits;
    batch->lens = lens;
    batch->vectors = vz_calloc((size_t)BATCH * lens->model.dims, sizeof *batch->vectors);
    pthread_mutex_init(&batch->mutex, NULL);
    pthread_cond_init(&batch->changed, NULL);
    vz_progress_start(&progress, "registering", items->count);
    for (size_t from = 0; from < items->count && status == VZ_OK; from += BATCH) {
        size_t count = VZ_MIN(items->count - from, (size_t)BATCH);
        batch->items = items->list + from;
        look_at_all(pool, batch, count, &progress);
        status = insert_looked_at(transport, batch, count, err);
    }
    vz_progress_end(&progress);
    vz_pool_free(pool);
    pthread_cond_destroy(&batch->changed);
    pthread_mutex_destroy(&batch->mutex);
    free(batch->vectors);
    free(batch);
    return status;
}

static size_t count_outcomes(const struct items *items, enum vz_dog_outcome outcome)
{
    size_t count = 0;
    for (size_t i = 0; i < items->count; i++)
        count += items->list[i].outcome == outcome;
    return count;
}

static void print_json(const struct items *items, const struct vz_lens *lens, const char *where)
{
    struct vz_buf out = {0};
    struct vz_json_writer w = vz_json_writer_on(&out);
    vz_json_begin_object(&w);
    vz_json_field_str(&w, "where", where);
    vz_json_field_str(&w, "model", lens->model.name);
    vz_json_field_int(&w, "registered", (int64_t)count_outcomes(items, VZ_DOG_REGISTERED));
    vz_json_field_int(&w, "updated", (int64_t)count_outcomes(items, VZ_DOG_UPDATED));
    vz_json_key(&w, "failed");
    vz_json_begin_array(&w);
    for (size_t i = 0; i < items->count; i++) {
        const struct item *item = &items->list[i];
        if (item->outcome != VZ_DOG_FAILED)
            continue;
        vz_json_begin_object(&w);
        vz_json_field_string(&w, "dog_id", item->name);
        vz_json_field_str(&w, "file", item->file);
        vz_json_field_str(&w, "reason", item->reason);
        vz_json_end_object(&w);
    }
    vz_json_end_array(&w);
    vz_json_end_object(&w);
    puts(out.data);
    vz_buf_deinit(&out);
}

static void print_failure(const struct item *item)
{
    struct vz_buf line = {0};
    vz_term_text(&line, item->name, INT_MAX);
    vz_buf_append_str(&line, " not registered: ");
    vz_term_text(&line, vz_slice_from(item->file), INT_MAX);
    vz_buf_append_str(&line, ": ");
    vz_term_text(&line, vz_slice_from(item->reason), INT_MAX);
    fprintf(stderr, "vizsla: %s\n", line.data);
    vz_buf_deinit(&line);
}

static void print_text(const struct items *items, const struct vz_lens *lens, const char *where)
{
    (void)lens;
    for (size_t i = 0; i < items->count; i++) {
        const struct item *item = &items->list[i];
        if (item->outcome == VZ_DOG_FAILED)
            print_failure(item);
    }
    size_t updated = count_outcomes(items, VZ_DOG_UPDATED);
    size_t failed = count_outcomes(items, VZ_DOG_FAILED);
    printf("%zu registered", count_outcomes(items, VZ_DOG_REGISTERED));
    if (updated)
        printf(", %zu known already and brought up to date", updated);
    if (failed)
        printf(", %zu failed", failed);
    printf(" (%s)\n", where);
}

static int do_register(struct items *items, const char *url, struct vz_lens_want *want,
                       const struct vz_image_limits *limits, bool json)
{
    struct vz_error err = {0};
    struct vz_reach *reach = NULL;
    struct vz_lens lens = {0};
    int code = VZ_EXIT_FAILED;
    if (items->count > 1) { /* a core a picture: handing parts to other threads only waits */
        want->options.threads = 1;
        setenv("VIPS_CONCURRENCY", "1", 0);
    }
    if (vz_image_start(&err) != VZ_OK ||
        vz_reach_new(url, want->data, true, &reach, &err) != VZ_OK ||
        vz_lens_open_for(want, vz_reach_transport(reach), VZ_DOG_INDEX, &lens, &err) != VZ_OK ||
        register_all(vz_reach_transport(reach), items, &lens, limits, &err) != VZ_OK) {
        vz_complain(&err);
    } else {
        (json ? print_json : print_text)(items, &lens, vz_reach_where(reach));
        code = count_outcomes(items, VZ_DOG_FAILED) ? VZ_EXIT_PARTLY : VZ_EXIT_OK;
    }
    vz_lens_close(&lens);
    vz_reach_free(reach);
    return code;
}

int vz_cli_register(int argc, char **argv)
{
    const char *name = NULL, *breed = "", *owner = "", *from = NULL, *url = NULL;
    struct vz_lens_want want = {0};
    bool json = false;
    long megapixels = 0;
    const struct vz_arg args[] = {
        {"--name", VZ_ARG_TEXT, &name, "NAME", "the dog's name (or any id of yours)", 0, 0},
        {"--breed", VZ_ARG_TEXT, &breed, "BREED", "its breed", 0, 0},
        {"--owner", VZ_ARG_TEXT, &owner, "OWNER", "whom to call", 0, 0},
        {"--from", VZ_ARG_TEXT, &from, "FILE",
         "many dogs: a JSON file {\"dogs\": [{\"dog_id\", \"file\", \"breed\", \"owner_name\"}]}",
         0, 0},
        {"--model", VZ_ARG_TEXT, &want.model, "NAME",
         "an installed model, a model's folder or eye (default: what the index has)", 0, 0},
        {"--data", VZ_ARG_TEXT, &want.data, "DIR",
         "data folder (default: $VIZSLA_DATA or ~/.local/share/vizsla)", 0, 0},
        {"--url", VZ_ARG_TEXT, &url, "URL", "a server, here or on another machine", 0, 0},
        {"--max-megapixels", VZ_ARG_NUMBER, &megapixels, "N",
         "refuse larger pictures (default 100)", 1, 10000},
        {"--json", VZ_ARG_FLAG, &json, NULL, "print the summary as JSON", 0, 0},
        {0},
    };
    const struct vz_command command = {
        .name = "register",
        .usage = "vizsla register --name NAME [options] PICTURE...\n"
                 "       vizsla register --from FILE [options] [FOLDER]",
        .summary = "Adds dogs and their pictures, so that `vizsla find` can find them.",
        .details =
            "Several pictures of one dog make it easier to find. The date and place a camera\n"
            "wrote into a picture are kept. It is safe to repeat: the same picture of the same "
            "dog\n"
            "is not added twice, its other fields are brought up to date.\n"
            "With --from, files are looked for in FOLDER (default: where FILE is).\n"
            "When a server holds the data folder, the dogs go through it.\n"
            "The first dog decides which model the index has: --model, else clip-ViT-B-32 where "
            "it\n"
            "is installed (vizsla models pull clip-ViT-B-32), else the built-in eye. `vizsla "
            "reindex`\n"
            "changes it later.\n"
            "Exit code: 0 all registered, 1 pictures failed, 2 the work could not be done at all.",
        .examples =
            "  vizsla register --name Luigi --breed \"Jack Russel\" --owner Ully luigi.png\n"
            "  vizsla register --from samples/register.json samples",
        .args = args,
    };
    int rest, leave = vz_args_parse(&command, argc, argv, &rest);
    if (leave >= 0)
        return leave;
    if ((!from && (!name || !*name || !rest)) || (from && (name || rest > 1))) {
        fprintf(stderr,
                "vizsla register: expected --name NAME PICTURE..., or --from FILE [FOLDER]; "
                "see `vizsla register --help`\n");
        return VZ_EXIT_FAILED;
    }
    struct items items = {0};
    struct vz_json_doc *doc = NULL;
    struct vz_error err = {0};
    struct vz_image_limits limits = {.max_megapixels = (double)megapixels};
    int code;
    if (from && load_list(from, rest ? argv[1] : NULL, &doc, &items, &err) != VZ_OK) {
        code = vz_complain(&err);
    } else {
        for (int i = 0; !from && i < rest; i++)
            add_item(&items, vz_slice_from(name), vz_slice_from(breed), vz_slice_from(owner),
                     argv[i + 1]);
        code = do_register(&items, url, &want, &limits, json);
    }
    free_items(&items);
    vz_json_free(doc);
    return code;
}
