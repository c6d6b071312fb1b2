"""Tasks that end by a defect: one runs again, and one that cannot ends the process."""

from __future__ import annotations

import http.client
from pathlib import Path

from kit.harness import MakeServer, eventually
from kit.metrics import Metrics


def test_a_settler_that_panics_is_named_and_runs_again(
    make_server: MakeServer, csr: str, tmp_path: Path
) -> None:
    armed = tmp_path / "fault-point"
    server = make_server(start=False).start(FAULT_POINT_FILE=str(armed))
    api = server.api()
    certificate = api.issue(csr).result["id"]
    restarts = 'certgate_task_restarts_total{task="settler"}'
    assert Metrics(server).values[restarts] == 0
    # Each run panics, so that the pauses grow.
    armed.write_text("SettlingBegun * panic")
    assert api.revoke(certificate).result["status"] == "pending_revocation"
    eventually(
        "/readyz names it",
        lambda: (a := api.call("GET", "/readyz")).status == 503
        and "settler" in a.error["message"],
    )
    assert api.call("GET", "/healthz").status == 200
    assert api.issue(csr).status == 200, "everything else goes on"
    armed.unlink()
    api.settled(certificate, "revoked")
    eventually("it is ready", lambda: api.call("GET", "/readyz").status == 200)
    assert Metrics(server).values[restarts] > 0
    assert "the fault point SettlingBegun" in server.log and "restarts after a pause" in server.log
    api.close()
    # The log has a panic, which other tests forbid.
    server.terminate()
    assert server.process and server.process.wait() == 0
    server.kill()


def test_a_store_writer_that_panics_ends_the_process_and_loses_nothing(
    make_server: MakeServer, csr: str, tmp_path: Path
) -> None:
    armed = tmp_path / "fault-point"
    server = make_server(start=False).start(FAULT_POINT_FILE=str(armed))
    api = server.api()
    kept = api.issue(csr).result
    # A commit of a background job may pass the point first.
    for point, stored in (("BeforeCommit", (0,)), ("Committed", (0, 1))):
        before = api.total()
        armed.write_text(f"{point} 1 panic")
        try:
            assert api.issue(csr).status in (500, 503)
        except (OSError, http.client.HTTPException):
            pass
        server.failed()
        armed.unlink()
        assert "store writer" in server.log and f"the fault point {point}" in server.log
        api.close()
        server.is_intact()
        api = server.start(FAULT_POINT_FILE=str(armed)).api()
        assert api.get(kept["id"]).result == kept
        assert api.total() - before in stored
    api.close()
    server.terminate()
    assert server.process and server.process.wait() == 0
    server.kill()
