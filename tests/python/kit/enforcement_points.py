"""A client of the API for enforcement points."""

from __future__ import annotations

from typing import Any

from kit.harness import Api, Server


def of_certificates(told: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the changes of certificates, without those of hostnames and CAs."""
    return [change for change in told["changes"] if "configuration" not in change]


class Points:
    def __init__(self, server: Server, api: Api) -> None:
        self.api, self.base = api, f"/certgate/v1/accounts/{server.made['account_id']}"

    def register(self, name: str, lease_seconds: int) -> dict[str, Any]:
        body = {"name": name, "lease_seconds": lease_seconds}
        return self.api.call("POST", f"{self.base}/enforcement_points", body).result

    def changes(self, after: int) -> dict[str, Any]:
        return self.api.call(
            "GET", f"{self.base}/revocation_changes?after={after}&wait_seconds=20"
        ).result

    def acknowledge(self, point: dict[str, Any], epoch: int) -> None:
        path = f"{self.base}/enforcement_points/{point['id']}/acknowledgement"
        self.api.call("PUT", path, {"epoch": epoch})
