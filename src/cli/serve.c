/* `vizsla serve`: the REST API over HTTP until SIGTERM or SIGINT.
 *
 * Signals are blocked in every thread and waited for here with sigwait, so that nothing runs
 * in a signal handler.
 */
#include "cli/cli.h"

#include "base/log.h"
#include "base/thread.h"
#include "embed/registry.h"
#include "http/http.h"
#include "infer/infer.h"
#include "rest/rest.h"
#include "store/store.h"

#include <arpa/inet.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

struct serve_options {
    const char *host, *data, *log_format, *log_level, *allow_host;
    const char *models, *image_folder, *precision, *reindex_remotes;
    long port, threads, max_connections, idle_timeout, grace;
    size_t max_memory, max_model_memory, max_body;
    bool allow_remote;
};

#define GRACE_DEFAULT_S 10
#define MODEL_WAITERS 64

static unsigned concurrency_of(const struct serve_options *options)
{
    return options->threads ? (unsigned)options->threads : vz_cpu_count();
}

static bool is_loopback(const char *host)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, host, &v4) == 1)
        return ntohl(v4.s_addr) >> 24 == 127;
    return inet_pton(AF_INET6, host, &v6) == 1 && IN6_IS_ADDR_LOOPBACK(&v6);
}

/* True when listening there is allowed; otherwise says why not and what to do. */
static bool check_host(const struct serve_options *options)
{
    struct in_addr v4;
    struct in6_addr v6;
    if (inet_pton(AF_INET, options->host, &v4) != 1 &&
        inet_pton(AF_INET6, options->host, &v6) != 1) {
        fprintf(stderr, "vizsla serve: --host %s: expected a numeric address such as 127.0.0.1\n",
                options->host);
        return false;
    }
    if (is_loopback(options->host))
        return true;
    if (options->allow_remote) {
        fprintf(stderr,
                "vizsla: WARNING: listening on %s without TLS or passwords, as asked: anyone who "
                "reaches this machine can read, change and delete everything\n",
                options->host);
        return true;
    }
    fprintf(
        stderr,
        "vizsla serve: refusing to listen on %s without security: this version has neither TLS "
        "nor passwords, so anyone on the network could read and delete your data.\n"
        "  Safe: keep 127.0.0.1 and put a reverse proxy with TLS and passwords in front, or use "
        "an SSH tunnel (ssh -L 9200:127.0.0.1:9200 HOST).\n"
        "  To allow it all the same, on a network you trust: "
        "--allow-remote-without-security\n",
        options->host);
    return false;
}

static bool setup_log(const struct serve_options *options)
{
    static const char *const levels[] = {"debug", "info", "warn", "error", "off"};
    size_t level = 0;
    while (level < VZ_COUNT_OF(levels) && strcmp(levels[level], options->log_level) != 0)
        level++;
    bool json = strcmp(options->log_format, "json") == 0;
    if (level == VZ_COUNT_OF(levels) || (!json && strcmp(options->log_format, "text") != 0)) {
        fprintf(stderr, "vizsla serve: --log is text or json, --log-level is debug, info, warn, "
                        "error or off\n");
        return false;
    }
    vz_log_setup((enum vz_log_level)level, json);
    return true;
}

static void block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static const char *memory_text(size_t bytes, char out[32])
{
    bool large = bytes >= (size_t)1 << 30;
    snprintf(out, 32, "%.*f %s", large ? 1 : 0, (double)bytes / (large ? 1 << 30 : 1 << 20),
             large ? "GiB" : "MiB");
    return out;
}

static void announce(const char *url, const char *folder, size_t memory, size_t model_memory,
                     struct vz_store *store)
{
    struct vz_arena arena = {0};
    struct vz_slice *names;
    size_t count = vz_store_names(store, &arena, &names);
    struct vz_buf vectors = {0};
    char most[2][32];
    vz_vector_memory_statement(512, &vectors);
    printf("vizsla %s serves %s\n"
           "  data    %s (%zu %s)\n"
           "  memory  at most %s for indices, %s for models; more is refused, not "
           "swapped\n"
           "  vectors a vector of 512 floats takes bytes of memory: %.*s\n"
           "  try     curl %s\n",
           VZ_VERSION, url, folder, count, count == 1 ? "index" : "indices",
           memory_text(memory, most[0]), memory_text(model_memory, most[1]), (int)vectors.len,
           vectors.data, url);
    vz_buf_deinit(&vectors);
    fflush(stdout);
    vz_arena_deinit(&arena);
}

static enum vz_status start(const struct serve_options *options, struct vz_rest *rest,
                            struct vz_http_server **server, struct vz_error *err)
{
    const struct vz_http_options http = {
        .host = options->host,
        .port = (uint16_t)options->port,
        /* Those that wait for a model must not keep others from running. */
        .worker_threads = concurrency_of(options) + MODEL_WAITERS,
        .max_body_bytes = options->max_body,
        .max_connections = (unsigned)options->max_connections,
        .idle_timeout_s = (unsigned)options->idle_timeout,
        .guard_origin = true,
        /* Beyond loopback people reach it by whatever name their network has for it. */
        .guard_host = is_loopback(options->host),
        .known_hosts = options->allow_host,
        .all_headers = vz_rest_headers,
        .network_threads = vz_cpu_count(), /* quick searches run on them */
        .quick = vz_rest_quick,
        .handle = vz_rest_handle,
        .reject = vz_rest_reject,
        .context = rest,
    };
    return vz_http_start(&http, server, err);
}

/* The models' room, over the folder that --models or the data folder names. */
static enum vz_status start_models(const struct serve_options *options, const char *data,
                                   size_t memory, struct vz_infer **infer, struct vz_error *err)
{
    struct vz_buf folder = {0};
    enum vz_precision precision = VZ_PRECISION_AUTO;
    if (options->precision && !vz_precision_parse(vz_slice_from(options->precision), &precision))
        return vz_fail(err, VZ_BAD_ARGUMENT, "--precision is auto, f32, bf16 or int8, not %s",
                       options->precision);
    if (options->models)
        vz_buf_append_str(&folder, options->models);
    else
        vz_models_folder(data, &folder);
    const struct vz_infer_options infer_options = {.models = folder.data,
                                                   .max_memory_bytes = memory,
                                                   .image_folder = options->image_folder,
                                                   .precision = precision};
    enum vz_status status = vz_infer_new(&infer_options, infer, err);
    vz_buf_deinit(&folder);
    return status;
}

static void wait_for_signal(const sigset_t *set)
{
    int got = 0;
    while (sigwait(set, &got) != 0 || got == SIGHUP)
        ;
    vz_log(VZ_LOG_INFO, "cli", "stopping on signal %d", got);
}

static int serve(const struct serve_options *options)
{
    struct vz_error err = {0};
    struct vz_store *store = NULL;
    struct vz_rest *rest = NULL;
    struct vz_infer *infer = NULL;
    struct vz_http_server *server = NULL;
    struct vz_buf folder = {0}, url = {0};
    sigset_t signals;
    int code = VZ_EXIT_FAILED;
    size_t memory = options->max_memory ? options->max_memory : (size_t)vz_memory_bytes() / 2;
    size_t model_memory = options->max_model_memory ? options->max_model_memory : memory / 2;
    block_signals(&signals);
    vz_data_folder(options->data, &folder);
    const struct vz_store_options store_options = {.create = true, .max_memory_bytes = memory};
    if (vz_image_start(&err) != VZ_OK ||
        vz_store_open(folder.data, &store_options, &store, &err) != VZ_OK ||
        start_models(options, folder.data, model_memory, &infer, &err) != VZ_OK) {
        vz_complain(&err);
        goto out;
    }
    rest = vz_rest_new(
        store, &(struct vz_rest_options){.infer = infer,
                                         .concurrency = concurrency_of(options),
                                         .reindex_remotes = options->reindex_remotes});
    vz_rest_start_models(rest);
    if (start(options, rest, &server, &err) != VZ_OK) {
        vz_complain(&err);
        goto out;
    }
    bool v6 = strchr(options->host, ':') != NULL;
    vz_buf_printf(&url, "http://%s%s%s:%u", v6 ? "[" : "", options->host, v6 ? "]" : "",
                  vz_http_port(server));
    vz_rest_attach_server(rest, server, url.data + strlen("http://"));
    if (vz_store_set_url(store, url.data, &err) != VZ_OK) {
        vz_complain(&err);
        goto out;
    }
    announce(url.data, folder.data, memory, model_memory, store);
    wait_for_signal(&signals);
    code = VZ_EXIT_OK;
out:
    if (rest)
        vz_rest_stop(rest);
    if (server)
        vz_http_stop(server, (unsigned)options->grace * 1000);
    vz_rest_free(rest);
    vz_infer_free(infer);
    if (store)
        vz_store_close(store);
    vz_buf_deinit(&folder);
    vz_buf_deinit(&url);
    return code;
}

int vz_cli_serve(int argc, char **argv)
{
    struct serve_options options = {.host = "127.0.0.1",
                                    .port = 9200,
                                    .log_format = "text",
                                    .log_level = "info",
                                    .grace = GRACE_DEFAULT_S};
    const struct vz_arg args[] = {
        {"--data", VZ_ARG_TEXT, &options.data, "DIR",
         "data folder (default: $VIZSLA_DATA or ~/.local/share/vizsla)", 0, 0},
        {"--host", VZ_ARG_TEXT, &options.host, "ADDRESS", "address to listen on (127.0.0.1)", 0, 0},
        {"--port", VZ_ARG_NUMBER, &options.port, "N", "port (9200; 0: any free one)", 0, 65535},
        {"--threads", VZ_ARG_NUMBER, &options.threads, "N",
         "requests that run at a time, those to models aside (default: cores)", 1, 1024},
        {"--max-memory", VZ_ARG_BYTES, &options.max_memory, "SIZE",
         "memory budget of the indices, such as 2g (default: half of what there is)", 0, 0},
        {"--max-model-memory", VZ_ARG_BYTES, &options.max_model_memory, "SIZE",
         "memory budget of opened models (default: half of --max-memory)", 0, 0},
        {"--models", VZ_ARG_TEXT, &options.models, "DIR",
         "installed models (default: $VIZSLA_MODELS or models in the data folder)", 0, 0},
        {"--precision", VZ_ARG_TEXT, &options.precision, "P",
         "of models: auto, f32, bf16 or int8 (default auto)", 0, 0},
        {"--image-folder", VZ_ARG_TEXT, &options.image_folder, "DIR",
         "requests may name pictures below it as files (default: they may not)", 0, 0},
        {"--reindex-remote", VZ_ARG_TEXT, &options.reindex_remotes, "HOST:PORT,...",
         "servers that _reindex may read from, with '*' for any part (default: none)", 0, 0},
        {"--max-body", VZ_ARG_BYTES, &options.max_body, "SIZE",
         "largest request body (default 100m)", 0, 0},
        {"--max-connections", VZ_ARG_NUMBER, &options.max_connections, "N",
         "open connections (default 4096)", 1, 100000},
        {"--idle-timeout", VZ_ARG_NUMBER, &options.idle_timeout, "SECONDS",
         "close connections idle for so long (default 120)", 1, 86400},
        {"--allow-host", VZ_ARG_TEXT, &options.allow_host, "NAMES",
         "host names, comma-separated, by which browsers may reach it, such as a proxy's", 0, 0},
        {"--grace", VZ_ARG_NUMBER, &options.grace, "SECONDS",
         "on SIGTERM let running requests finish for so long (default 10)", 0, 3600},
        {"--log", VZ_ARG_TEXT, &options.log_format, "FORMAT", "text or json, on stderr", 0, 0},
        {"--log-level", VZ_ARG_TEXT, &options.log_level, "LEVEL",
         "debug, info, warn, error or off (default info)", 0, 0},
        {"--allow-remote-without-security", VZ_ARG_FLAG, &options.allow_remote, NULL,
         "listen beyond loopback although there is no TLS and no password", 0, 0},
        {0},
    };
    const struct vz_command command = {
        .name = "serve",
        .usage = "vizsla serve [options]",
        .summary = "Answers the Elasticsearch REST API over HTTP, until stopped with Ctrl-C.",
        .details =
            "Clients made for Elasticsearch 7, 8 and 9 connect to it unmodified. One process\n"
            "holds a data folder at a time; `vizsla register` and `find` on the same folder\n"
            "go through this server while it runs.\n"
            "Web pages from other hosts that a browser here shows are refused (403).",
        .examples = "  vizsla serve\n"
                    "  vizsla serve --data /srv/dogs --port 9300 --log json",
        .args = args,
    };
    int rest, leave = vz_args_parse(&command, argc, argv, &rest);
    if (leave >= 0)
        return leave;
    if (rest) {
        fprintf(stderr, "vizsla serve: unexpected '%s'; see `vizsla serve --help`\n", argv[1]);
        return VZ_EXIT_FAILED;
    }
    if (!check_host(&options) || !setup_log(&options))
        return VZ_EXIT_FAILED;
    return serve(&options);
}
