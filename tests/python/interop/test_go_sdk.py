"""Cloudflare's Go SDK, versions 6 and 7: every method that certgate has a route for."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from kit import clients
from kit.harness import KEYS, REPOSITORY, Server, environment, make_csr, needs, openssl
from kit.judges import PROGRAMS, compiled, run

SOURCE = REPOSITORY / "tests/go/sdk"

# Results of methods, and of the checks of their values.
RESULTS = 60


def build(version: int) -> Path:
    """Compiles the program in tests/go/sdk with a version of the SDK."""
    directory = PROGRAMS / f"sdk{version}"
    directory.mkdir(parents=True, exist_ok=True)
    for file in ("go.mod", "go.sum"):
        shutil.copy(SOURCE / file, directory / file)
    text = (SOURCE / "main.go").read_text()
    (directory / "main.go").write_text(
        text.replace("cloudflare-go/v7/", f"cloudflare-go/v{version}/")
    )
    compiled(needs("go"), "build", "-mod=readonly", "-o", "sdk", ".", cwd=directory)
    return directory / "sdk"


@pytest.mark.parametrize("version", [6, 7])
def test_every_method(server: Server, tmp_path: Path, version: int) -> None:
    ca = openssl(
        "req", "-x509", *KEYS["P-256"], "-nodes", "-keyout", tmp_path / "key", "-subj", "/CN=ca"
    )
    said = run(
        build(version),
        **environment(
            API=f"{server.url}/client/v4/",
            TOKEN=server.token,
            ZONE=server.zone_id,
            ACCOUNT=server.made["account_id"],
            CSR=make_csr(tmp_path),
            CA=ca,
        ),
    )
    failed = [line for line in said.splitlines() if not line.endswith(": ok")]
    assert not failed
    assert len(said.splitlines()) >= RESULTS
    (pinned,) = re.findall(rf"cloudflare-go/v{version} (v\S+)", (SOURCE / "go.mod").read_text())
    methods = (
        "every method of client certificates, hostname associations, mTLS certificates, tokens, "
        "zones, accounts, user and memberships"
    )
    clients.works(f"cloudflare-go {version}", pinned, methods)
    clients.works(f"cloudflare-go {version}", pinned, "automatic paging during revocations")
