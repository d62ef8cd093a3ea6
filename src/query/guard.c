/* What keeps a search bounded: time may be over, who asked may be gone, and the patterns of one
 * request may look at and match only so many terms together. One pattern over a large dictionary is
 * what somebody asked for; thousands of them in one query string took 30 s of a core. */
#include "query/parts.h"

#include "base/clock.h"

#define MAX_LOOKED_AT ((uint64_t)1 << 27) /* terms of a text: 60 ns each, 8 s; others count more   \
                                           */
#define MAX_MATCHED ((uint64_t)1 << 21)   /* some 64 bytes each while the query lives */

void vz_search_take(struct vz_search *search, const struct vz_search_params *params)
{
    search->spent = vz_arena_zalloc(search->arena, sizeof *search->spent);
    if (!params)
        return;
    search->embedder = params->embedder;
    search->reranker = params->reranker;
    search->is_scroll = params->is_scroll;
    search->allows_partial = params->allows_partial;
    search->stop = params->stop;
}

static bool is_unwanted(const struct vz_eval *eval)
{
    return eval->stop && eval->stop->stopped(eval->stop->context);
}

bool vz_eval_late(const struct vz_eval *eval)
{
    return is_unwanted(eval) || (eval->deadline_ns && vz_now_ns() > eval->deadline_ns);
}

bool vz_text_late(void *eval)
{
    return vz_eval_late(eval);
}

enum vz_status vz_eval_spend(struct vz_eval *eval, uint64_t looked_at, uint64_t matched,
                             struct vz_error *err)
{
    struct vz_spent *spent = eval->spent;
    if (!spent)
        return VZ_OK;
    spent->looked_at += looked_at;
    spent->matched += matched;
    if (spent->looked_at <= MAX_LOOKED_AT && spent->matched <= MAX_MATCHED)
        return VZ_OK;
    return vz_fail(err, VZ_BAD_QUERY,
                   "Query contains too many nested clauses; its patterns %s more than [%llu] terms "
                   "together; maxClauseCount is set to %d",
                   spent->matched > MAX_MATCHED ? "match" : "look at",
                   (unsigned long long)(spent->matched > MAX_MATCHED ? MAX_MATCHED : MAX_LOOKED_AT),
                   VZ_MAX_CLAUSES);
}

bool vz_run_is_over(const struct vz_search *search, uint64_t deadline_ns)
{
    return deadline_ns && !(search->stop && search->stop->stopped(search->stop->context));
}
