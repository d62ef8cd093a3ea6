#!/usr/bin/env python3
"""Checks the rooms' arrows: every #include in src/ against src/meson.build and ARCHITECTURE.md.

    tests/rooms.py        prints each wrong include or difference, then `N passed, N failed, 0 skipped`

The build already refuses a wrong include (each room has an include path of its own); this says
which arrow is wrong, finds cycles, and holds the table in ARCHITECTURE.md against the build. A
source file that no meson.build names would be neither built nor tested, and a document that names
a file which is gone leads nowhere: both are told. Standard library only.
"""
import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent


def rooms_of_build():
    text = (ROOT / "src/meson.build").read_text()
    block = re.search(r"^rooms = \{(.*?)^\}", text, re.S | re.M).group(1)
    rooms = {}
    for name, uses in re.findall(r"'(\w+)': \[(.*?)\]", block, re.S):
        rooms[name] = set(re.findall(r"'(\w+)'", uses))
    return rooms


def rooms_of_architecture():
    """Rows `| `src/ROOM` | question | a, b |` of the table of rooms."""
    rows = {}
    for line in (ROOT / "ARCHITECTURE.md").read_text().splitlines():
        match = re.match(r"\| `src/(\w+)` \|.*\| ([^|]*) \|$", line)
        if match:
            uses = match.group(2).strip()
            rows[match.group(1)] = set() if uses == "–" else set(re.split(r",\s*", uses))
    return rows


def wrong_includes(rooms):
    for path in sorted((ROOT / "src").rglob("*.[chi]*")):
        if path.suffix not in (".c", ".h", ".cc"):
            continue
        parts = path.relative_to(ROOT / "src").parts
        if len(parts) < 2:
            continue
        room = parts[0]
        if room not in rooms:
            yield f"{path.relative_to(ROOT)}: there is no room '{room}' in src/meson.build"
            continue
        for number, line in enumerate(path.read_text().splitlines(), 1):
            match = re.match(r'\s*#\s*include\s+"([^"]+)"', line)
            if not match:
                continue
            target = match.group(1).split("/")[0]
            if target != room and target not in rooms[room]:
                yield f"{path.relative_to(ROOT)}:{number}: {room} may not use {target}"


def cycles(rooms):
    done = []
    left = dict(rooms)
    while left:
        ready = [name for name, uses in left.items() if uses <= set(done)]
        if not ready:
            yield f"the rooms {sorted(left)} use each other in a circle"
            return
        for name in ready:
            done.append(name)
            del left[name]


def table_differences(rooms):
    table = rooms_of_architecture()
    for name in sorted(set(rooms) | set(table)):
        if rooms.get(name) != table.get(name):
            yield (f"room {name}: src/meson.build says {sorted(rooms.get(name, []))}, "
                   f"ARCHITECTURE.md says {sorted(table.get(name, [])) if name in table else 'nothing'}")


def unbuilt():
    """Sources of rooms and of their unit tests that their folder's meson.build does not name."""
    for folder in [*(ROOT / "src").iterdir(), *(ROOT / "tests/unit").iterdir()]:
        build = folder / "meson.build"
        if not build.is_file():
            continue
        named = set(re.findall(r"'([\w./-]+)'", build.read_text()))
        for path in sorted(folder.iterdir()):
            if path.suffix in (".c", ".cc") and path.name not in named:
                yield f"{path.relative_to(ROOT)} is not in {build.relative_to(ROOT)}"


def lost_names():
    """Links of documents, and sources of ours in `backticks`, that lead to no file. A source may be
    named from the root, from src/, within its room, or with '*'."""
    for path in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for number, line in enumerate(path.read_text().splitlines(), 1):
            where = f"{path.relative_to(ROOT)}:{number}"
            for link in re.findall(r"\]\(([^)#]+)", line):
                if "://" not in link and not (path.parent / link).exists():
                    yield f"{where}: there is no {link}"
            sources = re.findall(r"`([\w./*-]+\.(?:c|cc|h))\b", line)
            for name in sources + re.findall(r"`((?:src|tests|bench|tools|samples|docs)/[\w./*-]+)", line):
                above = ("", "src/", "src/*/", "tests/unit/*/") if name in sources else ("",)
                if "ROOM" not in name and not any(any(ROOT.glob(a + name.rstrip("/."))) for a in above):
                    yield f"{where}: there is no {name}"


def main():
    rooms = rooms_of_build()
    failed = 0
    checks = [("includes", list(wrong_includes(rooms))), ("no circles", list(cycles(rooms))),
              ("ARCHITECTURE.md", list(table_differences(rooms))), ("every source is built", list(unbuilt())),
              ("documents name what is there", list(lost_names()))]
    for name, problems in checks:
        failed += bool(problems)
        print(f"{'FAIL' if problems else 'ok  '} rooms: {name}")
        for problem in problems:
            print(f"     {problem}")
    print(f"{len(checks) - failed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
