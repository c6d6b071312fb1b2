"""Clients generated from the OpenAPI document compile, and call every operation."""

from __future__ import annotations

import importlib
import importlib.metadata
import inspect
import json
import pkgutil
import re
import shutil
import subprocess
import sys
import typing
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from kit import clients
from kit.harness import Server, environment, needs, openssl
from kit.judges import jar
from kit.plan import Operation, as_json, bodies, objects, operations

SOURCES = Path(__file__).parent
GO = SOURCES.parents[1] / "go/generated"

OPERATIONS = "a client that compiles and calls every operation, with and without body"

# A generator or compiler takes some seconds.
PATIENCE_SECONDS = 240

OPENAPI_GENERATOR = "7.18.0"
OPENAPI_GENERATOR_SHA256 = "35fdd19079f5fb37cf8074f48db825bdedc02c1b8264261bf283d9394d98a285"

# The answers that are not 200: the zone has a certificate, the account a zone, and the CA to retire
# was activated.
OTHERS = {
    "zones-0-delete": 400,
    "account-deletion": 400,
    "managed-authorities-retire": 400,
}


class Setting:
    """A server, its document and the plan of calls."""

    def __init__(self, server: Server, csr: str, folder: Path) -> None:
        self.server, self.folder = server, folder
        found = objects(server, csr, root("first", folder))
        api = server.api()
        self.document = api.call("GET", "/openapi.json").json
        api.close()
        self.plan = operations(self.document, found, bodies(found, csr, root("second", folder)))
        self.file = folder / "openapi.json"
        self.file.write_text(json.dumps(self.document))

    def judge(self, called: list[tuple[str, int]]) -> None:
        """Each operation was called as often as planned, with the right answer."""
        assert sorted(name for name, _ in called) == sorted(call.id for call in self.plan)
        wrong = [(name, status) for name, status in called if status != OTHERS.get(name, 200)]
        assert not wrong, wrong


def root(name: str, folder: Path) -> str:
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
    out = ("-keyout", folder / f"{name}.key", "-subj", f"/CN={name}", "-days", "30")
    return openssl("req", "-x509", *key, *out)


@pytest.fixture
def setting(server: Server, csr: str, tmp_path: Path) -> Setting:
    folder = tmp_path / "generated"
    folder.mkdir()
    return Setting(server, csr, folder)


def run(*command: str | Path, folder: Path, **more: str) -> str:
    """Runs a program that must succeed, and returns its output."""
    done = subprocess.run(
        list(map(str, command)),
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def imported(package: str, folder: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, ModuleType]:
    """Every module of a generated package: Python compiles it."""
    monkeypatch.syspath_prepend(str(folder))
    importlib.invalidate_caches()
    top = importlib.import_module(package)
    names = [found.name for found in pkgutil.walk_packages(top.__path__, f"{package}.")]
    return {name: importlib.import_module(name) for name in names}


def plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def model(kind: Any) -> type:
    """The class of a body: the annotation names it, alone or beside a marker for no body."""
    kinds = [kind, *typing.get_args(kind)]
    found = [kind for kind in kinds if hasattr(kind, "from_dict")]
    assert len(found) == 1, kinds
    return found[0]


def test_openapi_python_client(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    config = setting.folder / "config.yml"
    config.write_text(
        "content_type_overrides:\n  application/x-ndjson: application/octet-stream\n"
        "post_hooks: []\n"
    )
    told = run(
        *(sys.executable, "-m", "openapi_python_client", "generate", "--meta", "none"),
        *("--path", setting.file, "--output-path", setting.folder / "pyclient"),
        *("--config", config, "--fail-on-warning"),
        folder=setting.folder,
    )
    assert "WARNING" not in told, told
    modules = imported("pyclient", setting.folder, monkeypatch)
    client = modules["pyclient.client"].AuthenticatedClient(
        base_url=setting.server.url, token=setting.server.token
    )
    calls = {
        plain(name.rsplit(".", 1)[1]): module.sync_detailed
        for name, module in modules.items()
        if hasattr(module, "sync_detailed")
    }
    called = []
    for operation in setting.plan:
        function = calls[plain(operation.id)]
        given = {**operation.parameters, **operation.query}
        if operation.body is not None:
            kinds = typing.get_type_hints(function, vars(sys.modules[function.__module__]))
            body: Any = model(kinds["body"])
            given["body"] = body.from_dict(operation.body)
        answer = function(client=client, **given)
        called.append((operation.id, int(answer.status_code)))
    setting.judge(called)
    python = importlib.metadata.version("openapi-python-client")
    clients.works("openapi-python-client", python, OPERATIONS)


def test_openapi_generator(setting: Setting, monkeypatch: pytest.MonkeyPatch) -> None:
    generator = f"org.openapitools:openapi-generator-cli:{OPENAPI_GENERATOR}"
    program = jar(generator, OPENAPI_GENERATOR_SHA256)
    run(
        *(needs("java"), "-jar", program, "generate", "-g", "python", "-i", setting.file),
        *("-o", setting.folder / "out", "--package-name", "genclient"),
        folder=setting.folder,
    )
    modules = imported("genclient", setting.folder / "out", monkeypatch)
    top = sys.modules["genclient"]
    configuration = top.Configuration(host=setting.server.url, access_token=setting.server.token)
    client = top.ApiClient(configuration)
    calls: dict[str, Callable[..., Any]] = {}
    for name, module in modules.items():
        if ".api." not in name:
            continue
        for kind in vars(module).values():
            if inspect.isclass(kind) and kind.__module__ == name:
                for method in dir(kind):
                    if method.endswith("_without_preload_content"):
                        called_name = method.removesuffix("_without_preload_content")
                        calls[plain(called_name)] = getattr(kind(client), method)
    called = []
    for operation in setting.plan:
        function = calls[plain(operation.id)]
        given = {**operation.parameters, **operation.query}
        if operation.body is not None:
            given.update(body_of(setting, operation, top))
        answer = function(**given)
        answer.read()
        called.append((operation.id, answer.status))
    setting.judge(called)
    clients.works("openapi-generator (python)", OPENAPI_GENERATOR, OPERATIONS)


def body_of(setting: Setting, operation: Operation, top: ModuleType) -> dict[str, Any]:
    """The argument of a body, which has the name of its schema."""
    described = setting.document["paths"][operation.path][operation.method]
    schema = described["requestBody"]["content"]["application/json"]["schema"]
    name = schema["$ref"].rsplit("/", 1)[1]
    argument = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return {argument: getattr(top, name).from_dict(operation.body)}


def test_oapi_codegen(setting: Setting) -> None:
    needs("go")
    folder = setting.folder / "go"
    shutil.copytree(GO, folder)
    (folder / "api").mkdir()
    plan = setting.folder / "plan.json"
    plan.write_text(json.dumps(as_json(setting.plan)))
    generate = ("-generate", "types,client", "-package", "api", "-o", "api/api.go")
    run("go", "tool", "oapi-codegen", *generate, setting.file, folder=folder)
    told = run(
        *("go", "test", "-count=1", "-v", "./..."),
        folder=folder,
        CERTGATE_TEST_PLAN=str(plan),
        CERTGATE_TEST_URL=setting.server.url,
        CERTGATE_TEST_TOKEN=setting.server.token,
    )
    called = re.findall(r"^CALLED (\S+) (\d+)$", told, re.MULTILINE)
    setting.judge([(name, int(status)) for name, status in called])
    used = re.search(r"oapi-codegen/v2 v(\S+)", (GO / "go.mod").read_text())
    assert used
    clients.works("oapi-codegen", used[1], OPERATIONS)


def test_openapi_typescript(setting: Setting) -> None:
    for program in ("node", "npm"):
        needs(program)
    folder = setting.folder / "typescript"
    shutil.copytree(SOURCES / "typescript", folder)
    install = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
    run(*install, folder=folder)
    generator = "node_modules/openapi-typescript/bin/cli.js"
    run("node", generator, setting.file, "-o", "schema.d.ts", folder=folder)
    (folder / "calls.ts").write_text(typescript(setting))
    run("node", "node_modules/typescript/bin/tsc", folder=folder)
    told = run(
        *("node", "built/calls.js"),
        folder=folder,
        CERTGATE_TEST_URL=setting.server.url,
        CERTGATE_TEST_TOKEN=setting.server.token,
    )
    called = re.findall(r"^CALLED (\S+) (\d+)$", told, re.MULTILINE)
    setting.judge([(name, int(status)) for name, status in called])
    lock = json.loads((folder / "package-lock.json").read_text())
    version = lock["packages"]["node_modules/openapi-typescript"]["version"]
    clients.works("openapi-typescript", version, OPERATIONS)


def typescript(setting: Setting) -> str:
    """A program that makes each call with literal arguments, which the compiler checks."""
    lines = [
        "import createClient from 'openapi-fetch';",
        "import type { paths } from './schema.js';",
        "const headers = { Authorization: `Bearer ${process.env['CERTGATE_TEST_TOKEN']}` };",
        "const baseUrl = process.env['CERTGATE_TEST_URL'] ?? '';",
        "const client = createClient<paths>({ baseUrl, headers });",
    ]
    for operation in setting.plan:
        places = {"path": operation.parameters, "query": operation.query}
        given: dict[str, Any] = {"params": {name: of for name, of in places.items() if of}}
        if not given["params"]:
            given = {}
        if operation.body is not None:
            given["body"] = operation.body
        if operation.path.endswith(("revocation_stream", "revocations")):
            given["parseAs"] = "text"
        path, method = json.dumps(operation.path), operation.method.upper()
        call = f"await client.{method}({path}, {json.dumps(given)})"
        lines.append(f"console.log('CALLED {operation.id}', ({call}).response.status);")
    return "\n".join(lines) + "\n"
