//! `certgate audit verify`: verifies every audit log.

use std::path::PathBuf;

use certgate_client::Screen;
use certgate_model::Hex;
use certgate_store::AuditVerdict;
use serde::Serialize;

use crate::cli::AuditHead;
use crate::config::DatabaseConfig;
use crate::failure::Failure;
use crate::inspector::Inspector;

/// The result for one log.
#[derive(Serialize)]
struct Log {
    log: String,
    entries: u64,
    /// The argument for a later `--expect`.
    head: String,
    faults: Vec<String>,
}

impl From<AuditVerdict> for Log {
    fn from(verdict: AuditVerdict) -> Self {
        let owner = verdict.owner.to_string();
        let id = owner.split_once(':').map_or(owner.as_str(), |(_, id)| id);
        let hash = Hex(&verdict.head);
        let entries = verdict.entries;
        Self {
            head: format!("{id}:{entries}:{hash}"),
            log: owner,
            entries,
            faults: verdict.faults,
        }
    }
}

/// Prints each log with its head. Fails if a log has a problem.
pub fn verify(
    config: &DatabaseConfig,
    database: Option<PathBuf>,
    expected: &[AuditHead],
    mut screen: Screen,
) -> Result<(), Failure> {
    let (inspector, shown) = match database {
        Some(file) => (Inspector::file(&file)?, file.display().to_string()),
        None => Inspector::configured(config)?,
    };
    let failed = |error: certgate_store::StoreError| Failure::failed(error.to_string());
    let logs: Vec<_> = inspector
        .verify_audit()
        .map_err(failed)?
        .into_iter()
        .map(Log::from)
        .collect();
    let mut faults: Vec<_> = logs.iter().flat_map(|log| log.faults.clone()).collect();
    let strays = inspector.stray_audit_entries().map_err(failed)?;
    if strays > 0 {
        faults.push(format!(
            "{strays} entries belong to no log: their log was removed"
        ));
    }
    for head in expected {
        let number = head.number;
        let found = inspector.audit_hash(head.owner, number).map_err(failed)?;
        if found != Some(head.hash) {
            let what = if found.is_some() {
                "differs"
            } else {
                "is missing"
            };
            let id = Hex(&head.owner);
            faults.push(format!(
                "{id}: the expected entry {number} {what}: the log was rewritten or cut"
            ));
        }
    }
    if screen.is_json() {
        screen.json_of(&logs)?;
    } else {
        let row = |log: &Log| vec![log.log.clone(), log.entries.to_string(), log.head.clone()];
        screen.table(&["log", "entries", "head"], logs.iter().map(row))?;
    }
    if faults.is_empty() {
        screen.say("every log is intact; store a head elsewhere to prove it later with --expect");
        return Ok(());
    }
    screen.say(&faults.join("\n"));
    Err(
        Failure::failed(format!("the logs of {shown} are not intact"))
            .hint("compare with a backup: certgate audit verify --database FILE"),
    )
}
