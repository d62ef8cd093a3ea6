#!/usr/bin/env python3
"""Makes a PNG of what a command shows on a terminal, for the README.

    tools/terminal_picture.py OUT.png [--columns 92] -- COMMAND...

Runs the command on a pseudo terminal, reads colours and text from its output (SGR codes only: what
vizsla prints), writes an HTML page and has headless Chromium (Debian's chromium) draw it. For
maintainers; neither ./run nor ./test needs it. Standard library only.
"""
import argparse
import html
import os
import pty
import re
import shlex
import struct
import subprocess
import sys
import tempfile
import termios
import fcntl
import unicodedata

CELL_W, CELL_H, PAD = 9, 18, 16


def capture(command, columns):
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(TERM="xterm-256color", COLORTERM="truecolor")
        os.execvp(command[0], command)
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    out = b""
    while True:
        try:
            part = os.read(fd, 65536)
        except OSError:
            break
        if not part:
            break
        out += part
    os.waitpid(pid, 0)
    return out.decode(errors="replace").replace("\r\n", "\n")


def colour_256(n):
    if n < 16:
        base = [0, 128, 192, 255]
        bright = n >= 8
        on = base[3] if bright else base[2]
        return tuple(on if n % 8 >> bit & 1 else (85 if bright else 0) for bit in range(3))
    if n < 232:
        n -= 16
        level = [0, 95, 135, 175, 215, 255]
        return level[n // 36], level[n // 6 % 6], level[n % 6]
    grey = 8 + 10 * (n - 232)
    return grey, grey, grey


def cells(text):
    """Rows of (character, fg, bg)."""
    rows, row, fg, bg, inverse = [], [], None, None, False
    for match in re.finditer(r"\x1b\[([0-9;?]*)([A-Za-z])|\x1b\][^\x07]*\x07|(\n)|(.)", text, re.S):
        codes, kind, newline, character = match.group(1), match.group(2), match.group(3), match.group(4)
        if newline:
            rows.append(row)
            row = []
        elif character and character >= " ":
            row.append((character, *((bg, fg or (220, 220, 220)) if inverse else (fg, bg))))
            if unicodedata.east_asian_width(character) in "WF":
                row.append(("", fg, bg))
        elif kind == "m":
            numbers = [int(n or 0) for n in codes.split(";")]
            while numbers:
                n = numbers.pop(0)
                if n == 0:
                    fg = bg = None
                    inverse = False
                elif n == 7:
                    inverse = True
                elif n in (38, 48) and numbers:
                    if numbers.pop(0) == 2:
                        colour = tuple(numbers[:3])
                        del numbers[:3]
                    else:
                        colour = colour_256(numbers.pop(0))
                    fg, bg = (colour, bg) if n == 38 else (fg, colour)
                elif 30 <= n <= 37:
                    fg = colour_256(n - 30)
                elif 40 <= n <= 47:
                    bg = colour_256(n - 40)
                elif n == 39:
                    fg = None
                elif n == 49:
                    bg = None
    return rows + ([row] if row else [])


def page(rows, columns, title):
    parts = [f"<style>body{{margin:0;background:#16181d;font:15px/18px 'DejaVu Sans Mono',monospace;"
             f"color:#dcdcdc;width:{columns * CELL_W + 2 * PAD}px}}"
             f"i{{position:absolute;width:{CELL_W}px;height:{CELL_H}px;font-style:normal;"
             "white-space:pre;overflow:hidden}b{position:absolute;font-weight:400;white-space:pre;"
             "letter-spacing:-0.03px}</style>"]
    lines = [[(c, (120, 200, 255), None) for c in "$ " + title]] + rows
    for y, row in enumerate(lines):
        for x, (character, fg, bg) in enumerate(row[:columns]):
            if character in ("", " ") and not bg:
                continue
            style = f"left:{PAD + x * CELL_W}px;top:{PAD + y * CELL_H}px"
            if fg:
                style += f";color:rgb{fg}"
            if bg:
                style += f";background:rgb{bg}"
            parts.append(f'<i style="{style}">{html.escape(character)}</i>')
    return "<!doctype html><meta charset=utf-8>" + "".join(parts), \
        (columns * CELL_W + 2 * PAD, len(lines) * CELL_H + 2 * PAD)


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out")
    parser.add_argument("--columns", type=int, default=92)
    parser.add_argument("--title")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    rows = cells(capture(options.command, options.columns))
    text, (width, height) = page(rows, options.columns, options.title or shlex.join(options.command))
    with tempfile.TemporaryDirectory() as folder:
        source = os.path.join(folder, "page.html")
        with open(source, "w", encoding="utf-8") as file:
            file.write(text)
        done = subprocess.run(
            ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
             "--no-first-run", "--disable-background-networking", "--disable-component-update",
             "--disable-sync", f"--user-data-dir={folder}/profile", f"--window-size={width},{height}",
             f"--screenshot={os.path.abspath(options.out)}", f"file://{source}"],
            capture_output=True, text=True, timeout=60)
    if done.returncode or not os.path.exists(options.out):
        sys.exit(done.stderr)


if __name__ == "__main__":
    main()
