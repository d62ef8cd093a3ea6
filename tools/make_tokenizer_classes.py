#!/usr/bin/env python3
"""Prints src/embed/tokenizer_classes.c's table: which characters Hugging Face `tokenizers` takes for
punctuation, marks, letters and so on.

    pip install tokenizers && tools/make_tokenizer_classes.py > src/embed/tokenizer_table.h

The library mixes several generations of Unicode (a crate of 2016 for punctuation and marks, the
Rust compiler's own for numbers and lower case, Oniguruma's for letters), so the one way to be equal
is to ask it, character by character. Takes two minutes.
"""
import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

FLAGS = ["DROP", "NONSPACING", "MARK", "PUNCT", "NUMERIC", "SPACE", "LETTER", "NUMBER", "WORD"]


def splits(pre, text):
    return len(pre.pre_tokenize_str(text))


def main():
    clean = normalizers.BertNormalizer(
        clean_text=True, handle_chinese_chars=False, strip_accents=False, lowercase=False
    )
    accents = normalizers.BertNormalizer(
        clean_text=False, handle_chinese_chars=False, strip_accents=True, lowercase=False
    )
    marks = normalizers.StripAccents()
    space = normalizers.Strip()
    lower = normalizers.Lowercase()
    punct = pre_tokenizers.Punctuation()
    numeric = pre_tokenizers.Digits(True)
    letter = pre_tokenizers.Split(Regex(r"\p{L}"), "isolated")
    number = pre_tokenizers.Split(Regex(r"\p{N}"), "isolated")
    word = pre_tokenizers.Whitespace()
    runs, lowers, before = [], [], None
    for cp in range(0x110000):
        c = chr(cp)
        if 0xD800 <= cp < 0xE000:
            flags = 0
        else:
            is_space = space.normalize_str(c) == ""
            found = [
                clean.normalize_str(c) == "",
                accents.normalize_str(c) == "",
                marks.normalize_str(c) == "",
                splits(punct, c + c) == 2,
                splits(numeric, c + c) == 2,
                is_space,
                splits(letter, c + c) == 2,
                splits(number, c + c) == 2,
                not is_space and splits(word, "a" + c) == 1,
            ]
            flags = sum(1 << i for i, f in enumerate(found) if f)
            small = lower.normalize_str(c)
            if small != c:
                lowers.append((cp, small))
        if flags != before:
            runs.append((cp, flags))
            before = flags
    print("/* Made by tools/make_tokenizer_classes.py from tokenizers %s: do not edit. */"
          % tokenizers.__version__)
    print("/* clang-format off */")
    print("/* (first << 11 | flags) of each run of characters alike, ascending. */")
    print("static const uint32_t runs[] = {")
    for i in range(0, len(runs), 8):
        print("    " + " ".join("0x%X," % (cp << 11 | flags) for cp, flags in runs[i : i + 8]))
    print("};")
    print("/* Capital and small letters; runs of {first, last, step, distance to the small one}. */")
    print("static const struct {\n    uint32_t first, last, step;\n    int32_t distance;\n} lowers[] = {")
    pairs = [(cp, ord(s) - cp) for cp, s in lowers if len(s) == 1]
    odd = [(cp, s) for cp, s in lowers if len(s) != 1]
    assert odd == [(0x130, "i\u0307")], odd
    i = 0
    while i < len(pairs):
        j, step = i, 0
        while j + 1 < len(pairs) and pairs[j + 1][1] == pairs[i][1]:
            gap = pairs[j + 1][0] - pairs[j][0]
            if gap > 2 or (step and gap != step):
                break
            step = gap
            j += 1
        print("    {0x%X, 0x%X, %d, %d}," % (pairs[i][0], pairs[j][0], step or 1, pairs[i][1]))
        i = j + 1
    print("};")


main()
