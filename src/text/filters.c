/* The table of all token filters by name: filters_*.c, normalize.c, stem.c and others make them. */
#include "text/analysis_parts.h"

static const struct {
    const char *name;
    vz_filter_maker *make; /* NULL: known to Elasticsearch, not served */
} filters[] = {
    {"lowercase", vz_make_lowercase},
    {"uppercase", vz_make_uppercase},
    {"asciifolding", vz_make_fold},
    {"stop", vz_make_stop},
    {"stemmer", vz_make_stemmer},
    {"snowball", vz_make_snowball},
    {"porter_stem", vz_make_porter_stem},
    {"stemmer_override", vz_make_stemmer_override},
    {"synonym", vz_make_synonym},
    {"synonym_graph", vz_make_synonym_graph},
    {"shingle", vz_make_shingle},
    {"unique", vz_make_unique},
    {"remove_duplicates", vz_make_remove_duplicates},
    {"length", vz_make_length},
    {"ngram", vz_make_ngram},
    {"nGram", vz_make_ngram},
    {"edge_ngram", vz_make_edge_ngram},
    {"edgeNGram", vz_make_edge_ngram},
    {"trim", vz_make_trim},
    {"word_delimiter_graph", vz_make_word_delimiter_graph},
    {"truncate", vz_make_truncate},
    {"elision", vz_make_elision},
    {"apostrophe", vz_make_apostrophe},
    {"limit", vz_make_limit},
    {"reverse", vz_make_reverse},
    {"keyword_marker", vz_make_keyword_marker},
    {"keyword_repeat", vz_make_keyword_repeat},
    {"keep", vz_make_keep},
    {"pattern_replace", vz_make_pattern_replace},
    {"decimal_digit", vz_make_digits},
    {"german_normalization", vz_make_german},
    {"fingerprint", vz_make_fingerprint},
    {"cjk_bigram", vz_make_cjk_bigram},
    {"classic", NULL},
    {"common_grams", NULL},
    {"condition", NULL},
    {"delimited_payload", NULL},
    {"dictionary_decompounder", NULL},
    {"flatten_graph", NULL},
    {"german_stem", NULL},
    {"hunspell", NULL},
    {"hyphenation_decompounder", NULL},
    {"keep_types", NULL},
    {"kstem", NULL},
    {"min_hash", NULL},
    {"multiplexer", NULL},
    {"pattern_capture", NULL},
    {"predicate_token_filter", NULL},
    {"type_as_payload", NULL},
    {"word_delimiter", NULL},
    {"icu_folding", NULL},
    {"icu_normalizer", NULL},
    {"phonetic", NULL},
};

enum vz_status vz_token_filter_make(const struct vz_making *making, struct vz_slice type,
                                    struct vz_token_filter *out, struct vz_error *err)
{
    for (size_t i = 0; i < VZ_COUNT_OF(filters); i++)
        if (vz_slice_is(type, filters[i].name)) {
            if (!filters[i].make)
                return vz_fail(err, VZ_UNSUPPORTED, "token filter type [%.*s] is not supported",
                               (int)type.len, type.ptr);
            return filters[i].make(making, out, err);
        }
    enum vz_status status = vz_normalization_make(making, type, out, err);
    return status == VZ_NOT_FOUND ? vz_stem_filter_make(making, type, out, err) : status;
}
