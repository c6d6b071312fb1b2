"""A recording of a command on a terminal, as an SVG that plays in a page.

The lines are those that the command printed, at the times at which it printed them. The picture
moves them up in a window, as a terminal does.
"""

from __future__ import annotations

import re
import time
from html import escape, unescape
from typing import NamedTuple

from kit.pages import CONTROLS

# The window in characters, and the size of a character and the margin in pixels.
COLUMNS, ROWS = 100, 24
WIDTH, HEIGHT, MARGIN = 7.83, 18, 14

# The last screen stays for this time before the recording begins again.
END_SECONDS = 4.0

STYLE = "font-family:ui-monospace,Menlo,Consolas,'DejaVu Sans Mono',monospace;font-size:13px"


class Line(NamedTuple):
    """A line, and the seconds from the start of the command to its end."""

    at: float
    text: str


class Recorder:
    """Hears the output of a terminal, and keeps its lines with their times."""

    def __init__(self) -> None:
        self.begun, self.rest = time.monotonic(), ""
        self.lines: list[Line] = []

    def __call__(self, piece: bytes) -> None:
        at = time.monotonic() - self.begun
        *whole, self.rest = (self.rest + CONTROLS.sub("", piece.decode())).split("\n")
        self.lines += [Line(at, text) for text in whole]


def wrapped(lines: list[Line]) -> list[Line]:
    """Breaks lines that are wider than the window, as a terminal does."""
    parts = []
    for line in lines:
        text = line.text or " "
        parts += [
            Line(line.at, text[begin : begin + COLUMNS]) for begin in range(0, len(text), COLUMNS)
        ]
    return parts


def drawn(command: str, lines: list[Line]) -> str:
    """Draws a recording of a command."""
    shown = wrapped([Line(0.0, f"$ {command}"), *lines])
    total = shown[-1].at + END_SECONDS
    steps = []
    for count, line in enumerate(shown, start=1):
        last = count == len(shown) or shown[count].at > line.at
        if last:
            offset = (ROWS - count) * HEIGHT
            steps.append(f"{100 * line.at / total:.2f}%{{transform:translateY({offset}px)}}")
    steps.append(f"100%{{transform:translateY({(ROWS - len(shown)) * HEIGHT}px)}}")
    width, height = COLUMNS * WIDTH + 2 * MARGIN, ROWS * HEIGHT + 2 * MARGIN
    texts = [
        f'<text y="{MARGIN + (row + 1) * HEIGHT - 5}" x="{MARGIN}"{emphasis(line.text)}>'
        f"{escape(line.text, quote=False)}</text>"
        for row, line in enumerate(shown)
    ]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" '
            f'width="{width:.0f}" height="{height}">',
            f"<title>A recording of {escape(command)}</title>",
            f"<style>text{{{STYLE};fill:#d1d7e0;white-space:pre}} .c{{fill:#7ee787}} "
            f".s{{fill:#79c0ff;font-weight:600}} "
            f"#r{{animation:r {total:.1f}s steps(1,end) infinite}} @keyframes r{{{''.join(steps)}}} "
            "@media (prefers-reduced-motion){#r{animation-iteration-count:1;"
            "animation-fill-mode:forwards}}</style>",
            f'<rect width="{width:.0f}" height="{height}" rx="8" fill="#151b23"/>',
            f'<clipPath id="w"><rect x="0" y="{MARGIN}" width="{width:.0f}" '
            f'height="{ROWS * HEIGHT}"/></clipPath>',
            '<g clip-path="url(#w)"><g id="r">',
            *texts,
            "</g></g>",
            "</svg>\n",
        ]
    )


def emphasis(text: str) -> str:
    """Commands are green, and the steps of the story are blue."""
    if text.lstrip().startswith("$ "):
        return ' class="c"'
    return ' class="s"' if re.match(r"\d\. ", text) else ""


def texts(svg: str) -> str:
    """The lines of a recording, without its times."""
    return "\n".join(unescape(text) for text in re.findall(r"<text[^>]*>(.*?)</text>", svg))
