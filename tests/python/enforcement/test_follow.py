"""`certgate follow` with real proxies: a change is confirmed after the proxy enforces it."""

from __future__ import annotations

import json
import re
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kit.follow import Follow, command, points
from kit.harness import PATIENCE_SECONDS, Api, MakeServer, Server, eventually, openssl
from kit.proxies import Client, Envoy, Haproxy, Nginx, Proxy, free_port

# Replicas that are started and killed, one after the other.
REPLICAS = 20


class ReloadedHaproxy(Haproxy):
    """With a master process, which SIGUSR2 makes read its files again."""

    def command(self) -> list[str]:
        program, *rest = super().command()
        return [program, "-W", "-p", str(self.directory / "pid"), *rest]


class SdsEnvoy(Envoy):
    """With the secret that `certgate follow` writes."""

    def command(self) -> list[str]:
        command = super().command()
        path = Path(command[command.index("-c") + 1])
        configuration = json.loads(path.read_text())
        listener = configuration["static_resources"]["listeners"][0]
        tls = listener["filter_chains"][0]["transport_socket"]["typed_config"]
        common = tls["common_tls_context"]
        del common["validation_context"]
        source = {"path_config_source": {"path": str(self.authority.parent / "sds.json")}}
        common["validation_context_sds_secret_config"] = {
            "name": "certgate",
            "sds_config": {"resource_api_version": "V3"} | source,
        }
        configuration["node"] = {"id": "edge", "cluster": "edge"}
        path.write_text(json.dumps(configuration))
        return command


@pytest.fixture
def server(make_server: MakeServer) -> Server:
    """A server whose CRLs are at the address that it announces."""
    server = make_server(start=False)
    server.public_listen = f"127.0.0.1:{free_port()}"
    return server.start()


@pytest.fixture
def client(api: Api, tmp_path: Path) -> tuple[str, Client]:
    """A certificate's ID, and the client that has it."""
    key, request = tmp_path / "client.key", tmp_path / "client.csr"
    new = ["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", key]
    openssl(*new)
    openssl("req", "-new", "-key", key, "-subj", "/CN=device", "-out", request)
    made = api.issue(request.read_text()).result
    path = tmp_path / "client.pem"
    path.write_text(made["certificate"])
    return made["id"], Client(path, key)


PROXIES: dict[str, tuple[Callable[..., Proxy], str, str]] = {
    "nginx": (Nginx, "nginx", "nginx -c {0}/nginx.conf -p {0} -s reload"),
    "haproxy": (ReloadedHaproxy, "haproxy", "kill -USR2 $(cat {0}/pid)"),
    "envoy": (SdsEnvoy, "envoy-sds", "true"),
}


@pytest.mark.parametrize("kind", PROXIES)
def test_a_proxy_refuses_and_admits_as_soon_as_the_command_returns(
    kind: str, server: Server, client: tuple[str, Client], tmp_path: Path
) -> None:
    make, file_format, reload = PROXIES[kind]
    if kind == "envoy" and not (Path(sys.executable).parent / "envoy").exists():
        pytest.skip("this environment has no envoy, so that its files are NOT TESTED")
    files, home = tmp_path / "files", tmp_path / "proxy"
    identity, device = client
    # The files exist before the proxy starts.
    with Follow(server, files, "--format", file_format, "--exec", "true", "--settle", "0s"):
        eventually("the files are there", (files / "ca.pem").exists)
    proxy = make(home, "", None)
    proxy.authority, proxy.lists = files / "ca.pem", files / "crl.pem"
    # A reload has only begun when its command ends. The default is enough for an idle machine.
    flags = ["--format", file_format, "--exec", reload.format(home), "--settle", "4s"]
    with proxy, Follow(server, files, *flags) as follow:
        assert device.is_let_in(proxy.port), device.asks(proxy.port)
        for verb, words, is_let_in in [
            ("revoke", "refused by 1 of 1 enforcement points", False),
            ("restore", "admitted by 1 of 1 enforcement points", True),
            ("revoke", "refused by 1 of 1 enforcement points", False),
        ]:
            done = command(server, "cert", verb, identity, "--wait")
            assert done.returncode == 0 and words in done.stderr, done.stderr + follow.log
            # Not eventually: the command has returned.
            answer = device.asks(proxy.port)
            assert ("200" in answer) == is_let_in, f"{verb}: {answer}\n{follow.log}"
        [point] = follow.points()
        assert point["covers"] == ["handshakes"]
    assert follow.points() == [], "SIGTERM deletes the point"


def test_a_failing_command_delays_revoked_and_is_reported(
    server: Server, api: Api, csr: str, tmp_path: Path
) -> None:
    broken = tmp_path / "broken"
    run = f"test ! -e {broken} || {{ echo no such pid; exit 3; }}"
    flags = ["--format", "separate", "--exec", run]
    with Follow(server, tmp_path / "files", *flags) as follow:
        identity = api.issue(csr).result["id"]
        broken.touch()
        done = command(server, "cert", "revoke", identity, "--wait", "--timeout", "1s")
        assert done.returncode == 4, done
        [point] = follow.points()
        assert f"not confirmed by {point['name']}" in done.stderr, done.stderr
        assert re.fullmatch(r"edge-[0-9a-f]{8}", point["name"])
        assert api.get(identity).result["status"] == "pending_revocation"
        eventually("it is shown", lambda: "no such pid" in (follow.state["error"] or ""))
        assert "no such pid" in follow.log
        broken.unlink()
        api.settled(identity, "revoked")
        eventually("it is over", lambda: follow.state["error"] is None)


def test_many_changes_share_runs_of_the_command_and_leave_no_secret(
    server: Server, api: Api, csr: str, tmp_path: Path
) -> None:
    seen, runs = tmp_path / "environment", tmp_path / "runs"
    run = f"env > {seen}; echo run >> {runs}"
    flags = ["--format", "separate", "--exec", run, "--every", "300ms"]
    begun = time.monotonic()
    with Follow(server, tmp_path / "files", *flags) as follow:
        identities = [api.issue(csr).result["id"] for _ in range(120)]
        for identity in identities:
            api.revoke(identity)
        for identity in identities:
            api.settled(identity, "revoked")
        # At most one in 300 ms, however long it takes.
        most = (time.monotonic() - begun) / 0.3 + 2
        assert 1 < len(runs.read_text().splitlines()) <= most
        assert "CERTGATE" not in seen.read_text() and server.token not in seen.read_text()
        assert server.token not in follow.log
        [authority] = [ca for ca in follow.state["certificate_authorities"]]
        assert authority["revoked"] == 120
        lists = follow.text(f"{authority['id']}.crl").encode()
        listed = openssl("crl", "-noout", "-text", stdin=lists)
        assert "Certificate Revocation List" in listed
        certificate = follow.text(f"{authority['id']}.pem")
        assert openssl("x509", "-noout", "-subject", stdin=certificate.encode())


def test_a_new_ca_is_in_the_files_and_a_second_process_is_a_second_point(
    server: Server, api: Api, tmp_path: Path
) -> None:
    flags = ["--format", "separate"]
    with Follow(server, tmp_path / "one", *flags) as first:
        before = len(list(first.directory.glob("*.pem")))
        rotated = command(server, "ca", "rotate", "--yes")
        assert rotated.returncode == 0, rotated.stderr
        eventually("the files", lambda: len(list(first.directory.glob("*.pem"))) == before + 1)
        second = Follow(server, tmp_path / "two", *flags).start()
        try:
            eventually("two points", lambda: len(second.points()) == 2)
        finally:
            second.__exit__()
        assert len(points(server)) == 1


def test_the_server_may_be_down_for_a_while(
    make_server: MakeServer, csr: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = make_server(start=False)
    # Ports that the system gives to no other program meanwhile.
    server.public_listen, address = (f"127.0.0.1:{free_port()}" for _ in range(2))
    command = [address if part == "127.0.0.1:0" else part for part in server.command()]
    monkeypatch.setattr(server, "command", lambda: command)
    server.start()
    with Follow(server, tmp_path / "files", "--format", "separate") as follow:
        identity = server.api().issue(csr).result["id"]
        server.kill()
        eventually("it is told", lambda: "cannot follow revocations" in follow.log)
        server.start()
        again = server.api()
        again.revoke(identity)
        again.settled(identity, "revoked")
        again.close()
        eventually("it is over", lambda: "followed again" in follow.log)


def test_replicas_killed_in_turn_delay_no_change_beyond_their_lease_and_are_forgotten(
    server: Server, api: Api, csr: str, tmp_path: Path
) -> None:
    lease = 5
    flags = ["--format", "separate", "--lease-seconds", str(lease), "--forget-seconds", "6"]
    pending: dict[str, float] = {}

    def has_settled(identity: str) -> bool:
        # Waiting for one replica after the other would take twenty leases.
        assert time.monotonic() < pending[identity] + lease + PATIENCE_SECONDS
        return bool(api.get(identity).result["status"] == "revoked")

    for number in range(REPLICAS):
        replica = Follow(server, tmp_path / str(number), *flags, name=f"replica{number}")
        with killed_at_the_end(replica):
            eventually("it is current", replica.is_current)
        identity = api.issue(csr).result["id"]
        api.revoke(identity)
        pending[identity] = time.monotonic()
        for earlier in [one for one in pending if has_settled(one)]:
            del pending[earlier]
    for identity in list(pending):
        eventually("it is settled", lambda identity=identity: has_settled(identity))
    eventually("they are forgotten", lambda: points(server) == [])


@contextmanager
def killed_at_the_end(replica: Follow) -> Iterator[None]:
    """Starts a replica, and kills it at the end, so that its point stays."""
    replica.start()
    assert replica.process
    try:
        yield
    finally:
        replica.process.kill()
        replica.process.wait()


def test_wrong_command_lines_are_refused_with_a_remedy(server: Server, tmp_path: Path) -> None:
    done = command(server, "follow", str(tmp_path / "files"))
    assert done.returncode == 2 and "--exec" in done.stderr, done
    for flag, text in [("--every", "250"), ("--format", "apache"), ("--lease-seconds", "1")]:
        done = command(server, "follow", str(tmp_path / "files"), flag, text)
        assert done.returncode == 2, done
    away = ["--api", "http://192.0.2.1", "--token", "x", "--account", "0" * 32]
    done = command(server, "follow", str(tmp_path / "files"), "--format", "separate", *away)
    assert done.returncode == 1 and "clear text" in done.stderr, done
