/* text/rslp.h - between the rules of Portuguese and Galician and what applies them. Private to the
 * room. */
#ifndef VZ_TEXT_RSLP_H
#define VZ_TEXT_RSLP_H

#include "text/light_parts.h"

/* A rule, or (by NULL) the head of a step, whose rules follow: `suffix` is its language and name
 * then, `except` the endings of which a word must have one (empty: any), `least` the shortest word.
 */
struct vz_rslp_rule {
    const char *suffix, *by;
    const char *except; /* words, or endings, that stay as they are */
    uint8_t least;      /* letters that stay of the word at least */
    bool whole;         /* of a step: exceptions are whole words */
};
extern const struct vz_rslp_rule vz_rslp_rules[];
extern const size_t vz_rslp_rule_count;

#endif
