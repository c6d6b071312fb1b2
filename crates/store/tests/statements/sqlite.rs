//! The plans of SQLite.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use certgate_model::{SignedCrl, Timestamp};
use certgate_store::conformance;
use certgate_store::{JudgedCrl, NoJudge, SqliteInspector, SqliteOptions, SqliteStore, Store as _};
use rusqlite::Connection;

use crate::allowed::{Allowed, is_allowed, is_allowed_index, is_small};
use crate::conditions::{Bound, conditions, used_columns};
use crate::{
    FILLING_SEARCH, Statements, expect_every_statement, filling, recorded, run_all, run_lists,
};

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
    // The check looks for what is missing only after it has counted.
    let connection = Connection::open(&path).unwrap();
    let remove = "DELETE FROM revocations \
                  WHERE position = (SELECT max(position) FROM revocations)";
    connection.execute(remove, ()).unwrap();
    drop(connection);
    let inspector = SqliteInspector::open(&path).unwrap();
    let problems = inspector.check(&mut empty_lists()).unwrap();
    let is_missing = |problem: &String| problem.ends_with("is missing");
    assert!(problems.iter().any(is_missing), "{problems:?}");
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
    connection.execute_batch(FILLING_SEARCH).unwrap();
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

/// Takes every CRL for an intact one without entries, so that the check compares it.
fn empty_lists() -> NoJudge {
    let crl = JudgedCrl::Intact(SignedCrl {
        number: 0,
        this_update: Timestamp::EARLIEST,
        next_update: Timestamp::EARLIEST,
        entries: Vec::new(),
    });
    NoJudge { crl }
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
