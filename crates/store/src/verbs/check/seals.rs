//! The digests of rows: any change of a value that nothing changes.

use certgate_model::{AuthorityId, Hex};

use super::reading::until_enough;
use crate::db::{Cell, Db, Row};
use crate::schema::{CERTIFICATES, TABLES, Table};
use crate::{Judge, StoreError, seal};

/// The tables whose IDs the API writes as UUIDs.
const IDS_WITH_HYPHENS: [&str; 2] = ["authorities", "mtls_certificates"];

/// Compares every row with its digest, except those of certificates, which are read with their
/// statuses.
pub(super) async fn all<D: Db>(db: &D, judge: &mut dyn Judge) -> Result<Vec<String>, StoreError> {
    let mut lines = Vec::new();
    for table in TABLES {
        if !table.is_sealed() || table.name == CERTIFICATES.name {
            continue;
        }
        let select = format!("SELECT {} FROM \"{}\"", table.column_names(), table.name);
        let mut visit = |row: &dyn Row| {
            judge.progress(1);
            match seal::is_intact(table, row, table.columns.len() - 1) {
                Ok(true) => {}
                Ok(false) => lines.push(line(table, row, "differs from its digest")),
                Err(error) => {
                    let error = error.into_detail();
                    lines.push(line(table, row, &format!("cannot be read: {error}")));
                }
            }
            Ok(until_enough(&lines))
        };
        db.stream(&select, &[], &mut visit).await?;
    }
    Ok(lines)
}

fn line(table: &Table, row: &dyn Row, what: &str) -> String {
    format!("\"{}\" {}: {what}", table.name, key(table, row))
}

/// The primary key of a row, and its ID if that is another column.
fn key(table: &Table, row: &dyn Row) -> String {
    let has_id = |place: &usize| table.columns[*place].name == "id";
    let places = (0..table.key).chain((table.key..table.columns.len()).filter(has_id));
    let values: Vec<_> = places
        .map(|place| match row.cell(place) {
            Ok(Cell::Integer(number)) => number.to_string(),
            Ok(Cell::Octets(octets)) => match octets.try_into() {
                Ok(id) if IDS_WITH_HYPHENS.contains(&table.name) => {
                    AuthorityId::from_bytes(id).to_string()
                }
                _ => Hex(octets).to_string(),
            },
            Ok(Cell::Text(text)) => text.to_owned(),
            _ => "?".to_owned(),
        })
        .collect();
    values.join(" ")
}
