"""The files in deploy/: real tools judge them, and certgate runs as they say."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import tomllib
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from kit.deployed import (
    DEPLOY,
    IS_ROOT,
    USER,
    Deployed,
    Place,
    Unit,
    judged,
    packaged,
    place,
    rendered,
    tls_files,
)
from kit.est import INVITE, EstServer, Files
from kit.follow import points
from kit.harness import (
    PATIENCE_SECONDS,
    REPOSITORY,
    Server,
    certgate,
    environment,
    eventually,
    needs,
)
from kit.image import CONTAINERFILE, containerfile, last_stage, steps
from kit.postgres import MASTER_KEY, Postgres

SYSTEMD = DEPLOY / "systemd"
RULES = DEPLOY / "prometheus/certgate.rules.yml"

# The oldest Kubernetes with everything that the manifests use, and the newest one with schemas.
KUBERNETES = ["1.30", "1.37"]

# The longest stop in seconds: requests, and then the last writes to a database that does not
# answer.
STOP_SECONDS, LAST_WRITES_SECONDS = 10, 5


@pytest.fixture
def at() -> Iterator[Place]:
    with place() as made:
        yield made


# systemd


POINTS = ["authz", "gateway", "follow"]


def installed_unit(directory: Path, *drop_ins: str, name: str = "certgate.service") -> Path:
    """Installs the unit with an existing program."""
    unit = directory / name
    unit.write_text((SYSTEMD / name).read_text().replace("/usr/local/bin/certgate", "/bin/true"))
    for name in drop_ins:
        (directory / "certgate.service.d").mkdir(exist_ok=True)
        shutil.copy(SYSTEMD / name, directory / "certgate.service.d" / name)
    return unit


@pytest.mark.parametrize("drop_ins", [[], ["postgresql.conf"]])
def test_systemd_accepts_the_unit(tmp_path: Path, drop_ins: list[str]) -> None:
    unit = installed_unit(tmp_path, *drop_ins)
    analyze = needs("systemd-analyze")
    assert judged(analyze, "verify", unit) == "", "what it does not know it only warns of"
    # The exposure: 0 is closed, 10 is open.
    judged(analyze, "security", "--offline=true", "--threshold=20", "--no-pager", unit)


@pytest.mark.parametrize("point", POINTS)
def test_systemd_accepts_the_units_of_enforcement_points(tmp_path: Path, point: str) -> None:
    unit = installed_unit(tmp_path, name=f"certgate-{point}.service")
    if point == "gateway":
        installed_unit(tmp_path, name="certgate-gateway.socket")
    analyze = needs("systemd-analyze")
    assert judged(analyze, "verify", unit) == "", "what it does not know it only warns of"
    judged(analyze, "security", "--offline=true", "--threshold=20", "--no-pager", unit)
    settings = Unit(unit)
    assert settings.all("CapabilityBoundingSet") == [""]
    # The gateway takes its sockets over with this call, which few other programs need.
    assert settings.permits(analyze, "pidfd_getfd") == (point == "gateway")
    assert settings.permits(analyze, "accept4") and not settings.permits(analyze, "mount")


@pytest.mark.parametrize("point", POINTS)
def test_the_unit_runs_the_enforcement_point(
    at: Place, server: Server, tmp_path: Path, point: str
) -> None:
    """Starts the process as the unit and the page do, and stops it."""
    unit = Unit(SYSTEMD / f"certgate-{point}.service")
    files, state = f"/etc/certgate-{point}", f"/var/lib/certgate-{point}"
    assert unit.one("StateDirectory") == f"certgate-{point}"
    at.writable(state, int(unit.one("StateDirectoryMode"), 8))
    for name, text in point_files(server, tmp_path, point).items():
        for path in (files, state):
            text = text.replace(path, str(at.at(path)))
        at.handed_over(f"{files}/{name}", text)
    values = {"ACCOUNT": server.made["account_id"], "FORMAT": "nginx", "RELOAD": "true"}
    program, *arguments = (at.here(word) for word in unit.command(**values))
    before = at.files()
    with socket.create_server(("127.0.0.1", 0)) as listener, at.at("log").open("w") as log:
        sockets = {
            "preexec_fn": lambda: (os.dup2(listener.fileno(), 3), os.set_inheritable(3, True)),
            "close_fds": False,
        }
        process = subprocess.Popen(
            [program, *arguments],
            cwd=at.root,
            env=environment(
                CERTGATE_API=server.url, **({"LISTEN_FDS": "1"} if point == "gateway" else {})
            ),
            stdout=log,
            stderr=log,
            **(sockets if point == "gateway" else {}),
            **at.as_user(),
        )
    try:
        eventually(
            "the point is current",
            lambda: [one["status"] for one in points(server)] == ["current"],
        )
        # A process that is stopped before it has the answer leaves the point to its lease.
        eventually(
            "the process knows its point",
            lambda: "the enforcement point is registered" in at.at("log").read_text(),
        )
        process.send_signal(signal.SIGTERM)
        assert process.wait(PATIENCE_SECONDS) == 0, at.at("log").read_text()
    finally:
        process.kill()
        process.wait()
    assert points(server) == [], "SIGTERM deletes the point"
    written = {path for path in at.files() - before if not f"/{path}".startswith(state)}
    assert written == {"log"}, "nothing is written but in the state directory"
    page = (REPOSITORY / f"docs/{point}.md").read_text()
    assert f"deploy/systemd/certgate-{point}.service" in page and f"{files}/" in page


def point_files(server: Server, directory: Path, point: str) -> dict[str, str]:
    """The files in the directory of an enforcement point."""
    made = {f"{point}.token": server.token}
    if point != "follow":
        page = (REPOSITORY / f"docs/{point}.md").read_text()
        (text,) = re.findall(r"```toml\n(api = .*?)```", page, re.DOTALL)
        text = re.sub(r"(?m)^api = .*$", f'api = "{server.url}"', text)
        text = re.sub(r"(?m)^account = .*$", f'account = "{server.made["account_id"]}"', text)
        made[f"{point}.toml"] = re.sub(r"127\.0\.0\.1:(9464|9180)", "127.0.0.1:0", text)
    if point == "gateway":
        certificate, key = tls_files(directory)
        made |= {"api.example.com.pem": certificate, "api.example.com.key": key}
    return made


def test_systemd_accepts_the_unit_and_the_timer_of_renew(tmp_path: Path) -> None:
    unit = installed_unit(tmp_path, name="certgate-renew.service")
    timer = installed_unit(tmp_path, name="certgate-renew.timer")
    analyze = needs("systemd-analyze")
    assert judged(analyze, "verify", unit, timer) == "", "what it does not know it only warns of"
    judged(analyze, "security", "--offline=true", "--threshold=20", "--no-pager", unit)
    settings = Unit(unit)
    assert settings.all("CapabilityBoundingSet") == [""]
    assert settings.permits(analyze, "fchown") and not settings.permits(analyze, "mount")
    judged(analyze, "calendar", Unit(timer).one("OnCalendar"))
    page = (REPOSITORY / "docs/renewal.md").read_text()
    assert unit.name in page and timer.name in page and settings.one("EnvironmentFile") in page


def test_the_unit_renews(at: Place, tmp_path: Path) -> None:
    """Enrols as the page says, and renews as the unit does."""
    unit = Unit(SYSTEMD / "certgate-renew.service")
    assert unit.one("StateDirectory") == "certgate-renew"
    state = at.writable("/var/lib/certgate-renew", int(unit.one("StateDirectoryMode"), 8))
    est = EstServer(tmp_path / "est").start()
    try:
        est.lifetime, est.age = timedelta(days=1), timedelta(hours=20)
        enrol = ["enrol", "--est", est.url, "--fingerprint", est.fingerprint]
        made = at.run(
            [*enrol, "--invite-file=-", f"--out={state}/web"], {"CERTGATE_INVITE": "unused"}, INVITE
        )
        assert made.returncode == 0, made.stderr
        files = Files(est, state / "web.crt", state / "web.key")
        first, before = files.works(), at.files()
        program, *words = unit.command(RELOAD=f"touch {state}/reloaded")
        # A shell would split the command: systemd does not.
        words = [at.here(word) for word in words]
        assert at.at(program) == at.program
        done = at.run(words, {})
        assert done.returncode == 0, done.stderr
        assert files.works() != first and (state / "reloaded").exists()
        written = at.files() - before
        assert all(path.startswith("var/lib/certgate-renew/") for path in written), written
    finally:
        est.stop()


def test_the_unit_runs_the_embedded_database(at: Place) -> None:
    unit = Unit(SYSTEMD / "certgate.service")
    server, before = started_by(unit, at, 'log_format = "json"\n')
    try:
        server.adopt()
        assert server.answers(server.port, "/readyz") == (200, "ready\n")
        assert server.process
        environ = Path(f"/proc/{server.process.pid}/environ").stat()
        assert environ.st_uid == 0, "other processes of its user cannot read it"
        assert server.answers(server.public_port, "/healthz") == (200, "ok\n")
        server.stop_told()
    finally:
        server.kill()
    assert at.at("/var/lib/certgate/certgate.db").exists()
    assert unit.one("Restart") == "always"
    written = {path for path in at.files() - before if not path.startswith("var/lib/certgate/")}
    assert written == {"server.log"}, "nothing is written but in the state directory"
    assert MASTER_KEY not in server.log


def test_the_drop_in_runs_a_node_on_postgresql(
    at: Place, tmp_path: Path, postgres: Postgres
) -> None:
    unit = Unit(SYSTEMD / "certgate.service", SYSTEMD / "postgresql.conf")
    config = (
        f'database_url = "{postgres.url(postgres.database())}"\npublic_url = "http://pki.example"\n'
    )
    server, before = started_by(unit, at, config, *tls_files(tmp_path))
    try:
        server.adopt()
        assert server.answers(server.port, "/readyz", "https") == (200, "ready\n")
        server.stop_told()
    finally:
        server.kill()
    assert at.files() - before == {"server.log", "var/lib/certgate/client.toml"}
    addresses = unit.environment("", "")
    assert (
        addresses["CERTGATE_LISTEN"] == "0.0.0.0:8787"
        and addresses["CERTGATE_PUBLIC_LISTEN"] == "0.0.0.0:8788"
    )


def started_by(unit: Unit, at: Place, config: str, *tls: str) -> tuple[Deployed, set[str]]:
    """Starts the server as the unit does. Returns it and the files before the start."""
    contents = dict(
        zip(
            ("certgate.toml", "master.key", "tls.crt", "tls.key"),
            (config, MASTER_KEY, *tls),
            strict=False,
        )
    )
    credentials = unit.credentials()
    assert credentials == {name: f"/etc/certgate/{name}" for name in contents}
    for name in credentials:
        at.handed_over(f"/run/credentials/certgate.service/{name}", contents[name])
    assert unit.one("StateDirectory") == "certgate"
    at.writable("/var/lib/certgate", int(unit.one("StateDirectoryMode"), 8))
    settings = unit.environment("/run/credentials/certgate.service", "/var/lib")
    program, *arguments = unit.one("ExecStart").split()
    assert at.at(program) == at.program
    server = Deployed(at, arguments, {name: at.here(value) for name, value in settings.items()}, {})
    before = at.files()
    return server.start(), before


def test_a_master_key_of_root_is_read_only_if_others_cannot_read_it(at: Place) -> None:
    """Accepts a key of root that a group can read, and no key that others can read or own."""
    if not IS_ROOT:
        pytest.skip("only root can make root's files: NOT TESTED")
    at.writable("/data")
    at.handed_over("/secrets/key", MASTER_KEY)
    settings = {
        "CERTGATE_DATA_DIR": str(at.at("/data")),
        "CERTGATE_MASTER_KEY_FILE": str(at.at("/secrets/key")),
    }
    for mode, owner in ((0o444, 0), (0o460, 0), (0o440, USER)):
        at.at("/secrets/key").chmod(mode)
        shutil.chown(at.at("/secrets/key"), owner, USER)
        refused = at.run(["init", "--json"], settings)
        assert refused.returncode == 2 and "other users may read" in refused.stderr, (
            mode,
            owner,
            refused.stderr,
        )
    shutil.chown(at.at("/secrets/key"), 0, USER)
    made = at.run(["init", "--json"], settings)
    assert made.returncode == 0, made.stderr


# The image


def test_hadolint_finds_nothing() -> None:
    assert judged(packaged("hadolint"), CONTAINERFILE) == ""


def test_the_image_has_only_what_the_program_needs() -> None:
    bases = [value for instruction, value in steps() if instruction == "FROM"]
    rust = tomllib.loads((REPOSITORY / "Cargo.toml").read_text())["workspace"]["package"][
        "rust-version"
    ]
    assert re.fullmatch(
        rf"docker\.io/library/rust:{re.escape(rust)}\.\d+-slim-bookworm AS build", bases[0]
    )
    assert bases[1:] == ["scratch"]
    last = last_stage()
    (node,) = (pod_spec(thing) for thing in rendered("kubernetes") if thing["kind"] == "Deployment")
    ports = [str(port["containerPort"]) for port in node["containers"][0]["ports"]]
    (data,) = (
        mount["mountPath"]
        for mount in node["containers"][0]["volumeMounts"]
        if mount["name"] == "data"
    )
    # Anyone may enter an emptyDir, and certgate accepts only a directory of its own.
    assert Path(settings_of("kubernetes")["CERTGATE_DATA_DIR"]).parent == Path(data)
    assert dict(last) | {"FROM": "", "COPY": ""} == {
        "FROM": "",
        "COPY": "",
        "USER": f"{USER}:{USER}",
        "ENV": f"CERTGATE_DATA_DIR={data} SQLITE_TMPDIR={data}",
        "VOLUME": f'["{data}"]',
        "EXPOSE": " ".join(ports),
        "ENTRYPOINT": '["/usr/local/bin/certgate"]',
        "CMD": '["serve"]',
    }
    copies = [value.split() for instruction, value in last if instruction == "COPY"]
    owned = [f"--chown={USER}:{USER}", "--chmod=0700"]
    roots = "/etc/ssl/certs/ca-certificates.crt"
    assert copies == [
        ["--from=build", roots, roots],
        ["--from=build", "/certgate", "/usr/local/bin/certgate"],
        ["--from=build", *owned, "/empty", data],
    ]


def test_the_build_context_is_sufficient(tmp_path: Path) -> None:
    """Cargo reads the workspace from the files that .dockerignore admits, with its lock file."""
    rules = [
        rule
        for rule in (REPOSITORY / ".dockerignore").read_text().splitlines()
        if rule and rule[0] != "#"
    ]
    assert rules[0] == "*" and all(rule[0] == "!" for rule in rules[1:])
    for name in (rule[1:] for rule in rules[1:]):
        source = REPOSITORY / name
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copytree(source, tmp_path / name) if source.is_dir() else shutil.copy(
            source, tmp_path / name
        )
    read = [
        "cargo",
        "tree",
        "--locked",
        "--offline",
        "--package",
        "certgate",
        "--edges",
        "normal,build",
    ]
    assert judged(*read, cwd=tmp_path).startswith("certgate v")
    _, run = (step["value"] for step in containerfile() if step["instruction"] == "RUN")
    assert "cargo build --profile dist-static --locked --package certgate " in run


# Kubernetes


def pod_spec(thing: dict[str, Any]) -> dict[str, Any]:
    return thing["spec"]["template"]["spec"]


def settings_of(directory: str) -> dict[str, str]:
    """Returns the environment in the ConfigMap."""
    (settings,) = (thing["data"] for thing in rendered(directory) if thing["kind"] == "ConfigMap")
    return settings


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("directory", ["kubernetes", "kubernetes/init", "kubernetes/client"])
def test_kubernetes_knows_every_field(directory: str, version: str) -> None:
    things = rendered(directory)
    assert things
    for thing in things:
        try:
            kubernetes_validate.validate(thing, version, strict=True)
        except kubernetes_validate.ValidationError as error:
            pytest.fail(
                f"{thing['kind']} {thing['metadata']['name']}: {list(error.path)}: {error.message}"
            )
        expected = "certgate-client" if directory == "kubernetes/client" else "certgate"
        assert thing["kind"] == "Namespace" or thing["metadata"]["namespace"] == expected


def test_pods_are_of_the_restricted_profile() -> None:
    for thing in (*rendered("kubernetes"), *rendered("kubernetes/init")):
        if thing["kind"] not in ("Deployment", "Job"):
            continue
        pod = pod_spec(thing)
        assert pod["securityContext"] == {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        (container,) = pod["containers"]
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert pod["automountServiceAccountToken"] is False
        # The variables of services are of no use to certgate.
        assert pod["enableServiceLinks"] is False
        assert {"emptyDir", "secret", "configMap"} >= {
            kind for volume in pod["volumes"] for kind in volume
        } - {"name"}
        assert {mount["name"] for mount in container["volumeMounts"]} == {
            volume["name"] for volume in pod["volumes"]
        }
    linked = certgate("config", CERTGATE_PUBLIC_PORT="tcp://10.0.0.1:80")
    assert linked.returncode == 0, "nodes without that setting start too"


def test_references_between_objects_resolve() -> None:
    things = rendered("kubernetes")
    by_kind = {thing["kind"]: thing for thing in things}
    node = by_kind["Deployment"]
    labels = node["spec"]["template"]["metadata"]["labels"]
    (container,) = pod_spec(node)["containers"]
    ports = {port["name"] for port in container["ports"]}
    services = [thing for thing in things if thing["kind"] == "Service"]
    selectors = [
        *(service["spec"]["selector"] for service in services),
        by_kind["PodDisruptionBudget"]["spec"]["selector"]["matchLabels"],
        by_kind["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"],
        node["spec"]["selector"]["matchLabels"],
        *(
            spread["labelSelector"]["matchLabels"]
            for spread in pod_spec(node)["topologySpreadConstraints"]
        ),
    ]
    assert all(selector and selector.items() <= labels.items() for selector in selectors)
    (job,) = rendered("kubernetes/init")
    job_labels = job["spec"]["template"]["metadata"]["labels"]
    assert not any(
        service["spec"]["selector"].items() <= job_labels.items() for service in services
    )
    assert (
        by_kind["NetworkPolicy"]["spec"]["podSelector"]["matchLabels"].items() <= job_labels.items()
    )

    used = {port["targetPort"] for service in services for port in service["spec"]["ports"]}
    used |= {probe(container, name)["port"] for name in PROBES}
    ingress = by_kind["NetworkPolicy"]["spec"]["ingress"]
    assert used == ports == {port["port"] for rule in ingress for port in rule["ports"]}

    # The page names every secret that the operator has to make.
    page = (REPOSITORY / "docs/kubernetes.md").read_text()
    for pod in (pod_spec(node), pod_spec(job)):
        (container,) = pod["containers"]
        secrets = [
            volume["secret"]["secretName"] for volume in pod["volumes"] if "secret" in volume
        ]
        secrets += [entry["valueFrom"]["secretKeyRef"]["name"] for entry in container["env"]]
        assert secrets and all(f"| {name} " in page for name in secrets), secrets
        assert [source["configMapRef"]["name"] for source in container["envFrom"]] == [
            "certgate-settings"
        ]
        assert pod["containers"][0]["image"] == "registry.example/certgate:0.2.0"


PROBES = ("startupProbe", "livenessProbe", "readinessProbe")


def probe(container: dict[str, Any], name: str) -> dict[str, Any]:
    return container[name]["httpGet"]


def test_the_job_and_the_nodes_run(tmp_path: Path, postgres: Postgres) -> None:
    url = postgres.url(postgres.database())
    (job,) = rendered("kubernetes/init")
    (node,) = (thing for thing in rendered("kubernetes") if thing["kind"] == "Deployment")
    certificate, key = tls_files(tmp_path)
    secrets = {
        "certgate-master-key": {"master-key": MASTER_KEY},
        "certgate-tls": {"tls.crt": certificate, "tls.key": key},
        "certgate-database": {"url": url},
    }

    with place() as at:
        made = at.run(*pod_here(at, job, secrets))
        assert made.returncode == 0, made.stderr
        installation = json.loads(made.stdout)
    with place() as at:
        again = at.run(*pod_here(at, job, secrets))
        assert (
            again.returncode == 1 and again.stdout == "" and "initialised already" in again.stderr
        ), again.stderr

    (container,) = pod_spec(node)["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    settings = settings_of("kubernetes")
    assert settings["CERTGATE_LISTEN"] == f"0.0.0.0:{ports['management']}"
    assert settings["CERTGATE_PUBLIC_LISTEN"] == f"0.0.0.0:{ports['public']}"
    with place() as first, place() as second:
        nodes = [Deployed(at, *pod_here(at, node, secrets), installation) for at in (first, second)]
        before = [node.place.files() for node in nodes]
        try:
            for server in nodes:
                server.start()
                for name in PROBES:
                    asked = probe(container, name)
                    assert (asked["port"], asked["scheme"]) == ("management", "HTTPS")
                    assert server.answers(server.port, asked["path"], "https")[0] == 200
                assert server.answers(server.public_port, "/healthz") == (200, "ok\n")
            postgres.stop()
            paths = {name: probe(container, name)["path"] for name in PROBES}
            for server in nodes:

                def asked(server: Deployed = server) -> dict[str, int]:
                    return {
                        name: server.answers(server.port, path, "https")[0]
                        for name, path in paths.items()
                    }

                # A node uses the answer of its database for a second.
                eventually(
                    "the node is not ready", lambda asked=asked: asked()["readinessProbe"] == 503
                )
                assert asked() == {"startupProbe": 200, "livenessProbe": 200, "readinessProbe": 503}
            postgres.start()
            for server in nodes:
                server.stop()
        finally:
            for server in nodes:
                server.kill()
        for server, files in zip(nodes, before, strict=True):
            # Its data directory is empty.
            kept = server.place.files() - files
            assert kept == {"server.log", "var/lib/certgate/node"}, "a node keeps nothing"


def pod_here(
    at: Place, thing: dict[str, Any], secrets: dict[str, dict[str, str]]
) -> tuple[list[str], dict[str, str]]:
    """Makes the volumes of a pod. Returns the arguments and environment of its container."""
    pod = pod_spec(thing)
    (container,) = pod["containers"]
    volumes = {volume["name"]: volume for volume in pod["volumes"]}
    for mount in container["volumeMounts"]:
        volume = volumes[mount["name"]]
        if "emptyDir" in volume:
            at.writable(mount["mountPath"], 0o777)
        elif "secret" in volume:
            assert mount["readOnly"] is True
            for name, value in secrets[volume["secret"]["secretName"]].items():
                at.handed_over(
                    f"{mount['mountPath']}/{name}", value, volume["secret"]["defaultMode"]
                )
        else:
            assert volume["configMap"]["optional"] is True
    settings = dict(settings_of("kubernetes"))
    for entry in container["env"]:
        source = entry["valueFrom"]["secretKeyRef"]
        settings[entry["name"]] = secrets[source["name"]][source["key"]]
    return container["args"], {name: at.here(value) for name, value in settings.items()}


def test_the_pod_of_a_client_enrols_and_renews(tmp_path: Path) -> None:
    (client,) = (thing for thing in rendered("kubernetes/client") if thing["kind"] == "StatefulSet")
    pod = pod_spec(client)
    enrol, renew = pod["initContainers"]
    (program,) = pod["containers"]
    assert pod["securityContext"]["runAsNonRoot"] and pod["securityContext"]["fsGroup"] == USER
    for container in (enrol, renew, program):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    assert renew["restartPolicy"] == "Always", "it runs beside the program"
    assert "--exec" not in renew["args"], "the image has no shell"
    mounts = {mount["name"]: mount for mount in program["volumeMounts"]}
    assert mounts["pki"]["readOnly"] is True
    page = (REPOSITORY / "docs/renewal.md").read_text()
    for named in ("secret generic invite", "configmap est", "/pki/client.crt"):
        assert named in page
    est = EstServer(tmp_path / "est").start()
    try:
        with place() as at:
            at.writable("/pki", 0o770)
            at.handed_over("/run/secrets/invite/invite", INVITE)
            values = {"url": est.url, "fingerprint": est.fingerprint}
            settings = {
                entry["name"]: values[entry["valueFrom"]["configMapKeyRef"]["key"]]
                for entry in enrol["env"]
            }
            words = [expanded(at, word, settings) for word in enrol["args"]]
            for expected in ("wrote", "exists already"):
                made = at.run(words, {})
                assert made.returncode == 0 and expected in made.stderr, made.stderr
            files = Files(est, at.at("/pki/client.crt"), at.at("/pki/client.key"))
            first = files.works()
            assert est.posts() == 1
            words = [at.here(word) for word in renew["args"]]
            with at.at("/pki/log").open("w") as log:
                process = subprocess.Popen(
                    [str(at.program), *words, "--within=1/1"],
                    env=environment(),
                    stderr=log,
                    **at.as_user(),
                )
            try:
                eventually("it is renewed", lambda: files.certificate.is_symlink())
                eventually("it is told", lambda: "renewed" in at.at("/pki/log").read_text())
                process.send_signal(signal.SIGTERM)
                assert process.wait(PATIENCE_SECONDS) == 0
            finally:
                process.kill()
                process.wait()
            assert files.works() != first
    finally:
        est.stop()


def expanded(at: Place, word: str, settings: dict[str, str]) -> str:
    """Replaces variables as Kubernetes does, and paths."""
    word = re.sub(r"\$\((\w+)\)", lambda found: settings[found[1]], word)
    option, equals, value = word.partition("=")
    return f"{option}{equals}{at.here(value)}" if equals else at.here(word)


def test_a_stop_has_enough_time() -> None:
    (node,) = (thing for thing in rendered("kubernetes") if thing["kind"] == "Deployment")
    (container,) = pod_spec(node)["containers"]
    leaving = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    grace = pod_spec(node)["terminationGracePeriodSeconds"] - leaving
    unit = int(Unit(SYSTEMD / "certgate.service").one("TimeoutStopSec"))
    assert grace == unit >= STOP_SECONDS + 2 * LAST_WRITES_SECONDS
    helped = " ".join(certgate("serve", "--help").stdout.split())
    assert f"the server then closes the remaining connections [default: {STOP_SECONDS}]" in helped
    # The preStop time covers a full readiness probe.
    readiness = container["readinessProbe"]
    assert leaving >= readiness["periodSeconds"] + readiness["timeoutSeconds"]
