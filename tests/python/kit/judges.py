"""Judges that are not written by us: Go's libraries and Java, compiled once."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any

from kit.harness import REPOSITORY, needs

# Compiled programs: below `target`, which the runner of the tests may keep.
PROGRAMS = REPOSITORY / "target/judges"

# zlint and the standard library of Go take a minute to compile.
COMPILE_SECONDS = 600

# Java is as fast as possible in its first seconds with these.
JAVA = ["-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", "-Xshare:auto"]

# The class that the program keytool starts.
KEYTOOL = ["--add-exports", "java.base/sun.security.tools.keytool=ALL-UNNAMED"]


def compiled(*command: str | Path, cwd: Path) -> None:
    done = subprocess.run(
        [*map(str, command)], cwd=cwd, capture_output=True, text=True, timeout=COMPILE_SECONDS
    )
    assert done.returncode == 0, done.stdout + done.stderr


@cache
def go_judge() -> Path:
    """Builds the program in tests/go/judge. Its modules are pinned by go.sum."""
    program = PROGRAMS / "judge"
    source = REPOSITORY / "tests/go/judge"
    compiled(needs("go"), "build", "-mod=readonly", "-o", program, ".", cwd=source)
    return program


def go_module(name: str) -> str:
    """Returns the version of a module in go.mod."""
    lines = (REPOSITORY / "tests/go/judge/go.mod").read_text().split("\n")
    (version,) = (line.split()[1] for line in lines if line.strip().startswith(f"{name} "))
    return version


def go_verdicts(objects: Iterable[tuple[str, Path, Path | None]]) -> list[dict[str, Any]]:
    """Lets zlint and Go's OCSP library judge objects: kind, file, and file of the issuer."""
    lines = [
        json.dumps({"kind": kind, "file": str(file), "issuer": str(issuer or "")})
        for kind, file, issuer in objects
    ]
    done = subprocess.run(
        [go_judge()], input="\n".join(lines), capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    verdicts = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(verdicts) == len(lines)
    return verdicts


@cache
def java_classes() -> Path:
    """Compiles the programs in tests/java."""
    classes = PROGRAMS / "java"
    sources = sorted((REPOSITORY / "tests/java").glob("*.java"))
    compiled(needs("javac"), *KEYTOOL, "-d", classes, *sources, cwd=REPOSITORY)
    return classes


def java(name: str, *arguments: str | Path, properties: Iterable[str] = ()) -> list[str]:
    """Returns the command line of a program in tests/java."""
    flags = [*JAVA, *KEYTOOL, *(f"-D{one}" for one in properties), "-cp", str(java_classes())]
    return [needs("java"), *flags, name, *map(str, arguments)]


def run(*command: str | Path, timeout: int = 120, **more: str) -> str:
    """Runs a program of others, which must succeed, and returns its output."""
    done = subprocess.run(
        [*map(str, command)],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=os.environ | more,
    )
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout
