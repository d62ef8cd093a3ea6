"""Places: each fills SIDE x SIDE; the ground is where the dog's feet are."""
import math

from dogs.shapes import SIDE, ellipse, num, path, rect, shade, stroke


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
