"""The metrics of a server, read from /metrics."""

from __future__ import annotations

import re
import urllib.request

from kit.harness import REPOSITORY, Server

MONITORING = REPOSITORY / "docs/monitoring.md"


class Metrics:
    """The metrics of a server at one instant."""

    def __init__(self, server: Server) -> None:
        with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/metrics") as answer:
            text = answer.read().decode()
        self.types: dict[str, str] = dict(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))
        self.help: dict[str, str] = dict(re.findall(r"^# HELP (\w+) (.+)$", text, re.MULTILINE))
        self.values: dict[str, float] = {}
        self.labels: dict[str, set[str]] = {name: set() for name in self.types}
        for series, name, labels, value in re.findall(
            r"^((\w+)(?:\{(.*)\})?) (\S+)$", text, re.MULTILINE
        ):
            self.values[series] = float(value)
            family = name if name in self.types else re.sub(r"_(bucket|sum|count)$", "", name)
            self.labels[family] |= set(re.findall(r'(\w+)="', labels)) - {"le"}
