"""A data directory that version 0.1.0 made, with the answers that it gave."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from kit.audit import USER_LOG
from kit.backups import settled, talking
from kit.harness import Api, Server, eventually
from kit.installation import STATUSES, Estate
from kit.metrics import Metrics

ARCHIVE = Path(__file__).parents[1] / "storage/upgrade/0.1.0.tar.xz"

# The statuses of changes that waited for an enforcement point. Its lease has ended since.
SETTLED = {"pending_revocation": "revoked", "pending_reactivation": "active"}


class Earlier:
    """A copy of the data directory."""

    def __init__(self, directory: Path) -> None:
        directory.mkdir()
        unpack = ["tar", "--extract", "--file", ARCHIVE, "--directory", directory]
        subprocess.run(unpack, check=True)
        self.data, self.backup = directory / "data", directory / "backup.db"
        self.said = json.loads((directory / "said.json").read_text())
        self.installation: dict[str, str] = self.said["installation"]

    def certificates(self, zone: str) -> list[dict[str, Any]]:
        """Returns the certificates that a zone has after pending changes have settled."""
        everything = self.said["answers"][zone]["all"][1]
        return [one | {"status": SETTLED.get(one["status"], one["status"])} for one in everything]

    def is_served_by(self, server: Server) -> None:
        """Compares all that the server says with all that version 0.1.0 said."""
        with talking(server) as api:
            settled(api)
            eventually(
                "every certificate is indexed",
                lambda: Metrics(server).values["certgate_certificates_unindexed"] == 0,
            )
        estate, before = Estate.recorded(server, self.said["estate"]), self.said["answers"]
        now = estate.said(server)
        for zone in estate.zones:
            known = self.certificates(zone)
            for status in STATUSES:
                expected = [one for one in known if status in ("all", one["status"])]
                total, listed = now[zone][status]
                assert (total, len(listed)) == (len(expected), len(expected)), (zone, status)
                contains(listed, expected, f"{zone} {status}")
            there = Api(server.port, server.token, zone)
            summary = there.call("GET", f"/certgate/v1/zones/{zone}/summary").result
            there.close()
            assert summary["uncounted"] == 0
            counted = {status: now[zone][status][0] for status in STATUSES if status != "all"}
            assert summary["totals"] == counted
        for name in ("/client/v4/accounts", "/client/v4/zones", "of the reader"):
            contains(now[name], before[name], name)
        contains(*map(without_groups, (now["tokens"], before["tokens"])), "tokens")
        # A token with every permission group gets those that are new.
        for token, then in zip(now["tokens"], before["tokens"], strict=True):
            assert groups(then) <= groups(token), token["name"]
        # Later entries follow those of then.
        contains(now["user log"][: len(before["user log"])], before["user log"], USER_LOG)
        for account in estate.accounts:
            log, uploaded, cas, *_ = now[account]
            log_then, uploaded_then, cas_then, *_ = before[account]
            contains(log[: len(log_then)], log_then, "audit log")
            contains(uploaded, uploaded_then, "uploaded certificates")
            contains(cas, cas_then, "CAs")
        reasons = before["ocsp"]
        assert {name: now["ocsp"][name] for name in reasons} == reasons


def groups(token: dict[str, Any]) -> set[str]:
    return {group["id"] for policy in token["policies"] for group in policy["permission_groups"]}


def without_groups(tokens: list[dict[str, Any]]) -> list[dict[str, Any]]:
    left_out = "permission_groups"
    return [
        token
        | {
            "policies": [
                {name: value for name, value in policy.items() if name != left_out}
                for policy in token["policies"]
            ]
        }
        for token in tokens
    ]


def contains(now: Any, before: Any, path: str) -> None:
    """Fails unless `now` has each value of `before`. Objects may have more members."""
    if isinstance(before, dict):
        for name, value in before.items():
            assert name in now, f"{path}.{name} is missing"
            contains(now[name], value, f"{path}.{name}")
    elif isinstance(before, list):
        assert len(now) == len(before), f"{path}: {len(before)} became {len(now)}"
        for index, value in enumerate(before):
            contains(now[index], value, f"{path}[{index}]")
    else:
        assert now == before, path
