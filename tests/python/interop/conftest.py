"""A server with the addresses that its certificates name, and a fleet of random states."""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest

from kit.estate import ALGORITHMS, CERTIFICATES, SEED, Ca
from kit.harness import KEYS, Server, eventually, free_port, openssl


@pytest.fixture(scope="session")
def fleet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[Ca]]:
    """CAs of every kind whose certificates are good, revoked or restored, at random."""
    directory = tmp_path_factory.mktemp("fleet")
    # The addresses in the certificates lead to this server.
    port = free_port()
    server = Server(directory / "data", "--public-url", f"http://127.0.0.1:{port}")
    server.public_listen = f"127.0.0.1:{port}"
    server.start()
    choice = random.Random(SEED)
    try:
        key = directory / "key.pem"
        new = ["req", "-new", *KEYS["P-256"], "-nodes", "-keyout", key, "-subj", "/O=A/CN=device"]
        csr = openssl(*new)
        cas = []
        # One after another: the server closes a connection that is silent for long.
        for algorithm in ALGORITHMS:
            ca = Ca(server, algorithm, directory / algorithm)
            for _ in range(CERTIFICATES):
                ca.change(ca.issue(csr), choice)
            eventually(f"the changes of {ca.algorithm} settle", ca.settled)
            ca.api.close()
            cas.append(ca)
        yield cas
        server.stop()
    finally:
        server.kill()
