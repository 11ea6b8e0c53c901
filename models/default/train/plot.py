"""The loss curves as a small SVG: python3 plot.py OUT.svg NAME=FILE.csv..."""
import csv
import math
import sys

WIDTH, HEIGHT, LEFT, BOTTOM = 640, 280, 46, 34
COLOURS = ["#1f6feb", "#d1242f", "#1a7f37", "#9a6700"]


def main():
    lines = []
    for i, arg in enumerate(sys.argv[2:]):
        name, path = arg.split("=")
        with open(path) as f:
            rows = list(csv.DictReader(f))
        for column, dash in (("loss", ""), ("held_out_loss", "4 3")):
            lines.append((name + (", held out" if dash else ", training"), COLOURS[i], dash, [(float(r["tokens"]), float(r[column])) for r in rows]))
    x_most, y_least, y_most = max(p[0] for l in lines for p in l[3]), 0.25, 4.0

    def at(x, y):
        y = min(max(y, y_least), y_most)
        return (LEFT + x / x_most * (WIDTH - LEFT - 10), HEIGHT - BOTTOM - math.log(y / y_least) / math.log(y_most / y_least) * (HEIGHT - BOTTOM - 10))

    out = ['<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="sans-serif" font-size="11">' % (WIDTH, HEIGHT),
           '<rect width="100%" height="100%" fill="white"/>']
    for y in (0.25, 0.5, 1, 2, 4):
        out.append('<path d="M%d %.1fH%d" stroke="#ddd"/><text x="%d" y="%.1f" text-anchor="end">%g</text>' % (LEFT, at(0, y)[1], WIDTH - 10, LEFT - 6, at(0, y)[1] + 4, y))
    for i in range(5):
        out.append('<text x="%.1f" y="%d" text-anchor="middle">%.0f M</text>' % (at(x_most * i / 4, 1)[0] - (12 if i == 4 else 0), HEIGHT - BOTTOM + 16, x_most * i / 4e6))
    out.append('<text x="%d" y="%d" text-anchor="middle">tokens seen; loss in nats per token</text>' % (WIDTH / 2, HEIGHT - 4))
    for i, (name, colour, dash, points) in enumerate(lines):
        path = "L".join("%.1f %.1f" % at(x, y) for x, y in points)
        out.append('<path d="M%s" fill="none" stroke="%s" stroke-dasharray="%s"/>' % (path, colour, dash))
        out.append('<path d="M400 %d h24" stroke="%s" stroke-dasharray="%s"/><text x="430" y="%d">%s</text>' % (24 + 16 * i, colour, dash, 28 + 16 * i, name))
    with open(sys.argv[1], "w") as f:
        f.write("\n".join(out) + "\n</svg>\n")


if __name__ == "__main__":
    main()
