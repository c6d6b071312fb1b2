"""The Debian package, in a Debian of debootstrap: installed, started, upgraded and purged."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.debian import Debian, Service
from kit.deployed import judged
from kit.packages import only, repacked
from kit.upgrade import Earlier


@pytest.fixture(scope="module")
def system(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Debian]:
    root = tmp_path_factory.mktemp("debian") / "root"
    proc = root / "proc"
    made = Debian(root)
    subprocess.run(["mount", "-t", "proc", "proc", proc], check=True)
    yield made
    subprocess.run(["umount", proc], check=True)
    shutil.rmtree(root)


def test_lintian_finds_nothing() -> None:
    assert (
        judged(
            "lintian",
            "--allow-root",
            "--fail-on=error,warning",
            "--tag-display-limit=0",
            only("*.deb"),
        )
        == ""
    )


def test_the_package_is_installed_started_upgraded_and_purged(
    system: Debian, tmp_path: Path
) -> None:
    package = only("*.deb")
    before = system.files()
    system.install(repacked(package, tmp_path, "0.1.0-1", "# Of the earlier version.\n"))
    key, settings = system.at("/etc/certgate/master.key"), "/etc/certgate/certgate.toml"
    assert re.fullmatch(r"[0-9a-f]{64}", key.read_text())
    assert system.run("stat", "--format=%U %a", str("/etc/certgate")) == "root 700\n"
    assert system.run("stat", "--format=%U %a", "/etc/certgate/master.key") == "root 600\n"
    assert "certgate" in system.run("getent", "passwd", "certgate", "certgate-authz")
    enabled = system.at("/etc/systemd/system/multi-user.target.wants")
    assert not list(enabled.glob("certgate*")), "the operator starts it"
    assert system.run("certgate", "--version").startswith("certgate ")

    # The data of version 0.1.0, and a configuration of the operator.
    earlier = Earlier(tmp_path / "earlier")
    key.write_text((earlier.data / "master.key").read_text())
    shutil.copytree(earlier.data, system.at("/var/lib/certgate"), dirs_exist_ok=True)
    system.run("chown", "--recursive", "certgate:certgate", "/var/lib/certgate")
    system.at("/var/lib/certgate").chmod(0o700)
    system.at("/var/lib/certgate/master.key").unlink()
    system.at(settings).write_text('log_format = "json"\n')
    calls = system.has_systemd()
    told = system.install(package)
    assert "0.1.0-1" in told, told
    restarted = re.findall(r"try-restart (.*)", calls.read_text())
    assert len(restarted) == 1 and "certgate.service" in restarted[0], calls.read_text()
    assert "socket" not in restarted[0], "clients connect during the upgrade"
    assert system.at(settings).read_text() == 'log_format = "json"\n', "dpkg keeps it"
    assert key.read_text() == (earlier.data / "master.key").read_text()

    service = Service(system)
    service.made = earlier.installation
    for _ in range(2):
        service.start()
        try:
            earlier.is_served_by(service)
            assert json.loads(service.log.splitlines()[0]), "it reads certgate.toml"
            service.stop()
        finally:
            service.kill()
        service.is_intact()

    calls.write_text("")
    system.run("apt-get", "remove", "--yes", "certgate")
    assert "stop certgate.service certgate-authz.service" in calls.read_text(), calls.read_text()
    assert not system.at("/usr/bin/certgate").exists()
    told = system.run("apt-get", "purge", "--yes", "certgate")
    assert "rm -r /var/lib/certgate /etc/certgate" in told, told
    assert system.at("/var/lib/certgate/certgate.db").exists() and key.exists()
    system.run("rm", "-r", "/var/lib/certgate", "/etc/certgate")

    system.install(package)
    system.run("apt-get", "purge", "--yes", "certgate")
    left = {path for path in system.files() - before if "certgate" in path}
    assert left == set()
