/* image/phash.c - dHash and pHash over box-averaged grey values.
 *
 * Source: Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions" (2010), the
 * DCT hash. Differences: grey values are exact averages over the area of each cell instead of a
 * blur and a resize (a megapixel costs one pass over its bytes), and the 64 coefficients are the
 * lowest 64 of the 9 x 9 corner in zigzag order behind the mean, so that no bit is spent on the
 * mean. */
#include "image/phash.h"

#include <math.h>
#include <stdlib.h>

#define SIDE 32
#define BITS 64
#define CORNER 11 /* zigzag order reaches row and column 10 before it has 64 */

/* Rec. 601 luma, 0..255. */
static double grey_of(const uint8_t *pixel)
{
    return 0.299 * pixel[0] + 0.587 * pixel[1] + 0.114 * pixel[2];
}

/* cells[rows * columns]: averages of the grey values under each cell; a pixel on a border counts to
 * both sides by its share. */
static void shrink(const struct vz_image *image, int columns, int rows, double *cells)
{
    double x_scale = (double)columns / image->width, y_scale = (double)rows / image->height;
    double *line = vz_calloc((size_t)columns, sizeof *line);
    memset(cells, 0, sizeof *cells * (size_t)columns * (size_t)rows);
    for (int y = 0; y < image->height; y++) {
        const uint8_t *row = image->rgb + (size_t)y * (size_t)image->width * 3;
        memset(line, 0, sizeof *line * (size_t)columns);
        for (int x = 0; x < image->width; x++) {
            double grey = grey_of(row + (size_t)x * 3), left = x * x_scale,
                   right = (x + 1) * x_scale;
            for (int cell = (int)left; cell < columns && cell < right; cell++)
                line[cell] += grey * (fmin(right, cell + 1) - fmax(left, cell));
        }
        double top = y * y_scale, bottom = (y + 1) * y_scale;
        for (int cell = (int)top; cell < rows && cell < bottom; cell++) {
            double share = fmin(bottom, cell + 1) - fmax(top, cell);
            for (int x = 0; x < columns; x++)
                cells[cell * columns + x] += line[x] * share;
        }
    }
    free(line);
}

/* corner[v][u]: the DCT-II coefficients of rows v and columns u below CORNER. */
static void transform(const double *cells, double corner[CORNER][CORNER])
{
    double cosine[CORNER][SIDE], half[SIDE][CORNER];
    for (int u = 0; u < CORNER; u++)
        for (int x = 0; x < SIDE; x++)
            cosine[u][x] = cos(M_PI * (2 * x + 1) * u / (2.0 * SIDE));
    for (int y = 0; y < SIDE; y++)
        for (int u = 0; u < CORNER; u++) {
            half[y][u] = 0;
            for (int x = 0; x < SIDE; x++)
                half[y][u] += cells[y * SIDE + x] * cosine[u][x];
        }
    for (int v = 0; v < CORNER; v++)
        for (int u = 0; u < CORNER; u++) {
            corner[v][u] = 0;
            for (int y = 0; y < SIDE; y++)
                corner[v][u] += half[y][u] * cosine[v][y];
        }
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

uint64_t vz_image_phash(const struct vz_image *image)
{
    double cells[SIDE * SIDE], corner[CORNER][CORNER], low[BITS], sorted[BITS];
    size_t count = 0;
    shrink(image, SIDE, SIDE, cells);
    transform(cells, corner);
    /* Diagonals from the mean outwards; the mean itself is left out. */
    for (int sum = 1; count < BITS; sum++)
        for (int v = 0; v <= sum && count < BITS; v++)
            low[count++] = corner[v][sum - v];
    memcpy(sorted, low, sizeof sorted);
    qsort(sorted, BITS, sizeof *sorted, by_size);
    double median = (sorted[BITS / 2 - 1] + sorted[BITS / 2]) / 2;
    uint64_t hash = 0;
    for (size_t i = 0; i < BITS; i++)
        hash = hash << 1 | (low[i] > median + 1e-6);
    return hash;
}
