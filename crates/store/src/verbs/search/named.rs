//! The certificates of a name, for other verbs.

use certgate_model::{Direction, FoldedName, Status, Timestamp};

use super::entry::{Key, Need};
use super::source::Source;
use crate::StoreError;
use crate::db::Db;

/// A certificate of a name, or of another name with the same indexed part.
pub(crate) struct Named {
    pub(crate) position: i64,
    pub(crate) common_name: String,
    pub(crate) status: Status,
    pub(crate) expires_on: Timestamp,
}

/// Reads certificates of a name from a position down, the newest first.
pub(crate) async fn newest_named<D: Db>(
    db: &D,
    zone: i64,
    name: &FoldedName,
    newest: i64,
    limit: u32,
) -> Result<Vec<Named>, StoreError> {
    let descending = Direction::Descending;
    let place = (Key::Text(name.indexed().to_owned()), newest);
    let source = Source::name(zone, name).from(descending, place);
    let need = Need {
        states: true,
        certificates: true,
        ..Need::ENTRIES
    };
    let entries = source.read(db, descending, limit, need).await?;
    let named = entries.into_iter().filter_map(|entry| {
        let row = entry.details?;
        let (state, certificate) = (row.state?, row.certificate?);
        Some(Named {
            position: entry.position,
            common_name: certificate.common_name,
            status: state.status,
            expires_on: certificate.expires_on,
        })
    });
    Ok(named.collect())
}
