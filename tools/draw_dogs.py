#!/usr/bin/env python3
"""Draws the sample dogs: samples/*.svg and samples/register.json.

    tools/draw_dogs.py            write them
    tools/draw_dogs.py --check    exit 1 unless the files are what this program draws

Python's standard library only, and the same bytes every time: what looks like chance is seeded by
the dog's name. A dog is a head (always looking at you), a body in one of four poses, a coat
(dogs/body.py, dogs/pack.py), and a place (dogs/places.py). lost.svg is Luigi again: another pose,
place, light and crop.
"""

import json
import pathlib
import random
import sys

from dogs.shapes import SIDE, group, rect
from dogs.body import POSES
from dogs.pack import DOGS, LOST

FOLDER = pathlib.Path(__file__).resolve().parent.parent / "samples"


def draw(dog, view=(0, 0, SIDE, SIDE), over=()):
    rng = random.Random(dog["name"] + dog["pose"])
    x, y, k = dog["at"]
    flip = -1 if dog.get("flip") else 1
    parts = dog["place"](rng)
    parts.append(group(f"translate({x} {y}) scale({flip * k} {k})", POSES[dog["pose"]](dog)))
    parts += over
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{SIDE}" height="{SIDE}" '
        f'viewBox="{" ".join(str(v) for v in view)}">\n' + "\n".join(parts) + "\n</svg>\n"
    )


def files():
    """Name -> text of everything this program writes."""
    out = {f"{dog['name'].lower()}.svg": draw(dog) for dog in DOGS}
    dull = [rect(0, 0, SIDE, SIDE, "#2e4560", 0, ' opacity="0.12"')]
    out["lost.svg"] = draw(LOST, (36, 84, 552, 552), dull)
    rows = [
        "  "
        + json.dumps(
            {
                "dog_id": d["name"],
                "file": f"{d['name'].lower()}.svg",
                "breed": d["breed"],
                "owner_name": d["owner"],
            }
        )
        for d in DOGS
    ]
    out["register.json"] = '{"dogs": [\n' + ",\n".join(rows) + "\n]}\n"
    return out


def main():
    check = sys.argv[1:] == ["--check"]
    wrong = []
    for name, text in files().items():
        target = FOLDER / name
        if check:
            if not target.is_file() or target.read_text(encoding="utf-8") != text:
                wrong.append(name)
        else:
            FOLDER.mkdir(exist_ok=True)
            target.write_text(text, encoding="utf-8")
    if wrong:
        print("not what tools/draw_dogs.py draws:", ", ".join(wrong))
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
