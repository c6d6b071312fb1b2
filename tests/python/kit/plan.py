"""One call of each operation of the OpenAPI document, with and without a body."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from kit.harness import Server

METHODS = ("get", "post", "put", "patch", "delete")

# Reads come before writes, and deletions come last: each call finds the objects that it needs.
ORDER = {method: place for place, method in enumerate(METHODS)}


@dataclass
class Operation:
    """A call: the values of its path, and its body."""

    id: str
    method: str
    path: str
    tag: str
    parameters: dict[str, str]
    query: dict[str, Any]
    body: Any
    is_body_required: bool


def objects(server: Server, csr: str, root: str) -> dict[str, Any]:
    """An object for each parameter of a path, by its name."""
    api = server.api()
    account, zone = server.made["account_id"], server.zone_id
    base = f"/client/v4/accounts/{account}"

    def made(path: str, body: Any) -> str:
        answer = api.call("POST", path, body)
        assert answer.status == 200, answer.text
        return answer.result["id"]

    group = {"id": "7b7216b327b04b8fbc8f524e1f9b7531"}
    policy = {
        "effect": "allow",
        "permission_groups": [group],
        "resources": {f"com.cloudflare.api.account.{account}": "*"},
    }
    token = {"name": "spare", "policies": [policy]}
    certificate = api.issue(csr).result["id"]
    # A certificate that prevents the deletion of the zone.
    api.issue(csr)
    authorities = f"/certgate/v1/accounts/{account}/managed_authorities"
    found = {
        "account_id": account,
        "membership_id": account,
        "zone_id": zone,
        "client_certificate_id": certificate,
        "mtls_certificate_id": made(
            f"{base}/mtls_certificates", {"certificates": root, "ca": True}
        ),
        "enforcement_point_id": made(
            f"/certgate/v1/accounts/{account}/enforcement_points", {"name": "edge"}
        ),
        "managed_authority_id": made(authorities, {"algorithm": "P-256"}),
        "invite_id": made(f"/certgate/v1/zones/{zone}/invites", {"name": "device-1"}),
        "request_id": made(
            f"/certgate/v1/accounts/{account}/managed_authority_requests", {"algorithm": "P-256"}
        ),
        "user_token": made("/client/v4/user/tokens", token),
        "account_token": made(f"{base}/tokens", token),
    }
    api.close()
    return found


def bodies(found: dict[str, Any], csr: str, leaf: str) -> dict[str, Any]:
    """A good body for each schema of a body."""
    account = found["account_id"]
    group = {"id": "7b7216b327b04b8fbc8f524e1f9b7531"}
    token = {
        "name": "generated",
        "policies": [
            {
                "effect": "allow",
                "permission_groups": [group],
                "resources": {
                    f"com.cloudflare.api.account.{account}": {
                        "com.cloudflare.api.account.zone.*": "*"
                    }
                },
            }
        ],
        "condition": {"request.ip": {"in": ["192.0.2.0/24"]}},
    }
    return {
        "AcknowledgeEpoch": {"epoch": 0},
        "CreateAccount": {"name": "generated", "type": "standard"},
        "CreateClientCertificate": {"csr": csr, "validity_days": 30},
        "CreateInvite": {"name": "generated", "device": "iphone", "uses": 2},
        "CreateMtlsCertificate": {"certificates": leaf, "ca": True, "name": "generated"},
        "CreateToken": token,
        "CreateZone": {"name": "generated.example", "account": {"id": account}},
        "AdoptCertificates": {"certificates": [leaf]},
        "ChangeCaState": {"anyway": True},
        "NewCa": {"algorithm": "P-256", "name": "generated"},
        "RequestCa": {"algorithm": "P-384", "name": "generated"},
        "IssuanceRuleSet": {"max_lifetime": 3650 * 86_400},
        "ReactivateClientCertificate": {"reactivate": True},
        "RegisterEnforcementPoint": {"name": "generated", "lease_seconds": 5},
        "ReplaceHostnameAssociations": {"hostnames": ["generated.example.com"]},
        "RevokeClientCertificate": {"reason": "certificateHold"},
        "RotateCa": {"algorithm": "P-256"},
        "UpdateAccount": {"name": "default", "type": "enterprise"},
        "UpdateUser": {"first_name": "Ada"},
        "UpdateZone": {"paused": False},
    }


def operations(
    document: dict[str, Any], found: dict[str, Any], good: dict[str, Any]
) -> list[Operation]:
    """Every operation once, and a second time without the body that it may omit."""
    plan: list[Operation] = []
    for path, methods in document["paths"].items():
        for method, described in methods.items():
            if method not in METHODS:
                continue
            values = {}
            for parameter in described.get("parameters", []):
                name = parameter["name"]
                if parameter["in"] == "path":
                    owner = "account_token" if "/accounts/" in path else "user_token"
                    values[name] = found[owner if name == "token_id" else name]
            # No stream and no wait for changes.
            query = {"for_seconds": 0} if path.endswith("revocation_stream") else {}
            body, is_required = None, False
            if "requestBody" in described:
                content = described["requestBody"]["content"]["application/json"]
                assert set(content["schema"]) == {"$ref"}, f"{method} {path}"
                body = good[content["schema"]["$ref"].rsplit("/", 1)[1]]
                is_required = described["requestBody"].get("required", False)
            identifier, tag = described["operationId"], described["tags"][0]
            first = Operation(identifier, method, path, tag, values, query, body, is_required)
            plan.append(first)
            if body is not None and not is_required:
                plan.append(Operation(identifier, method, path, tag, values, query, None, False))
    return sorted(plan, key=lambda call: ORDER[call.method])


def as_json(plan: list[Operation]) -> list[dict[str, Any]]:
    return [asdict(call) for call in plan]
