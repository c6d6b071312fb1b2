"""The commands of README.md and docs/, run in the order of their page, and their output."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from kit.harness import KEYS, REPOSITORY, Server, eventually, free_port, make_csr, needs, openssl
from kit.pages import Terminal, blocks, commands, recipes, run, written


def settled(status: str) -> str:
    """A script that waits for a status. Pages for readers sleep for a second instead."""
    return f'until certgate cert show "$ID" | grep -q "^status *{status}$"; do sleep 0.1; done'


def test_the_readme(first_start: Server) -> None:
    needs("curl")
    page = blocks("README.md")
    assert [language for language, _ in page] == ["sh", "sh", "text", "sh"]
    install, five, _, curl = (text for _, text in page)
    # The first command needs a release build; continuous integration runs the second one.
    start, test = install.splitlines()
    assert start == "cargo run --release -- serve" and len(five.splitlines()) == 5
    assert f" {test}\n" in (REPOSITORY / ".ci/run").read_text()

    (recipe,) = recipes("README.md")
    terminal = Terminal(first_start.directory.parent)
    written("README.md", recipe, terminal.run(recipe.script))
    (listed,) = run(first_start, curl)
    assert '"common_name":"laptop-17"' in listed and '"total_count":1' in listed


def test_a_service_behind_nginx(first_start: Server) -> None:
    needs("nginx")
    needs("curl")
    page = blocks("docs/get-started.md", "## Start certgate", "## Set up for real use")
    languages = [language for language, _ in page]
    assert languages == ["sh", "sh", "sh", "sh", "nginx", "sh", "text", "sh"]
    start, issue, fetch, own, configuration, call, hello, revoke = (text for _, text in page)
    assert start == "certgate serve\n"
    revoke = revoke.replace("sleep 1", settled("revoked"))

    port = free_port()
    directory = first_start.directory.parent
    (directory / "nginx.conf").write_text(configuration.replace(":8443", f":{port}"))
    call = call.replace(":8443", f":{port}")
    once = call.splitlines()[-1]
    remember = 'echo "PKI=$PKI CA_ID=$CA_ID ID=$ID" > variables'
    try:
        outputs = run(first_start, issue, fetch, own, call, revoke, remember)
        assert outputs[3] == hello
        assert "device-1  pending_revocation" in outputs[4]
        refused = "400 The SSL certificate error"
        eventually("nginx refuses it", lambda: refused in run(first_start, once)[0])

        # The page tells the reader to repeat the steps after a restore.
        (lists,) = (line for line in revoke.splitlines() if line.startswith("curl"))
        (reload,) = (line for line in revoke.splitlines() if line.endswith("reload"))
        restore = f'. ./variables; certgate cert restore "$ID"\n{settled("active")}'
        again = f"{restore}\n{lists}\n{reload}"
        run(first_start, again)
        eventually("nginx accepts it", lambda: run(first_start, once)[0] == hello)
    finally:
        subprocess.run(
            ["nginx", "-p", directory, "-c", "nginx.conf", "-s", "stop"], capture_output=True
        )


def ca(directory: Path, name: str) -> None:
    """Writes the certificate and key of a CA: NAME.crt and NAME.key."""
    extensions = ("-addext", "keyUsage=critical,keyCertSign,cRLSign")
    new = ("req", "-x509", *KEYS["P-256"], "-nodes", "-days", "3650", "-subj", f"/CN={name}")
    key, certificate = directory / f"{name}.key", directory / f"{name}.crt"
    openssl(*new, *extensions, "-keyout", key, "-out", certificate)


def test_the_command_line(first_start: Server) -> None:
    directory = first_start.directory.parent
    for name in ("ca", "partner", "other"):
        ca(directory, name)
    (directory / "partner.crt").rename(directory / "partner.pem")
    (directory / "device.csr").write_text(make_csr(directory))
    (directory / "names.csv").write_text("common_name\nrobot-1\nrobot-1\n")
    elsewhere, one, many, find, revoke, change, hosts, tokens, cas = commands("docs/client.md")
    elsewhere = elsewhere.replace("https://pki.example.com", "http://127.0.0.1")
    # The login must work without the profile of the server on this machine.
    profile = "certgate-data/client.toml"
    elsewhere = f"mv {profile} profile\n{elsewhere}mv profile {profile}\ncertgate logout\n"
    (directory / ".certgate-token").write_text(first_start.token)
    (final,) = commands("docs/revocation.md")

    newest = 'certgate cert list --output json | grep -o \'"id":"[^"]*"\' | head -n 1'
    identify = f"ID=$({newest} | cut -d '\"' -f 4)\n"
    first_id = "grep -o '[0-9a-f-]\\{36\\}' | head -n 1"
    # A new server has no backup and no check: yellow.
    find = find.replace("certgate status ", "certgate status || test $? -eq 5 ")
    cas = cas.replace("certgate ca rotate ", "certgate ca rotate --yes ")
    earlier = "".join(
        f"certgate ca {verb} 'Devices 2024' > /dev/null\n"
        for verb in ("prepare --name", "activate")
    )
    two = "for n in 1 2; do certgate cert issue --cn laptop-$n --days 20 > /dev/null; done\n"
    upload = f"CA_ID=$(certgate ca add other.crt --output json | {first_id})\n"
    made, revoke_token = tokens.rstrip("\n").rsplit("\n", 1)
    token = "TOKEN_ID=$(certgate token list | awk '$2 == \"ci\" {print $1}')"
    outputs = run(
        first_start,
        two + elsewhere,
        one,
        many,
        many,
        find,
        identify + revoke,
        final,
        change,
        upload + hosts,
        f"{made}\n{token}\n{revoke_token}",
        earlier + cas,
        CERTGATE_P12_PASSWORD="secret",
        HOME=str(directory),
    )
    _, *outputs = outputs
    written = {path.name for path in directory.iterdir()}
    assert written >= {"laptop.key", "laptop.crt", "phone.p12", "printer.p12", "device.crt"}
    devices = {path.name for path in (directory / "devices").iterdir()}
    assert devices >= {"robot-1.key", "robot-1.crt", "robot-1-2.key", "robot-1-2.crt"}
    api = first_start.api()
    assert api.total() == 8, "the second run of the list issued nothing"
    api.close()
    # Two of the first list, three of the newest, and one of `show`.
    assert outputs[3].count("laptop") == 6 and "last backup" in outputs[3]
    assert "pending_revocation" in outputs[4] and "pending_reactivation" in outputs[4]
    assert "pending_revocation" in outputs[5]


def test_the_lists_of_a_proxy(first_start: Server) -> None:
    needs("curl")
    fetch, repeat = commands("docs/proxies.md")
    ca_id = "CA_ID=$(certgate ca show --output json | grep -o '[0-9a-f-]\\{36\\}' | head -n 1)\n"
    repeat = repeat.replace("nginx -s reload", "echo reloaded")
    issue = "certgate cert issue --cn device-1\n"
    revoke = (
        "ID=$(certgate cert list | awk '$1 == \"device-1\" {print $NF}')\n"
        f'certgate cert revoke "$ID" > /dev/null; {settled("revoked")}\n'
    )
    outputs = run(first_start, issue + ca_id + fetch, repeat, revoke + repeat, repeat)
    assert outputs[1:] == ["", "reloaded\n", ""]
    directory = first_start.directory.parent
    checks = ("-crl_check", "-CAfile", directory / "ca.crt", "-CRLfile", directory / "bundle.pem")
    refused = subprocess.run(
        ["openssl", "verify", *checks, directory / "device-1.crt"], capture_output=True, text=True
    )
    assert "certificate revoked" in refused.stderr


def test_a_request_is_retried_with_its_key(first_start: Server, csr: str) -> None:
    needs("curl")
    request = commands("docs/recipes.md")[-1]
    random = "$(cat /proc/sys/kernel/random/uuid)"
    assert random in request
    variables = {
        "CLOUDFLARE_BASE_URL": f"{first_start.url}/client/v4",
        "CLOUDFLARE_API_TOKEN": first_start.token,
        "ZONE_ID": first_start.zone_id,
        "csr": csr.replace("\n", "\\n"),
    }
    key = request.replace(random, "one-key")
    first, second, other = run(first_start, key, key, request, **variables)
    assert json.loads(first)["result"]["id"] == json.loads(second)["result"]["id"]
    assert json.loads(first)["result"]["id"] != json.loads(other)["result"]["id"]
