"""The files of a release: made for tests, or those that `cargo xtask dist` made."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

from kit.deployed import judged
from kit.harness import CERTGATE, REPOSITORY


def only(pattern: str, directory: Path | None = None) -> Path:
    """Returns the single file of this kind, of the release if no directory is named."""
    (found,) = (directory or Path(os.environ["CERTGATE_TEST_PACKAGES"])).glob(pattern)
    return found


def make(directory: Path, executable: Path) -> Path:
    """Makes the files of a release with an executable."""
    xtask = CERTGATE.with_name("xtask")
    made = ["dist", "--executable", executable, "--output", directory]
    done = subprocess.run(
        [xtask, *made], cwd=REPOSITORY, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return directory


def repacked(package: Path, directory: Path, version: str, settings: str = "") -> Path:
    """Returns the package with another version, and more lines in its default configuration."""
    tree, made = directory / "tree", directory / f"certgate_{version}_amd64.deb"
    judged("dpkg-deb", "--raw-extract", package, tree)
    control = tree / "DEBIAN/control"
    control.write_text(re.sub(r"(?m)^Version: .*$", f"Version: {version}", control.read_text()))
    with (tree / "etc/certgate/certgate.toml").open("a") as file:
        file.write(settings)
    judged("dpkg-deb", "--build", "--root-owner-group", "-Znone", tree, made)
    return made
