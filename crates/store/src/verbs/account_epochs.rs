//! The epochs of an account. The store numbers the changes of all accounts in commit order, and an
//! account must not learn the number of another account's changes. So each account has its own
//! numbers, 1, 2, 3, …, and clients see only those.
//!
//! A row of `account_epochs` is a stretch of changes of one account without a change of another
//! account in between: the epochs from `epoch` to `until` have the numbers from `number` on. A
//! database of one account has one row.
//!
//! Numbers of lost changes are not given out again: at each gap of epochs, which a restore leaves,
//! numbers continue 2³² higher.

use certgate_model::AccountId;

use crate::db::{Db, Row, Values, values};
use crate::{LastEpochs, StoreError};

/// No change has this number or a higher one: JSON carries integers exactly up to this one
/// (RFC 8259 §6).
const NUMBERS_END: u64 = 1 << 53;

/// The numbers that are left out at a gap of epochs. The statement of [`number`] has the value too.
pub(crate) const GAP_NUMBERS: i64 = 1 << 32;

/// Selects the number of an epoch in an account. The row ends with the last change of the account
/// before the next row, so that a later epoch has the number of that change.
macro_rules! select_number {
    ($account:literal, $epoch:literal) => {
        concat!(
            "(SELECT account_epochs.number - account_epochs.epoch + CASE \
             WHEN account_epochs.until < ",
            $epoch,
            " THEN account_epochs.until ELSE ",
            $epoch,
            " END FROM account_epochs WHERE account_epochs.account = ",
            $account,
            " AND account_epochs.epoch <= ",
            $epoch,
            " ORDER BY account_epochs.epoch DESC LIMIT 1)"
        )
    };
}
pub(crate) use select_number;

/// Successive epochs that an account has taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Stretch {
    pub(crate) account: AccountId,
    pub(crate) first: i64,
    pub(crate) last: i64,
}

/// Numbers new epochs, at most one stretch for each account; returns the number of the last epoch
/// of each. `left_out` is the number of numbers to leave out before each stretch, besides those of
/// gaps: 0, unless a restore numbers changes.
///
/// The row with epoch 0 has the epochs of earlier versions, which were their own numbers. A server
/// of such a version shows the epochs of the store until it ends, so that the numbers after that
/// row begin 2³² higher.
pub(crate) async fn number<D: Db>(
    db: &D,
    stretches: &[Stretch],
    left_out: i64,
) -> Result<Vec<i64>, StoreError> {
    let upsert = "INSERT INTO account_epochs (account, epoch, until, number) \
                  SELECT ?1, CASE WHEN continued THEN epoch ELSE CAST(?2 AS BIGINT) END, \
                  CAST(?3 AS BIGINT), CASE WHEN continued THEN number \
                  ELSE number + until - epoch + 1 + CAST(?4 AS BIGINT) + 4294967296 * \
                  (CASE WHEN epoch = 0 THEN 1 ELSE 0 END + (SELECT count(*) FROM epoch_gaps \
                  WHERE epoch_gaps.until > ends.until \
                  AND epoch_gaps.until <= CAST(?2 AS BIGINT))) END \
                  FROM (SELECT coalesce(last.epoch, -1) AS epoch, \
                  coalesce(last.until, -1) AS until, coalesce(last.number, 0) AS number, \
                  coalesce(last.epoch > 0 AND last.until = CAST(?2 AS BIGINT) - 1, FALSE) \
                  AS continued FROM store LEFT JOIN account_epochs AS last \
                  ON last.account = ?1 AND last.epoch = (SELECT max(epoch) FROM account_epochs \
                  WHERE account = ?1) WHERE store.\"only\" = 1) AS ends WHERE TRUE \
                  ON CONFLICT (account, epoch) DO UPDATE SET until = excluded.until \
                  RETURNING number + until - epoch";
    let cells: Vec<Values<'_>> = stretches
        .iter()
        .map(|one| values![one.account, one.first, one.last, left_out].to_vec())
        .collect();
    let numbers = db.optional_each(upsert, &cells, |row| row.get(0)).await?;
    Ok(numbers.into_iter().flatten().collect())
}

/// Returns the last epoch of the store and the last number of an account.
pub(crate) async fn last<D: Db>(db: &D, account: AccountId) -> Result<LastEpochs, StoreError> {
    let select = "SELECT last_epoch, coalesce((SELECT number + until - epoch FROM account_epochs \
                  WHERE account = ?1 ORDER BY epoch DESC LIMIT 1), 0) \
                  FROM store WHERE \"only\" = 1";
    db.one(select, &values![account], |row| {
        Ok(LastEpochs {
            of_store: row.get(0)?,
            of_account: row.get(1)?,
        })
    })
    .await
}

/// Returns the account's number of an epoch; 0 if its first change came later.
pub(crate) async fn number_of<D: Db>(
    db: &D,
    account: AccountId,
    epoch: u64,
) -> Result<u64, StoreError> {
    let numbers = numbers_of(db, account, &[epoch]).await?;
    Ok(numbers.first().copied().unwrap_or(0))
}

/// Returns the account's numbers of epochs.
pub(crate) async fn numbers_of<D: Db>(
    db: &D,
    account: AccountId,
    epochs: &[u64],
) -> Result<Vec<u64>, StoreError> {
    let select = concat!("SELECT ", select_number!("?1", "CAST(?2 AS BIGINT)"));
    let cells: Vec<_> = epochs
        .iter()
        .map(|epoch| values![account, *epoch].to_vec())
        .collect();
    let read = |row: &dyn Row| row.get::<Option<u64>>(0);
    let numbers = db.optional_each(select, &cells, read).await?;
    Ok(numbers
        .into_iter()
        .map(|number| number.flatten().unwrap_or(0))
        .collect())
}

/// Returns the epoch up to which a client knows every change of an account, if it knows those up
/// to `number`. `None`: no change has the number, or not any more.
pub(crate) async fn known<D: Db>(
    db: &D,
    account: AccountId,
    number: u64,
) -> Result<Option<u64>, StoreError> {
    if number >= NUMBERS_END {
        return Ok(None);
    }
    // The last column says whether a restore has skipped the epoch.
    let select = "SELECT epoch - number + CAST(?2 AS BIGINT), account_epochs.until, \
                  coalesce((SELECT epoch_gaps.until > epoch - number + CAST(?2 AS BIGINT) \
                  FROM epoch_gaps WHERE after < epoch - number + CAST(?2 AS BIGINT) \
                  ORDER BY after DESC LIMIT 1), FALSE) FROM account_epochs \
                  WHERE account = ?1 AND number <= CAST(?2 AS BIGINT) ORDER BY number DESC LIMIT 1";
    let found = db
        .optional(select, &values![account, number], |row| {
            let (epoch, until): (u64, u64) = (row.get(0)?, row.get(1)?);
            Ok((epoch, epoch <= until && !row.get::<bool>(2)?))
        })
        .await?;
    Ok(match found {
        Some((epoch, is_known)) => Some(epoch).filter(|_| is_known),
        // The account is as it was before its first change.
        None => Some(0).filter(|_| number == 0),
    })
}
