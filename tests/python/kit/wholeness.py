"""Checks of the tables in PostgreSQL by statements that are independent of certgate."""

from __future__ import annotations

from collections.abc import Callable

# The bits of a position that number the certificates of a zone.
SEQUENCE_BITS = 36

STATUSES = ("active", "pending_reactivation", "pending_revocation", "revoked")

COUNTED = ", ".join(
    f"count(*) FILTER (WHERE status = {code}) AS {status}" for code, status in enumerate(STATUSES)
)

EPOCHS = """
SELECT chain, number, substring(detail FROM 'epoch=([0-9]+)')::BIGINT AS epoch
FROM audit_entries WHERE detail ~ 'epoch='
"""


def blocks(table: str, bits: str) -> str:
    """Returns counters that differ from the rows."""
    counters = ", ".join(STATUSES)
    return f"""
    WITH counted AS (SELECT position >> {bits}::INT AS block, {COUNTED} FROM statuses, store GROUP BY 1)
    SELECT * FROM (SELECT block, {counters} FROM counted EXCEPT SELECT block, {counters} FROM {table}) AS uncounted
    UNION ALL SELECT block, {counters} FROM {table}
    WHERE {" + ".join(STATUSES)} > 0 AND block NOT IN (SELECT block FROM counted)
    """


# Faults, each with the statement that finds them.
FAULTS = {
    "a zone whose positions have a gap or do not begin with the first": f"""
        SELECT position >> {SEQUENCE_BITS}, count(*), min(position), max(position) FROM certificates GROUP BY 1
        HAVING min(position) <> (position >> {SEQUENCE_BITS}) << {SEQUENCE_BITS}
            OR max(position) - min(position) + 1 <> count(*)
        """,
    "a block that is counted wrong": blocks("blocks", "block_bits"),
    "an upper block that is counted wrong": blocks("upper_blocks", "upper_block_bits"),
    "a log whose numbers have a gap or do not begin with 1": """
        SELECT audit_chains.number, entries, count(*), min(entry.number), max(entry.number)
        FROM audit_chains JOIN audit_entries AS entry ON entry.chain = audit_chains.number GROUP BY 1, 2
        HAVING count(*) <> entries OR min(entry.number) <> 1 OR max(entry.number) <> entries
            OR count(DISTINCT entry.number) <> entries
        """,
    "a log that has no beginning": """
        SELECT chain FROM audit_entries WHERE chain NOT IN (SELECT number FROM audit_chains)
        """,
    "epochs that have a gap, or were given twice": f"""
        SELECT count(*), count(DISTINCT (chain, epoch)), last_epoch, skipped
        FROM ({EPOCHS}) AS given, store,
            (SELECT coalesce(sum("until" - "after"), 0) AS skipped FROM epoch_gaps) AS gaps
        GROUP BY last_epoch, skipped
        HAVING count(*) <> last_epoch - skipped
            OR count(DISTINCT (chain, epoch)) <> last_epoch - skipped
        """,
    # At a gap of epochs, the numbers of an account continue 2^32 higher.
    "numbers of an account that have a gap": f"""
        SELECT chain, number, epoch, before
        FROM (SELECT chain, number, epoch,
                     lag(epoch, 1, 0::BIGINT) OVER (PARTITION BY chain ORDER BY number) AS before
              FROM ({EPOCHS}) AS given) AS given
        WHERE (epoch - before) % 4294967296 <> 1
        """,
    "epochs that nothing tells of": f"""
        SELECT last_epoch FROM store WHERE last_epoch > 0 AND NOT EXISTS ({EPOCHS})
        """,
    "a log in which a later entry has an earlier epoch": f"""
        SELECT * FROM (SELECT chain, number, epoch, lag(epoch) OVER (PARTITION BY chain ORDER BY number) AS before
                       FROM ({EPOCHS}) AS given) AS given
        WHERE epoch <= before
        """,
    "an authority that does not know its last epoch": """
        SELECT number, last_epoch, max(epoch) FROM authorities JOIN statuses ON authority = number
        GROUP BY 1, 2 HAVING last_epoch < max(epoch)
        """,
    "a certificate that is not in the list of its authority, or is there and should not be": """
        (SELECT authority, position FROM statuses WHERE status IN (2, 3)
         EXCEPT SELECT authority, position FROM revocations)
        UNION ALL
        (SELECT authority, position FROM revocations EXCEPT SELECT authority, position FROM statuses WHERE status IN (2, 3))
        """,
    "a certificate without exactly one status, or a status without its certificate": """
        (SELECT position, authority FROM certificates EXCEPT SELECT position, authority FROM statuses)
        UNION ALL
        (SELECT position, authority FROM statuses EXCEPT SELECT position, authority FROM certificates)
        """,
    "a certificate without an audit entry": """
        SELECT position FROM certificates WHERE NOT EXISTS (
            SELECT FROM audit_entries WHERE resource = certificates.id
            AND audit_entries.fingerprint_sha256 = certificates.fingerprint_sha256)
        """,
    "a table that has one row for the whole database, and has not": """
        SELECT 'store', count(*) FROM store HAVING count(*) <> 1
        UNION ALL SELECT 'installation', count(*) FROM installation HAVING count(*) <> 1
        UNION ALL SELECT 'schema_lock', count(*) FROM schema_lock HAVING count(*) <> 1
        """,
}


def faults(sql: Callable[[str], str]) -> list[str]:
    """Returns the faults of a database, also while nodes use it. `sql` runs a statement."""
    parts = [
        f"SELECT '{what}: ' || found::TEXT FROM ({select}) AS found"
        for what, select in FAULTS.items()
    ]
    return sql(" UNION ALL ".join(parts)).splitlines()
