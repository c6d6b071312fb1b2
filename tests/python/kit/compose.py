"""Stands for `docker compose` in the tests of deploy/compose: no container engine runs there.

Runs each service as a process, with its command, its environment and its files. The processes share
the network of the caller, as the services of the file share one.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

import yaml

from kit.harness import CERTGATE, environment, eventually, needs

# What the container file sets.
DATA_DIR = "/var/lib/certgate"


class Service:
    def __init__(self, name: str, settings: dict[str, Any], state: Path) -> None:
        self.name, self.settings, self.state = name, settings, state
        self.files: dict[str, Path] = {}
        for volume in settings.get("volumes", []):
            source, target = volume.split(":")[:2]
            kept = Path(source).resolve() if source.startswith("./") else state / source
            if not source.startswith("./"):
                kept.mkdir(mode=0o700, exist_ok=True)
            self.files[target] = kept

    def here(self, text: str) -> str:
        """Replaces the paths of the container."""
        for target, kept in self.files.items():
            text = text.replace(target, str(kept))
        return text

    def certgate(self, *arguments: str) -> list[str]:
        return [str(CERTGATE), *map(self.here, arguments)]

    def environment(self) -> dict[str, str]:
        settings = {"CERTGATE_DATA_DIR": DATA_DIR, **self.settings.get("environment", {})}
        return environment(**{name: self.here(value) for name, value in settings.items()})

    def command(self) -> list[str]:
        assert self.settings.get("network_mode", "service:certgate") == "service:certgate"
        if self.settings["image"].startswith("certgate:"):
            words = self.settings.get("command", ["serve"])
            # A file that a path of the container leads to has such paths too.
            for target, kept in self.files.items():
                for path in kept.glob("*.toml"):
                    copy = self.state / path.name
                    copy.write_text(self.here(path.read_text()))
                    words = [word.replace(f"{target}/{path.name}", str(copy)) for word in words]
            return self.certgate(*words)
        (site,) = (kept for kept in self.files.values() if kept.suffix == ".conf")
        folder = self.state / self.name
        folder.mkdir()
        paths = "".join(
            f"{name}_temp_path {folder}/{name};\n"
            for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        configuration = folder / "nginx.conf"
        configuration.write_text(
            f"daemon off; pid {folder}/pid; error_log {folder}/log;\nevents {{}}\n"
            f"http {{ access_log off;\n{paths}{self.here(site.read_text())}\n}}\n"
        )
        return [needs("nginx"), "-p", str(folder), "-c", str(configuration)]

    def up(self) -> None:
        running = self.state / f"{self.name}.pid"
        if running.exists():
            return
        with (self.state / f"{self.name}.log").open("w") as log:
            process = subprocess.Popen(
                self.command(), env=self.environment(), stdout=log, stderr=log
            )
        running.write_text(str(process.pid))
        if self.name == "certgate":
            eventually("certgate answers", lambda: answers("http://127.0.0.1:8787/readyz"))


def answers(address: str) -> bool:
    try:
        return urllib.request.urlopen(address, timeout=5).status == 200
    except OSError:
        return False


def services() -> dict[str, Service]:
    """Returns the services of the file in the working directory, in the order of their start."""
    state = Path(os.environ["CERTGATE_TEST_COMPOSE"])
    described = yaml.safe_load(Path("compose.yaml").read_text())["services"]
    everything = {name: Service(name, value, state) for name, value in described.items()}
    ordered: dict[str, Service] = {}

    def add(name: str) -> None:
        for earlier in described[name].get("depends_on", []):
            add(earlier)
        ordered.setdefault(name, everything[name])

    for name in described:
        add(name)
    return ordered


def stop(state: Path) -> None:
    """Ends every process."""
    for file in state.glob("*.pid"):
        os.kill(int(file.read_text()), signal.SIGTERM)


def main(words: list[str]) -> int:
    assert words[0] == "compose", words
    found = services()
    match words[1:]:
        case ["up", "--detach", *names]:
            for service in found.values():
                if service.name in names or not names:
                    service.up()
            return 0
        case ["run", "--rm", "-T", name, *arguments]:
            pass
        case ["exec", "-T", name, "certgate", *arguments]:
            pass
        case other:
            raise AssertionError(f"unknown: {other}")
    service = found[name]
    return subprocess.run(service.certgate(*arguments), env=service.environment()).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
