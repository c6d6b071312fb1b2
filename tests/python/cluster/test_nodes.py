"""Several nodes on one PostgreSQL: all show each answered change, and each can fail."""

from __future__ import annotations

import random
import re
import threading
import time
from collections import Counter

from kit import fleet
from kit.crash import RESTORED, REVOKED, Certificate, verify
from kit.fleet import NODES, SECONDS, SEED, Fleet
from kit.harness import Api, eventually
from kit.postgres import MakeNode, Node, Postgres
from kit.wholeness import faults

CLIENTS = 6


# The number of simultaneous starts on an empty database.
FIRST_STARTS = 5


def test_every_node_shows_each_answered_change(
    postgres: Postgres, make_node: MakeNode, csr: str
) -> None:
    url = postgres.url(postgres.database())
    apis = [node.api() for node in (make_node(url), make_node(url), make_node(url))]
    issued = [api.issue(csr).result["id"] for api in apis]
    for api in apis:
        assert [certificate["id"] for certificate in api.every()] == issued[::-1]
    assert apis[1].revoke(issued[0]).result["status"] == "pending_revocation"
    for api in apis:
        eventually("it is revoked", lambda api=api: api.total("revoked") == 1)
        api.close()


# Records each process that settles, publishes, or takes and leaves the lease, by the name of its
# connections. Writes take turns, so the numbers are in the order of commits.
OBSERVER = """
CREATE TABLE observed (
    number BIGSERIAL PRIMARY KEY, what TEXT, process TEXT DEFAULT current_setting('application_name'), holder BYTEA
);
CREATE FUNCTION observe() RETURNS TRIGGER LANGUAGE plpgsql AS $$
BEGIN
    IF TG_TABLE_NAME <> 'leases' THEN
        INSERT INTO observed (what) VALUES (TG_TABLE_NAME);
    ELSIF TG_OP = 'DELETE' THEN
        INSERT INTO observed (what, holder) VALUES ('leaves', OLD.holder);
    ELSE
        INSERT INTO observed (what, holder) VALUES ('holds', NEW.holder);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER settled AFTER UPDATE OF status ON statuses
    FOR EACH ROW WHEN (NEW.status IN (0, 3) AND OLD.status IN (1, 2)) EXECUTE FUNCTION observe();
CREATE TRIGGER published AFTER INSERT OR UPDATE ON crls FOR EACH ROW EXECUTE FUNCTION observe();
CREATE TRIGGER held AFTER INSERT OR UPDATE OR DELETE ON leases FOR EACH ROW EXECUTE FUNCTION observe();
"""


def settlers(observed: list[list[str]]) -> list[str]:
    """The successive lease holders of the settling job. Asserts that no other node settles."""
    holding: str | None = None
    had: list[str] = []
    holders: dict[str, str] = {}
    for what, process, holder in observed:
        if what == "holds":
            assert holders.setdefault(holder, process) == process, (
                f"{process} holds the lease under another one's name"
            )
            if had[-1:] != [process]:
                had.append(process)
            holding = process
        elif what == "leaves":
            assert process == holding, f"{process} releases the lease of {holding}"
            holding = None
        else:
            assert process == holding, f"{process} writes {what}, but the lease is that of {holding}"
    return had


class Owner(fleet.Client):
    """Changes only its own certificates, in a known order. Reads them on every node."""

    def __init__(self, nodes: Fleet, csr: str, seed: int) -> None:
        super().__init__(nodes, seed)
        self.csr, self.own = csr, list[Certificate]()
        self.answers: Counter[str] = Counter()
        self.unanswered_issues = 0

    def step(self, api: Api) -> None:
        chance = self.random.random()
        if not self.own or chance < 0.3:
            self.unanswered_issues += 1
            answer = api.issue(self.csr)
            self.unanswered_issues -= 1
            self.own.append(Certificate(answer.result))
            self.answers["issue"] += 1
            return
        certificate = self.own[-1 - min(int(self.random.expovariate(0.2)), len(self.own) - 1)]
        if chance < 0.5:
            found = api.get(certificate.answered["id"]).result
            assert found["status"] in certificate.statuses, (
                f"{found}, not in {certificate.statuses}"
            )
            self.answers["get"] += 1
            return
        before = certificate.statuses
        if before > REVOKED or before > RESTORED:
            return  # Its last change has no answer.
        change, after = (api.restore, RESTORED) if before <= REVOKED else (api.revoke, REVOKED)
        certificate.statuses = before | after
        assert (answer := change(certificate.answered["id"])).result["status"] in after, answer.text
        certificate.statuses = after
        self.answers["revoke" if after is REVOKED else "restore"] += 1


def test_nodes_restart_under_load(postgres: Postgres, make_node: MakeNode, csr: str) -> None:
    print(f"CERTGATE_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    url = postgres.url(postgres.database())
    # The first node makes the tables.
    first = make_node(url)
    first.stop()
    sql = first.sql
    sql(OBSERVER)
    nodes = Fleet([first, *(make_node(url, start=False) for _ in range(NODES - 1))])

    def observed() -> list[list[str]]:
        return [
            row.split("|")
            for row in sql(
                "SELECT what, process, holder FROM observed ORDER BY number"
            ).splitlines()
        ]

    clients = [Owner(nodes, csr, chance.getrandbits(32)) for _ in range(CLIENTS)]
    with nodes.loaded(clients):
        nodes.disturb(SECONDS, chance)
        # The lease holder is killed last: another node takes over when its lease ends.
        holder = eventually("a node settles", lambda: sql("SELECT holder FROM leases"))
        settler = next(
            process for what, process, by in observed() if what == "holds" and by == holder
        )
        for node, life in list(nodes.up.items()):
            if life.name == settler:
                nodes.kill(node)
    answers: Counter[str] = Counter()
    for client in clients:
        answers += client.answers
    survivor = next(iter(nodes.up))
    unanswered = sum(client.unanswered_issues for client in clients)
    verify(survivor, [client.own for client in clients], unanswered)
    had = settlers(observed())
    print(
        f"answered: {dict(answers)}, cut off: {sum(client.cut_off for client in clients)}, ends: {nodes.ends}, settlers: {had}"
    )
    assert had[-1] in [life.name for life in nodes.up.values()]
    assert (found := faults(sql)) == [], found
    for node in nodes.nodes:
        node.secrets_are_kept()
    assert min(nodes.ends.values()) > 0 and min(answers.values()) > 20, (
        "too little happened to mean anything"
    )


def ready(node: Node) -> bool:
    """Returns true if a launched node serves, false if it has exited."""
    assert node.process
    try:
        node.accepts()
        return True
    except AssertionError:
        assert node.process is None, "it neither serves nor ends"
        return False


def profile(node: Node) -> dict[str, str] | None:
    if not (node.directory / "client.toml").exists():
        return None
    node.adopt()
    return node.made


def test_kills_during_simultaneous_first_starts(
    postgres: Postgres, make_node: MakeNode, csr: str
) -> None:
    """Exactly one installation results, and each profile has its token."""
    print(f"CERTGATE_TEST_SEED={SEED}")
    chance = random.Random(SEED)
    begun = time.monotonic()
    make_node(postgres.url(postgres.database())).kill()
    whole = time.monotonic() - begun
    for _ in range(FIRST_STARTS):
        url = postgres.url(postgres.database())
        nodes = [make_node(url, start=False) for _ in range(NODES)]
        for node in nodes:
            node.launch()
        for node in chance.sample(nodes, len(nodes)):
            threading.Event().wait(chance.uniform(0, whole))
            node.kill()
        for node in nodes:
            node.launch()
        for node in nodes:
            node.accepts()
        profiles = [told for node in nodes if (told := profile(node))]
        assert profiles and all(told == profiles[0] for told in profiles), profiles
        for node in nodes:
            api = Api(node.port, profiles[0]["token"], profiles[0]["zone_id"])
            assert api.issue(csr).status == 200
            api.close()
        for table in ("installation", "users", "accounts", "zones", "tokens", "authorities"):
            assert nodes[0].sql(f"SELECT count(*) FROM {table}") == "1", table
        assert (found := faults(nodes[0].sql)) == [], found
        for node in nodes:
            node.kill()


def test_nodes_with_another_master_key_do_not_start(
    postgres: Postgres, make_node: MakeNode, csr: str
) -> None:
    """All nodes start at once, each with its own key. One makes the installation."""
    for _ in range(FIRST_STARTS):
        url = postgres.url(postgres.database())
        nodes = [make_node(url, start=False) for _ in range(NODES)]
        for node in nodes:
            del node.variables["CERTGATE_MASTER_KEY"]
            node.launch()
        serving = [node for node in nodes if ready(node)]
        assert len(serving) == 1, [node.log for node in nodes]
        [first] = serving
        first.adopt()
        api = first.api()
        assert api.issue(csr).status == 200
        api.close()
        key = (first.directory / "master.key").read_bytes()
        for node in nodes:
            if node is not first:
                # A node that starts after the installation was made does not make a key.
                assert re.search(
                    "master key .* is not the key of this installation"
                    "|cannot read the master key file .* restore the file",
                    node.log,
                ), node.log
                assert profile(node) is None, "it has a token that is good for nothing"
                # With the right key the node serves, as the message says.
                (node.directory / "master.key").write_bytes(key)
                node.made = first.made
                node.start()
        assert first.sql("SELECT count(*) FROM installation") == "1"
        for node in nodes:
            node.kill()
