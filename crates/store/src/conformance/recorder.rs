//! The statements that verbs have run in this process, for a test that explains each of them.

use std::collections::BTreeSet;
use std::sync::Mutex;

use certgate_model::lock;

/// One statement, as its database received it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RecordedStatement {
    /// The text.
    pub text: String,
    /// True if the database is PostgreSQL.
    pub is_postgres: bool,
    /// True if the statement may read everything: it ran without a time limit.
    pub is_streamed: bool,
}

static STATEMENTS: Mutex<BTreeSet<RecordedStatement>> = Mutex::new(BTreeSet::new());

/// Returns each statement that verbs have run so far.
pub fn recorded_statements() -> BTreeSet<RecordedStatement> {
    lock(&STATEMENTS).clone()
}

pub(crate) fn record(text: &str, is_postgres: bool, is_streamed: bool) {
    let statement = RecordedStatement {
        text: text.to_owned(),
        is_postgres,
        is_streamed,
    };
    lock(&STATEMENTS).insert(statement);
}
