"""Shapes of SVG as text, and fur."""
import math

SIDE = 640


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
