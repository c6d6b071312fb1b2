"""The commands of README.md and docs/, in a shell or on a terminal, and their output in the page.

A test runs each command of a page in its order and compares the output with the page. IDs, times
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
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from kit.harness import CERTGATE, PATIENCE_SECONDS, REPOSITORY, Server, environment

# Separates the outputs of the blocks of one script.
MARK = "---- next block ----"

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


def blocks(page: str, after: str = "", before: str = "\f") -> list[tuple[str, str]]:
    """The language and text of each code block of a page, or of its part between two headings."""
    text = (REPOSITORY / page).read_text()
    part = text.split(f"{after}\n", 1)[1].split(f"\n{before}\n", 1)[0]
    found = re.findall(r"^( *)```(\w+)$\n(.*?)^ *```$", part, re.MULTILINE | re.DOTALL)
    # A block in a list is indented.
    return [(language, re.sub(rf"(?m)^{indent}", "", text)) for indent, language, text in found]


def commands(page: str) -> list[str]:
    """The shell scripts of a page."""
    return [text for language, text in blocks(page) if language == "sh"]


def programs(directory: Path) -> str:
    """Makes a folder with the program `certgate`. Returns the PATH with it in front."""
    folder = directory / "programs"
    folder.mkdir(exist_ok=True)
    if not (folder / "certgate").exists():
        (folder / "certgate").symlink_to(CERTGATE)
    return f"{folder}:{os.environ['PATH']}"


def run(server: Server, *scripts: str, **more: str) -> list[str]:
    """Runs shell scripts one after the other in one shell. Returns the output of each."""
    directory = server.directory.parent
    variables = environment(**more)
    variables["PATH"] = programs(directory)
    script = f"\necho '{MARK}'\n".join(scripts)
    script = script.replace(":8787", f":{server.port}").replace(":8788", f":{server.public_port}")
    done = subprocess.run(
        ["sh", "-eu", "-c", script],
        cwd=directory,
        env=variables,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    outputs = done.stdout.split(f"{MARK}\n")
    assert len(outputs) == len(scripts)
    return outputs


class Recipe(NamedTuple):
    """A question of a page, its commands and their output."""

    question: str
    script: str
    output: str


def recipes(page: str) -> list[Recipe]:
    """The commands of a page that have an output there, in order."""
    found = []
    for section in (REPOSITORY / page).read_text().split("\n## ")[1:]:
        question = section.splitlines()[0]
        shown = re.findall(r"^```sh\n(.*?)^```\n\n```text\n(.*?)^```$", section, re.M | re.S)
        found += [Recipe(question, script, output) for script, output in shown]
    return found


def shape(output: str) -> list[list[str]]:
    """The words of each line, with a star for each part that differs between runs. Rows are in the
    order of their IDs, which are random, so the lines have no order here."""
    return sorted(VARIABLE.sub("*", line).split() for line in output.splitlines())


def written(page: str, recipe: Recipe, output: str) -> None:
    """Checks that the page has the output, or writes it."""
    if shape(output) == shape(recipe.output):
        return
    if os.environ.get("CERTGATE_WRITE_DOCS") == "1":
        old = f"```sh\n{recipe.script}```\n\n```text\n{recipe.output}```\n"
        text = (REPOSITORY / page).read_text()
        assert text.count(old) == 1, recipe
        new = f"```sh\n{recipe.script}```\n\n```text\n{output}```\n"
        (REPOSITORY / page).write_text(text.replace(old, new))
        return
    raise AssertionError(f"{page}, {recipe.question!r}: set CERTGATE_WRITE_DOCS=1.\n{output}")


class Terminal:
    """A user's shell in a directory."""

    def __init__(self, directory: Path, **variables: str) -> None:
        self.directory = directory
        self.variables = environment(NO_COLOR="1", TERM="xterm", **variables)
        self.variables["PATH"] = programs(directory)
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

    def run(
        self, script: str, typed: str = "", heard: Callable[[bytes], None] = lambda _: None
    ) -> str:
        """Runs a script. `typed` is the answer to the question of a command. `heard` gets each
        piece of the output as it comes."""
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
                heard(more)
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
