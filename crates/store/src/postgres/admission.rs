//! The checks of a database before a server uses it: its encoding, the way to it, and the rights of
//! the user.

use super::connect::Address;
use super::db::PostgresDb;
use super::open_error::PostgresError;
use crate::db::{Db as _, Dialect};
use crate::schema::{TABLES, Table};

/// Tables whose rows are never changed.
const UNCHANGED: [&str; 5] = [
    "audit_entries",
    "certificates",
    "epoch_gaps",
    "invite_uses",
    "notification_conditions",
];

/// Tables from which rows are deleted.
const DELETED_FROM: [&str; 17] = [
    "authority_requests",
    "crl_states",
    "crls",
    "enforcement_points",
    "hostname_associations",
    "indexing",
    "invite_uses",
    "invites",
    "issuance_counters",
    "leases",
    "lost_certificates",
    "mtls_certificates",
    "notification_conditions",
    "notifications_undelivered",
    "revocations",
    "tokens",
    "writers",
];

/// The most tables that an error names.
const SHOWN_MAX: usize = 5;

/// Connects to a database in which every text can be stored, and whose connections keep their
/// settings.
pub(super) async fn connect(address: &Address) -> Result<PostgresDb, PostgresError> {
    let connected = async {
        let db = address.connect().await?;
        refuse_shared_sessions(address, &db).await?;
        let select = "SELECT current_setting('server_encoding')";
        let encoding: String = db.one(select, &[], |row| row.get(0)).await?;
        match encoding.as_str() {
            "UTF8" => Ok(db),
            _ => Err(PostgresError::Encoding(encoding)),
        }
    };
    connected.await.map_err(|error| error.at(address))
}

/// Refuses a pooler that gives a connection to another client after each transaction. It loses
/// prepared statements, and the settings on which the durability of a commit depends.
pub(super) async fn refuse_shared_sessions(
    address: &Address,
    db: &PostgresDb,
) -> Result<(), PostgresError> {
    const MARK: &str = "SELECT set_config('certgate.session', CAST(gen_random_uuid() AS TEXT), \
                        false)";
    const READ: &str = "SELECT current_setting('certgate.session', true)";
    let mark = db.read_unprepared(MARK).await?;
    let other = address.connect().await?;
    // Occupies a connection of the pooler, by preference the one that was used last.
    if let Err(error) = other.run("BEGIN").await {
        // A pooler of statements says so.
        let _ = db.run("RESET ALL").await;
        return Err(error.into());
    }
    let is_shared = other.read_unprepared(READ).await? == mark;
    if is_shared || db.read_unprepared(READ).await? != mark {
        // Other clients of the pooler should not get the settings.
        other.run("ROLLBACK; RESET ALL").await?;
        db.run("RESET ALL").await?;
        return Err(PostgresError::SharedSessions);
    }
    Ok(())
}

/// Refuses a user that lacks a right to one of the tables that exist, and names it.
pub(super) async fn check_rights(db: &PostgresDb) -> Result<(), PostgresError> {
    let mut needed = Vec::new();
    let mut need = |table: &str, right: &str| needed.push(format!("('{table}', '{right}')"));
    need("schema_migrations", "SELECT");
    need("schema_lock", "SELECT");
    need("schema_lock", "UPDATE");
    // Of the search index, PostgreSQL has views.
    let (tables, views): (Vec<&Table>, Vec<&Table>) = TABLES
        .iter()
        .partition(|table| table.is_in(Dialect::Postgres));
    for view in views {
        need(view.name, "SELECT");
    }
    for table in tables.into_iter().map(|table| table.name) {
        let update = (!UNCHANGED.contains(&table)).then_some("UPDATE");
        let delete = DELETED_FROM.contains(&table).then_some("DELETE");
        for right in ["SELECT", "INSERT"].into_iter().chain(update).chain(delete) {
            need(table, right);
        }
    }
    // The answer about a missing table is NULL, which is left out.
    let select = format!(
        "SELECT string_agg(rights || ' on ' || name, ', ' ORDER BY name) FROM ( \
             SELECT name, string_agg(needed, ', ' ORDER BY needed) AS rights \
             FROM (VALUES {}) AS every (name, needed) \
             WHERE NOT has_table_privilege(to_regclass('\"' || name || '\"'), needed) \
             GROUP BY name ORDER BY name LIMIT {SHOWN_MAX} \
         ) AS found",
        needed.join(", ")
    );
    match db.read_unprepared(&select).await? {
        None => Ok(()),
        Some(missing) => {
            let user = db.read_unprepared("SELECT current_user").await?;
            let user = user.unwrap_or_default();
            Err(PostgresError::Rights { user, missing })
        }
    }
}
