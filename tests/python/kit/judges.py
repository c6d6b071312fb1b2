"""Judges that are not written by us: Go's libraries and Java, compiled once."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
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

BOUNCYCASTLE = "1.84"

# `bcpkix` has org.bouncycastle.est, and needs the others.
JARS = {
    "bcpkix-jdk18on": "c87f16ed9e5ec61bc94151e9f3646ac44e50cd448121ce84367fa4b7ec7ec1bb",
    "bcprov-jdk18on": "64d6c5a6121fcd927152dd182cbed39afe0fda641a970d9bcc0c9cb1858b2731",
    "bcutil-jdk18on": "b374e16963421fb9cfb01cc20d7ad8fd2f8b8188e3eef0ec0a8965e245f7619a",
}


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


def jar(artifact: str, sha256: str) -> Path:
    """Returns a pinned artifact `group:name:version` of Maven Central."""
    _, name, version = artifact.split(":")
    file = PROGRAMS / "jars" / f"{name}-{version}.jar"
    if not file.exists():
        copy = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy"
        fetched = PROGRAMS / f"fetched-{name}-{os.getpid()}"
        flags = [f"-Dartifact={artifact}", f"-DoutputDirectory={fetched}"]
        run(needs("mvn"), "-q", "-B", copy, *flags, timeout=COMPILE_SECONDS)
        file.parent.mkdir(exist_ok=True)
        (fetched / file.name).replace(file)
        shutil.rmtree(fetched)
    assert hashlib.sha256(file.read_bytes()).hexdigest() == sha256, file
    return file


@cache
def bouncycastle() -> str:
    """Compiles the EST client in tests/java/est. Returns its class path."""
    jars = [jar(f"org.bouncycastle:{name}:{BOUNCYCASTLE}", pin) for name, pin in JARS.items()]
    classes = PROGRAMS / "est"
    path = ":".join(map(str, jars))
    source = REPOSITORY / "tests/java/est/Est.java"
    compiled(needs("javac"), "-cp", path, "-d", classes, source, cwd=REPOSITORY)
    return f"{classes}:{path}"


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
