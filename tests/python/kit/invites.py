"""The holders of invites, who enrol by EST without a program of certgate."""

from __future__ import annotations

import base64
import http.client
import ssl
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from kit.harness import Server

# The number of requests at the same time, and of their connections.
REQUESTS, CONNECTIONS = 200, 40


def csr(name: str) -> str:
    """A request with a new key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    request = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return base64.b64encode(request.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)).decode()


def connect(server: Server, ca: Path) -> http.client.HTTPSConnection:
    context = ssl.create_default_context(cafile=str(ca))
    return http.client.HTTPSConnection("127.0.0.1", server.enrol_port, context=context, timeout=60)


def redeem(
    connection: http.client.HTTPSConnection, zone: str, made: dict[str, Any], csr: str
) -> tuple[int, str]:
    basic = base64.b64encode(f"{made['id']}:{made['secret']}".encode()).decode()
    headers = {"Content-Type": "application/pkcs10", "Authorization": f"Basic {basic}"}
    connection.request("POST", f"/.well-known/est/{zone}/simpleenroll", csr, headers)
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def one_certificate(servers: list[Server], ca: Path, zone: str, made: dict[str, Any]) -> None:
    """Uses an invite many times at once. One request gets a certificate."""
    requests = [csr(made["name"]) for _ in range(REQUESTS)]
    begin = threading.Barrier(CONNECTIONS)

    def work(number: int) -> list[tuple[int, str]]:
        connection = connect(servers[number % len(servers)], ca)
        connection.connect()
        begin.wait()
        own = requests[number::CONNECTIONS]
        answers = [redeem(connection, zone, made, request) for request in own]
        connection.close()
        return answers

    with ThreadPoolExecutor(CONNECTIONS) as pool:
        answers = [answer for part in pool.map(work, range(CONNECTIONS)) for answer in part]
    assert [status for status, _ in answers].count(200) == 1
    refused = [text for status, text in answers if status == 403]
    assert len(refused) == REQUESTS - 1 and all("was used before" in text for text in refused)
