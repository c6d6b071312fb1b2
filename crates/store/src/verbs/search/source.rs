//! The sets of certificates that an index has in order, and their statements.

use std::ops::ControlFlow;

use certgate_model::{
    CertificateId, Direction, FoldedName, INDEXED_NAME_MAX, IdRange, Status, TimeRange,
};

use super::entry::{Entry, Key, Need, sort};
use super::order::Order;
use crate::StoreError;
use crate::db::{self, Db, Dialect, Value, values};
use crate::position::{Position, SEQUENCE_BITS};
use crate::verbs::{condition, counters};

/// An index of certificates.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Index {
    /// Folded names of a zone.
    Names,
    /// `expires_on` in a zone.
    Expiries,
    /// `issued_on` in a zone.
    IssueDates,
    /// `revoked_on` of the revoked certificates of a zone.
    Revocations,
    /// The certificates of the CA with this number.
    Authority(i64),
    /// The certificates in a status.
    Status(Status),
    /// IDs, of all zones.
    Ids,
    /// The replaced certificates of a zone.
    Replaced,
    /// All certificates of a zone.
    All,
}

/// The entries of an index between two places, both included.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Source {
    pub(super) index: Index,
    zone: i64,
    first: (Key, i64),
    last: (Key, i64),
}

impl Source {
    fn between(index: Index, zone: i64, first: Key, last: Key) -> Self {
        Self {
            index,
            zone,
            first: (first, i64::MIN),
            last: (last, i64::MAX),
        }
    }

    fn of_zone(index: Index, zone: i64) -> Self {
        Self {
            index,
            zone,
            first: (Key::None, Position::first_of(zone).0),
            last: (Key::None, Position::last_of(zone).0),
        }
    }

    /// The certificates with a name.
    pub(super) fn name(zone: i64, name: &FoldedName) -> Self {
        let key = || Key::Text(name.indexed().to_owned());
        Self::between(Index::Names, zone, key(), key())
    }

    /// The certificates whose name begins with a text.
    pub(super) fn names_from(zone: i64, text: &FoldedName) -> Self {
        let first = text.indexed();
        let mut last = first.to_owned();
        // No indexed name is longer.
        last.extend(std::iter::repeat_n(char::MAX, INDEXED_NAME_MAX + 1));
        Self::between(
            Index::Names,
            zone,
            Key::Text(first.to_owned()),
            Key::Text(last),
        )
    }

    /// The certificates of a zone in the order of their names.
    pub(super) fn all_names(zone: i64) -> Self {
        Self::names_from(zone, &FoldedName::new(""))
    }

    /// The certificates with a date in a range, whose ends are exclusive.
    pub(super) fn dates(zone: i64, index: Index, range: TimeRange) -> Self {
        Self::between(
            index,
            zone,
            range
                .after
                .map_or(Key::Integer(i64::MIN), |after| Key::date(after, 1)),
            range
                .before
                .map_or(Key::Integer(i64::MAX), |before| Key::date(before, -1)),
        )
    }

    /// The certificates of a CA in a zone.
    pub(super) fn authority(zone: i64, number: i64) -> Self {
        Self::of_zone(Index::Authority(number), zone)
    }

    /// The certificates of a zone in a status.
    pub(super) fn status(zone: i64, status: Status) -> Self {
        Self::of_zone(Index::Status(status), zone)
    }

    /// Those of them up to a position.
    pub(super) fn status_up_to(zone: i64, status: Status, newest: Position) -> Self {
        let mut source = Self::status(zone, status);
        source.last.1 = newest.0.min(source.last.1);
        source
    }

    /// The replaced certificates of a zone.
    pub(super) fn replaced(zone: i64) -> Self {
        Self::of_zone(Index::Replaced, zone)
    }

    /// Returns the entries at these positions, of an index without a key.
    pub(super) fn within(mut self, (oldest, newest): (Position, Position)) -> Self {
        self.first.1 = oldest.0.max(self.first.1);
        self.last.1 = newest.0.min(self.last.1);
        self
    }

    /// All certificates of a zone.
    pub(super) fn all(zone: i64) -> Self {
        Self::of_zone(Index::All, zone)
    }

    /// The certificates with an ID in a range. They may be of any zone.
    pub(super) fn ids(zone: i64, ids: IdRange) -> Self {
        let key = |id: CertificateId| Key::Id(*id.as_bytes());
        Self::between(Index::Ids, zone, key(ids.first), key(ids.last))
    }

    /// Returns true if the index has the entries in this order.
    pub(super) fn is_in(&self, order: Order) -> bool {
        match (self.index, order) {
            (
                Index::Authority(_) | Index::Status(_) | Index::Replaced | Index::All,
                Order::Position,
            )
            | (Index::Names, Order::Name)
            | (Index::Expiries, Order::ExpiresOn)
            | (Index::IssueDates, Order::IssuedOn)
            | (Index::Revocations, Order::RevokedOn)
            | (Index::Ids, Order::Id) => true,
            // All have the same name.
            (Index::Names, Order::Position) => self.first.0 == self.last.0,
            _ => false,
        }
    }

    /// Returns the entries from a place on in a direction.
    pub(super) fn from(&self, direction: Direction, place: (Key, i64)) -> Self {
        let mut source = self.clone();
        match direction {
            Direction::Ascending => source.first = place.max(source.first),
            Direction::Descending => source.last = place.min(source.last),
        }
        source
    }

    /// Returns the entries up to one of them in a direction.
    pub(super) fn up_to(&self, direction: Direction, last: &Entry) -> Self {
        let mut source = self.clone();
        let place = (last.key.clone(), last.position);
        match direction {
            Direction::Ascending => source.last = place,
            Direction::Descending => source.first = place,
        }
        source
    }

    /// Counts the entries, up to a limit.
    pub(super) async fn count<D: Db>(&self, db: &D, limit: u32) -> Result<u64, StoreError> {
        if let Index::Status(status) = self.index {
            let (totals, _) = counters::totals(db, self.zone).await?;
            return Ok(totals.of(status).min(limit.into()));
        }
        let (condition, mut values) = (self.condition(D::DIALECT), self.values());
        values.push(limit.into());
        let limit = values.len();
        let table = self.table(D::DIALECT);
        let count = format!(
            "SELECT count(*) FROM (SELECT 1 FROM {table} WHERE {condition} LIMIT ?{limit}) \
             AS entries"
        );
        db.one(&count, &values, |row| row.get(0)).await
    }

    /// Returns the positions of a page. Skips entries of the index alone, not more than are
    /// counted.
    pub(super) async fn page<D: Db>(
        &self,
        db: &D,
        direction: Direction,
        size: u32,
        first: u64,
    ) -> Result<Vec<i64>, StoreError> {
        let entries = self.entries_at(db, direction, size, first).await?;
        Ok(entries.into_iter().map(|entry| entry.position).collect())
    }

    /// Returns the entry that has `first` entries before it.
    pub(super) async fn entry_at<D: Db>(
        &self,
        db: &D,
        direction: Direction,
        first: u64,
    ) -> Result<Option<Entry>, StoreError> {
        Ok(self.entries_at(db, direction, 1, first).await?.pop())
    }

    /// Returns the entries of a page, as [`Self::page`] its positions.
    pub(super) async fn entries_at<D: Db>(
        &self,
        db: &D,
        direction: Direction,
        size: u32,
        first: u64,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut values = self.values();
        let size = u64::from(size);
        values.extend(values![size, first]);
        let (limit, offset) = (values.len() - 1, values.len());
        let outer = format!("LIMIT ?{limit} OFFSET ?{offset}");
        let select = match self.is_union(D::DIALECT) {
            true => {
                values.push(size.saturating_add(first).into());
                let inner = format!("LIMIT ?{}", values.len());
                self.entries(D::DIALECT, direction, None, &inner, &outer)
            }
            false => self.entries(D::DIALECT, direction, None, &outer, &outer),
        };
        db.rows(&select, &values, |row| {
            Ok(Entry {
                key: row.get(0)?,
                position: row.get(1)?,
                details: None,
            })
        })
        .await
    }

    /// Reads the first entries in a direction, with the columns that are needed.
    pub(super) async fn read<D: Db>(
        &self,
        db: &D,
        direction: Direction,
        limit: u32,
        need: Need,
    ) -> Result<Vec<Entry>, StoreError> {
        self.read_where(db, direction, limit, need, None, &Some)
            .await
    }

    /// Reads them, and holds only those that `sieve` returns: a common name can have 12 kB.
    pub(super) async fn read_through<D: Db>(
        &self,
        db: &D,
        direction: Direction,
        limit: u32,
        need: Need,
        sieve: &Sieve<'_>,
    ) -> Result<Vec<Entry>, StoreError> {
        self.read_where(db, direction, limit, need, None, sieve)
            .await
    }

    /// Reads the entries whose indexed name contains a text, and those whose name is longer than
    /// its indexed part.
    pub(super) async fn read_containing<D: Db>(
        &self,
        db: &D,
        direction: Direction,
        limit: u32,
        need: Need,
        text: &FoldedName,
    ) -> Result<Vec<Entry>, StoreError> {
        self.read_where(db, direction, limit, need, Some(text), &Some)
            .await
    }

    /// The limit is a part of the text: PostgreSQL plans a limit that it does not know as a tenth
    /// of all rows.
    async fn read_where<D: Db>(
        &self,
        db: &D,
        direction: Direction,
        limit: u32,
        need: Need,
        contained: Option<&FoldedName>,
        sieve: &Sieve<'_>,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut values = self.values();
        let limit = format!("LIMIT {limit}");
        let text = contained.map(|text| {
            values.push(text.as_str().into());
            values.len()
        });
        let entries = self.entries(D::DIALECT, direction, text, &limit, &limit);
        let select = match need {
            Need::ENTRIES => entries,
            need => with_columns(D::DIALECT, &entries, need),
        };
        let mut found = Vec::new();
        let mut visit = |row: &dyn db::Row| {
            found.extend(sieve(Entry::read(row, need)?));
            Ok(ControlFlow::Continue(()))
        };
        db.each(&select, &values, &mut visit).await?;
        // A join need not keep the order of the inner query.
        if need != Need::ENTRIES {
            sort(&mut found, direction);
        }
        Ok(found)
    }

    fn table(&self, dialect: Dialect) -> &'static str {
        match (self.index, dialect) {
            (Index::Names, _) => "certificate_names",
            (Index::Expiries, _) => "certificate_expiries",
            (Index::IssueDates, _) => "certificate_issue_dates",
            (Index::Revocations, _) => "certificate_revocations",
            (Index::Authority(_), _) => "certificate_authorities",
            (Index::Status(_) | Index::All, _) => "statuses",
            (Index::Replaced, _) => "replacements",
            (Index::Ids, Dialect::Sqlite) => "certificates INDEXED BY certificates_by_id",
            (Index::Ids, Dialect::Postgres) => "certificates",
        }
    }

    /// The column of the key, if there is one.
    fn column(&self) -> Option<&'static str> {
        match self.index {
            Index::Names => Some("name"),
            Index::Expiries => Some("expires_on"),
            Index::IssueDates => Some("issued_on"),
            Index::Revocations => Some("revoked_on"),
            Index::Ids => Some("id"),
            Index::Authority(_) | Index::Status(_) | Index::Replaced | Index::All => None,
        }
    }

    /// The values of the condition of the entries.
    fn values(&self) -> Vec<Value<'_>> {
        let (first, last) = (&self.first, &self.last);
        match self.index {
            Index::Authority(number) => values![number, first.1, last.1].to_vec(),
            Index::Status(status) => values![status.code(), first.1, last.1].to_vec(),
            Index::Ids => values![&first.0, &last.0].to_vec(),
            Index::Replaced | Index::All => values![first.1, last.1].to_vec(),
            Index::Names | Index::Expiries | Index::IssueDates | Index::Revocations => {
                values![self.zone, &first.0, first.1, &last.0, last.1].to_vec()
            }
        }
    }

    /// The condition of the entries.
    ///
    /// Of an index without a key, PostgreSQL would walk the primary key in the order of positions
    /// unless both columns are in the comparison and in the order. SQLite would walk all zones for
    /// the comparison of both.
    fn condition(&self, dialect: Dialect) -> String {
        let of_value = |column: &str| match dialect {
            Dialect::Sqlite => format!("{column} = ?1 AND position >= ?2 AND position <= ?3"),
            Dialect::Postgres => {
                format!("({column}, position) >= (?1, ?2) AND ({column}, position) <= (?1, ?3)")
            }
        };
        match (self.index, self.column()) {
            (Index::Authority(_), _) => of_value("authority"),
            (Index::Status(_), _) => of_value("status"),
            (Index::Replaced | Index::All, _) => "position >= ?1 AND position <= ?2".to_owned(),
            (Index::Ids, _) | (_, None) => "id >= ?1 AND id <= ?2".to_owned(),
            (_, Some(column)) => format!("zone = ?1 AND {}", between(column)),
        }
    }

    /// Returns true if two indexes have the entries: PostgreSQL sorts all entries of a view of
    /// both, unless each part has its order and limit.
    fn is_union(&self, dialect: Dialect) -> bool {
        self.index == Index::Names && dialect == Dialect::Postgres
    }

    /// The statement that reads the entries. `text` is the number of the value that names contain;
    /// `inner` is the limit of each part of a union.
    fn entries(
        &self,
        dialect: Dialect,
        direction: Direction,
        text: Option<usize>,
        inner: &str,
        outer: &str,
    ) -> String {
        let direction = condition::direction(direction);
        let contains = |column: &str| {
            let Some(text) = text else {
                return String::new();
            };
            let max = INDEXED_NAME_MAX;
            let place = match dialect {
                Dialect::Sqlite => "instr",
                Dialect::Postgres => "strpos",
            };
            format!(" AND ({place}({column}, ?{text}) > 0 OR octet_length({column}) >= {max})")
        };
        if self.is_union(dialect) {
            let part = |column: &str, is: &str| {
                let (between, contains) = (between(column), contains(column));
                format!(
                    "(SELECT {column} AS sort_key, position FROM certificates \
                     WHERE folded_name {is} AND position >> {SEQUENCE_BITS} = ?1 AND \
                     {between}{contains} ORDER BY {column} {direction}, position {direction} \
                     {inner})"
                )
            };
            let lowered = part("lower(common_name)", "IS NULL");
            let folded = part("folded_name", "IS NOT NULL");
            return format!(
                "SELECT sort_key, position FROM ({lowered} UNION ALL {folded}) AS parts \
                 ORDER BY sort_key {direction}, position {direction} {outer}"
            );
        }
        let (table, condition) = (self.table(dialect), self.condition(dialect));
        let key = self.column().unwrap_or("NULL");
        let contains = contains(key);
        let order = match (self.index, dialect) {
            (Index::Ids, _) => format!("id {direction}"),
            (Index::Authority(_), Dialect::Postgres) => {
                format!("authority {direction}, position {direction}")
            }
            (Index::Status(_), Dialect::Postgres) => {
                format!("status {direction}, position {direction}")
            }
            _ => match self.column() {
                Some(column) => format!("{column} {direction}, position {direction}"),
                None => format!("position {direction}"),
            },
        };
        format!(
            "SELECT {key} AS sort_key, position FROM {table} WHERE {condition}{contains} \
             ORDER BY {order} {outer}"
        )
    }
}

/// The condition of a key and a position between two places.
fn between(column: &str) -> String {
    format!("({column}, position) >= (?2, ?3) AND ({column}, position) <= (?4, ?5)")
}

/// Returns the part of an entry to hold; `None` drops it.
pub(super) type Sieve<'s> = dyn Fn(Entry) -> Option<Entry> + Send + Sync + 's;

/// The columns of [`State`].
const STATE: &str = "statuses.status, statuses.revoked_on, statuses.authority";

/// True for a certificate that another one replaced.
const REPLACED: &str = "EXISTS (SELECT 1 FROM replacements \
                        WHERE replacements.position = entries.position)";

/// The columns of [`Certificate`].
const CERTIFICATE: &str = "certificates.id, certificates.common_name, certificates.issued_on, \
                           certificates.expires_on";

/// The statement that reads entries with the columns of a need, in the order of [`Entry::read`].
fn with_columns(dialect: Dialect, entries: &str, need: Need) -> String {
    let mut columns = String::new();
    let mut joins = String::new();
    if need.certificates {
        joins.push_str(&joined(dialect, "certificates", CERTIFICATE));
    }
    if need.states {
        joins.push_str(&joined(dialect, "statuses", STATE));
        columns.push_str(&format!(", {STATE}"));
    }
    if need.places {
        columns.push_str(&format!(", {REPLACED}"));
    }
    if need.certificates {
        columns.push_str(&format!(", {CERTIFICATE}"));
    }
    format!("SELECT entries.sort_key, entries.position{columns} FROM ({entries}) AS entries{joins}")
}

/// Joins a row to each entry, one by one: without the means of its dialect, a planner may read a
/// whole table instead.
fn joined(dialect: Dialect, table: &str, columns: &str) -> String {
    match dialect {
        Dialect::Sqlite => format!(" CROSS JOIN {table} ON {table}.position = entries.position"),
        Dialect::Postgres => format!(
            " CROSS JOIN LATERAL (SELECT {columns} FROM {table} \
             WHERE {table}.position = entries.position LIMIT 1) AS {table}"
        ),
    }
}
