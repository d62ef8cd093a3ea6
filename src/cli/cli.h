/* cli/cli.h - the command line: one file a subcommand, and what they share.
 *
 * Exit codes: 0 done (find: a match); 1 done, but not all of it (find: no good match; register:
 * some pictures failed); 2 the command line is wrong or the work could not be done.
 * Output goes to stdout, messages and progress to stderr.
 */
#ifndef VZ_CLI_CLI_H
#define VZ_CLI_CLI_H

#include "app/dogs.h"
#include "base/mem.h"

#define VZ_EXIT_OK 0
#define VZ_EXIT_PARTLY 1
#define VZ_EXIT_FAILED 2

#ifndef VZ_VERSION
#define VZ_VERSION "0.1.0"
#endif

/* The whole program. */
int vz_cli_main(int argc, char **argv);

/* A command that is a choice of others: `vizsla models pull`. */
struct vz_verb {
    const char *name, *summary;
    int (*run)(int argc, char **argv);
};
struct vz_verbs {
    const char *of;              /* "models"; "" for the program itself */
    const char *summary;         /* first line of its --help */
    const struct vz_verb *verbs; /* ended by one without a name */
    const char *examples;        /* lines, each with its end */
};
/* Runs the one that argv[1] names, or prints the help. Returns the exit code. */
int vz_cli_verbs(const struct vz_verbs *verbs, int argc, char **argv);

/* Subcommands: argv[0] is the subcommand's name. Each returns an exit code. */
int vz_cli_serve(int argc, char **argv);
int vz_cli_register(int argc, char **argv);
int vz_cli_find(int argc, char **argv);
int vz_cli_dogs(int argc, char **argv);
int vz_cli_index(int argc, char **argv);
int vz_cli_search(int argc, char **argv);
int vz_cli_reindex(int argc, char **argv);
int vz_cli_dedupe(int argc, char **argv);
int vz_cli_models(int argc, char **argv);
int vz_cli_import_model(int argc, char **argv);
int vz_cli_embed(int argc, char **argv);
int vz_cli_version(int argc, char **argv);

/* ---- shared: args.c ------------------------------------------------------------------------ */

enum vz_arg_kind {
    VZ_ARG_FLAG,
    VZ_ARG_TEXT,
    VZ_ARG_NUMBER,
    VZ_ARG_BYTES,
    VZ_ARG_LIST,
    VZ_ARG_REAL
};

/* An option that may be given several times. */
#define VZ_ARG_LIST_MAX 64
struct vz_arg_list {
    const char *items[VZ_ARG_LIST_MAX];
    size_t count;
};

/* One option. `value` points to a bool, const char *, long, size_t, struct vz_arg_list or double by
 * kind. Numbers must lie in minimum..maximum (VZ_ARG_REAL: only there, as parts of 1,000). */
struct vz_arg {
    const char *name; /* "--top" */
    enum vz_arg_kind kind;
    void *value;
    const char *meta; /* "N" in the help */
    const char *help;
    long minimum, maximum; /* VZ_ARG_NUMBER */
};

struct vz_command {
    const char *name;
    const char *usage;         /* "vizsla find PICTURE [options]" */
    const char *summary;       /* one line */
    const char *details;       /* paragraphs, or NULL */
    const char *examples;      /* lines, each a command with a comment above */
    const struct vz_arg *args; /* ended by a NULL name */
    bool signed_words;         /* a word that starts with one '-' and is no option is a word */
};

/* Parses options ("--name value", "--name=value"; "--" ends them) and moves the rest to the front
 * of argv from index 1; *rest_count says how many. Prints help for --help. Returns -1 to go on, or
 * an exit code to leave with. */
int vz_args_parse(const struct vz_command *command, int argc, char **argv, int *rest_count);
void vz_args_help(const struct vz_command *command);

/* The data folder: `given`, else $VIZSLA_DATA, else $XDG_DATA_HOME/vizsla or
 * ~/.local/share/vizsla. Appends to `out`. */
void vz_data_folder(const char *given, struct vz_buf *out);

/* ---- shared: reach.c ----------------------------------------------------------------------- */

/* Where the documents are: in a data folder this process opens, or behind a server. */
struct vz_reach;
/* url given: that server. Else the folder's server when one holds it, else the folder itself
 * (created when `create`). The transport is valid until vz_reach_free. Errors as vz_store_open. */
enum vz_status vz_reach_new(const char *url, const char *data, bool create, struct vz_reach **out,
                            struct vz_error *err);
const struct vz_transport *vz_reach_transport(struct vz_reach *reach);
/* "http://127.0.0.1:9200" or the folder's path, for messages. */
const char *vz_reach_where(const struct vz_reach *reach);
void vz_reach_free(struct vz_reach *reach);

/* ---- shared: term.c ------------------------------------------------------------------------ */

/* Prints "vizsla: <text>" (and the cause) to stderr, made safe for a terminal. Returns
 * VZ_EXIT_FAILED. */
int vz_complain(const struct vz_error *err);

/* A progress bar on stderr with rate and time left; silent when stderr is no terminal. */
struct vz_progress {
    const char *label;
    size_t total, done;
    size_t first; /* done before the start: no part of the rate */
    uint64_t start_ns, drawn_ns;
    bool on, bytes; /* bytes: shown as megabytes */
};
void vz_progress_start(struct vz_progress *progress, const char *label, size_t total);
void vz_progress_step(struct vz_progress *progress, size_t done);
/* The same in bytes, from `done` on; vz_progress_at says how far it is and of how much. */
void vz_progress_start_bytes(struct vz_progress *progress, const char *label, size_t done,
                             size_t total);
void vz_progress_at(struct vz_progress *progress, size_t done, size_t total);
void vz_progress_end(struct vz_progress *progress);

/* From here on Ctrl-C (and SIGTERM) asks to stop instead of ending the program; a second Ctrl-C
 * ends it. For commands that leave something half done otherwise. */
void vz_stop_watch(void);
bool vz_stop_asked(void);

/* Draws pictures side by side on stdout, each in at most columns x rows cells, as many in a row as
 * the terminal has room for (draw.c). Files that cannot be read are left out. */
void vz_draw_pictures(const struct vz_slice *paths, size_t count, int columns, int rows);

/* Columns of the terminal on stdout, 80 when unknown. */
int vz_term_columns(void);
bool vz_term_is_terminal(void); /* stdout */
/* Appends a UTF-8 text in at most `most` cells and returns how many it took. Line feeds and tabs
 * become spaces, other control characters and broken bytes '?', so that a name or a server's answer
 * cannot drive the terminal: whatever others wrote goes through here. */
int vz_term_text(struct vz_buf *out, struct vz_slice text, int most);
/* The same in exactly `cells` cells, padded with spaces. */
void vz_term_cell(struct vz_buf *out, struct vz_slice text, int cells);
/* Cells the whole text takes, shown so. */
int vz_term_width(struct vz_slice text);

#endif
