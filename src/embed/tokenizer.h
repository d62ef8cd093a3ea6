/* embed/tokenizer.h - texts to token ids, equal to Hugging Face `tokenizers` token for token.
 *
 * Families: CLIP byte-level BPE (clean-up, lower case, </w>), GPT-2/RoBERTa byte-level BPE,
 * WordPiece (BERT normaliser: CJK, accents, lower case), Unigram (SentencePiece: XLM-R, e5).
 * Read from tokenizer.json; from vocab.json + merges.txt or vocab.txt where there is none.
 * Malformed UTF-8 is replaced by U+FFFD, never refused. Long texts are cut, never refused (at 1 MiB,
 * or 64 bytes a token wanted, before anything is done).
 * The reference for CLIP is the fast tokenizer (tokenizer.json). OpenAI's own code first repairs the
 * text with ftfy and undoes HTML entities twice; neither transformers' fast tokenizer nor this does.
 *
 * Threads: an opened tokenizer may be used from any thread.
 */
#ifndef VZ_EMBED_TOKENIZER_H
#define VZ_EMBED_TOKENIZER_H

#include "base/mem.h"
#include "base/status.h"

struct vz_tokenizer;

struct vz_tokens {
    uint32_t *ids;          /* with special tokens; in the caller's arena */
    size_t count;
    bool is_truncated;      /* more tokens than max_tokens: cut, special tokens kept */
};

/* A folder in Hugging Face layout. max_tokens: 0 takes the tokenizer's own limit (CLIP 77,
 * BERT 512). Errors: VZ_NOT_FOUND (names the files looked for), VZ_CORRUPT, VZ_UNSUPPORTED (names
 * the part of the pipeline that is not done). */
enum vz_status vz_tokenizer_open(const char *folder, size_t max_tokens, struct vz_tokenizer **out,
                                 struct vz_error *err);
void vz_tokenizer_free(struct vz_tokenizer *tokenizer);
size_t vz_tokenizer_max_tokens(const struct vz_tokenizer *tokenizer);
uint32_t vz_tokenizer_vocab_count(const struct vz_tokenizer *tokenizer);

/* One text; no padding. Errors: VZ_BUDGET only. */
enum vz_status vz_tokenize(const struct vz_tokenizer *tokenizer, struct vz_slice text,
                           struct vz_arena *arena, struct vz_tokens *tokens, struct vz_error *err);
/* Which of a pair is cut when both are too long together. The one that is not named is cut only when
 * it alone has no room. */
enum vz_cut { VZ_CUT_LONGER, VZ_CUT_FIRST, VZ_CUT_SECOND };
/* A pair (cross-encoders): [CLS] a [SEP] b [SEP]; type_ids[count] tells them apart. */
enum vz_status vz_tokenize_pair(const struct vz_tokenizer *tokenizer, struct vz_slice a,
                                struct vz_slice b, enum vz_cut cut, struct vz_arena *arena,
                                struct vz_tokens *tokens, uint8_t **type_ids,
                                struct vz_error *err);
/* The token's text, for `vizsla embed --tokens` and tests; empty when out of range. */
struct vz_slice vz_token_text(const struct vz_tokenizer *tokenizer, uint32_t id);

#endif
