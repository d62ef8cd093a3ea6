#!/usr/bin/env python3
"""Writes src/text/stopwords.c, stopwords_world.c, rslp_rules.c and folding.c from what Lucene's jar holds.

    tests/golden/text/tables.py LUCENE-ANALYSIS-COMMON.jar FOLDING.txt

The stop words are the Snowball project's lists (BSD), which the jar carries, and Lucene's own (Apache, BSD); FOLDING.txt has a line
`code point TAB text` for each character that Lucene's asciifolding filter changes (Folding.java).
"""
import collections
import pathlib
import re
import sys
import textwrap
import zipfile

SRC = pathlib.Path(__file__).resolve().parents[3] / "src" / "text"
LANGUAGES = "danish dutch finnish french german hungarian italian norwegian portuguese russian spanish swedish".split()

WORLD = dict(arabic="ar", armenian="hy", basque="eu", bengali="bn", brazilian="br", bulgarian="bg", catalan="ca", cjk="cjk",
             czech="cz", estonian="et", galician="gl", greek="el", hindi="hi", indonesian="id", irish="ga", latvian="lv",
             lithuanian="lt", persian="fa", romanian="ro", serbian="sr", sorani="ckb", thai="th", turkish="tr")


def quote(text):
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def replace_rows(name, start, rows):
    path = SRC / name
    text = path.read_text()
    first = text.index(start) + len(start)
    last = text.index("\n};", first)
    path.write_text(text[:first] + "\n" + ",\n".join(rows) + "," + text[last:])


def stopwords(jar):
    rows = ['    {"_english_", "a an and are as at be but by for if in into is it no not of on or such that the their then "\n'
            '     "there these they this to was will with"}']
    for language in LANGUAGES:
        words = []
        for line in jar.read(f"org/apache/lucene/analysis/snowball/{language}_stop.txt").decode().splitlines():
            for word in line.split("|")[0].split():
                if word not in words:
                    words.append(word)
        rows.append(row(language, words))
    replace_rows("stopwords.c", "} lists[] = {", rows)


def row(language, words):
    lines = textwrap.wrap(" ".join(words), 90, break_long_words=False, break_on_hyphens=False)
    parts = [quote(part + (" " if i + 1 < len(lines) else "")) for i, part in enumerate(lines)]
    return f'    {{"_{language}_", ' + "\n     ".join(parts) + "}"


def stopwords_world(jar):
    rows = []
    for language, code in WORLD.items():
        lines = jar.read(f"org/apache/lucene/analysis/{code}/stopwords.txt").decode().splitlines()
        words = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
        rows.append(row(language, dict.fromkeys(words)))
    replace_rows("stopwords_world.c", "} lists[] = {", rows)


def rslp(jar):
    """The steps of a file are {"name", least length, whole, {endings}, rules; } with rules {"suffix", least stem,
    "replacement", {exceptions}}; exceptions are whole words where `whole` is 1, else endings."""
    rows = []
    for language, path in dict(galician="gl/galician", portuguese="pt/portuguese").items():
        text = jar.read(f"org/apache/lucene/analysis/{path}.rslp").decode()
        text = "\n".join(line for line in text.splitlines() if not line.strip().startswith("#"))
        string, words = r'"([^"]*)"', r'\{([^{}]*)\}'
        for step in text.split(";"):
            head = re.match(rf'\s*\{{\s*{string}\s*,\s*(\d+)\s*,\s*(\d)\s*,\s*{words}\s*,', step)
            if not head:
                continue
            rules = re.findall(rf'\{{\s*{string}\s*,\s*(\d+)\s*(?:,\s*{string}\s*)?(?:,\s*{words}\s*)?\}}', step[head.end():])
            least = int(head[2]) or min(int(n) + len(suffix) for suffix, n, _, _ in rules)
            plain = lambda list_: " ".join(re.findall(string, list_))
            rows.append(f'    {{{quote(language + " " + head[1])}, NULL, {quote(plain(head[4]))}, {least}, {head[3]}}}')
            for suffix, n, by, but in rules:
                lines = textwrap.wrap(plain(but), 90, break_long_words=False, break_on_hyphens=False) or [""]
                parts = [quote(part + (" " if i + 1 < len(lines) else "")) for i, part in enumerate(lines)]
                rows.append(f'    {{{quote(suffix)}, {quote(by)}, ' + "\n     ".join(parts) + f', {n}, 0}}')
    replace_rows("rslp_rules.c", "vz_rslp_rules[] = {", rows)


def folding(path):
    groups = collections.OrderedDict()
    for line in pathlib.Path(path).read_text().splitlines():
        code, text = line.split("\t")
        groups.setdefault(text, []).append(chr(int(code)))
    rows = []
    for to, chars in groups.items():
        joined = "".join(chars)
        parts = [quote(joined[i:i + 44]) for i in range(0, len(joined), 44)]
        rows.append(f"    {{{quote(to)}, " + "\n     ".join(parts) + "}")
    replace_rows("folding.c", "} rows[] = {", rows)


stopwords(zipfile.ZipFile(sys.argv[1]))
stopwords_world(zipfile.ZipFile(sys.argv[1]))
rslp(zipfile.ZipFile(sys.argv[1]))
folding(sys.argv[2])
