"""Charts as SVG, written by hand, for light and dark pages.

Not here: which figures they show.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from bench.figures import number

_WIDTH = 760
_STYLE = """\
<style>
  svg { font: 14px system-ui, -apple-system, "Segoe UI", sans-serif; }
  .page { fill: #ffffff; } text { fill: #1f2328; } .quiet { fill: #59636e; }
  .grid { stroke: #d1d9e0; } .spread { stroke: #1f2328; stroke-width: 1.5; }
  .a { fill: #0969da; stroke: #0969da; } .b { fill: #818b98; stroke: #818b98; } .line { stroke-width: 2.5; }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0d1117; } text { fill: #f0f6fc; } .quiet { fill: #9198a1; }
    .grid { stroke: #3d444d; } .spread { stroke: #f0f6fc; }
    .a { fill: #4493f8; stroke: #4493f8; } .b { fill: #656c76; stroke: #656c76; }
  }
  .title { font-weight: 600; font-size: 16px; }
</style>"""


@dataclass(frozen=True, slots=True)
class Bar:
    """A bar: its value, and the lowest and highest run; `is_own` has it stand out."""

    label: str
    value: float
    low: float
    high: float
    is_own: bool = False


@dataclass(frozen=True, slots=True)
class Line:
    """A line through points (x, y), all above 0."""

    label: str
    points: Sequence[tuple[float, float]]


def bars(title: str, note: str, entries: Sequence[Bar]) -> str:
    """Horizontal bars from 0, with a whisker from the lowest to the highest run, and a line of small print."""
    left, right, top, step = 325, 70, 56, 34
    scale = (_WIDTH - left - right) / max(entry.high for entry in entries)
    parts = [_text(20, 30, title, "title")]
    for row, entry in enumerate(entries):
        y = top + row * step
        end = left + entry.value * scale
        low, high = left + entry.low * scale, left + entry.high * scale
        parts.append(_text(left - 10, y + 15, entry.label, anchor="end"))
        css = "a" if entry.is_own else "b"
        parts.append(f'<rect class="{css}" x="{left}" y="{y}" width="{end - left:.1f}" height="20"/>')
        if entry.high > entry.low:
            ends = "".join(f"M{x:.1f} {y + 6}v8" for x in (low, high))
            parts.append(f'<path class="spread" d="M{low:.1f} {y + 10}H{high:.1f}{ends}"/>')
        parts.append(_text(max(end, high) + 8, y + 15, number(entry.value)))
    height = top + len(entries) * step + 30
    parts.append(_text(20, height - 16, note, "quiet"))
    return _svg(height, title, parts)


def lines(title: str, entries: Sequence[Line]) -> str:
    """Lines on logarithmic axes, in whole powers of ten; the x axis starts at the first point."""
    left, right, top, bottom = 70, 30, 56, 46
    height = 380
    xs = [x for entry in entries for x, _ in entry.points]
    ys = [y for entry in entries for _, y in entry.points]
    x_low, x_high = math.log10(min(xs)), math.log10(max(xs))
    y_low, y_high = math.floor(math.log10(min(ys))), math.ceil(math.log10(max(ys)))

    def at(x: float, y: float) -> tuple[float, float]:
        across = (math.log10(x) - x_low) / (x_high - x_low)
        up = (math.log10(y) - y_low) / (y_high - y_low)
        return left + across * (_WIDTH - left - right), height - bottom - up * (height - top - bottom)

    parts = [_text(20, 30, title, "title")]
    for power in range(y_low, y_high + 1):
        x, y = at(min(xs), 10**power)
        parts.append(f'<path class="grid" d="M{x:.1f} {y:.1f}H{_WIDTH - right}"/>')
        parts.append(_text(x - 10, y + 5, f"{10.0**power:,.10g}", "quiet", "end"))
    for power in range(math.ceil(x_low), math.floor(x_high) + 1):
        x, y = at(10**power, 10**y_low)
        parts.append(_text(x, y + 24, f"{10**power:,}", "quiet", "middle"))
    for css, entry in zip("ba", entries, strict=True):
        corners = [at(*point) for point in entry.points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
        parts.append(f'<polyline class="{css} line" style="fill:none" points="{path}"/>')
        parts += [f'<circle class="{css}" cx="{x:.1f}" cy="{y:.1f}" r="4"/>' for x, y in corners]
        x, y = corners[-1]
        parts.append(_text(x, y - 14, entry.label, anchor="end"))
    return _svg(height, title, parts)


def _text(x: float, y: float, text: str, css: str = "", anchor: str = "start") -> str:
    return f'<text class="{css}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(height: int, title: str, parts: Sequence[str]) -> str:
    size = f'width="{_WIDTH}" height="{height}" viewBox="0 0 {_WIDTH} {height}"'
    page = f'<rect class="page" width="{_WIDTH}" height="{height}" rx="6"/>'
    head = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="{escape(title)}">'
    return "\n".join([head, _STYLE, page, *parts, "</svg>", ""])
