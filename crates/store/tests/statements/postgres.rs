//! The plans of PostgreSQL.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use certgate_store::{Store as _, conformance};

use crate::allowed::{Allowed, is_allowed, is_allowed_index, is_small};
use crate::conditions::tokens;
use crate::{Statements, filling, postgres_server, recorded, run_all, run_lists};

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
    let is_search = text.contains("sort_key") || text.contains(") AS entries");
    let settings = match is_search {
        true => conformance::SEARCH_SETTINGS,
        false => "SET LOCAL jit = off",
    };
    let sql = format!(
        "{settings}; DEALLOCATE ALL; PREPARE explained AS {text}; \
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
