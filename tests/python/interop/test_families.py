"""Requests of five TLS libraries get certificates that a server of each library accepts."""

from __future__ import annotations

from pathlib import Path

import pytest

from kit import clients
from kit.families import LIMITS, MAKERS, SERVERS, Request, version
from kit.harness import Server, openssl
from kit.proxies import Client


@pytest.fixture(scope="module")
def issued(
    shared: Server, tmp_path_factory: pytest.TempPathFactory
) -> list[tuple[Request, Client]]:
    directory = tmp_path_factory.mktemp("families")
    requests = [request for maker in MAKERS.values() for request in maker(directory)]
    # Keys take seconds, and the server closes a connection that is silent for so long.
    api = shared.api()
    made = []
    for number, request in enumerate(requests):
        answer = api.issue(request.csr)
        assert answer.status == 200, (request.family, request.kind, answer.text)
        file = directory / f"{number}.pem"
        file.write_text(answer.result["certificate"] + "\n")
        made.append((request, Client(file, request.key)))
    api.close()
    return made


def test_each_request_gets_a_certificate_for_its_key(
    issued: list[tuple[Request, Client]],
) -> None:
    assert {request.family for request, _ in issued} == set(MAKERS)
    for request, client in issued:
        shown = openssl("x509", "-in", client.certificate, "-noout", "-pubkey", "-subject")
        public = openssl("pkey", "-in", client.key, "-pubout")
        assert shown.startswith(public), (request.family, request.kind)
        assert "O = A" in shown and request.family.replace(" ", "").lower() in shown.lower()


@pytest.mark.parametrize("family", list(SERVERS))
def test_a_server_accepts_each_certificate(
    issued: list[tuple[Request, Client]], shared: Server, family: str, tmp_path: Path
) -> None:
    account = shared.made["account_id"]
    api = shared.api()
    path = f"/certgate/v1/accounts/{account}/managed_authority"
    authority = api.call("GET", path).result["certificate"] + "\n"
    api.close()
    # A certificate of another CA, which each server must refuse.
    stranger = Client(tmp_path / "stranger.pem", tmp_path / "stranger.key")
    new = ["-newkey", "rsa:2048", "-nodes", "-keyout", stranger.key, "-subj", "/O=A/CN=stranger"]
    stranger.certificate.write_text(openssl("req", "-x509", *new))
    with SERVERS[family](tmp_path / "server", authority, None) as server:
        refused = {
            f"{request.family} {request.kind}": client.asks(server.port)
            for request, client in issued
            if not client.is_let_in(server.port) and request.kind not in LIMITS.get(family, set())
        }
        assert not refused, server.log.read_text(errors="replace")[-2000:]
        assert not stranger.is_let_in(server.port)
        # The known limits are still true.
        for request, client in issued:
            if request.kind in LIMITS.get(family, set()):
                assert not client.is_let_in(server.port), (family, request.kind)
    kinds = ", ".join(request.kind for request, _ in issued if request.family == family)
    limit = "".join(f"it does not verify {kind}" for kind in LIMITS.get(family, set()))
    clients.works(family, version(family), f"requests with keys of {kinds}")
    clients.works(family, version(family), "a TLS server that asks for certificates", limit)
