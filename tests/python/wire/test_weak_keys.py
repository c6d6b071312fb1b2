"""Keys whose private key anyone can compute: in requests, uploaded certificates and CAs."""

from __future__ import annotations

import random

import pytest

from kit import weak_keys
from kit.harness import Server
from kit.weak_keys import Key, certificate, private_key, request

# The code of a weak key in a request, an uploaded certificate and an imported CA.
REQUEST, UPLOADED, IMPORTED = 1437, 1459, 1513


@pytest.fixture(scope="module")
def keys() -> list[Key]:
    """More than 200 keys, each made to be strong or weak."""
    draw = random.Random(13)
    made = weak_keys.rsa_keys(draw) + weak_keys.ec_keys(draw) + weak_keys.ed_keys(draw)
    assert len(made) >= 200 and sum(not key.weakness for key in made) >= 60
    return made


def test_weak_keys_in_requests_are_refused_and_strong_ones_accepted(
    shared: Server, keys: list[Key]
) -> None:
    api = shared.api()
    for key in keys:
        answer = api.issue(request(key))
        if key.weakness:
            error = answer.error
            assert (answer.status, error["code"]) == (400, REQUEST), (key.what, error)
            assert key.weakness in error["message"], (key.what, error)
            assert error["source"]["pointer"] == "/csr"
        else:
            assert answer.status == 200, (key.what, answer.text)
    api.close()


def test_weak_keys_in_uploaded_certificates_are_refused(shared: Server, keys: list[Key]) -> None:
    api = shared.api()
    path = f"/client/v4/accounts/{shared.made['account_id']}/mtls_certificates"
    # The key is judged by the same code as that of a request.
    for key in keys[::3]:
        made = certificate(key, weak_keys.name(key.what[:60]))
        answer = api.call("POST", path, {"certificates": made, "ca": True})
        if key.weakness:
            error = answer.error
            assert (answer.status, error["code"]) == (400, UPLOADED), (key.what, error)
            assert key.weakness in error["message"], (key.what, error)
        else:
            assert answer.status == 200, (key.what, answer.text)
    api.close()


def test_weak_keys_of_imported_cas_are_refused(shared: Server) -> None:
    draw = random.Random(14)
    strong = weak_keys.primes(2)
    close = (strong[0], weak_keys.next_prime(strong[0]))
    roca = (weak_keys.roca_prime(draw, 1024), weak_keys.roca_prime(draw, 1024))
    api = shared.api()
    path = f"/certgate/v1/accounts/{shared.made['account_id']}/managed_authorities"
    for factors, weakness in [(close, "close"), (roca, "ROCA"), ((strong[0], strong[1]), "")]:
        key = weak_keys.rsa_numbers("imported", list(factors), weakness)
        body = {"certificate": certificate(key), "private_key": private_key(factors)}
        answer = api.call("POST", path, body)
        if weakness:
            error = answer.error
            assert (answer.status, error["code"]) == (400, IMPORTED), error
            assert weakness in error["message"] and error["source"]["pointer"] == "/certificate"
        else:
            assert answer.result["algorithm"] == "RSA-2048"
    api.close()
