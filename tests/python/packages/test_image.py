"""The static executable, in the image that the container file describes."""

from __future__ import annotations

import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.backups import talking
from kit.deployed import USER
from kit.harness import Server, environment
from kit.image import entry, last_stage
from kit.packages import only

MEGABYTE = 1_000_000
STATIC_MAX = 25 * MEGABYTE


def test_the_executables_are_small_enough() -> None:
    assert only("*-static").stat().st_size <= STATIC_MAX


class Image(Server):
    """The image, whose files are those of its last stage and no others."""

    def __init__(self, root: Path, executable: Path) -> None:
        stage = last_stage()
        (settings,) = (value for instruction, value in stage if instruction == "ENV")
        super().__init__(root / "var/lib/certgate", init=None)
        self.root, self.log_path = root, root.with_name("image.log")
        self.variables = dict(pair.split("=", 1) for pair in shlex.split(settings))
        for _, value in (step for step in stage if step[0] == "COPY"):
            *flags, source, target = value.split()
            to = root / target.lstrip("/")
            to.parent.mkdir(parents=True, exist_ok=True)
            match source:
                case "/certgate":
                    to.write_bytes(executable.read_bytes())
                    to.chmod(0o755)
                case "/empty":
                    assert f"--chown={USER}:{USER}" in flags
                    to.mkdir(mode=0o700)
                    subprocess.run(["chown", f"{USER}:{USER}", to], check=True)
                case _:
                    to.write_bytes(Path(source).read_bytes())

    def inside(self, *arguments: str) -> list[str]:
        return ["chroot", f"--userspec={USER}:{USER}", str(self.root), *entry(), *arguments]

    def command(self) -> list[str]:
        return self.inside("serve", "--listen=127.0.0.1:0", "--public-listen=127.0.0.1:0")


@pytest.fixture
def image(tmp_path: Path) -> Iterator[Image]:
    made = Image(tmp_path / "root", only("*-static"))
    yield made
    made.kill()


def test_the_image_runs_with_nothing_but_the_program(image: Image, csr: str) -> None:
    image.start()
    image.adopt()
    with talking(image) as api:
        issued = api.issue(csr).result
        assert api.revoke(issued["id"]).status == 200
        api.settled(issued["id"], "revoked")
        assert api.total() == 1
    image.terminate()
    image.ended(tells_token=True)
    told = answer(image, "check", "--data-dir", "/var/lib/certgate")
    assert told.returncode == 0 and "no problems found" in told.stdout, told.stderr
    version = answer(image, "--version")
    assert re.fullmatch(r"certgate \d+\.\d+\.\d+\n", version.stdout)


def answer(image: Image, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = image.inside(*arguments)
    return subprocess.run(command, env=environment(), capture_output=True, text=True)
