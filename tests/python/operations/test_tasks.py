"""Ten tasks of an operator, each by the commands of README.md and docs/ alone, on a new Debian.

Root installs the package as docs/install.md says, and everything else follows. A test changes only
addresses, the date and the place of backups in a command.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote

import pytest

from kit.debian import Debian
from kit.harness import eventually, needs
from kit.machine import FreshMachine, Machine
from kit.packages import only, repacked
from kit.pages import blocks, commands, recipes

BACKUPS = "/var/lib/backups"
PUBLIC = "http://127.0.0.1:8788"
ON_THE_MACHINE = {"CERTGATE_DATA_DIR": "/var/lib/certgate"}
TOGETHER_SECONDS = 600


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    machine = Machine(tmp_path)
    try:
        yield machine
    finally:
        machine.stop()


@pytest.fixture
def fresh(made: Path, tmp_path: Path) -> Iterator[FreshMachine]:
    """A new Debian, with the package and a newer one in root's home."""
    needs("debootstrap")
    package = only("*.deb", made)
    newer = repacked(package, tmp_path, package.name.split("_")[1].replace("-1", "-2"))
    root = tmp_path / "root"
    root.mkdir()
    # In memory, because dpkg syncs each file.
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", root], check=True)
    try:
        system = Debian(root)
        system.fetch(package, "nginx", "curl", "openssl")
        shutil.copy(newer, system.at("/root"))
        machine = FreshMachine(root)
        try:
            yield machine
        finally:
            machine.stop()
    finally:
        subprocess.run(["umount", "--lazy", root], check=True)


def install(machine: Machine) -> None:
    """Installs the service as docs/operations.md says."""
    needs("systemd-sysusers")
    script, commands_of_root, _ = commands("docs/operations.md")
    assert machine.run(script).endswith("ready\n")
    assert commands_of_root.startswith("export CERTGATE_DATA_DIR=/var/lib/certgate\n")
    machine.run(commands_of_root)


def root(machine: Machine, script: str, **more: str) -> str:
    """Runs a command of a page as root in root's home."""
    local = script.replace("http://pki.example.com", PUBLIC).replace("/backups", BACKUPS)
    return machine.run(local, Path("/root"), **ON_THE_MACHINE, **more)


def ca_id(machine: Machine) -> str:
    (found,) = re.findall(r'"id":"([0-9a-f-]{36})"', root(machine, "certgate ca show -o json=id"))
    return found


def test_ten_tasks(fresh: FreshMachine) -> None:
    machine, began = fresh, time.monotonic()
    today = datetime.now(UTC).strftime("%Y-%m-%d")

    # 1. Install.
    package, start, *_ = commands("docs/install.md")
    machine.run(package)
    assert "ready\n" in machine.run(start)

    # 2. A first certificate.
    (readme,) = recipes("README.md")
    first, find, *_ = readme.script.splitlines()
    assert '"status":"active"' in root(machine, first)

    # 3. Protect a service with nginx.
    machine.run("apt install nginx curl openssl")
    page = blocks("docs/get-started.md", "## Start certgate", "## Set up for real use")
    _, issue, fetch, own, configuration, call, hello, revoke = (text for _, text in page)
    root(machine, issue + fetch + own)
    root(machine, f"cat > nginx.conf <<'END'\n{configuration}END")
    assert root(machine, call) == hello
    once = call.splitlines()[-1]
    prepared = "\n".join(fetch.splitlines()[:2])
    root(machine, f"{prepared}\n{revoke}")
    refused = "400 The SSL certificate error"
    eventually("nginx refuses the revoked client", lambda: refused in root(machine, once))

    # 4. A phone: the file that it imports.
    (phone, *_) = commands("docs/devices.md")
    phone = phone.replace("laptop-17", "phone-1")
    root(machine, phone, CERTGATE_P12_PASSWORD="secret")
    shown = ["pkcs12", "-passin", "pass:secret", "-nokeys", "-in", "/dev/stdin"]
    read = f"cat phone-1.p12 | openssl {' '.join(shown)}"
    assert "CN = phone-1" in root(machine, read)

    # 5. A token for CI, and a job that uses it.
    create, job, _ = commands("docs/ci.md")
    token = root(machine, create).strip()
    zone = root(machine, "certgate zone list -o json=id,name")
    (zone_id,) = re.findall(r'"id":"([0-9a-f]{32})"', zone)
    job = job.replace("https://pki.example.com:8787", "http://127.0.0.1:8787")
    service = "--cacert server.crt https://localhost:8443/"
    job = job.replace("https://service.example.com/deploy", service)
    done = machine.run(job, Path("/root"), CERTGATE_TOKEN=token, ZONE_ID=zone_id, JOB_ID="7")
    assert done.endswith("hello\n")

    # 6. Find and revoke a stolen laptop.
    assert "laptop-17  active" in root(machine, find)
    stolen, *_ = recipes("docs/cookbook.md")
    assert "pending_revocation" in root(machine, stolen.script)
    assert "revoked" in root(machine, "certgate cert list --status all 'laptop-*'")

    # 7. Rotate the CA. The last line is for years later.
    rotate, *_ = commands("docs/ca-rotation.md")
    prepare, export, activate, _ = rotate.splitlines()
    before = ca_id(machine)
    root(machine, "\n".join((prepare, export, activate)))
    assert ca_id(machine) != before
    assert root(machine, "grep -c BEGIN ca.pem") == "2\n"

    # 8. Back up, lose a change, and restore.
    backup, verify, restore, _ = commands("docs/backup.md")
    root(machine, backup)
    root(machine, verify.replace("2026-11-24", today))
    root(machine, "certgate cert issue --cn lost")
    root(machine, "certgate cert revoke phone-1")
    root(machine, restore.replace("2026-11-24", today))
    assert "certgate.db.replaced-" in root(machine, "ls /var/lib/certgate")
    listed = root(machine, "certgate cert list --status all")
    assert "lost" not in listed and re.search(r"^phone-1 +(pending_)?revo", listed, re.MULTILINE)

    # 9. Upgrade, by the newer package, which restarts the service.
    machine.has_systemd()
    running = "cat /run/units/certgate.pid"
    earlier = machine.run(running)
    machine.run(package.replace("-1_", "-2_"))
    assert machine.run(running) != earlier
    ready = "curl -fsS --retry 5 --retry-connrefused http://127.0.0.1:8787/readyz"
    assert root(machine, ready) == "ready\n"

    # 10. Monitor.
    status = next(one for one in recipes("docs/cookbook.md") if one.script == "certgate status\n")
    shown_status = root(machine, f"{status.script.strip()} || test $? -eq 5")
    assert re.search(r"^green +last backup", shown_status, re.MULTILINE), shown_status
    (check,) = commands("docs/monitoring.md")
    assert root(machine, check, CA_ID=before).startswith("nextUpdate=")
    checked, *_ = commands("docs/check.md")
    assert "no problems found" in root(machine, checked)
    assert time.monotonic() - began < TOGETHER_SECONDS


def test_enforcement_points_are_installed(machine: Machine) -> None:
    """`authz`, `gateway` and `follow`, by their pages, and an upgrade without the package."""
    install(machine)
    (upgrade,) = commands("docs/upgrades.md")
    machine.run(upgrade)
    (account,) = re.findall(
        r'"account_id": *"([0-9a-f]+)"', machine.run("cat /root/certgate-installation.json")
    )
    root(machine, "certgate cert issue --cn device-1 && certgate host add api.example.com")
    root(machine, f"ln -s {machine.clone}/target {machine.clone}/deploy .")

    prepare, start = commands("docs/authz.md")
    root(machine, prepare)
    (settings,) = (text for language, text in blocks("docs/authz.md") if language == "toml")
    settings = settings.replace("ACCOUNT_ID", account)
    root(machine, f"cat > /etc/certgate-authz/authz.toml <<'END'\n{settings}END")
    root(machine, start)
    ask = "curl -sS -o answer -w '%{http_code}' --retry 5 --retry-connrefused"
    header = "-H 'X-Forwarded-Host: api.example.com'"
    client = f"-H 'ssl-client-cert: {quote(root(machine, 'cat device-1.crt'))}'"

    def verdict(*headers: str) -> str:
        return root(machine, f"{ask} {header} {' '.join(headers)} http://127.0.0.1:9464/")

    eventually("authz admits the device", lambda: verdict(client) == "200")
    assert verdict() == "403"

    root(machine, "install -d /etc/certgate-gateway")
    (gateway,) = commands("docs/gateway.md")
    (settings, *_) = (text for language, text in blocks("docs/gateway.md") if language == "toml")
    settings = re.sub(r"(?m)^api = .*$", 'api = "http://127.0.0.1:8787"', settings)
    settings = re.sub(r"(?m)^account = .*$", f'account = "{account}"', settings)
    root(machine, f"cat > /etc/certgate-gateway/gateway.toml <<'END'\n{settings}END")
    new = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=api"
    files = "-keyout api.example.com.key -out api.example.com.pem"
    root(machine, f"cd /etc/certgate-gateway && {new} {files}")
    (token, _) = commands("docs/enforcement.md")
    root(machine, f"{token} cp edge-1.token /etc/certgate-gateway/gateway.token")
    root(machine, gateway)
    ready = "curl -sS --retry 5 --retry-connrefused http://127.0.0.1:9180/readyz"
    eventually("the gateway is ready", lambda: root(machine, ready) == "ready\n")

    by_hand, follow = commands("docs/follow.md")
    here = "http://127.0.0.1:8787"
    by_hand, follow = (
        text.replace("https://pki.example.com", here).replace("ACCOUNT_ID", account)
        for text in (by_hand, follow)
    )

    def has_written(directory: str) -> bool:
        return "BEGIN" in root(machine, f"cat {directory}/ca.pem 2>/dev/null || true")

    by_hand = by_hand.replace("nginx -s reload", "touch reloaded").rstrip()
    root(machine, f"mkdir -p /etc/nginx/mtls\n{by_hand} > follow.log 2>&1 & echo $! > follow.pid")
    eventually("follow has written the CAs", lambda: has_written("/etc/nginx/mtls"))
    root(machine, "kill $(cat follow.pid)")
    root(machine, follow.replace("systemctl reload nginx", "true"))
    eventually("the service has written them", lambda: has_written("/var/lib/certgate-follow"))
    current = r"(?m)^green +enforcement +3 of 3 current"

    def status() -> str:
        return root(machine, "certgate status || test $? -eq 5")

    eventually("every point is current", lambda: re.search(current, status()))
