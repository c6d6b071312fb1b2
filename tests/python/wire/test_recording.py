"""docs/demo.svg: a recording of `certgate demo`, which the README shows."""

from __future__ import annotations

import os
import re
from pathlib import Path

from kit.harness import REPOSITORY
from kit.pages import VARIABLE, Terminal
from kit.recording import Recorder, drawn, texts

PICTURE = REPOSITORY / "docs/demo.svg"
COMMAND = "certgate demo"

# The directory and the ports of the demo.
OWN = re.compile(r"/\S*certgate-demo-\w+|(?<=example\.com):\d+")


def story(svg: str) -> list[str]:
    """The words of a recording, with a star for each one that differs between runs."""
    text = " ".join(texts(svg).split())
    return VARIABLE.sub("*", OWN.sub("*", text)).split()


def test_the_recording_is_what_the_demo_prints(tmp_path: Path) -> None:
    recorder = Recorder()
    shown = Terminal(tmp_path).run(COMMAND, heard=recorder)
    assert "hello" in shown and "The demo is over" in shown, shown
    svg = drawn(COMMAND, recorder.lines)
    known = PICTURE.read_text() if PICTURE.exists() else ""
    if os.environ.get("CERTGATE_WRITE_DOCS") == "1" and story(svg) != story(known):
        PICTURE.write_text(svg)
    assert story(svg) == story(PICTURE.read_text()), "set CERTGATE_WRITE_DOCS=1"
    assert recorder.lines[-1].at < 30, "a reader of the README waits for its end"
