"""The package and the archive, made from the executable of the tests: their contents."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
import tarfile
import tomllib
from pathlib import Path

from kit.deployed import judged
from kit.harness import CERTGATE, REPOSITORY
from kit.machine import Machine
from kit.packages import make, only
from kit.pages import commands

VERSION = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["workspace"]["package"]["version"]


def test_the_package_has_what_a_service_needs(made: Path, tmp_path: Path) -> None:
    package = only("*.deb", made)
    listed = judged("dpkg-deb", "--contents", package)
    modes = {line.split()[-1]: line.split()[:2] for line in listed.splitlines()}
    for path, mode in {
        "./usr/bin/certgate": "-rwxr-xr-x",
        "./etc/certgate/": "drwx------",
        "./etc/certgate/certgate.toml": "-rw-------",
        "./lib/systemd/system/certgate.service": "-rw-r--r--",
        "./lib/systemd/system/certgate-authz.service": "-rw-r--r--",
        "./lib/systemd/system/certgate-renew.timer": "-rw-r--r--",
        "./usr/lib/sysusers.d/certgate.conf": "-rw-r--r--",
        "./usr/share/bash-completion/completions/certgate": "-rw-r--r--",
        "./usr/share/man/man1/certgate.1.gz": "-rw-r--r--",
        "./usr/share/man/man1/certgate-serve.1.gz": "-rw-r--r--",
        "./usr/share/doc/certgate/docs/install.md": "-rw-r--r--",
    }.items():
        assert modes.get(path) == [mode, "root/root"], path
    tree = tmp_path / "tree"
    judged("dpkg-deb", "--extract", package, tree)
    units = "".join(path.read_text() for path in (tree / "lib/systemd/system").iterdir())
    assert "/usr/bin/certgate serve" in units and "/usr/local" not in units
    assert judged("dpkg-deb", "--field", package, "Version") == f"{VERSION}-1\n"
    depends = judged("dpkg-deb", "--field", package, "Depends")
    assert "libc6 (>= " in depends and "systemd" in depends
    kept = subprocess.run(
        ["dpkg-deb", "--info", package, "conffiles"], capture_output=True, text=True
    )
    assert kept.stdout == "/etc/certgate/certgate.toml\n"


def test_the_archive_has_the_program_its_pages_and_completions(made: Path) -> None:
    with tarfile.open(only("*.tar.gz", made)) as archive:
        members = {member.name: member for member in archive.getmembers()}
    top = f"certgate-{VERSION}"
    assert members[f"{top}/certgate"].mode == 0o755
    names = ("man/certgate.1", "completions/_certgate", "LICENSE-MIT", "docs/README.md")
    for name in (*names, "deploy/systemd/certgate.service", "certgate.cdx.json"):
        assert members[f"{top}/{name}"].mode == 0o644, name
    assert {(member.uid, member.gid) for member in members.values()} == {(0, 0)}
    assert len({member.mtime for member in members.values()}) == 1


def test_the_checksums_are_right(made: Path) -> None:
    lines = (made / "SHA256SUMS").read_text().splitlines()
    listed = dict(reversed(line.split("  ", 1)) for line in lines)
    assert set(listed) == {path.name for path in made.iterdir()} - {"SHA256SUMS"}
    for name, digest in listed.items():
        assert hashlib.sha256((made / name).read_bytes()).hexdigest() == digest


def test_the_same_files_have_the_same_bytes(tmp_path: Path) -> None:
    # A small program, which is packed in seconds.
    script = tmp_path / "certgate"
    script.write_text(f'#!/bin/sh\nexec {CERTGATE} "$@"\n')
    script.chmod(0o755)
    first, second = (make(tmp_path / name, script) for name in ("first", "second"))
    assert (first / "SHA256SUMS").read_text() == (second / "SHA256SUMS").read_text()


def test_the_list_of_components_is_complete(made: Path) -> None:
    document = json.loads(only("*.cdx.json", made).read_text())
    assert (document["bomFormat"], document["specVersion"]) == ("CycloneDX", "1.5")
    root = document["metadata"]["component"]
    assert (root["name"], root["version"]) == ("certgate", VERSION)
    references = {component["bom-ref"] for component in document["components"]}
    assert len(references) == len(document["components"]) and root["bom-ref"] not in references
    for entry in document["dependencies"]:
        assert {*entry["dependsOn"], entry["ref"]} <= references | {root["bom-ref"]}
    # cargo lists the same crates, with their versions.
    tree = ["cargo", "tree", "--locked", "--offline", "--package", "certgate", "--prefix", "none"]
    listed = judged(*tree, "--edges", "normal", "--format", "{p}", cwd=REPOSITORY)
    linked = set(re.findall(r"(?m)^(\S+) v(\S+)", listed))
    found = {(one["name"], one["version"]) for one in [*document["components"], root]}
    assert linked == found, linked ^ found
    assert all("licenses" in component for component in document["components"])


def test_the_archive_is_installed_as_the_page_says(made: Path, tmp_path: Path) -> None:
    """docs/install.md"""
    package, _, archive, *_ = commands("docs/install.md")
    assert package == f"apt install ./{only('*.deb', made).name} curl\n"
    machine = Machine(tmp_path)
    try:
        machine.run(archive, made)
        assert machine.run("/usr/local/bin/certgate --version") == f"certgate {VERSION}\n"
        pages = "/usr/local/share/man/man1/certgate-serve.1"
        assert "certgate" in machine.run(f"cat {pages}")
        completions = "/usr/local/share/bash-completion/completions/certgate"
        assert "complete -F" in machine.run(f"cat {completions}")
    finally:
        machine.stop()
