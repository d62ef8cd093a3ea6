#!/usr/bin/env bash
# Token for token beside Hugging Face's own tokenizers, from PyPI, on thousands of random texts of
# many languages: emoji, combining marks, bytes that are no UTF-8.
#
#     tests/models/tokens.sh BUILD [SEED [TEXTS]]
#
# tests/golden/tokenizers holds a few hundred such texts with their tokens, for the unit tests; here
# they are made anew by tools/make_golden_tokens.py. Skips aloud where PyPI cannot be reached.
set -u
cd "$(dirname "$0")/../.."
build=$1 seed=${2:-20261120} texts=${3:-3000}
venv=build/clients/tokens out=build/tokens

skip() {
    echo "SKIP tokens: $1"
    echo "0 passed, 0 failed, 1 skipped"
    exit 0
}

[ -d "${VIZSLA_TEST_DATA:-../shared/data}" ] || skip "there is no folder ../shared/data"
if [ ! -e "$venv/.ready" ]; then
    python3 -m venv "$venv" &&
        "$venv/bin/pip" install --quiet --disable-pip-version-check tokenizers sentencepiece \
            >/dev/null 2>&1 && touch "$venv/.ready" || skip "PyPI cannot be reached"
fi
rm -rf "$out"
"$venv/bin/python" tools/make_golden_tokens.py --data "${VIZSLA_TEST_DATA:-../shared/data}" \
    --random "$seed" "$texts" --out "$out" >/dev/null || {
    echo "FAIL tokens: tools/make_golden_tokens.py"
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
}
echo "seed $seed, $texts texts"
if VIZSLA_GOLDEN_TOKENS=$PWD/$out "$build/tests/unit/test_embed_tokenizer"; then
    echo "1 passed, 0 failed, 0 skipped"
else
    echo "0 passed, 1 failed, 0 skipped"
    exit 1
fi
