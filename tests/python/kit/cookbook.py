"""The commands of docs/cookbook.md on a terminal, and their output in the page.

A test runs each command of the page in its order and compares the output with the page. IDs, times
and paths differ between runs. Set `CERTGATE_WRITE_DOCS=1` to write the output into the page.
"""

from __future__ import annotations

import fcntl
import os
import pty
import re
import struct
import subprocess
import termios
from pathlib import Path
from typing import NamedTuple

from kit.harness import CERTGATE, PATIENCE_SECONDS, REPOSITORY, environment

PAGE = REPOSITORY / "docs" / "cookbook.md"

# The window of the terminal.
ROWS, COLUMNS = 40, 80

# What a progress bar draws, and removes before the next line.
DRAWN = re.compile(r"[^\n]*\x1b\[2K")
CONTROLS = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\r")

# The parts of an output that differ between runs.
VARIABLE = re.compile(
    r"\d{4}-\d\d-\d\d(?:T[\d:.]+Z)?|\b\d{8}T\d{6}Z(?:-\d+)?|\b(?:[0-9a-fA-F]{2}:){7,}[0-9a-fA-F]{2}"
    r"|\b[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}\b|\b[0-9a-fA-F]{12,}\b"
    r"|(?<!\S)[\w-]{40}(?!\S)|127\.0\.0\.1:\d+|\b\d+\.\d+ (?:s|MB)\b"
    r"|just now|\d+ minut(?:es? ago|…)"
)


class Recipe(NamedTuple):
    """A question of the page, its commands and their output."""

    question: str
    script: str
    output: str


def recipes() -> list[Recipe]:
    """The questions of the page, in order."""
    found = []
    for section in PAGE.read_text().split("\n## ")[1:]:
        question = section.splitlines()[0]
        blocks = re.findall(r"^```sh\n(.*?)^```\n\n```text\n(.*?)^```$", section, re.M | re.S)
        found += [Recipe(question, script, output) for script, output in blocks]
    return found


def shape(output: str) -> list[list[str]]:
    """The words of each line, with a star for each part that differs between runs. Rows are in the
    order of their IDs, which are random, so the lines have no order here."""
    return sorted(VARIABLE.sub("*", line).split() for line in output.splitlines())


def written(recipe: Recipe, output: str) -> None:
    """Checks that the page has the output, or writes it."""
    if shape(output) == shape(recipe.output):
        return
    if os.environ.get("CERTGATE_WRITE_DOCS") == "1":
        old = f"```sh\n{recipe.script}```\n\n```text\n{recipe.output}```\n"
        text = PAGE.read_text()
        assert text.count(old) == 1, recipe
        PAGE.write_text(text.replace(old, f"```sh\n{recipe.script}```\n\n```text\n{output}```\n"))
        return
    raise AssertionError(
        f"docs/cookbook.md, {recipe.question!r}: set CERTGATE_WRITE_DOCS=1.\n{output}"
    )


class Terminal:
    """A user's shell in a directory."""

    def __init__(self, directory: Path, **variables: str) -> None:
        programs = directory / "programs"
        programs.mkdir()
        (programs / "certgate").symlink_to(CERTGATE)
        self.directory = directory
        self.variables = environment(NO_COLOR="1", TERM="xterm", **variables)
        self.variables["PATH"] = f"{programs}:{self.variables['PATH']}"
        self.variables.pop("COLUMNS", None)

    def succeeds(self, script: str) -> str:
        """Runs a script without a terminal, which must succeed. Returns its standard output."""
        done = subprocess.run(
            ["sh", "-eu", "-c", script],
            cwd=self.directory,
            env=self.variables,
            capture_output=True,
            text=True,
            timeout=PATIENCE_SECONDS,
        )
        assert done.returncode == 0, (script, done.stdout, done.stderr)
        return done.stdout

    def run(self, script: str, typed: str = "") -> str:
        """Runs a script. `typed` is the answer to the question of a command."""
        ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        process = subprocess.Popen(
            ["sh", "-u", "-c", script],
            cwd=self.directory,
            env=self.variables,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
        )
        os.close(theirs)
        shown = b""
        try:
            while True:
                try:
                    more = os.read(ours, 4096)
                except OSError:  # every writer has closed its end
                    break
                if not more:
                    break
                shown += more
                if typed and b": " in shown.split(b"\n")[-1] and b"Type " in shown:
                    os.write(ours, f"{typed}\n".encode())
                    typed = ""
            process.wait(PATIENCE_SECONDS)
        finally:
            process.kill()
            process.wait()
            os.close(ours)
        text = DRAWN.sub("", shown.decode())
        return CONTROLS.sub("", text)
