/* Reading the photos, and the two vectors of each. */
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "base/file.h"
#include "bench.h"

static int is_picture(const struct dirent *entry)
{
    const char *dot = strrchr(entry->d_name, '.');
    return dot != NULL && (strcmp(dot, ".jpg") == 0 || strcmp(dot, ".png") == 0);
}

static int is_folder(const struct dirent *entry)
{
    return entry->d_type == DT_DIR && entry->d_name[0] != '.';
}

void picture_load(const char *path, struct vz_image *out)
{
    struct vz_error err = {0};
    struct vz_buf bytes = {0};
    struct vz_image_limits limits = {0};
    if (vz_file_read(path, 0, &bytes, &err) != VZ_OK ||
        vz_image_decode(vz_buf_slice(&bytes), &limits, VZ_EYE_SIDE, out, &err) != VZ_OK) {
        fprintf(stderr, "bench_eye: %s: %s\n", path, err.text);
        exit(1);
    }
    vz_buf_deinit(&bytes);
}

/* The plain colour histogram: 8 x 8 x 8 boxes of RGB over the whole picture, unit length. */
static void histogram_make(const struct vz_image *image, float out[VZ_EYE_DIMS])
{
    double bins[512] = {0}, square = 0;
    size_t count = (size_t)image->width * (size_t)image->height;
    for (size_t i = 0; i < count; i++) {
        const uint8_t *p = image->rgb + 3 * i;
        bins[(p[0] >> 5) * 64 + (p[1] >> 5) * 8 + (p[2] >> 5)] += 1;
    }
    for (int i = 0; i < 512; i++)
        square += bins[i] * bins[i];
    for (int i = 0; i < 512; i++)
        out[i] = (float)(bins[i] / sqrt(square));
}

/* This thread's processor time: others on the machine do not count. */
static double cpu_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

void photo_see(struct photo *photo, const struct vz_image *image)
{
    double start = cpu_ms();
    if (vz_eye_embed(image, photo->eye, NULL) != VZ_OK)
        exit(1);
    photo->ms = cpu_ms() - start;
    eye_measure(image, photo->measured, NULL);
    histogram_make(image, photo->histogram);
}

static void photo_add(struct photos *photos, const char *dir, const char *name, int label)
{
    if (photos->count == photos->capacity) {
        photos->capacity = photos->capacity ? 2 * photos->capacity : 256;
        photos->item = vz_realloc(photos->item, (size_t)photos->capacity * sizeof *photos->item);
    }
    struct photo *photo = &photos->item[photos->count++];
    struct vz_image image;
    snprintf(photo->path, sizeof photo->path, "%s/%s", dir, name);
    photo->label = label;
    picture_load(photo->path, &image);
    photo_see(photo, &image);
    vz_image_deinit(&image);
}

static int list(const char *dir, int (*keep)(const struct dirent *), struct dirent ***entries)
{
    int count = scandir(dir, entries, keep, alphasort);
    if (count < 0) {
        perror(dir);
        exit(1);
    }
    return count;
}

void photos_load_classes(struct photos *photos, const char *dir, int most)
{
    struct dirent **folders, **files;
    int folder_count = list(dir, is_folder, &folders);
    for (int f = 0; f < folder_count; f++) {
        char path[400];
        snprintf(path, sizeof path, "%s/%s", dir, folders[f]->d_name);
        int count = list(path, is_picture, &files);
        for (int i = 0; i < count; i++) {
            if (i < most)
                photo_add(photos, path, files[i]->d_name, photos->labels);
            free(files[i]);
        }
        free(files);
        free(folders[f]);
        photos->labels++;
    }
    free(folders);
}

void photos_load_folder(struct photos *photos, const char *dir)
{
    struct dirent **files;
    int count = list(dir, is_picture, &files);
    for (int i = 0; i < count; i++) {
        photo_add(photos, dir, files[i]->d_name, photos->labels++);
        free(files[i]);
    }
    free(files);
}

void photos_recentre(struct photos *photos, const float mean[VZ_EYE_DIMS])
{
    for (int i = 0; i < photos->count; i++)
        eye_finish(photos->item[i].measured, mean, photos->item[i].eye);
}

void photos_deinit(struct photos *photos)
{
    free(photos->item);
    *photos = (struct photos){0};
}
