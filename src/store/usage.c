/* store/usage.c - what of an index lies on disk: its generation's files, measured, by what they hold
 * and by the field that their name says. */
#include "store/index.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

uint64_t vz_index_generation_number(struct vz_index *index)
{
    if (!index->gen)
        return index->shell_generation;
    struct vz_generation *gen = vz_index_generation(index);
    uint64_t number = gen->number;
    vz_generation_release(gen);
    return number;
}

/* "col.12.docs" -> DOC_VALUES, 12; truth.mdb has documents, ids and dictionaries of all fields. */
static enum vz_usage_part part_of(const char *name, int *field)
{
    static const struct {
        const char *format;
        enum vz_usage_part part;
    } of_fields[] = {{"col.%d", VZ_USAGE_DOC_VALUES},
                     {"vec.%d", VZ_USAGE_VECTORS},
                     {"doc.%d", VZ_USAGE_VECTORS},
                     {"graph.%d", VZ_USAGE_VECTORS}};
    *field = -1;
    for (size_t i = 0; i < VZ_COUNT_OF(of_fields); i++)
        if (sscanf(name, of_fields[i].format, field) == 1)
            return of_fields[i].part;
    return strncmp(name, "text.", 5) == 0 ? VZ_USAGE_TEXTS : VZ_USAGE_DOCUMENTS;
}

static struct vz_usage *usage_of(struct vz_usage *list, size_t *count, struct vz_slice path)
{
    for (size_t i = 0; i < *count; i++)
        if (vz_slice_eq(list[i].path, path))
            return &list[i];
    list[*count] = (struct vz_usage){.path = path};
    return &list[(*count)++];
}

size_t vz_index_usage(struct vz_index *index, struct vz_arena *arena, struct vz_usage **out)
{
    struct vz_mapping *mapping = vz_index_mapping(index);
    struct vz_generation *gen = vz_index_generation(index);
    size_t fields = vz_mapping_count(mapping), count = 0;
    *out = vz_arena_zalloc(arena, (fields + 2) * sizeof **out);
    DIR *dir = opendir(gen->dir);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        struct stat info;
        int field;
        if (entry->d_name[0] == '.' ||
            fstatat(dirfd(dir), entry->d_name, &info, AT_SYMLINK_NOFOLLOW) != 0)
            continue;
        enum vz_usage_part part = part_of(entry->d_name, &field);
        struct vz_slice path = {"", 0};
        if (field >= 0 && (size_t)field < fields)
            path = vz_arena_copy(arena, vz_mapping_field(mapping, (uint16_t)field)->path);
        usage_of(*out, &count, path)->bytes[part] += (uint64_t)info.st_blocks * 512;
    }
    if (dir)
        closedir(dir);
    vz_generation_release(gen);
    vz_mapping_release(mapping);
    return count;
}
