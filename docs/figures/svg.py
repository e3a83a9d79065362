"""Small pictures as SVG, for light and dark screens: axes, lines, dots, boxes and text."""

import math
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path

STYLE = """
text{font:13px system-ui,-apple-system,"Segoe UI",Roboto,"DejaVu Sans",sans-serif;fill:#1d1a22}
.paper{fill:#fbfaf8}.soft{fill:#645f6d}.title{font-weight:600}
.axis,.grid{fill:none;stroke:#645f6d;stroke-width:1}.grid{stroke:#e2dee6}
.c0,.c1,.c2,.c3,.c4,.ink{fill:none;stroke-width:2;stroke-linejoin:round}
.c0{stroke:#2b6cb0}.c1{stroke:#b5771c}.c2{stroke:#8c2981}.c3{stroke:#2f855a}.c4{stroke:#c0392b}
.ink{stroke:#1d1a22}.faint{stroke-opacity:.25}.dash{stroke-dasharray:4 4}
.d0{fill:#2b6cb0}.d1{fill:#b5771c}.d2{fill:#8c2981}.box{fill:#f3f0f6;stroke:#645f6d}
.kept{fill:#e9d5f5;stroke:#8c2981}
@media (prefers-color-scheme:dark){text{fill:#ece8f1}.paper{fill:#131117}.soft{fill:#a39cae}
.axis{stroke:#a39cae}.grid{stroke:#332e3b}.ink{stroke:#ece8f1}
.c0{stroke:#63a4e8}.c1{stroke:#e0a458}.c2{stroke:#f1719f}.c3{stroke:#5cc28d}.c4{stroke:#ff8a7a}
.d0{fill:#63a4e8}.d1{fill:#e0a458}.d2{fill:#f1719f}.box{fill:#221e29;stroke:#a39cae}
.kept{fill:#4a2a48;stroke:#f1719f}}
"""
Point = tuple[float, float]


class Picture:
    """An SVG file of a size in pixels; ``label`` says what is to be seen."""

    def __init__(self, width: int, height: int, label: str) -> None:
        self.parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
            f'role="img" aria-label="{escape(label)}">',
            f"<style>{''.join(STYLE.splitlines())}</style>",
            f'<rect class="paper" width="{width}" height="{height}"/>',
        ]

    def text(self, x: float, y: float, text: str, kind: str = "", anchor: str = "middle") -> None:
        """Words at a place."""
        self.parts.append(
            f'<text class="{kind}" x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}">'
            f"{escape(text)}</text>"
        )

    def line(self, points: Iterable[Point], kind: str) -> None:
        """A line through points."""
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        self.parts.append(f'<polyline class="{kind}" points="{path}"/>')

    def dot(self, x: float, y: float, radius: float, kind: str) -> None:
        """A filled circle."""
        self.parts.append(f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}"/>')

    def box(self, x: float, y: float, width: float, height: float, kind: str = "box") -> None:
        """A rectangle."""
        self.parts.append(
            f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}" rx="3"/>'
        )

    def write(self, path: Path) -> None:
        """Write the file."""
        path.write_text("\n".join([*self.parts, "</svg>\n"]), encoding="utf-8")


class Axes:
    """A plot within a picture: values become places.

    Args:
        picture: to draw on.
        place: left, top, width and height in pixels.
        x, y: the values at the ends.
        log: x is logarithmic.
    """

    def __init__(
        self,
        picture: Picture,
        place: tuple[float, float, float, float],
        x: Point,
        y: Point,
        log: bool = False,
    ) -> None:
        self.picture, self.place, self.x, self.y = picture, place, x, y
        self.scale = math.log if log else float

    def at(self, x: float, y: float) -> Point:
        """The place of a pair of values; values beyond the ends lie at the ends."""
        left, top, width, height = self.place
        low, high = map(self.scale, self.x)
        along = (self.scale(min(max(x, self.x[0]), self.x[1])) - low) / (high - low)
        up = (min(max(y, self.y[0]), self.y[1]) - self.y[0]) / (self.y[1] - self.y[0])
        return left + width * along, top + height * (1 - up)

    def ticks(self, xs: Sequence[float], ys: Sequence[float], x_name: str, y_name: str) -> None:
        """Grid, numbers and names of the axes."""
        left, top, width, height = self.place
        for x in xs:
            at, _ = self.at(x, self.y[0])
            self.picture.line([(at, top), (at, top + height)], "grid")
            self.picture.text(at, top + height + 17, f"{x:g}", "soft")
        for y in ys:
            _, at = self.at(self.x[0], y)
            self.picture.line([(left, at), (left + width, at)], "grid")
            self.picture.text(left - 6, at + 4, f"{y:g}", "soft", "end")
        corners = [(left, top), (left, top + height), (left + width, top + height)]
        self.picture.line(corners, "axis")
        self.picture.text(left + width / 2, top + height + 34, x_name, "soft")
        self.picture.text(left, top - 8, y_name, "soft", "start")

    def line(self, points: Iterable[Point], kind: str) -> None:
        """A line through pairs of values."""
        self.picture.line([self.at(x, y) for x, y in points], kind)
