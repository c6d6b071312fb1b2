//! The plan of every statement that a verb runs, on both databases, filled to a size at which a
//! wrong plan is slow: no scan, no sorting, every column of an index that the condition allows.
//!
//! The verbs record their statements while the conformance suite runs them.
#![allow(clippy::unwrap_used, reason = "a test that fails says where")]

#[cfg(unix)]
#[expect(dead_code, reason = "other tests use the rest")]
mod postgres_server;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use certgate_model::{AccountFilter, Direction, Join, Slice, Visible, ZoneFilter, ZoneOrder};
use certgate_store::conformance::{self, recorded_statements};
use certgate_store::{
    MtlsCertificateDeleted, Neighbours, SqliteInspector, SqliteOptions, SqliteStore, Store,
};
use rusqlite::Connection;

/// Tables with one row, or with a few rows however many certificates there are.
const SMALL_TABLES: &[(&str, &str)] = &[
    ("users", "an installation has one user"),
    ("store", "one row"),
    ("installation", "one row"),
    ("leases", "one row for each background job"),
    ("epoch_gaps", "one row for each restored backup"),
    ("writers", "one row for each server"),
    ("schema_migrations", "one row for each version"),
];

/// Exceptions: a part of the statement's text, the permitted step of the plan, and the reason.
const EXCEPTIONS: &[(&str, Allowed, &str)] = &[
    (
        "SELECT count(*) FROM tokens",
        Allowed::Scan,
        "lists of tokens are short and counted",
    ),
    (
        "SELECT id, certificate_der FROM authorities WHERE NOT retired ORDER BY number",
        Allowed::Scan,
        "returns every CA",
    ),
    (
        "WHERE acknowledged_epoch < (SELECT max(last_epoch)",
        Allowed::Scan,
        "compares every enforcement point with its account",
    ),
    (
        "WHERE crl_states.changed_epoch > crl_states.made_epoch",
        Allowed::ScanOfIndex("crl_states_changed"),
        "the index has only the rows that the statement returns",
    ),
    (
        "SELECT number, owner, is_user, entries, head FROM audit_chains",
        Allowed::Scan,
        "the check reads every log",
    ),
    (
        "SELECT number, owner, is_user, entries, head FROM audit_chains",
        Allowed::Sort,
        "the check reads every log",
    ),
    (
        "WHERE chain = (SELECT number FROM audit_chains WHERE owner = ",
        Allowed::Filter,
        "for operators: reads the log to find an entry by its number",
    ),
    (
        "FROM mtls_certificates WHERE account = ",
        Allowed::Sort,
        "returns every certificate of an account, which a quota bounds",
    ),
    (
        "accounts JOIN authorities ON authorities.account = accounts.id",
        Allowed::Sort,
        "returns every CA of an account",
    ),
    (
        "SELECT hostname FROM hostname_associations WHERE mtls_certificate = ",
        Allowed::Sort,
        "the hostnames of one certificate, which the quota of a list bounds",
    ),
    (
        "FROM users WHERE api_key_hash = ",
        Allowed::Scan,
        "an installation has one user",
    ),
    (
        "FROM tokens ORDER BY issued_on, id LIMIT ",
        Allowed::Scan,
        "lists of tokens are short and skipped",
    ),
    (
        "INSERT INTO authorities (number, ",
        Allowed::Scan,
        "SQLite runs these searches only after a broken reference in the same statement",
    ),
    (
        "WHERE certificates.position >= $1 AND certificates.position < $2 ORDER BY",
        Allowed::Sort,
        "the rows of one page",
    ),
    (
        "FROM users ORDER BY created_on, id LIMIT 1",
        Allowed::Sort,
        "an installation has one user",
    ),
    (
        "WHERE crl_states.changed_epoch > crl_states.made_epoch",
        Allowed::Scan,
        "PostgreSQL may read the CAs once instead of one by one",
    ),
    (
        "FROM hostname_associations WHERE folded_hostname = ",
        Allowed::Filter,
        "one hostname has one row for each CA that it uses",
    ),
    (
        "FROM blocks WHERE block BETWEEN",
        Allowed::Filter,
        "at most the 512 blocks of an upper block",
    ),
    (
        "FROM upper_blocks WHERE block BETWEEN",
        Allowed::Filter,
        "a zone has an upper block for 2^18 certificates",
    ),
    (
        "AND crl_states.made_epoch >= 0",
        Allowed::Filter,
        "a CA has 130 CRLs",
    ),
    (
        "AND crl_states.made_epoch >= 0 ORDER BY crl_states.kind",
        Allowed::Sort,
        "a CA has 130 CRLs",
    ),
    (
        "FROM authorities WHERE account = ",
        Allowed::Sort,
        "returns every CA of an account",
    ),
    (
        "accounts JOIN authorities ON authorities.account = accounts.id",
        Allowed::Filter,
        "returns every CA of an account",
    ),
    (
        "FROM zones WHERE reversed_name > ",
        Allowed::Filter,
        "the zones below a new one, most of them of its own account",
    ),
    (
        "FROM authorities WHERE account = ",
        Allowed::Filter,
        "an account has few CAs",
    ),
    (
        "SELECT min(acknowledged_epoch) FROM enforcement_points WHERE account = ",
        Allowed::Filter,
        "an account has few enforcement points",
    ),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Allowed {
    Scan,
    ScanOfIndex(&'static str),
    Sort,
    Filter,
}

fn is_allowed(text: &str, wanted: Allowed) -> bool {
    EXCEPTIONS
        .iter()
        .any(|(part, allowed, _)| *allowed == wanted && text.contains(part))
}

fn is_small(table: &str) -> bool {
    SMALL_TABLES.iter().any(|(small, _)| *small == table)
}

/// Runs every verb.
async fn run_all(store: &dyn Store) {
    conformance::verbs(store).await;
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
    // The folder of the check is left out: what the check streams it reads in full.
    let files = std::fs::read_dir(folder).unwrap();
    let paths = files.map(|file| file.unwrap().path());
    for path in paths.filter(|path| path.is_file()) {
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
    // The whole list in one statement, on PostgreSQL.
    "WHERE authority = ?1 AND shard >= ?2 AND shard < ?5",
    // A restore.
    "SELECT is_user, owner FROM audit_chains",
];

#[tokio::test]
async fn every_statement_on_sqlite_uses_an_index() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    let store = SqliteStore::open(&path, SqliteOptions::default()).unwrap();
    run_lists(&store).await;
    let lists = recorded(false, true);
    run_all(&store).await;
    store.close().await;
    drop(store);
    let inspector = SqliteInspector::open(&path).unwrap();
    let owner = *conformance::account(0).id.as_bytes();
    inspector.audit_hash(owner, 1).unwrap();
    drop(inspector);
    let all = recorded(false, false);
    let streamed = recorded(false, true);
    expect_every_statement(&all.union(&streamed).cloned().collect(), "?");
    let statements = Statements { all, lists };

    let connection = Connection::open(&path).unwrap();
    connection
        .execute_batch(&filling(|number| {
            format!("unhex(printf('%032x', {number}))")
        }))
        .unwrap();
    let tables = sqlite_tables(&connection);
    let mut problems = String::new();
    for text in &statements.all {
        let plan = sqlite_plan(&connection, text);
        for problem in sqlite_problems(text, &plan, &tables) {
            writeln!(
                problems,
                "{problem}\n  {text}\n    {}\n",
                plan.join("\n    ")
            )
            .unwrap();
        }
    }
    for text in &statements.lists {
        for line in sqlite_plan(&connection, text) {
            let table = line.split(' ').nth(1).unwrap_or_default();
            if line.starts_with("SCAN") && !["accounts", "zones"].contains(&table) {
                writeln!(
                    problems,
                    "a list reads more than its rows: {line}\n  {text}"
                )
                .unwrap();
            }
        }
    }
    assert!(statements.all.len() > 100, "{}", statements.all.len());
    assert!(problems.is_empty(), "\n{problems}");
}

/// The columns of a table, and of each of its indexes.
#[derive(Debug, Default)]
struct Table {
    columns: Vec<String>,
    indexes: BTreeMap<String, Index>,
    /// The column that is SQLite's row number, with which every index ends.
    row_number: Option<String>,
}

#[derive(Debug)]
struct Index {
    columns: Vec<String>,
    is_unique: bool,
    is_partial: bool,
}

/// The name of a table's primary key in this test.
const KEY: &str = "PRIMARY KEY";

fn sqlite_tables(connection: &Connection) -> BTreeMap<String, Table> {
    let strings = |sql: &str| -> Vec<String> {
        let mut statement = connection.prepare(sql).unwrap();
        let rows = statement.query_map((), |row| row.get(0)).unwrap();
        rows.map(Result::unwrap).collect()
    };
    let names = strings("SELECT name FROM sqlite_schema WHERE type = 'table'");
    let mut tables = BTreeMap::new();
    for name in names {
        let mut table = Table {
            columns: strings(&format!("SELECT name FROM pragma_table_info('{name}')")),
            indexes: BTreeMap::new(),
            row_number: None,
        };
        let list = format!("SELECT name FROM pragma_index_list('{name}')");
        for index in strings(&list) {
            let flag = |column: &str| {
                let sql = format!("{list} WHERE name = '{index}' AND {column} = 1");
                !strings(&sql).is_empty()
            };
            let one = Index {
                columns: strings(&format!("SELECT name FROM pragma_index_info('{index}')")),
                is_unique: flag("\"unique\""),
                is_partial: flag("partial"),
            };
            table.indexes.insert(index, one);
        }
        let key = Index {
            columns: strings(&format!(
                "SELECT name FROM pragma_table_info('{name}') WHERE pk > 0 ORDER BY pk"
            )),
            is_unique: true,
            is_partial: false,
        };
        let integers = strings(&format!(
            "SELECT name FROM pragma_table_info('{name}') WHERE pk > 0 AND type = 'INTEGER'"
        ));
        if let [only] = key.columns.as_slice()
            && integers.contains(only)
        {
            table.row_number = Some(only.clone());
        }
        table.indexes.insert(KEY.to_owned(), key);
        tables.insert(name, table);
    }
    tables
}

fn sqlite_plan(connection: &Connection, text: &str) -> Vec<String> {
    let explain = format!("EXPLAIN QUERY PLAN {text}");
    let mut statement = connection.prepare(&explain).unwrap();
    let mut rows = statement.raw_query();
    let mut lines = Vec::new();
    while let Some(row) = rows.next().unwrap() {
        lines.push(row.get(3).unwrap());
    }
    lines
}

fn sqlite_problems(
    text: &str,
    plan: &[String],
    tables: &BTreeMap<String, Table>,
) -> Vec<&'static str> {
    let mut problems = Vec::new();
    let is_subquery = |name: &str| {
        plan.iter().any(|line| {
            ["CO-ROUTINE", "MATERIALIZE"]
                .iter()
                .any(|kind| *line == format!("{kind} {name}"))
        })
    };
    for line in plan {
        let name = line.split(' ').nth(1).unwrap_or_default();
        if line.starts_with("USE TEMP B-TREE") && !is_allowed(text, Allowed::Sort) {
            problems.push("sorts");
        }
        // The rows of a subquery, which is explained itself; the table is then searched by a key.
        if line.starts_with("SCAN") && !is_subquery(name) && name != "CONSTANT" {
            let is_index = line.split(' ').any(|word| is_allowed_index(text, word));
            if !is_small(name) && !is_allowed(text, Allowed::Scan) && !is_index {
                problems.push("scans a table");
            }
        }
        if line.starts_with("SEARCH")
            && let Some(table) = tables.get(name)
            && let Some(problem) = search_problem(text, line, name, table)
            && !is_allowed(text, Allowed::Filter)
        {
            problems.push(problem);
        }
    }
    problems
}

fn is_allowed_index(text: &str, word: &str) -> bool {
    EXCEPTIONS.iter().any(|(part, allowed, _)| {
        matches!(allowed, Allowed::ScanOfIndex(index) if *index == word) && text.contains(part)
    })
}

/// Compares the columns that a search uses with those that the condition names.
fn search_problem(text: &str, line: &str, name: &str, table: &Table) -> Option<&'static str> {
    let words: Vec<_> = line.split(' ').collect();
    let index_name = match words.iter().position(|word| *word == "INDEX") {
        Some(place) => words[place + 1],
        None => KEY,
    };
    let index = &table.indexes[index_name];
    let used = match line.split_once(" (") {
        Some((_, conditions)) => used_columns(conditions.strip_suffix(')').unwrap_or(conditions)),
        // The first or last entry of an index.
        None if conditions(text, name, &table.columns).is_empty() => return None,
        None => return Some("does not use a key column"),
    };
    let used: Vec<(String, Bound)> = used
        .into_iter()
        .map(|(column, bound)| match column.as_str() {
            "rowid" => (table.row_number.clone().unwrap_or(column), bound),
            _ => (column, bound),
        })
        .collect();
    let uses = |column: &str, bound| used.iter().any(|one| one.0 == column && one.1 == bound);
    let equal = index
        .columns
        .iter()
        .take_while(|column| uses(column, Bound::Equal))
        .count();
    if index.is_unique && equal == index.columns.len() {
        return None;
    }
    let wanted = conditions(text, name, &table.columns);
    let wants = |column: &str, bound| wanted.contains(&(column.to_owned(), bound));
    let is_key = index_name == KEY;
    let row_number = table.row_number.as_ref().filter(|_| !is_key);
    if let Some(next) = index.columns.iter().chain(row_number).nth(equal) {
        if wants(next, Bound::Equal) {
            return Some("does not use a key column");
        }
        // Alternatives are searched one by one.
        if !text.contains(" OR ") {
            for bound in [Bound::Lower, Bound::Upper] {
                if wants(next, bound) && !uses(next, bound) {
                    return Some("does not use a bound of a key column");
                }
            }
        }
    }
    let is_better = |other: &Index| {
        let columns = &other.columns;
        !other.is_partial
            && columns
                .iter()
                .take_while(|column| wants(column, Bound::Equal))
                .count()
                > equal
    };
    if !text.contains("INDEXED BY") && table.indexes.values().any(is_better) {
        return Some("there is a better index");
    }
    None
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Bound {
    Equal,
    Lower,
    Upper,
}

/// Reads `a=? AND b>? AND (c,d)<(?,?)`.
fn used_columns(conditions: &str) -> Vec<(String, Bound)> {
    let one = |condition: &str| {
        let place = condition.find(['=', '<', '>'])?;
        let bound = match &condition[place..=place] {
            "=" => Bound::Equal,
            ">" => Bound::Lower,
            _ => Bound::Upper,
        };
        let columns = condition[..place].trim_matches(['(', ')']);
        let first = columns.split(',').next()?;
        Some((first.to_owned(), bound))
    };
    conditions.split(" AND ").filter_map(one).collect()
}

/// The columns of a table that a statement compares with something that is not a column of another
/// table: those comparisons depend on the order in which tables are read.
fn conditions(text: &str, table: &str, columns: &[String]) -> BTreeSet<(String, Bound)> {
    let tokens = tokens(text);
    let column_of = |token: &str| -> Option<String> {
        let token = token.replace('"', "");
        let name = match token.split_once('.') {
            Some((of, name)) if of == table => name,
            Some(_) => return None,
            None => &token,
        };
        columns
            .iter()
            .find(|column| *column == name)
            .map(|column| column.to_owned())
    };
    let is_column_of_any = |token: &str| {
        token.contains('.') && token.starts_with(|first: char| first.is_ascii_alphabetic())
    };
    let mut found = BTreeSet::new();
    // One entry for each open parenthesis: whether its inside is a condition.
    let mut in_condition = vec![false];
    for (place, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "(" => in_condition.push(in_condition.last().copied().unwrap_or_default()),
            ")" => {
                in_condition.pop();
            }
            "WHERE" | "ON" => *in_condition.last_mut().unwrap() = true,
            "SELECT" | "SET" | "ORDER" | "FROM" | "RETURNING" | "VALUES" | "LIMIT" => {
                *in_condition.last_mut().unwrap() = false;
            }
            _ => {}
        }
        let bounds: &[Bound] = match token.as_str() {
            "=" | "IN" => &[Bound::Equal],
            ">" | ">=" => &[Bound::Lower],
            "<" | "<=" => &[Bound::Upper],
            "BETWEEN" => &[Bound::Lower, Bound::Upper],
            _ => continue,
        };
        if !in_condition.last().copied().unwrap_or_default() || place == 0 {
            continue;
        }
        let other = tokens
            .get(place + 1)
            .map(String::as_str)
            .unwrap_or_default();
        if token == "=" && is_column_of_any(other) {
            continue;
        }
        let left = match tokens[place - 1].as_str() {
            // `(a, b) > (?1, ?2)`: the first column decides.
            ")" => {
                let open = tokens[..place].iter().rposition(|token| token == "(");
                open.and_then(|open| tokens.get(open + 1))
            }
            // `a + 0 > ?1`: no index serves it, so it shows as a column that is not used.
            _ if place > 2 && ["+", "-", "*"].contains(&tokens[place - 2].as_str()) => {
                tokens.get(place - 3)
            }
            _ => tokens.get(place - 1),
        };
        if let Some(column) = left.and_then(|left| column_of(left)) {
            found.extend(bounds.iter().map(|bound| (column.clone(), *bound)));
        }
    }
    found
}

fn tokens(text: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut word = String::new();
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        if character.is_alphanumeric() || "_.\"?$".contains(character) {
            word.push(character);
            continue;
        }
        if !word.is_empty() {
            tokens.push(std::mem::take(&mut word));
        }
        if character.is_whitespace() {
            continue;
        }
        let mut token = String::from(character);
        if "<>".contains(character)
            && let Some(next) = characters.next_if(|next| "<>=".contains(*next))
        {
            token.push(next);
        }
        tokens.push(token);
    }
    if !word.is_empty() {
        tokens.push(word);
    }
    tokens
}

#[cfg(unix)]
#[tokio::test]
async fn every_statement_on_postgresql_uses_an_index() {
    use certgate_store::{PostgresInspector, PostgresOptions, PostgresStore};

    let Some(server) = postgres_server::server() else {
        return;
    };
    let url = server.database();
    let store = PostgresStore::open(&url, PostgresOptions::default())
        .await
        .unwrap();
    run_lists(&store).await;
    let lists = recorded(true, true);
    run_all(&store).await;
    store.close().await;
    let inspector = PostgresInspector::open(&url).await.unwrap();
    let owner = *conformance::account(0).id.as_bytes();
    inspector.audit_hash(owner, 1).await.unwrap();
    drop(inspector);
    let statements = Statements {
        all: recorded(true, false),
        lists,
    };

    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let fill = filling(|number| format!("decode(lpad(to_hex({number}), 32, '0'), 'hex')"));
    client.batch_execute(&fill).await.unwrap();
    client
        .batch_execute("ANALYZE; SET plan_cache_mode = force_generic_plan")
        .await
        .unwrap();
    let unique = postgres_unique_indexes(&client).await;
    let mut problems = String::new();
    for text in statements.all.iter().chain(&statements.lists) {
        let Some(plan) = postgres_plan(&client, text).await else {
            continue;
        };
        let is_list = statements.lists.contains(text);
        for problem in postgres_problems(text, &plan, is_list, &unique) {
            writeln!(
                problems,
                "{problem}\n  {text}\n    {}\n",
                plan.join("\n    ")
            )
            .unwrap();
        }
    }
    assert!(statements.all.len() > 100, "{}", statements.all.len());
    assert!(problems.is_empty(), "\n{problems}");
}

#[cfg(unix)]
async fn postgres_plan(client: &tokio_postgres::Client, text: &str) -> Option<Vec<String>> {
    // A statement that concerns the connection has no plan, and one about the tables is run once.
    if text.contains("pg_catalog") {
        return None;
    }
    let is_planned = ["SELECT", "INSERT", "UPDATE", "DELETE"]
        .iter()
        .any(|verb| text.starts_with(verb));
    if !is_planned {
        return None;
    }
    let count = (1..)
        .take_while(|n| tokens(text).iter().any(|token| token == &format!("${n}")))
        .count();
    let nulls = vec!["NULL"; count].join(", ");
    let arguments = match count {
        0 => String::new(),
        _ => format!("({nulls})"),
    };
    let sql = format!(
        "DEALLOCATE ALL; PREPARE explained AS {text}; \
         EXPLAIN (COSTS OFF) EXECUTE explained{arguments}"
    );
    let messages = client.simple_query(&sql).await;
    let messages = messages.unwrap_or_else(|error| panic!("{text}: {error:?}"));
    let lines = messages.into_iter().filter_map(|message| match message {
        tokio_postgres::SimpleQueryMessage::Row(row) => row.get(0).map(str::to_owned),
        _ => None,
    });
    Some(lines.collect())
}

/// The columns of each unique index.
#[cfg(unix)]
async fn postgres_unique_indexes(client: &tokio_postgres::Client) -> BTreeMap<String, Vec<String>> {
    let rows = client
        .query(
            "SELECT indexname::TEXT, indexdef FROM pg_indexes \
             WHERE schemaname = 'public' AND indexdef LIKE 'CREATE UNIQUE%'",
            &[],
        )
        .await
        .unwrap();
    let columns = |definition: &str| {
        let inside = definition.split_once('(').unwrap().1;
        let inside = inside.split(')').next().unwrap();
        inside
            .split(", ")
            .map(|name| name.replace('"', ""))
            .collect()
    };
    rows.iter()
        .map(|row| (row.get(0), columns(row.get::<_, &str>(1))))
        .collect()
}

#[cfg(unix)]
fn postgres_problems(
    text: &str,
    plan: &[String],
    is_list: bool,
    unique: &BTreeMap<String, Vec<String>>,
) -> Vec<&'static str> {
    let mut problems = Vec::new();
    let (mut one_row, mut index) = (false, None);
    let reads_small_table = plan.iter().any(|line| {
        let table = line.split_once("Seq Scan on ").map(|(_, table)| table);
        table.is_some_and(|table| is_small(table.split(' ').next().unwrap_or_default()))
    });
    for line in plan {
        let line = line.trim_start_matches([' ', '-', '>']);
        if line.contains("Scan") {
            one_row = false;
            let words: Vec<_> = line.split(' ').collect();
            let after = |word| {
                let place = words.iter().position(|one| *one == word);
                place.and_then(|place| words.get(place + 1).copied())
            };
            index = after("using").or(line
                .starts_with("Bitmap Index")
                .then(|| after("on"))
                .flatten());
            let table = after("on").unwrap_or_default();
            let is_listed = is_list && ["accounts", "zones"].contains(&table);
            let may_scan = is_listed || is_small(table) || is_allowed(text, Allowed::Scan);
            if line.starts_with("Seq Scan") && !may_scan {
                problems.push("scans a table");
            }
            let is_partial = index.is_some_and(|index| is_allowed_index(text, index));
            let has_condition = plan.iter().any(|line| line.contains("Index Cond"));
            let is_ordered = text.contains("max(") || text.contains("ORDER BY");
            if line.starts_with("Index")
                && !has_condition
                && !is_partial
                && !is_ordered
                && !is_list
                && !is_allowed(text, Allowed::Scan)
            {
                problems.push("reads a whole index");
            }
        }
        if let Some(condition) = line.strip_prefix("Index Cond: ") {
            let columns = index.and_then(|index| unique.get(index));
            one_row = columns.is_some_and(|columns| {
                columns.iter().all(|column| {
                    condition.contains(&format!("{column} = "))
                        || condition.contains(&format!("\"{column}\" = "))
                })
            });
        }
        let may_filter = one_row
            || is_list
            || reads_small_table
            || is_allowed(text, Allowed::Filter)
            || is_allowed(text, Allowed::Scan);
        if line.starts_with("Filter") && !may_filter {
            problems.push("filters rows");
        }
        if line.starts_with("Sort")
            && !line.starts_with("Sort Key")
            && !is_list
            && !reads_small_table
            && !is_allowed(text, Allowed::Sort)
        {
            problems.push("sorts");
        }
    }
    problems
}

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
          octets(70000000 + i), 'device', '', '', '', '', '', i, i, 365, 'ECDSAWithSHA256', \
          octets(i), octets(i), octets(i), 'a request as long as a quarter of a usual one, so \
          that a page of the table has few rows'",
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
            "revocations",
            "authority, shard, expires_on, position, serial, revoked_on, reason",
            20_000,
            "1000 + i % 20 * 100, i % 128, i, (1000 + i % 20) * 68719476736 + i / 20, \
          octets(70000000 + i), i, 0",
        ),
        (
            "blocks",
            "block, active, pending_reactivation, pending_revocation, revoked",
            20_000,
            "i + 134217728000, 512, i % 2, 0, 0",
        ),
        (
            "upper_blocks",
            "block, active, pending_reactivation, pending_revocation, revoked",
            5_000,
            "i + 262144000, 512, i % 2, 0, 0",
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
            "audit_chains",
            "number, owner, is_user, entries, last_at, head",
            2_000,
            "1000 + i, octets(70000000 + i), FALSE, 1, i, octets(i)",
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
