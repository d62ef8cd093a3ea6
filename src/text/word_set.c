/* Sets of words, as filters have them: stop words, articles, keywords. */
#include "text/analysis_parts.h"

#include <stdlib.h>

void vz_word_set_add(struct vz_word_set *set, struct vz_slice word)
{
    struct vz_arena arena = {0};
    if (set->ignore_case)
        word = vz_lowercase(word, &arena);
    vz_strmap_put(&set->map, word, 1);
    size_t bit = VZ_MIN(word.len, sizeof set->lengths * 8 - 1);
    set->lengths[bit / 8] |= (unsigned char)(1u << bit % 8);
    vz_arena_deinit(&arena);
}

bool vz_word_set_has(const struct vz_word_set *set, struct vz_slice word)
{
    size_t bit = VZ_MIN(word.len, sizeof set->lengths * 8 - 1);
    uint64_t value;
    if (!set->ignore_case)
        return (set->lengths[bit / 8] >> bit % 8 & 1) && vz_strmap_get(&set->map, word, &value);
    struct vz_arena arena = {0};
    bool has = vz_strmap_get(&set->map, vz_lowercase(word, &arena), &value);
    vz_arena_deinit(&arena);
    return has;
}

void vz_word_set_deinit(struct vz_word_set *set)
{
    vz_strmap_deinit(&set->map);
}

/* Words of a setting: a list, "a,b", "_portuguese_", "_none_". */
enum vz_status vz_word_set_read(const struct vz_making *making, const char *key,
                                const char *otherwise, struct vz_word_set *set,
                                struct vz_error *err)
{
    struct vz_slice *items, one;
    size_t count;
    if (!vz_making_list(making, key, &items, &count)) {
        if (!otherwise)
            return VZ_OK;
        one = vz_slice_from(otherwise);
        items = &one;
        count = 1;
    }
    for (size_t i = 0; i < count; i++) {
        const char *list = vz_stop_words(items[i]);
        if (vz_slice_is(items[i], "_none_"))
            continue;
        if (!list && items[i].len > 2 && items[i].ptr[0] == '_' &&
            items[i].ptr[items[i].len - 1] == '_')
            return vz_fail(err, VZ_UNSUPPORTED, "stop words [%.*s] are not supported",
                           (int)items[i].len, items[i].ptr);
        if (!list)
            vz_word_set_add(set, items[i]);
        for (const char *at = list; at && *at;) {
            size_t len = strcspn(at, " ");
            vz_word_set_add(set, (struct vz_slice){at, len});
            at += len;
            at += strspn(at, " ");
        }
    }
    return VZ_OK;
}
