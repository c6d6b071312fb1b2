//! The plan of every statement that a verb runs, on both databases, filled to a size at which a
//! wrong plan is slow: no scan, no sorting, every column of an index that the condition allows.
//!
//! The verbs record their statements while the conformance suite runs them.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

#[cfg(unix)]
#[expect(dead_code, reason = "other tests use the rest")]
#[path = "../postgres_server/mod.rs"]
mod postgres_server;

mod allowed;
mod conditions;
#[cfg(unix)]
mod postgres;
mod sqlite;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;

use certgate_model::{AccountFilter, Direction, Join, Slice, Visible, ZoneFilter, ZoneOrder};
use certgate_store::conformance::{self, recorded_statements};
use certgate_store::{MtlsCertificateDeleted, Neighbours, Store};

/// Runs every verb.
async fn run_all(store: &dyn Store) {
    conformance::verbs(store).await;
    conformance::search_indexes(store).await;
    store.is_skipped_epoch(1).await.unwrap();
    // An uploaded CA that a hostname uses.
    let by = conformance::by();
    let account = conformance::account(70);
    let zone = conformance::zone(70, &account);
    let uploaded = conformance::mtls_certificate(71, &account);
    let id = uploaded.id;
    store.record_account(account.clone(), by).await.unwrap();
    store
        .record_zone(zone.clone(), Neighbours::Every, by)
        .await
        .unwrap();
    store
        .record_mtls_certificate(uploaded, None, by)
        .await
        .unwrap();
    let hostname = "statements.example".to_owned();
    store
        .replace_hostname_associations(zone.id, Some(id), vec![hostname.clone()], by)
        .await
        .unwrap();
    assert!(store.enforcement(&hostname).await.unwrap().is_some());
    let deleted = store.delete_mtls_certificate(account.id, id, by).await;
    assert!(matches!(
        deleted,
        Ok(MtlsCertificateDeleted::InUse { count: 1, .. })
    ));
}

/// Runs the filtered lists alone, so that their statements are known from those of the check.
async fn run_lists(store: &dyn Store) {
    let slice = Slice { first: 0, size: 20 };
    let everything = Visible {
        all: true,
        accounts: Vec::new(),
        zones: Vec::new(),
        except_accounts: Vec::new(),
        except_zones: Vec::new(),
    };
    for direction in [Direction::Ascending, Direction::Descending] {
        let filter = AccountFilter {
            visible: everything.clone(),
            name: None,
            direction,
        };
        store.accounts(&filter, slice).await.unwrap();
        for order in [
            ZoneOrder::CreatedOn,
            ZoneOrder::Name,
            ZoneOrder::AccountId,
            ZoneOrder::AccountName,
        ] {
            let filter = ZoneFilter {
                visible: everything.clone(),
                name: None,
                account: Some(conformance::account(0).id),
                account_name: None,
                join: Join::All,
                order,
                direction,
            };
            store.zones(&filter, slice).await.unwrap();
        }
    }
}

/// The recorded statements of one database: those to explain, and the filtered lists.
struct Statements {
    all: BTreeSet<String>,
    lists: BTreeSet<String>,
}

fn recorded(is_postgres: bool, is_streamed: bool) -> BTreeSet<String> {
    recorded_statements()
        .into_iter()
        .filter(|one| one.is_postgres == is_postgres && one.is_streamed == is_streamed)
        .map(|one| one.text)
        .collect()
}

/// Checks that every statement in the sources of the verbs was run, because a statement that did
/// not run is not explained.
fn expect_every_statement(run: &BTreeSet<String>, placeholder: &str) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/verbs");
    let mut missing = String::new();
    let files = |folder: &Path| {
        std::fs::read_dir(folder)
            .unwrap()
            .map(|file| file.unwrap().path())
    };
    let (folders, mut paths): (Vec<_>, Vec<_>) = files(&folder).partition(|path| path.is_dir());
    paths.extend(folders.iter().flat_map(|folder| files(folder)));
    for path in paths {
        let source = std::fs::read_to_string(&path).unwrap();
        let source = source.split("#[cfg(test)]").next().unwrap();
        for line in source.lines() {
            let Some((_, literal)) = line.split_once('"') else {
                continue;
            };
            let begins = ["SELECT ", "INSERT ", "UPDATE ", "DELETE ", "WHERE "];
            if line.trim_start().starts_with("//") || !begins.iter().any(|b| literal.starts_with(b))
            {
                continue;
            }
            let literal = literal.replace("\\\"", "\u{1}");
            let end = literal.find(['"', '{', '\\']).unwrap_or(literal.len());
            let literal = literal[..end].replace('\u{1}', "\"");
            let literal = literal.replace('?', placeholder);
            let is_run = run.iter().any(|text| text.contains(literal.trim_end()));
            let name = path.file_name().unwrap().to_string_lossy();
            if !is_run && !UNREACHABLE.iter().any(|part| literal.contains(part)) {
                writeln!(missing, "{name}: {literal}").unwrap();
            }
        }
    }
    assert!(missing.is_empty(), "not run by the suite:\n{missing}");
}

/// Statements that only one of the databases runs, or only a restore.
const UNREACHABLE: &[&str] = &[
    // The indexes that PostgreSQL builds.
    "SELECT zone FROM indexing WHERE zone = 0",
    // The whole list in one statement, on PostgreSQL.
    "WHERE authority = ?1 AND shard >= ?2 AND shard < ?5",
    // PostgreSQL's own indexes.
    "DELETE FROM indexing WHERE zone = 0",
    // A restore.
    "SELECT is_user, owner FROM audit_chains",
    // Names have two indexes, on PostgreSQL.
    "SELECT sort_key, position FROM (",
    // A row that a server of an earlier version renewed.
    "UPDATE enforcement_points SET forget_on = ",
];

/// The statements that fill SQLite's tables of the search index, as PostgreSQL's views see them.
const FILLING_SEARCH: &str = "\
    INSERT INTO certificate_names (zone, name, position) \
    SELECT position >> 36, lower(common_name), position FROM certificates \
    WHERE position >> 36 >= 1000; \
    INSERT INTO certificate_fingerprints (prefix, position) \
    SELECT substr(fingerprint_sha256, 1, 8), position FROM certificates \
    WHERE position >> 36 >= 1000; \
    INSERT INTO certificate_expiries (zone, expires_on, position) \
    SELECT position >> 36, expires_on, position FROM certificates WHERE position >> 36 >= 1000; \
    INSERT INTO certificate_issue_dates (zone, issued_on, position) \
    SELECT position >> 36, issued_on, position FROM certificates WHERE position >> 36 >= 1000; \
    INSERT INTO certificate_authorities (authority, position) \
    SELECT authority, position FROM certificates WHERE position >> 36 >= 1000; \
    INSERT INTO certificate_revocations (zone, revoked_on, position) \
    SELECT position >> 36, revoked_on, position FROM statuses \
    WHERE revoked_on IS NOT NULL AND position >> 36 >= 1000;";

/// The statements that fill every table. Both databases understand them; `octets` gives 16 octets
/// for an expression of an integer.
fn filling(octets: impl Fn(&str) -> String) -> String {
    let tables = [
        (
            "accounts",
            "id, name, folded_name, authority_algorithm, created_on",
            2_000,
            "octets(90000000 + i), 'Filled ' || i, 'filled ' || i, 'P256', i",
        ),
        (
            "authorities",
            "number, id, account, name, algorithm, certificate_der, sealed_key, \
          public_url, created_on, expires_on, has_signed, retired, last_epoch",
            2_000,
            "1000 + i, octets(90000000 + i), octets(90000000 + i / 2), 'CA', 'P256', octets(i), \
          octets(i), 'http://pki.example', i, i, i % 2 = 0, FALSE, i",
        ),
        (
            "authority_requests",
            "id, account, name, algorithm, sealed_key, csr_der, created_on",
            5_000,
            "octets(90000000 + i), octets(90000000 + i / 5), 'CA', 'P256', octets(i), octets(i), i",
        ),
        (
            "zones",
            "number, id, name, folded_name, reversed_name, account, created_on, modified_on",
            2_000,
            "1000 + i, octets(90000000 + i), 'filled-' || i, 'filled-' || i, 'filled-' || i, \
          octets(90000000 + i / 4), i, i",
        ),
        (
            "tokens",
            "id, \"user\", name, hash, state, policies, allowed_addresses, \
          refused_addresses, issued_on, modified_on",
            5_000,
            "octets(90000000 + i), (SELECT id FROM one_user LIMIT 1), 'Token', \
          octets(90000000 + i), \
          'active', '[]', '[]', '[]', i, i",
        ),
        (
            "mtls_certificates",
            "id, account, name, ca, issuer, signature, serial_number, \
          certificates, fingerprint_sha256, uploaded_on, expires_on",
            5_000,
            "octets(90000000 + i), octets(90000000 + i / 5), 'Uploaded', TRUE, 'CN=CA', 'ECDSA', \
          '1', 'PEM', octets(i), i, i",
        ),
        (
            "hostname_associations",
            "zone, mtls_certificate, place, hostname, folded_hostname, \
          deployment",
            10_000,
            "1000 + i / 10, octets(90000000 + i / 5), i, 'host-' || i, 'host-' || i, i",
        ),
        (
            "certificates",
            "position, id, authority, serial, common_name, country, state, location, \
          organization, organizational_unit, issued_on, expires_on, validity_days, signature, \
          fingerprint_sha256, ski, der, csr",
            60_000,
            "(1000 + i % 20) * 68719476736 + i / 20, octets(90000000 + i), 1000 + i % 20 * 100, \
          octets(70000000 + i), 'device-' || i % 6000, '', '', '', '', '', i, i, 365, 'ECDSAWithSHA256', \
          octets(i), octets(i), octets(i), 'a request as long as a quarter of a usual one, so \
          that a page of the table has few rows'",
        ),
        (
            "replacements",
            "position, successor, replaced_on, renewals, revoke_on",
            20_000,
            "(1000 + i % 20) * 68719476736 + i / 20, \
          (1000 + i % 20) * 68719476736 + i / 20 + 1000, i, 1, i",
        ),
        (
            "invites",
            "id, zone, name, device, uses_max, hash, creator_kind, created_on, expires_on, \
          wrong_secrets",
            20_000,
            "octets(90000000 + i), octets(90000000 + i % 20), 'device', 'device', 1, octets(i), \
          2, i, i, 0",
        ),
        (
            "invite_uses",
            "invite, number, position",
            10_000,
            "octets(90000000 + i), 1, (1000 + i % 20) * 68719476736 + i / 20",
        ),
        (
            "adopted_certificates",
            "authority, serial, position",
            20_000,
            "1000 + i % 20 * 100, octets(70000000 + i), (1000 + i % 20) * 68719476736 + i / 20",
        ),
        (
            "statuses",
            "position, authority, status, epoch, revoked_on, reason",
            60_000,
            "(1000 + i % 20) * 68719476736 + i / 20, 1000 + i % 20 * 100, \
          CASE WHEN i % 100 = 1 THEN 1 WHEN i % 100 = 2 THEN 2 \
          WHEN i % 100 < 30 THEN 3 ELSE 0 END, \
          CASE WHEN i % 100 < 30 THEN i END, CASE WHEN i % 100 < 30 THEN i END, \
          CASE WHEN i % 100 < 30 THEN 0 END",
        ),
        (
            "issuance_counters",
            "owner, day, count",
            5_000,
            "octets(60000000 + i), 20000, i",
        ),
        (
            "authority_counters",
            "zone, authority, active, pending_reactivation, pending_revocation, revoked",
            5_000,
            "1000 + i / 5, 1000 + i, i, i % 2, 0, 0",
        ),
        (
            "day_counters",
            "zone, kind, day, count",
            20_000,
            "1000 + i / 300, i % 3, 20000 + i % 300 / 3, i",
        ),
        (
            "revocations",
            "authority, shard, expires_on, position, serial, revoked_on, reason",
            20_000,
            "1000 + i % 20 * 100, i % 128, i, (1000 + i % 20) * 68719476736 + i / 20, \
          octets(70000000 + i), i, 0",
        ),
        (
            "blocks",
            "block, active, pending_reactivation, pending_revocation, revoked, replaced_active, \
          replaced_pending_reactivation, replaced_pending_revocation, replaced_revoked",
            20_000,
            "i + 134217728000, 512, i % 2, 0, 0, i % 512, 0, 0, 0",
        ),
        (
            "upper_blocks",
            "block, active, pending_reactivation, pending_revocation, revoked, replaced_active, \
          replaced_pending_reactivation, replaced_pending_revocation, replaced_revoked",
            5_000,
            "i + 262144000, 512, i % 2, 0, 0, i % 512, 0, 0, 0",
        ),
        (
            "lost_certificates",
            "position, id, authority, serial, fingerprint_sha256, epoch, \
          revoked_on, reason, expires_on",
            5_000,
            "-90000000 - i, octets(80000000 + i), 1000 + i % 20 * 100, octets(80000000 + i), \
          octets(i), i, \
          i, 0, i",
        ),
        (
            "crl_states",
            "authority, kind, changed_epoch, made_epoch, number, this_update, \
          next_update, renew_on",
            20_000,
            "1000 + i / 130, i % 130, i, i + 1, i, i, i, i",
        ),
        (
            "crls",
            "authority, kind, der",
            5_000,
            "1000 + i / 130, i % 130, octets(i)",
        ),
        (
            "enforcement_points",
            "id, account, token, name, lease_seconds, acknowledged_epoch, seen_on, \
          live_until, registered_on",
            5_000,
            "octets(90000000 + i), octets(90000000 + i / 5), octets(i), 'point-' || i, 60, i, i, \
          i, i",
        ),
        (
            "account_epochs",
            "account, epoch, until, number",
            20_000,
            "octets(90000000 + i / 10), 1 + i, 1 + i, 1 + i % 10",
        ),
        (
            "audit_chains",
            "number, owner, is_user, entries, last_at, head",
            2_000,
            "1000 + i, octets(70000000 + i), FALSE, 1, i, octets(i)",
        ),
        (
            "notification_cursors",
            "destination, log, number, at",
            4_000,
            "CASE WHEN i % 2 = 0 THEN 'email' ELSE 'filled' END, 1000 + i / 2, 1, i",
        ),
        (
            "notification_conditions",
            "number, id, kind, object, since, account, at, name, count, certificates",
            20_000,
            "1000 + i, octets(i), i % 4 + 3, octets(90000000 + i / 10), i, octets(90000000 + i), \
          i, 'zone', 1, octets(i)",
        ),
        (
            "notifications_undelivered",
            "destination, log, number, at, id, kind, object, set_aside_on, error, is_retried",
            20_000,
            "CASE WHEN i % 2 = 0 THEN 'email' ELSE 'filled' END, 1000 + i % 100, i, i, octets(i), \
          0, octets(i), i, 'error', i % 50 = 0",
        ),
        (
            "audit_entries",
            "chain, at, number, actor_kind, actor, action, resource_type, resource, \
          detail, hash",
            60_000,
            "1000 + i % 20 * 100, i, i / 20, 1, octets(i % 50), 1, 1, octets(i), 'detail', \
          octets(i)",
        ),
    ];
    let mut sql = String::from("CREATE TEMPORARY TABLE one_user AS SELECT id FROM users;\n");
    for (table, columns, rows, values) in tables {
        let mut text = format!(
            "WITH RECURSIVE numbers (i) AS \
             (SELECT CAST(0 AS BIGINT) UNION ALL SELECT i + 1 FROM numbers WHERE i < {rows} - 1) \
             INSERT INTO {table} ({columns}) SELECT {values} FROM numbers;\n"
        );
        while let Some(begin) = text.find("octets(") {
            let length = text[begin..].find(')').unwrap();
            let number = text[begin + 7..begin + length].to_owned();
            text.replace_range(begin..=begin + length, &octets(&number));
        }
        sql.push_str(&text);
    }
    sql.push_str(
        "UPDATE accounts SET managed_authority = (SELECT max(number) FROM authorities \
         WHERE authorities.account = accounts.id) WHERE managed_authority IS NULL;\n",
    );
    sql
}
