"""A Debian system in a directory, in which packages are installed as a user does."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

from kit.deployed import Unit, judged
from kit.harness import Server, environment

MINUTES = 60


class Debian:
    """A small Debian without a running systemd. Needs root, and a mirror."""

    def __init__(self, root: Path) -> None:
        self.root = root
        release = dict(
            line.split("=", 1) for line in Path("/etc/os-release").read_text().splitlines()
        )
        judged_long("debootstrap", "--variant=minbase", release["VERSION_CODENAME"], root, mirror())
        # As in a container: nothing may start a service.
        policy = root / "usr/sbin/policy-rc.d"
        policy.write_text("#!/bin/sh\nexit 101\n")
        policy.chmod(0o755)
        self.run("apt-get", "update")

    def at(self, path: str) -> Path:
        return self.root / path.lstrip("/")

    def run(self, *command: str) -> str:
        """Runs a command that must succeed. Returns both of its outputs."""
        done = self.tried(*command)
        assert done.returncode == 0, f"{command}: {done.stdout}"
        return done.stdout

    def tried(self, *command: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            ["chroot", self.root, *command],
            env=environment(DEBIAN_FRONTEND="noninteractive", LC_ALL="C.UTF-8"),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=10 * MINUTES,
        )

    def fetch(self, package: Path, *names: str) -> None:
        """Downloads what a package and others need, for a machine without a network."""
        shutil.copy(package, self.at("/root"))
        wanted = [f"/root/{package.name}", *names]
        self.run("apt-get", "install", "--yes", "--download-only", *wanted)
        # The operator says yes.
        self.at("/etc/apt/apt.conf.d/90yes").write_text('APT::Get::Assume-Yes "true";\n')

    def install(self, package: Path) -> str:
        shutil.copy(package, self.at("/tmp/certgate.deb"))
        # dpkg asks about a configuration that both sides have changed.
        kept = ["-o", "Dpkg::Options::=--force-confold"]
        return self.run("apt-get", "install", "--yes", *kept, "/tmp/certgate.deb")

    def files(self) -> set[str]:
        """Returns the paths that packages make, without the records of dpkg and apt."""
        ignored = ("/var/lib/dpkg/", "/var/cache/", "/var/log/", "/tmp/", "/run/", "/var/lib/apt/")
        paths = self.run("find", "/", "-xdev").splitlines()
        return {path for path in paths if not path.startswith(ignored)}

    def has_systemd(self) -> Path:
        """Lets packages find a running systemd. Returns the file with the calls of systemctl."""
        calls = self.at("/tmp/systemctl.log")
        calls.touch()
        systemctl = self.at("/usr/bin/systemctl")
        systemctl.write_text('#!/bin/sh\necho "$*" >> /tmp/systemctl.log\n')
        self.at("/run/systemd/system").mkdir(parents=True)
        self.at("/usr/sbin/policy-rc.d").unlink()
        return calls


class Service(Server):
    """The service of the installed package, started as its unit says."""

    def __init__(self, system: Debian) -> None:
        super().__init__(system.at("/var/lib/certgate"), init=None)
        self.system = system
        self.log_path = system.at("/tmp/certgate.log")
        self.unit = Unit(system.at("/lib/systemd/system/certgate.service"))

    def command(self) -> list[str]:
        """Passes the credentials as systemd does: copies of root's files that the user may read."""
        credentials = "/run/credentials/certgate.service"
        self.system.run("install", "-d", "-m", "0750", "-g", "certgate", credentials)
        for name, file in self.unit.credentials().items():
            copied = ["-m", "0440", "-g", "certgate", file, f"{credentials}/{name}"]
            self.system.run("install", *copied)
        self.variables = self.unit.environment(credentials, "/var/lib")
        user, group = self.unit.one("User"), self.unit.one("Group")
        addresses = ["--listen=127.0.0.1:0", "--public-listen=127.0.0.1:0"]
        words = [*self.unit.one("ExecStart").split(), *addresses]
        return ["chroot", f"--userspec={user}:{group}", str(self.system.root), *words]

    def secrets_are_kept(self) -> None:
        key = self.system.at("/etc/certgate/master.key").read_text().strip()
        for secret in (self.token, key, "PRIVATE KEY", "panicked"):
            assert secret not in self.log, self.log

    def is_intact(self) -> None:
        key = self.system.at("/etc/certgate/master.key").read_text().strip()
        told = self.system.run(
            "setpriv",
            "--reuid=certgate",
            "--regid=certgate",
            "--clear-groups",
            "env",
            f"CERTGATE_MASTER_KEY={key}",
            "certgate",
            "check",
            "--data-dir=/var/lib/certgate",
        )
        assert "no problems found" in told, told


def mirror() -> str:
    """Returns the mirror of this machine."""
    listed = judged("apt-get", "indextargets", "--format", "$(REPO_URI)")
    return next(line for line in listed.split() if "security" not in line)


def judged_long(*command: str | Path) -> None:
    done = subprocess.run(
        [*map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=20 * MINUTES,
        env=os.environ | {"LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}"
