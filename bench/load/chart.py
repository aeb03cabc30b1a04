#!/usr/bin/env python3
"""Draws results.json as bars: chart.py RESULTS.json CHART.svg"""

import json
import sys
from html import escape
from pathlib import Path

from report import MAIN_METRIC, value

WIDTH, LABEL, RIGHT = 760, 90, 70
BAR, GAP, GROUP = 15, 3, 30
ORDER = ("rproxy", "haproxy", "nginx", "floor")
STYLE = """
  text { font: 12px system-ui, sans-serif; fill: #1f2328; }
  .title { font-weight: 600; font-size: 15px; }
  .group { font-weight: 600; }
  .quiet { fill: #59636e; }
  .rproxy { fill: #0969da; } .haproxy { fill: #9a8fbf; } .nginx { fill: #7aa58a; }
  .floor { fill: #b4bac2; }
  .ours { font-weight: 600; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; } .quiet { fill: #9198a1; }
    .rproxy { fill: #4493f8; } .haproxy { fill: #8577b5; } .nginx { fill: #5d8f70; }
    .floor { fill: #656c76; }
  }
"""


def draw(results):
    """The chart as SVG text; within each group bars compare, between groups they do not."""
    parts, y = [], 24
    parts.append(f'<text class="title" x="0" y="{y}">Less is better: one worker on one core, '
                 'medians</text>')
    about = results["machine"]
    y += 20
    parts.append(f'<text class="quiet" x="0" y="{y}">'
                 f'{escape(about["cpu"])}, Linux {escape(about["kernel"])}, '
                 f'{results["rounds"]} rounds of {results["seconds"]:g} s</text>')
    for entry in results["scenarios"]:
        y = draw_group(entry, parts, y + GROUP)
    names = ", ".join(f"{name}: {version}" for name, version in results["versions"].items())
    return (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {y + 16}" '
            f'width="{WIDTH}" height="{y + 16}" role="img">\n'
            f'<title>rproxy compared with nginx and HAProxy</title>\n<desc>{escape(names)}</desc>\n'
            f'<style>{STYLE}</style>\n' + "\n".join(parts) + "\n</svg>\n")


def draw_group(entry, parts, y):
    metric, meaning = MAIN_METRIC[entry["kind"]]
    bars = [(name, value(entry, name, metric)) for name in ORDER]
    bars = [(name, number) for name, number in bars if number is not None]
    longest = max((number for _, number in bars), default=0) or 1
    parts.append(f'<text class="group" x="0" y="{y}">{escape(entry["title"])} '
                 f'<tspan class="quiet" font-weight="400">{escape(meaning)}</tspan></text>')
    y += 8
    for name, number in bars:
        length = max(1.0, (WIDTH - LABEL - RIGHT) * number / longest)
        ours = " ours" if name == "rproxy" else ""
        figure = f"{number:.1f}" if number < 1000 else f"{number:,.0f}"
        parts.append(f'<text class="quiet{ours}" x="{LABEL - 8}" y="{y + 12}" '
                     f'text-anchor="end">{name}</text>'
                     f'<rect class="{name}" x="{LABEL}" y="{y}" width="{length:.1f}" '
                     f'height="{BAR}" rx="2"/>'
                     f'<text class="{ours.strip()}" x="{LABEL + length + 6:.1f}" y="{y + 12}">'
                     f'{figure}</text>')
        y += BAR + GAP
    return y


if __name__ == "__main__":
    RESULTS = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    Path(sys.argv[2]).write_text(draw(RESULTS), encoding="utf-8")
