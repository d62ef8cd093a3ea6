"""A dog without a place: the head, about 200 wide around (0, 0), looking at you, and a body in one of
four poses."""

import random

from dogs.shapes import clipped, curls, ellipse, group, num, path, rect, shade, stroke, tufts


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
