"""All figures as one picture: how much of its target each one uses up."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape

from benchmarks.figures import Figure

ROW, TOP, LEFT, WIDTH, RIGHT = 38, 50, 16, 868, 16
"""Pixels: a name with its bar, what stands above all, margin, bars, margin."""
LONGEST = 2.0
"""Bars end here, with an arrow: twice the target is far enough off."""

STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #1f2328 }
  .quiet { fill: #59636e } .line { stroke: #59636e; stroke-dasharray: 3 3 }
  .met { fill: #2da44e } .short { fill: #cf222e } .paper { fill: #ffffff }
  @media (prefers-color-scheme: dark) {
    text { fill: #f0f6fc } .quiet { fill: #9198a1 } .line { stroke: #9198a1 }
    .met { fill: #3fb950 } .short { fill: #f85149 } .paper { fill: #0d1117 }
  }
"""


def draw(figures: Iterable[Figure]) -> str:
    """An SVG: a bar for each figure that has a target above zero; 1 is just met."""
    drawn = [figure for figure in figures if figure.share is not None]
    height = TOP + ROW * len(drawn) + 10
    width = LEFT + WIDTH + RIGHT
    limit = LEFT + WIDTH / LONGEST
    body = "\n".join(line for place, f in enumerate(drawn) for line in _bar(f, TOP + ROW * place))
    return f"""<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img"
  aria-label="Each figure over its target; up to 1 it is met">
<style>{STYLE}</style>
<rect class="paper" width="{width}" height="{height}"/>
<text x="{LEFT}" y="18">How much of its target each figure uses up: up to the line it is met</text>
<text class="quiet" x="{limit}" y="38" text-anchor="middle">1 = target</text>
<text class="quiet" x="{LEFT + WIDTH}" y="38" text-anchor="end">{LONGEST:.0f}</text>
<line class="line" x1="{limit}" x2="{limit}" y1="{TOP - 6}" y2="{height - 8}"/>
{body}
</svg>
"""


def _bar(figure: Figure, y: int) -> Iterator[str]:
    share = figure.share or 0.0
    length = min(share, LONGEST) * WIDTH / LONGEST
    kind = "met" if figure.is_met else "short"
    name = f"{figure.benchmark}, {figure.database}: {figure.what}"
    value = f"{figure.shown} ({figure.shown_target})"
    yield f'<text x="{LEFT}" y="{y + 13}">{escape(name)}</text>'
    yield (
        f'<text class="quiet" x="{LEFT + WIDTH}" y="{y + 13}" text-anchor="end">'
        f"{escape(value)}{' →' if share > LONGEST else ''}</text>"
    )
    yield (
        f'<rect class="{kind}" x="{LEFT}" y="{y + 18}" width="{length:.1f}" height="12" rx="2">'
        f"<title>{escape(figure.verdict)}</title></rect>"
    )
