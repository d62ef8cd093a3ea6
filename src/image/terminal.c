/* image/terminal.c - a picture in the terminal, by Chafa. */
#include "image/parts.h"

#include <chafa.h>
#include <stdlib.h>

/* Most terminal fonts have cells about twice as high as wide; Chafa needs pixels for sixels. */
enum { CELL_WIDTH = 10, CELL_HEIGHT = 20 };

static ChafaPixelMode pixel_mode(const ChafaTermInfo *info)
{
    if (chafa_term_info_have_seq(info, CHAFA_TERM_SEQ_BEGIN_KITTY_IMMEDIATE_IMAGE_V1))
        return CHAFA_PIXEL_MODE_KITTY;
    if (chafa_term_info_have_seq(info, CHAFA_TERM_SEQ_BEGIN_ITERM2_IMAGE))
        return CHAFA_PIXEL_MODE_ITERM2;
    if (chafa_term_info_have_seq(info, CHAFA_TERM_SEQ_BEGIN_SIXELS))
        return CHAFA_PIXEL_MODE_SIXELS;
    return CHAFA_PIXEL_MODE_SYMBOLS;
}

static ChafaCanvasMode canvas_mode(const ChafaTermInfo *info)
{
    if (chafa_term_info_have_seq(info, CHAFA_TERM_SEQ_SET_COLOR_FGBG_DIRECT))
        return CHAFA_CANVAS_MODE_TRUECOLOR;
    if (chafa_term_info_have_seq(info, CHAFA_TERM_SEQ_SET_COLOR_FGBG_256))
        return CHAFA_CANVAS_MODE_INDEXED_240;
    if (chafa_term_info_have_seq(info, CHAFA_TERM_SEQ_SET_COLOR_FGBG_16))
        return CHAFA_CANVAS_MODE_INDEXED_16;
    return CHAFA_CANVAS_MODE_FGBG;
}

/* Chafa's guess for a terminal it does not know is 256 colours; one that says it can do nothing
 * (TERM=dumb, as in editors and build logs), or a user who asked for none (no-color.org), gets
 * characters without any escape code: an info without sequences. */
static bool wants_no_codes(void)
{
    const char *term = getenv("TERM"), *no_color = getenv("NO_COLOR");
    return !term || !*term || strcmp(term, "dumb") == 0 || (no_color && *no_color);
}

static ChafaTermInfo *detect(void)
{
    if (wants_no_codes())
        return chafa_term_info_new();
    gchar **environment = g_get_environ();
    ChafaTermInfo *info = chafa_term_db_detect(chafa_term_db_get_default(), environment);
    g_strfreev(environment);
    return info;
}

void vz_image_terminal(const struct vz_image *image, int columns, int rows, struct vz_buf *out)
{
    if (columns < 1 || rows < 1 || image->width < 1 || image->height < 1)
        return;
    gint width = columns, height = rows;
    chafa_calc_canvas_geometry(image->width, image->height, &width, &height,
                               (gfloat)CELL_WIDTH / CELL_HEIGHT, FALSE, FALSE);
    ChafaTermInfo *info = detect();
    ChafaSymbolMap *symbols = chafa_symbol_map_new();
    chafa_symbol_map_add_by_tags(symbols, CHAFA_SYMBOL_TAG_BLOCK | CHAFA_SYMBOL_TAG_SPACE);
    ChafaCanvasConfig *config = chafa_canvas_config_new();
    chafa_canvas_config_set_geometry(config, VZ_MAX(width, 1), VZ_MAX(height, 1));
    chafa_canvas_config_set_cell_geometry(config, CELL_WIDTH, CELL_HEIGHT);
    chafa_canvas_config_set_canvas_mode(config, canvas_mode(info));
    chafa_canvas_config_set_pixel_mode(config, pixel_mode(info));
    chafa_canvas_config_set_symbol_map(config, symbols);
    ChafaCanvas *canvas = chafa_canvas_new(config);
    chafa_canvas_draw_all_pixels(canvas, CHAFA_PIXEL_RGB8, image->rgb, image->width, image->height,
                                 image->width * 3);
    GString *text = chafa_canvas_print(canvas, info);
    vz_buf_append(out, text->str, text->len);
    if (text->len == 0 || text->str[text->len - 1] != '\n')
        vz_buf_append_char(out, '\n');
    g_string_free(text, TRUE);
    chafa_canvas_unref(canvas);
    chafa_canvas_config_unref(config);
    chafa_symbol_map_unref(symbols);
    chafa_term_info_unref(info);
}
