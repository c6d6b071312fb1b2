"""docs/est.md, invites.md, renewal.md and ci.md: their commands on a machine whose names lead to a
new server."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from kit.harness import eventually, needs
from kit.machine import Machine
from kit.pages import blocks, commands

HOME = Path("/root")
EC = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30"
CA = "-addext keyUsage=critical,keyCertSign,cRLSign"
LEAF = "-addext basicConstraints=critical,CA:FALSE"

# The CA and the certificate of the enrolment listener, where the page has them.
TLS = f"""
mkdir -p /etc/certgate-tls
{EC} -keyout enrol-ca.key -out enrol-ca.crt -subj '/CN=enrol CA' {CA}
{EC} -CA enrol-ca.crt -CAkey enrol-ca.key -keyout /etc/certgate-tls/enrol.key \\
  -out /etc/certgate-tls/enrol.crt -subj /CN=enrol.example.com {LEAF} \\
  -addext subjectAltName=DNS:enrol.example.com
cat enrol-ca.crt >> /etc/certgate-tls/enrol.crt
"""

# A CA that a manufacturer has, and the certificate of one of its devices.
FACTORY = f"""
{EC} -keyout factory-ca.key -out factory-ca.crt -subj '/CN=Factory' {CA}
{EC} -CA factory-ca.crt -CAkey factory-ca.key -keyout factory.key -out factory.crt \\
  -subj /CN=device-1 {LEAF} -addext extendedKeyUsage=clientAuth
"""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    """A machine on which a server with EST runs, as the page configures it."""
    needs("pki")
    machine = Machine(tmp_path)
    try:
        (settings,) = (text for language, text in blocks("docs/est.md") if language == "toml")
        machine.run(f"{TLS}\ncat > certgate.toml <<'END'\n{settings}END", HOME)
        program = f"ln -s {machine.clone}/target/release/certgate /usr/local/bin/certgate"
        machine.run(f"{program}\ncertgate serve > serve.log 2>&1 &", HOME)
        listens = "cat serve.log 2>/dev/null || true"
        eventually("EST listens", lambda: "enrolment listening" in machine.run(listens, HOME))
        yield machine
    finally:
        machine.stop()


def test_the_page_of_est(machine: Machine) -> None:
    renew, cas, strongswan, rules, enrol = commands("docs/est.md")
    issue = "rm -f device-1.*\ncertgate cert issue --cn device-1"
    machine.run(f"{issue}\n{renew}\n{cas}", HOME)
    verify = "openssl verify -purpose sslclient -CAfile"
    assert machine.run(f"{verify} ca.crt new.crt", HOME) == "new.crt: OK\n"

    # A line renews once a minute at most, so that another device follows.
    machine.run(f"{issue}\nrm new.crt ca.crt\n{strongswan}", HOME)
    # strongSwan writes its copy of the CA in DER.
    machine.run("certgate ca export > managed.crt", HOME)
    assert machine.run(f"{verify} managed.crt new.crt", HOME) == "new.crt: OK\n"

    machine.run(FACTORY, HOME)
    added = machine.run("certgate ca add factory-ca.crt -o json=id", HOME)
    (factory,) = re.findall(r'"id":"([^"]+)"', added)
    (example,) = re.findall(r'"trusted_cas": \["(.*)"\]', rules)
    machine.run(rules.replace(example, factory), HOME)
    machine.run(f"rm new.p7\n{enrol}", HOME)
    show = "openssl base64 -d -A -in new.p7 | openssl pkcs7 -inform DER -print_certs -noout"
    assert "CN = device-1" in machine.run(show, HOME)


def pinned(machine: Machine, script: str) -> str:
    """A script with the port and the fingerprint of the CA of the server."""
    shown = machine.run("openssl x509 -in enrol-ca.crt -noout -fingerprint -sha256", HOME)
    fingerprint = shown.strip().split("=")[1].replace(":", "").lower()
    script = script.replace("https://enrol.example.com/", "https://enrol.example.com:8789/")
    return script.replace("5f1c…e2", fingerprint)


def test_the_page_of_invites(machine: Machine) -> None:
    create, enrol, by_curl, listed, withdraw, api = commands("docs/invites.md")
    machine.run(f"mkdir -p /etc/certs\n{create.strip()} > invite.txt", HOME)
    machine.run(pinned(machine, enrol), HOME)
    assert "used" in machine.run(listed, HOME)

    # The invite of a client that has no certgate: its ID and secret are a name and a password.
    user = """sed 's|.*/||; s/\\(.*\\)#\\(.*\\)/user = "\\1:\\2"/' invite.txt > user.txt"""
    machine.run(f"{create.strip()} > invite.txt\n{user}\n{by_curl}", HOME)
    show = "openssl base64 -d -A -in anna.p7 | openssl pkcs7 -inform DER -print_certs -noout"
    assert "CN = anna" in machine.run(show, HOME)

    profile = "sed -n 's/^NAME = \"\\(.*\\)\"/\\1/p' certgate-data/client.toml"
    token, zone = (profile.replace("NAME", name) for name in ("token", "zone_id"))
    variables = f"TOKEN=$({token})\nZONE=$({zone})\nAPI=http://127.0.0.1:8787\n"
    identifier = json.loads(machine.run(variables + api, HOME))["result"]["id"]
    (example,) = re.findall(r"withdraw (\S+)", withdraw)
    machine.run(withdraw.replace(example, identifier), HOME)
    assert "withdrawn" in machine.run(listed, HOME)


def test_the_page_of_renewals(machine: Machine) -> None:
    begin, first, renew, daemon, *_ = commands("docs/renewal.md")
    create, enrol = begin.split("\n", 1)
    machine.run(f"mkdir -p /etc/certs\n{create} > invite.txt", HOME)
    machine.run(pinned(machine, enrol), HOME)
    renew = renew.replace("systemctl reload nginx", "touch reloaded")
    machine.run(renew + renew.replace(" --exec", " --within 1/1 --exec") + "rm reloaded", HOME)
    first = first.replace("laptop-17", "laptop-18")
    machine.run(pinned(machine, first), HOME)

    daemon = daemon.replace("systemctl reload nginx", "true").strip()
    machine.run(f"{daemon} > daemon.log 2>&1 & echo $! > daemon.pid", HOME)
    says = "cat daemon.log"
    eventually("the daemon waits", lambda: "laptop-17" in machine.run(says, HOME))
    machine.run("kill $(cat daemon.pid)", HOME)


def test_a_runner_with_a_certificate_of_its_own(machine: Machine) -> None:
    """The last block of ci.md. test_tasks.py calls a service with such a certificate."""
    _, _, job = commands("docs/ci.md")
    renew, call = job.splitlines()
    address = "https://enrol.example.com/.well-known/est/example.com"
    renew = pinned(machine, f"{renew} --est {address} --fingerprint 5f1c…e2")
    issue = "mkdir -p /etc/certs\ncertgate cert issue --cn runner --out /etc/certs/runner"
    machine.run(f"{issue}\n{renew}", HOME)
    assert call.startswith("curl --cert /etc/certs/runner.crt --key /etc/certs/runner.key https://")
