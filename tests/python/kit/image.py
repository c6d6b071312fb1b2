"""The container file, by its steps."""

from __future__ import annotations

import json
from typing import Any

from dockerfile_parse import DockerfileParser

from kit.deployed import DEPLOY

CONTAINERFILE = DEPLOY / "container/Containerfile"


def containerfile() -> list[dict[str, Any]]:
    parser = DockerfileParser(fileobj=CONTAINERFILE.open("rb"))
    return [step for step in parser.structure if step["instruction"] != "COMMENT"]


def steps() -> list[tuple[str, str]]:
    return [(step["instruction"], step["value"]) for step in containerfile()]


def last_stage() -> list[tuple[str, str]]:
    """Returns the steps that make the image itself."""
    everything = steps()
    return everything[max(at for at, step in enumerate(everything) if step[0] == "FROM") :]


def entry() -> list[str]:
    """Returns the program that the image runs."""
    (words,) = (value for instruction, value in last_stage() if instruction == "ENTRYPOINT")
    return json.loads(words)
