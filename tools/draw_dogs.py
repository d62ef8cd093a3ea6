#!/usr/bin/env python3
"""Draws the sample dogs: samples/*.svg and samples/register.json.

    tools/draw_dogs.py            write them
    tools/draw_dogs.py --check    exit 1 unless the files are what this program draws

Python's standard library only, and the same bytes every time: what looks like chance is seeded by
the dog's name. A dog is a head (always looking at you), a body in one of four poses, a coat, and a
place. lost.svg is Luigi again: another pose, place, light and crop.
"""

import json
import math
import pathlib
import random
import sys

SIDE = 640
FOLDER = pathlib.Path(__file__).resolve().parent.parent / "samples"


# --- small helpers ---------------------------------------------------------------------------


def num(value):
    """A number as short as it can be, to a tenth."""
    text = f"{value:.1f}"
    return text[:-2] if text.endswith(".0") else text


def shade(colour, by):
    """The colour darker (by < 0) or lighter (by > 0), by a share of the way to black or white."""
    parts = [int(colour[i : i + 2], 16) for i in (1, 3, 5)]
    goal = 255 if by > 0 else 0
    return "#" + "".join(f"{round(p + (goal - p) * abs(by)):02x}" for p in parts)


def path(d, fill, more=""):
    return f'<path d="{d}" fill="{fill}"{more}/>'


def stroke(d, colour, width, more=""):
    return (
        f'<path d="{d}" fill="none" stroke="{colour}" stroke-width="{num(width)}" '
        f'stroke-linecap="round" stroke-linejoin="round"{more}/>'
    )


def ellipse(x, y, rx, ry, fill, more=""):
    return (
        f'<ellipse cx="{num(x)}" cy="{num(y)}" rx="{num(rx)}" ry="{num(ry)}" fill="{fill}"{more}/>'
    )


def rect(x, y, w, h, fill, r=0, more=""):
    round_ = f' rx="{num(r)}"' if r else ""
    return (
        f'<rect x="{num(x)}" y="{num(y)}" width="{num(w)}" height="{num(h)}" '
        f'fill="{fill}"{round_}{more}/>'
    )


def group(transform, parts, more=""):
    return f'<g transform="{transform}"{more}>\n' + "\n".join(parts) + "\n</g>"


def clipped(name, shape, parts):
    """Parts cut to a path's outline."""
    inside = "\n".join(parts)
    return (
        f'<clipPath id="{name}"><path d="{shape}"/></clipPath>\n'
        f'<g clip-path="url(#{name})">\n{inside}\n</g>'
    )


def tufts(x, y, rx, ry, bumps, depth, rng):
    """An ellipse with a furry outline."""
    d = ""
    for i in range(bumps):
        a = 2 * math.pi * i / bumps
        b = 2 * math.pi * (i + 1) / bumps
        m = (a + b) / 2
        k = 1 + depth * rng.uniform(0.7, 1.3)
        if not d:
            d = f"M{num(x + rx * math.cos(a))},{num(y + ry * math.sin(a))}"
        d += (
            f"Q{num(x + rx * k * math.cos(m))},{num(y + ry * k * math.sin(m))} "
            f"{num(x + rx * math.cos(b))},{num(y + ry * math.sin(b))}"
        )
    return d + "Z"


def curls(x, y, rx, ry, count, size, colour, rng):
    """Curly fur: overlapping circles in three close tones."""
    tones = [colour, shade(colour, -0.06), shade(colour, 0.12)]
    parts = [ellipse(x, y, rx, ry, colour)]
    for i in range(count):
        a = 2 * math.pi * i / count
        for k, at in enumerate((0.95, 0.55)):
            parts.append(
                ellipse(
                    x + rx * at * math.cos(a + k * 0.4),
                    y + ry * at * math.sin(a + k * 0.4),
                    size * rng.uniform(0.85, 1.15),
                    size * rng.uniform(0.85, 1.15),
                    tones[(i + k) % 3],
                )
            )
    return parts


# --- the head: about 200 wide around (0, 0), looking at you -----------------------------------

SKULL = (
    "M0,-92C52,-92 88,-62 92,-14C95,24 78,48 62,66C44,88 22,96 0,96"
    "C-22,96 -44,88 -62,66C-78,48 -95,24 -92,-14C-88,-62 -52,-92 0,-92Z"
)

EARS = {
    # name: (outer path on the right side, inner path or None, drawn before the skull?)
    "floppy": (
        "M44,-80C88,-104 132,-62 130,2C129,46 100,62 86,40C72,14 84,-34 44,-80Z",
        None,
        False,
    ),
    "long": (
        "M40,-80C92,-104 140,-50 144,30C146,88 112,112 90,82C70,50 88,-26 40,-80Z",
        None,
        False,
    ),
    "pointed": (
        "M22,-78C34,-130 62,-168 84,-174C104,-142 108,-82 90,-30Z",
        "M44,-88C52,-122 68,-146 80,-150C92,-126 92,-90 84,-58Z",
        True,
    ),
    "bat": (
        "M30,-74C34,-132 62,-172 92,-170C122,-164 122,-96 88,-34Z",
        "M50,-84C54,-122 72,-148 90,-146C106,-140 104,-98 84,-56Z",
        True,
    ),
    "button": (
        "M20,-84C40,-126 84,-138 116,-116C136,-102 146,-76 140,-56C116,-70 92,-66 70,-44Z",
        None,
        False,
    ),
}


def ears(dog, behind):
    if dog["ears"] == "curly":
        rng = random.Random(dog["name"] + "ears")
        if behind:
            return []
        parts = []
        for side in (-1, 1):
            parts += curls(side * 96, 14, 34, 74, 11, 20, dog["ear"], rng)
        return parts
    outer, inner, first = EARS[dog["ears"]]
    if first != behind:
        return []
    parts = []
    for side, tilt in ((1, dog.get("tilt", 0)), (-1, 0)):
        ear = [path(outer, dog["ear"])]
        if inner:
            ear.append(path(inner, dog.get("ear_inside", "#e7a9a0")))
        else:
            ear.append(
                path(outer, "#000000", ' opacity="0.1" transform="translate(5 7) scale(0.97)"')
            )
            ear.append(path(outer, dog["ear"], ' transform="translate(1 -2) scale(0.96)"'))
        parts.append(group(f"scale({side} 1) rotate({tilt})", ear))
    return parts


def face_marks(dog):
    """Marks under the eyes, cut to the skull."""
    marks = dog.get("marks", ())
    light = dog["light"]
    parts = []
    if "muzzle_mask" in marks:  # a pug's
        parts.append(ellipse(0, 52, 66, 52, dog["patch"]))
    if "husky" in marks:
        parts.append(
            path(
                "M-100,110V-10C-80,-34 -50,-36 -34,-20C-20,-4 -8,-40 0,-74C8,-40 20,-4 34,-20C50,-36 80,-34 100,-10V110Z",
                light,
            )
        )
    if "blaze" in marks:
        parts.append(
            path(
                "M-15,-100C-12,-40 -22,-8 -46,36C-30,104 30,104 46,36C22,-8 12,-40 15,-100Z", light
            )
        )
    if "eye_left" in marks:
        parts.append(ellipse(-48, -26, 46, 56, dog["patch"]))
    if "cheeks" in marks:  # black and tan
        parts += [ellipse(-62, 52, 46, 36, light), ellipse(62, 52, 46, 36, light)]
    return parts


def brows(dog):
    if "brows" not in dog.get("marks", ()):
        return []
    return [ellipse(s * 34, -46, 13, 9, dog["light"]) for s in (-1, 1)]


def eyes(dog):
    parts = []
    iris = dog.get("iris", "#6b3f1d")
    for side in (-1, 1):
        x = side * 38
        parts += [
            ellipse(x, -10, 17.5, 18.5, dog.get("rim", shade(dog["head"], -0.35))),
            ellipse(x, -10, 15, 16, iris),
            ellipse(x, -9, 10.5, 12, "#1c1517"),
            ellipse(x - 4, -15, 4.6, 5, "#ffffff"),
            ellipse(x + 5, -4, 2.2, 2.4, "#ffffff"),
        ]
    return parts


def snout(dog):
    muzzle = dog.get("muzzle", dog["light"])
    nose = dog.get("nose", "#2a2224")
    line = shade(muzzle, -0.55)
    parts = [
        ellipse(0, 46, dog.get("muzzle_w", 50), dog.get("muzzle_h", 40), muzzle),
        ellipse(0, 62, dog.get("muzzle_w", 50) * 0.8, 22, "#000000", ' opacity="0.06"'),
    ]
    if dog.get("tongue"):
        parts += [
            path("M-17,66C-20,112 -8,122 0,122C8,122 20,112 17,66Z", "#ef7f8e"),
            stroke("M0,72V100", "#d9606f", 3),
        ]
    parts += [
        stroke("M0,44V60M-28,60C-22,76 -4,76 0,60C4,76 22,76 28,60", line, 4.5),
        path("M-22,24C-22,8 22,8 22,24C22,38 9,47 0,47C-9,47 -22,38 -22,24Z", nose),
        ellipse(-6, 21, 7, 3.5, "#ffffff", ' opacity="0.4"'),
    ]
    for side in (-1, 1):
        for dx, dy in ((24, 50), (32, 58), (20, 60)):
            parts.append(ellipse(side * dx, dy - 2, 1.8, 1.8, line))
    return parts


def head(dog, transform, clip):
    rng = random.Random(dog["name"] + "head")
    coat = dog["head"]
    parts = ears(dog, True)
    if dog.get("fur") == "fluffy":
        parts.append(path(tufts(0, 6, 96, 86, 18, 0.16, rng), dog.get("ruff", coat)))
    parts.append(path(SKULL, coat))
    marks = face_marks(dog) + [ellipse(-20, -64, 52, 24, "#ffffff", ' opacity="0.09"')]
    parts.append(clipped(clip, SKULL, marks))
    if dog.get("fur") == "curly":
        parts += curls(0, -78, 62, 38, 11, 22, dog["head"], rng)
    parts += snout(dog) + brows(dog) + eyes(dog) + ears(dog, False)
    return group(transform, parts)


# --- bodies ------------------------------------------------------------------------------------


def patches(dog, boxes):
    """Coat patches: (x, y, rx, ry) each, a little uneven."""
    rng = random.Random(dog["name"] + "coat")
    return [path(tufts(x, y, rx, ry, 9, 0.1, rng), dog["patch"]) for x, y, rx, ry in boxes]


def limb(x, top, bottom, width, colour, sock=None, angle=0, long_paw=True):
    """A leg from its shoulder down, with a paw that points left."""
    h = bottom - top
    w = width
    d = (
        f"M{num(-w / 2 - 4)},0C{num(-w / 2 - 4)},{num(h * 0.5)} {num(-w / 2 + 4)},{num(h * 0.6)} {num(-w / 2 + 3)},{num(h)}"
        f"H{num(w / 2)}C{num(w / 2)},{num(h * 0.6)} {num(w / 2 + 4)},{num(h * 0.5)} {num(w / 2 + 4)},0"
        f"C{num(w / 2 + 2)},{num(-w * 0.6)} {num(-w / 2 - 2)},{num(-w * 0.6)} {num(-w / 2 - 4)},0Z"
    )
    foot = sock or colour
    px = -8 if long_paw else 0
    parts = [path(d, colour)]
    if sock:
        parts.append(rect(-w / 2 + 2, h * 0.66, w - 2, h * 0.34, sock, 6))
    parts += [
        ellipse(px, h, w * 0.78, w * 0.42, foot),
        stroke(
            f"M{num(px - w * 0.3)},{num(h + 2)}v{num(w * 0.24)}M{num(px + w * 0.02)},{num(h + 4)}v{num(w * 0.26)}",
            shade(foot, -0.3),
            3,
        ),
    ]
    return group(f"translate({num(x)} {num(top)}) rotate({num(angle)})", parts)


def tail(dog, x, y, flip=1):
    colour, tip = dog["coat"], dog.get("tip", dog["coat"])
    kind = dog["tail"]
    if kind == "stub":
        parts = [stroke("M0,0q20,-14 28,-30", colour, 26)]
    elif kind == "curl":
        parts = [
            stroke("M0,0C40,-30 60,-90 10,-104C-36,-112 -44,-58 -8,-54", colour, 34),
            stroke("M-14,-86C-34,-84 -30,-56 -8,-54", tip, 22),
        ]
    elif kind == "plume":
        parts = [
            path("M-14,8C30,10 60,-40 66,-96C100,-80 128,-30 98,10C70,46 20,44 -14,8Z", colour),
            path("M66,-96C100,-80 128,-30 98,10C92,-30 84,-62 66,-96Z", tip),
        ]
    elif kind == "pompom":
        rng = random.Random(dog["name"] + "tail")
        parts = [stroke("M0,0Q20,-30 30,-66", colour, 16)] + curls(
            34, -84, 26, 26, 8, 14, colour, rng
        )
    else:  # a whip
        parts = [
            stroke("M0,0C34,-8 60,-44 64,-98", colour, 20),
            stroke("M60,-68Q64,-84 64,-98", tip, 18),
        ]
    return group(f"translate({num(x)} {num(y)}) scale({flip} 1)", parts)


def collar(dog, d, tag):
    return [
        stroke(d, dog["collar"], 20),
        stroke(d, shade(dog["collar"], 0.3), 3, ' stroke-dasharray="1 13"'),
        ellipse(tag[0], tag[1], 13, 14, "#f2c14e"),
        ellipse(tag[0], tag[1], 6, 6.5, "#c9932b"),
    ]


def shadow(x, y, rx, ry):
    return ellipse(x, y, rx, ry, "#000000", ' opacity="0.18"')


SIT = "M-66,-110C-106,-30 -144,60 -132,150C-126,204 -60,214 0,214C60,214 126,204 132,150C144,60 106,-30 66,-110Z"
STAND = (
    "M-152,-44C-152,-104 -84,-116 -20,-104C50,-96 124,-112 162,-78C196,-40 186,34 152,52"
    "C96,60 40,44 -20,62C-76,84 -150,56 -152,-44Z"
)
LIE = (
    "M-150,104C-170,20 -110,-56 0,-60C110,-66 226,-50 236,62C240,112 206,128 150,128"
    "H-90C-130,128 -144,122 -150,104Z"
)


def furry(dog, x, y, rx, ry, bumps=26):
    if dog.get("fur") != "fluffy":
        return []
    rng = random.Random(dog["name"] + "fur")
    return [path(tufts(x, y, rx, ry, bumps, 0.1, rng), dog["coat"])]


def sit(dog):
    coat, light = dog["coat"], dog["light"]
    leg, sock = dog.get("leg", coat), dog.get("sock")
    inside = patches(dog, dog.get("sit_patches", ()))
    parts = [shadow(6, 216, 190, 26), tail(dog, 112, 178)]
    parts += furry(dog, 0, 74, 134, 146)
    parts.append(path(SIT, coat))
    parts.append(clipped("body", SIT, inside))
    if dog.get("fur") == "curly":
        rng = random.Random(dog["name"] + "body")
        parts += curls(0, 30, 86, 96, 14, 26, coat, rng)
    for side in (-1, 1):
        parts.append(ellipse(side * 108, 158, 58, 58, shade(coat, -0.05)))
        parts.append(ellipse(side * 122, 208, 46, 19, sock or leg))
    for x in (-36, 36):
        parts.append(limb(x, 60, 204, 52, coat, sock, long_paw=False))
    line = shade(coat, -0.22)
    parts.append(
        stroke("M0,118V206M-66,96C-72,130 -66,160 -64,188M66,96C72,130 66,160 64,188", line, 4)
    )
    if dog.get("chest", True):
        rng = random.Random(dog["name"] + "chest")
        parts.append(clipped("chest", SIT, [path(tufts(0, 4, 52, 96, 16, 0.14, rng), light)]))
    parts += collar(dog, "M-70,-82Q0,-24 70,-82", (0, -36))
    parts.append(head(dog, f"translate(0 -158) rotate({dog.get('nod', 0)})", "face"))
    return parts


def on_legs(dog, near, far):
    """Standing and running differ in the angles of the legs only."""
    coat = dog["coat"]
    leg, sock = dog.get("leg", coat), dog.get("sock")
    short = dog.get("leg_length", 200)
    dark = shade(leg, -0.2)
    dark_sock = shade(sock, -0.15) if sock else None
    inside = patches(dog, dog.get("stand_patches", ()))
    if dog.get("saddle"):
        inside.append(path("M-110,-130C-60,-40 130,-20 200,-30V-140H-110Z", dog["patch"]))
    inside.append(
        ellipse(
            0,
            84,
            200,
            46,
            dog.get("belly", "#000000"),
            ' opacity="%s"' % ("1" if "belly" in dog else "0.1"),
        )
    )
    parts = [tail(dog, 160, -68)]
    parts += [
        limb(-76, 10, short - 6, 44, dark, dark_sock, far[0]),
        limb(106, 10, short - 6, 44, dark, dark_sock, far[1]),
    ]
    parts += furry(dog, 10, -20, 168, 84, 30)
    parts.append(path(STAND, coat))
    parts.append(stroke("M-112,-50L-156,-110", coat, 96))
    parts.append(clipped("body", STAND, inside))
    parts.append(ellipse(134, 8, 50, 62, dog.get("thigh", coat)))
    parts += [
        limb(-118, 14, short, 46, leg, sock, near[0]),
        limb(144, 30, short, 44, leg, sock, near[1]),
    ]
    parts += collar(dog, "M-206,-70Q-150,-26 -92,-74", (-156, -34))
    parts.append(head(dog, f"translate(-166 -146) rotate({dog.get('nod', 0)})", "face"))
    return parts


def stand(dog):
    return [shadow(0, dog.get("leg_length", 200) + 12, 230, 24)] + on_legs(dog, (0, -4), (4, 6))


def run(dog):
    lift = shadow(0, dog.get("leg_length", 200) + 34, 200, 18)
    return [lift, group("rotate(-7)", on_legs(dog, (38, -40), (58, -22)))]


def lie(dog):
    coat = dog["coat"]
    leg, sock = dog.get("leg", coat), dog.get("sock")
    inside = patches(dog, dog.get("lie_patches", ()))
    inside.append(ellipse(30, 140, 230, 40, "#000000", ' opacity="0.1"'))
    parts = [shadow(0, 134, 270, 22)]
    parts.append(stroke("M214,104C262,110 276,70 250,52", coat, 24))
    parts.append(stroke("M262,76Q262,60 250,52", dog.get("tip", coat), 22))
    parts += furry(dog, 40, 36, 190, 98, 30)
    parts.append(path(LIE, coat))
    parts.append(clipped("body", LIE, inside))
    parts.append(ellipse(158, 74, 70, 56, shade(coat, -0.04)))
    parts.append(ellipse(126, 124, 52, 18, sock or leg))
    for y, dx in ((106, 14), (120, -8)):
        parts.append(rect(-226 + dx, y - 22, 170, 40, shade(leg, -0.08 if dx > 0 else 0), 20))
        parts.append(ellipse(-210 + dx, y - 1, 34, 22, sock or shade(leg, -0.08 if dx > 0 else 0)))
        parts.append(
            stroke(f"M{-232 + dx},{y - 6}h12M{-232 + dx},{y + 5}h12", shade(sock or leg, -0.3), 3)
        )
    parts += collar(dog, "M-170,10Q-104,62 -40,6", (-104, 50))
    parts.append(head(dog, f"translate(-106 -58) rotate({dog.get('nod', 0)})", "face"))
    return parts


POSES = {"sit": sit, "stand": stand, "run": run, "lie": lie}


# --- places: each fills SIDE x SIDE; the ground is where the dog's feet are ---------------------


def gradient(name, top, bottom):
    return (
        f'<linearGradient id="{name}" x1="0" y1="0" x2="0" y2="1">'
        f'<stop offset="0" stop-color="{top}"/><stop offset="1" stop-color="{bottom}"/>'
        f"</linearGradient>"
    )


def sky(top, bottom):
    return [gradient("sky", top, bottom), rect(0, 0, SIDE, SIDE, "url(#sky)")]


def cloud(x, y, k, colour="#ffffff"):
    return [
        ellipse(x, y, 52 * k, 20 * k, colour, ' opacity="0.85"'),
        ellipse(x - 26 * k, y - 8 * k, 26 * k, 20 * k, colour, ' opacity="0.85"'),
        ellipse(x + 14 * k, y - 16 * k, 32 * k, 26 * k, colour, ' opacity="0.85"'),
    ]


def tree(x, y, k, leaf, trunk="#7a5a3c"):
    return [
        rect(x - 9 * k, y - 70 * k, 18 * k, 74 * k, trunk, 6),
        ellipse(x, y - 120 * k, 60 * k, 66 * k, leaf),
        ellipse(x - 36 * k, y - 90 * k, 40 * k, 38 * k, shade(leaf, -0.08)),
        ellipse(x + 34 * k, y - 94 * k, 42 * k, 40 * k, shade(leaf, 0.1)),
    ]


def fir(x, y, k, colour, snow=None):
    parts = [rect(x - 7 * k, y - 30 * k, 14 * k, 34 * k, "#6d5140")]
    for i, w in enumerate((74, 58, 40)):
        top = y - (96 + 46 * i) * k
        base = y - (22 + 46 * i) * k
        parts.append(
            path(
                f"M{num(x)},{num(top)}L{num(x + w * k)},{num(base)}H{num(x - w * k)}Z",
                shade(colour, 0.06 * i),
            )
        )
        if snow:
            parts.append(
                path(
                    f"M{num(x)},{num(top)}l{num(w * 0.42 * k)},{num(31 * k)}q{num(-w * 0.42 * k)},{num(14 * k)} {num(-w * 0.84 * k)},0Z",
                    snow,
                )
            )
    return parts


def blades(rng, count, y0, y1, colour):
    d = ""
    for _ in range(count):
        x, y, h = rng.uniform(0, SIDE), rng.uniform(y0, y1), rng.uniform(9, 18)
        d += f"M{num(x)},{num(y)}q{num(rng.uniform(-4, 4))},{num(-h * 0.6)} {num(rng.uniform(-6, 6))},{num(-h)}"
    return stroke(d, colour, 3)


def flowers(rng, count, y0, y1, colours):
    parts = []
    for i in range(count):
        x, y, r = rng.uniform(0, SIDE), rng.uniform(y0, y1), rng.uniform(4, 7)
        for k in range(5):
            a = 2 * math.pi * k / 5
            parts.append(
                ellipse(
                    x + r * math.cos(a),
                    y + r * math.sin(a),
                    r * 0.8,
                    r * 0.8,
                    colours[i % len(colours)],
                )
            )
        parts.append(ellipse(x, y, r * 0.6, r * 0.6, "#f7d154"))
    return parts


def park(rng):
    return (
        sky("#9fd3f2", "#e4f4f8")
        + cloud(130, 110, 1.1)
        + cloud(520, 80, 0.9)
        + [ellipse(120, 470, 330, 130, "#a9cf7c"), ellipse(540, 480, 330, 150, "#97c46c")]
        + tree(70, 430, 1.2, "#6fa657")
        + tree(580, 420, 1.4, "#649c50")
        + [rect(0, 440, SIDE, 200, "#86b95c"), blades(rng, 60, 460, 630, "#6fa34a")]
    )


def room(rng):
    stripes = [rect(x, 0, 20, 430, "#7fa0a4", 0, ' opacity="0.55"') for x in range(20, SIDE, 64)]
    return (
        [rect(0, 0, SIDE, 430, "#8fb0b3")]
        + stripes
        + [
            rect(390, 60, 190, 210, "#ffffff", 8),
            rect(404, 74, 162, 182, "#a8d8ef"),
            rect(480, 74, 10, 182, "#ffffff"),
            rect(404, 160, 162, 10, "#ffffff"),
            path("M376,40H420C424,140 410,230 384,286H376Z", "#e3a95c"),
            path("M594,40H550C546,140 560,230 586,286H594Z", "#e3a95c"),
            rect(228, 24, 112, 84, "#8a6a4f", 4),
            rect(238, 34, 92, 64, "#f7e7c6"),
            path("M238,88L268,58L288,76L306,62L330,88V98H238Z", "#8fb28a"),
            rect(0, 420, SIDE, 18, "#fff4e2"),
            rect(0, 436, SIDE, 204, "#b98a5e"),
        ]
        + [rect(0, y, SIDE, 4, "#a67a50") for y in (480, 530, 586)]
        + [
            ellipse(320, 556, 310, 72, "#c25b4e"),
            ellipse(320, 556, 276, 60, "#dd8168"),
            ellipse(320, 556, 240, 46, "#c25b4e"),
        ]
    )


def beach(rng):
    return (
        sky("#7cc7ee", "#d5eefa")
        + [ellipse(520, 100, 48, 48, "#ffe48a")]
        + cloud(140, 120, 1)
        + [rect(0, 300, SIDE, 130, "#3f9fc4"), rect(0, 300, SIDE, 40, "#3591b8")]
        + [
            stroke(
                f"M{num(rng.uniform(0, 560))},{num(rng.uniform(345, 410))}q18,-8 36,0", "#bfe6f2", 4
            )
            for _ in range(9)
        ]
        + [
            path("M0,424Q160,400 320,426T640,418V640H0Z", "#f0d9a4"),
            path(
                "M0,420Q160,396 320,422T640,414V428Q480,440 320,436T0,436Z",
                "#ffffff",
                ' opacity="0.8"',
            ),
        ]
        + [ellipse(rng.uniform(0, SIDE), rng.uniform(450, 635), 3, 2, "#d9bd80") for _ in range(50)]
        + [path("M92,600l9,-22 9,22 22,4 -18,14 5,22 -18,-13 -18,13 5,-22 -18,-14Z", "#ec7f5b")]
    )


def snow(rng):
    return (
        sky("#a9bfd6", "#e8eff6")
        + fir(80, 430, 1.5, "#4c7a6b", "#f4f8fb")
        + fir(200, 410, 1.1, "#5b8a7a", "#f4f8fb")
        + fir(570, 430, 1.7, "#4c7a6b", "#f4f8fb")
        + [
            path("M0,410Q200,370 380,406T640,396V640H0Z", "#f5f8fc"),
            path("M0,500Q240,460 640,520V640H0Z", "#e3ebf4"),
        ]
        + [
            ellipse(rng.uniform(0, SIDE), rng.uniform(0, 620), r, r, "#ffffff", ' opacity="0.9"')
            for r in (3, 4, 5)
            for _ in range(26)
        ]
    )


def autumn(rng):
    leaves = ["#e08b3c", "#cf5a34", "#e9b44c"]
    return (
        sky("#f3dfb8", "#f9efd8")
        + tree(90, 420, 1.7, "#d9772f", "#6e4c35")
        + tree(560, 420, 1.9, "#e0a03c", "#6e4c35")
        + tree(330, 400, 1.1, "#c4552f", "#6e4c35")
        + [path("M0,410Q320,380 640,414V640H0Z", "#c9a766")]
        + [
            ellipse(rng.uniform(0, SIDE), rng.uniform(420, 632), 9, 5, leaves[i % 3])
            for i in range(70)
        ]
    )


def city(rng):
    blocks = []
    for x, w, h, c in (
        (0, 130, 300, "#b8a7c4"),
        (130, 110, 230, "#d4b8a9"),
        (240, 150, 330, "#9fb2c8"),
        (390, 120, 260, "#cdaab0"),
        (510, 130, 310, "#b4bfa6"),
    ):
        blocks.append(rect(x, 420 - h, w, h, c))
        for wx in range(x + 16, x + w - 20, 34):
            for wy in range(420 - h + 22, 390, 48):
                blocks.append(
                    rect(wx, wy, 18, 26, "#fdf3cf" if rng.random() < 0.5 else shade(c, -0.2), 2)
                )
    return (
        sky("#f6c9a8", "#fbe9d2")
        + blocks
        + [rect(0, 420, SIDE, 220, "#c9c6c2"), rect(0, 420, SIDE, 14, "#a7a39e")]
        + [stroke(f"M{x},436L{x * 2 - 320},640", "#b4b0ab", 3) for x in range(-160, 900, 90)]
        + [stroke("M0,500H640M0,580H640", "#b4b0ab", 3)]
    )


def garden(rng):
    fence = [rect(x, 230, 40, 190, "#f7f3ea", 8) for x in range(6, SIDE, 58)]
    return (
        sky("#bfe3ef", "#eef8f4")
        + [rect(0, 270, SIDE, 18, "#e6dfd0"), rect(0, 360, SIDE, 18, "#e6dfd0")]
        + fence
        + [rect(0, 410, SIDE, 230, "#7fb56a"), blades(rng, 60, 430, 630, "#659a52")]
        + flowers(rng, 16, 425, 470, ["#f28cab", "#ffffff", "#b48ce0"])
        + flowers(rng, 8, 590, 630, ["#f2785c", "#ffffff"])
    )


def meadow(rng):
    return (
        sky("#8fd0ea", "#f2f7dc")
        + [ellipse(110, 110, 46, 46, "#ffe07a")]
        + cloud(430, 120, 1.3)
        + [
            ellipse(500, 460, 380, 130, "#b7d67c"),
            path("M0,400Q280,360 640,430V640H0Z", "#9ccc5e"),
            path("M0,500Q300,470 640,510V640H0Z", "#8abd50"),
            blades(rng, 50, 440, 630, "#74a640"),
        ]
        + flowers(rng, 26, 430, 630, ["#ffffff", "#f5d547", "#ef8fb0"])
    )


def sunset(rng):
    return (
        sky("#6f5a9c", "#f7a77c")
        + [
            ellipse(320, 350, 96, 96, "#ffd58a"),
            ellipse(320, 350, 130, 130, "#ffd58a", ' opacity="0.3"'),
        ]
        + [
            path("M0,380L120,280 230,360 360,250 500,350 640,270V640H0Z", "#7b5a86"),
            path("M0,430Q200,390 640,440V640H0Z", "#54466b"),
            path("M0,500Q320,460 640,500V640H0Z", "#6d5a55"),
        ]
    )


def kitchen(rng):
    tiles = [
        rect(x, y, 58, 58, "#f4f7f6" if (x // 62 + y // 62) % 2 else "#d8ebe6", 4)
        for x in range(0, SIDE, 62)
        for y in range(0, 400, 62)
    ]
    floor = [
        rect(x, y, 80, 55, "#e9dcc9" if (x // 80 + y // 55) % 2 else "#c98f72")
        for x in range(0, SIDE, 80)
        for y in range(420, SIDE, 55)
    ]
    return (
        [rect(0, 0, SIDE, 420, "#c3ddd6")]
        + tiles
        + floor
        + [rect(0, 404, SIDE, 18, "#8fb0a6")]
        + [
            path("M40,600H150L136,640H54Z", "#d8534a"),
            ellipse(95, 600, 56, 13, "#8e5a38"),
            ellipse(95, 597, 44, 8, "#a86f47"),
        ]
    )


def forest(rng):
    return (
        sky("#cfe3c4", "#eef3d8")
        + [
            rect(x, 0, w, 430, c)
            for x, w, c in (
                (40, 44, "#8b7560"),
                (150, 30, "#a08a72"),
                (420, 36, "#9a8369"),
                (540, 54, "#84705b"),
            )
        ]
        + [
            ellipse(x, 20, 120, 90, c)
            for x, c in ((60, "#7ea36b"), (220, "#8fb27a"), (400, "#7ea36b"), (580, "#719860"))
        ]
        + [
            path("M0,400Q320,370 640,404V640H0Z", "#8d9c5c"),
            path("M240,404Q330,520 180,640H470Q440,520 330,398Z", "#cdb78a"),
            blades(rng, 60, 420, 630, "#6d8046"),
        ]
    )


def porch(rng):
    return (
        [rect(0, 0, SIDE, 430, "#93b7c9")]
        + [rect(0, y, SIDE, 3, "#7fa3b6") for y in range(36, 430, 36)]
        + [
            rect(230, 40, 180, 390, "#f3efe6"),
            rect(246, 56, 148, 374, "#a4473f"),
            ellipse(378, 250, 8, 8, "#f2c14e"),
            rect(262, 76, 116, 100, "#f8dca0", 6),
        ]
        + [rect(0, 426, SIDE, 214, "#d9c3a3")]
        + [rect(0, y, SIDE, 4, "#c2aa88") for y in (470, 520, 576)]
        + [
            rect(40, 340, 80, 90, "#c9704a", 8),
            ellipse(80, 320, 56, 50, "#5f9a55"),
            ellipse(56, 296, 30, 30, "#6fae63"),
            ellipse(110, 300, 30, 34, "#548c4c"),
        ]
    )


def street(rng):
    """Where Luigi was seen: the lawn beside a path, on a grey day."""
    return (
        sky("#8fb6cf", "#dbe7ea")
        + cloud(470, 84, 1.2, "#eef3f5")
        + [ellipse(560, 330, 210, 110, "#7f9c66")]
        + tree(40, 330, 1.5, "#5f8656", "#6b5a48")
        + [
            rect(0, 320, SIDE, 320, "#7d9c5e"),
            blades(rng, 90, 340, 636, "#688a4d"),
            path("M0,352Q320,336 640,356V404Q320,380 0,402Z", "#b9a98f"),
        ]
    )


# --- the dogs ----------------------------------------------------------------------------------


LUIGI = dict(
    name="Luigi",
    breed="Jack Russell mix",
    owner="Ully",
    coat="#f6f2ea",
    light="#f6f2ea",
    head="#2b282b",
    patch="#2b282b",
    ear="#232023",
    rim="#4a4346",
    muzzle="#343033",
    iris="#8a5a2b",
    ears="button",
    tail="whip",
    tip="#f6f2ea",
    collar="#c94f4a",
    nose="#151315",
)

DOGS = [
    dict(
        LUIGI,
        pose="stand",
        place=room,
        at=(360, 388, 1.04),
        nod=-4,
        tilt=4,
        stand_patches=((60, -70, 66, 40), (170, -10, 40, 44), (-40, 40, 22, 16)),
    ),
    dict(
        name="Mango",
        breed="Golden Retriever",
        owner="Ines Prado",
        pose="sit",
        place=park,
        at=(320, 388, 0.98),
        coat="#e2a657",
        light="#f2cf95",
        head="#e2a657",
        patch="#c98a3c",
        ear="#c98a3c",
        ears="floppy",
        tail="plume",
        tip="#f2cf95",
        collar="#3f7cac",
        tongue=True,
        fur="fluffy",
    ),
    dict(
        name="Biscuit",
        breed="Beagle",
        owner="Tom Okafor",
        pose="stand",
        place=garden,
        at=(352, 384, 1),
        coat="#f7f0e4",
        light="#fbf6ec",
        head="#b8703a",
        patch="#3a2d29",
        ear="#9a5a2c",
        ears="long",
        tail="whip",
        tip="#fbf6ec",
        marks=("blaze",),
        saddle=True,
        thigh="#b8703a",
        collar="#2f9e77",
        nod=4,
    ),
    dict(
        name="Pepper",
        breed="Dachshund",
        owner="Greta Lindqvist",
        pose="stand",
        place=autumn,
        at=(350, 446, 1.02),
        coat="#3b2a26",
        light="#c57b3d",
        head="#3b2a26",
        patch="#3b2a26",
        ear="#2e201d",
        ears="long",
        tail="whip",
        leg="#3b2a26",
        sock="#c57b3d",
        leg_length=128,
        marks=("cheeks", "brows"),
        muzzle="#c57b3d",
        rim="#5b4038",
        iris="#9a6232",
        collar="#e0b23c",
    ),
    dict(
        name="Olive",
        breed="Chocolate Labrador",
        owner="Hana Sato",
        pose="sit",
        place=beach,
        at=(330, 388, 0.98),
        coat="#6b4029",
        light="#7d4e34",
        head="#6b4029",
        patch="#5a3522",
        ear="#56321f",
        ears="floppy",
        tail="whip",
        chest=False,
        nose="#3a211a",
        muzzle="#7d4e34",
        iris="#b98a45",
        collar="#f08a4b",
        tongue=True,
        nod=-5,
    ),
    dict(
        name="Nimbus",
        breed="Siberian Husky",
        owner="Oleg Marchenko",
        pose="stand",
        place=snow,
        at=(356, 384, 1),
        coat="#7d8796",
        light="#f4f6f8",
        head="#6c7685",
        patch="#5a6472",
        ear="#5a6472",
        ear_inside="#e6d3d0",
        ears="pointed",
        tail="curl",
        tip="#f4f6f8",
        leg="#eef1f4",
        belly="#f4f6f8",
        marks=("husky",),
        iris="#6fc3f0",
        rim="#3f4753",
        collar="#b23a48",
        fur="fluffy",
        ruff="#cfd6de",
    ),
    dict(
        name="Pretzel",
        breed="Welsh Corgi",
        owner="Sian Morgan",
        pose="run",
        place=meadow,
        at=(350, 410, 1),
        coat="#dd8a3e",
        light="#fdf7ec",
        head="#dd8a3e",
        patch="#c87630",
        ear="#c9742f",
        ears="bat",
        tail="stub",
        leg="#dd8a3e",
        sock="#fdf7ec",
        leg_length=132,
        belly="#fdf7ec",
        marks=("blaze",),
        collar="#5b6fd6",
        tongue=True,
    ),
    dict(
        name="Truffle",
        breed="Poodle",
        owner="Camille Aubert",
        pose="sit",
        place=city,
        at=(320, 392, 0.98),
        coat="#d8b48c",
        light="#e6cba9",
        head="#d8b48c",
        patch="#c9a178",
        ear="#c79d72",
        ears="curly",
        tail="pompom",
        chest=False,
        muzzle="#e6cba9",
        collar="#d1478c",
        fur="curly",
        muzzle_w=42,
        muzzle_h=38,
    ),
    dict(
        name="Paprika",
        breed="Vizsla",
        owner="Zoltan Kovacs",
        pose="stand",
        place=sunset,
        at=(352, 390, 1),
        coat="#b5562a",
        light="#c4693a",
        head="#b5562a",
        patch="#9d4722",
        ear="#9a4520",
        ears="floppy",
        tail="whip",
        nose="#7d3d2c",
        muzzle="#c4693a",
        iris="#d79a4a",
        collar="#2e4a7d",
        nod=-4,
    ),
    dict(
        name="Otto",
        breed="Pug",
        owner="Amara Diallo",
        pose="sit",
        place=kitchen,
        at=(330, 398, 0.96),
        coat="#dcbf95",
        light="#e6cfac",
        head="#dcbf95",
        patch="#3a3230",
        ear="#3a3230",
        ears="button",
        tail="curl",
        marks=("muzzle_mask",),
        muzzle="#3f3634",
        rim="#3a3230",
        chest=False,
        collar="#4caf8e",
        muzzle_w=46,
        muzzle_h=34,
        nod=7,
        tongue=True,
    ),
    dict(
        name="Bruno",
        breed="Saint Bernard",
        owner="Lea Baumann",
        pose="lie",
        place=forest,
        at=(352, 462, 1),
        coat="#a9552b",
        light="#fbf4e8",
        head="#8f4526",
        patch="#fbf4e8",
        ear="#5f2f1e",
        ears="floppy",
        tail="plume",
        tip="#fbf4e8",
        leg="#fbf4e8",
        lie_patches=((-70, 60, 90, 80), (240, 40, 30, 50)),
        marks=("blaze",),
        collar="#c7362f",
        fur="fluffy",
        muzzle_w=56,
        muzzle_h=44,
    ),
    dict(
        name="Clover",
        breed="Australian Shepherd",
        owner="Priya Nair",
        pose="sit",
        place=porch,
        at=(330, 390, 0.98),
        coat="#8b94a3",
        light="#fcf8f0",
        head="#7f8998",
        patch="#454b57",
        ear="#454b57",
        ears="floppy",
        tail="stub",
        sit_patches=((-90, 40, 40, 50), (80, 110, 46, 40), (96, -10, 30, 40)),
        marks=("eye_left", "blaze"),
        sock="#c57b3d",
        iris="#7fb9dd",
        collar="#7a4fb0",
        fur="fluffy",
    ),
]

LOST = dict(
    LUIGI,
    pose="lie",
    place=street,
    at=(300, 440, 1.12),
    flip=True,
    nod=5,
    tongue=True,
    lie_patches=((40, -30, 66, 44), (206, 10, 44, 46), (-20, 104, 22, 14)),
)


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
