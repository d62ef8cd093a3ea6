/* cli/lens.h - the model that a command looks with: chosen by what the index remembers, what the
 * user says and what is installed.
 *
 * An index that exists decides: its vectors can only be compared with those of the same weights. A
 * new index gets --model, else clip-ViT-B-32 where it is installed, else the built-in eye. A second
 * model may read the texts (clip-ViT-B-32-multilingual-v1 shares CLIP's space). Threads: choosing
 * from one; a chosen lens looks from any number.
 *
 *     vz_lens_open(&(struct vz_lens_want){.model = name}, &about.model, "pictures", &lens, &err);
 *     vz_lens_text(&lens, "a dog on a beach", vector, &err);
 *     vz_lens_close(&lens);
 */
#ifndef VZ_CLI_LENS_H
#define VZ_CLI_LENS_H

#include "app/api.h"
#include "cli/cli.h"
#include "embed/model.h"

#define VZ_LENS_DEFAULT "clip-ViT-B-32"

/* What the user said; NULL: nothing. */
struct vz_lens_want {
    const char *model, *text_model; /* names or folders */
    const char *data;               /* the data folder, where models are */
    struct vz_nn_options options;
    /* A server that may look instead, when the index's model is not installed here; NULL: none.
     * Such a lens looks and reads from one thread at a time, and has no opened models. */
    const struct vz_transport *server;
};

struct vz_lens {
    struct vz_app_model model;
    struct vz_opened_model *images;    /* NULL when the server looks */
    struct vz_opened_model *texts;     /* the same, or the text model */
    const struct vz_transport *server; /* looks instead; NULL: the opened models do */
    char folder[4096];                 /* of the model; "" for the eye */
    bool by_default;                   /* nobody chose the model */
};

/* Chooses and opens. `remembered` is what index `index` remembers (NULL: there is none yet).
 * Errors: VZ_CONFLICT (another model; says what to do), VZ_NOT_FOUND (not installed; says how),
 * those of vz_model_open. *lens needs closing after VZ_OK only. */
enum vz_status vz_lens_open(const struct vz_lens_want *want, const struct vz_app_model *remembered,
                            const char *index, struct vz_lens *lens, struct vz_error *err);
/* The same by what index `index` of a server or folder remembers; an index that is not there is
 * fine. */
enum vz_status vz_lens_open_for(const struct vz_lens_want *want,
                                const struct vz_transport *transport, const char *index,
                                struct vz_lens *lens, struct vz_error *err);
void vz_lens_close(struct vz_lens *lens);

/* The vector of a text or a picture's bytes, of unit length; [lens->model.dims]. A text longer than
 * the model reads is cut, and said so on stderr. Errors of vz_model_embed_*, vz_image_decode. */
enum vz_status vz_lens_text(const struct vz_lens *lens, const char *text, float *out,
                            struct vz_error *err);
enum vz_status vz_lens_picture(const struct vz_lens *lens, struct vz_slice bytes,
                               const struct vz_image_limits *limits, float *out,
                               struct vz_error *err);

/* `reach`'s transport when it leads to a server, for vz_lens_want.server; NULL when it leads here.
 */
const struct vz_transport *vz_lens_server(struct vz_reach *reach);

/* On stderr, when a new index took a model that nobody chose. */
void vz_lens_say(const struct vz_lens *lens, const char *index);

/* Whether a word of the command line is meant as a picture: a file of that name is there, or it
 * looks like a file's name (a picture's ending, or a '/' and no space), so that a misspelt name is
 * an error and not a question. */
bool vz_lens_is_picture(const char *word);

#endif
