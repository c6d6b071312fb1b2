//! The numbers of the changes of accounts, which no digest covers because their ends move.

use std::collections::BTreeMap;

use certgate_model::AccountId;

use super::reading::{everything, single};
use crate::StoreError;
use crate::db::{Db, Row};
use crate::verbs::account_epochs::GAP_NUMBERS;

/// A row: the epochs of an account from `epoch` to `until`, and the number of the first.
#[derive(Debug, Clone, Copy)]
struct Stretch {
    epoch: i64,
    until: i64,
    number: i64,
}

impl Stretch {
    const fn last_number(self) -> i64 {
        let distance = self.until.saturating_sub(self.epoch);
        self.number.saturating_add(distance)
    }
}

/// Finds stretches that overlap, leave out a number or end at another change than the last one of
/// their account. A restore can have lost numbers.
pub(super) async fn stretches<D: Db>(db: &D) -> Result<Vec<String>, StoreError> {
    let is_restored = single::<_, u64>(db, "SELECT count(*) FROM epoch_gaps").await? > 0;
    let mut expected = BTreeMap::<AccountId, i64>::new();
    for select in [
        "SELECT account, max(last_epoch) FROM authorities GROUP BY account",
        "SELECT id, configuration_epoch FROM accounts WHERE configuration_epoch IS NOT NULL",
    ] {
        let read = |row: &dyn Row| Ok((row.get(0)?, row.get::<i64>(1)?));
        for (account, last) in everything(db, select, read).await? {
            let known = expected.entry(account).or_default();
            *known = last.max(*known);
        }
    }
    let select = "SELECT account, epoch, until, number FROM account_epochs ORDER BY account, epoch";
    let read = |row: &dyn Row| {
        let stretch = Stretch {
            epoch: row.get(1)?,
            until: row.get(2)?,
            number: row.get(3)?,
        };
        Ok((row.get(0)?, stretch))
    };
    let mut stretches = BTreeMap::<AccountId, Vec<Stretch>>::new();
    for (account, stretch) in everything(db, select, read).await? {
        stretches.entry(account).or_default().push(stretch);
    }
    let last: i64 = single(db, "SELECT last_epoch FROM store").await?;
    let mut lines = Vec::new();
    if !is_restored && !are_all(stretches.values().flatten(), last) {
        lines.push("\"account_epochs\": not every epoch belongs to one account".to_owned());
    }
    for (account, of_account) in &stretches {
        if !is_possible(of_account, last, is_restored) {
            lines.push(format!(
                "\"account_epochs\" {account}: the numbers of its changes are impossible"
            ));
        }
    }
    for (account, epoch) in expected {
        let end = stretches.get(&account).and_then(|all| all.last());
        let is_last = match end {
            None => epoch == 0,
            Some(end) if end.epoch == 0 => epoch <= end.until,
            Some(end) => epoch == end.until,
        };
        if !is_last {
            lines.push(format!(
                "\"account_epochs\" {account}: its last change has the epoch {epoch}, which is not \
                 the last one with a number"
            ));
        }
    }
    Ok(lines)
}

/// Returns true if every epoch up to `last` is in one stretch, after those of earlier versions.
fn are_all<'s>(stretches: impl Iterator<Item = &'s Stretch>, last: i64) -> bool {
    let mut ends: Vec<_> = stretches.map(|one| (one.epoch, one.until)).collect();
    ends.sort_unstable();
    ends.dedup_by(|one, before| one.0 == 0 && one == before);
    let mut next = Some(0);
    for (epoch, until) in ends {
        // Without earlier versions, the first epoch is 1.
        let is_next = next == Some(epoch) || next == Some(0) && epoch == 1;
        next = until.checked_add(1).filter(|_| is_next);
    }
    next.unwrap_or_default().max(1) == last.saturating_add(1)
}

fn is_possible(stretches: &[Stretch], last: i64, is_restored: bool) -> bool {
    let has_order = |stretch: &Stretch| {
        let is_first_kind = stretch.epoch != 0 || stretch.number == 0;
        stretch.epoch <= stretch.until && stretch.until <= last && is_first_kind
    };
    let follows = |pair: &[Stretch]| {
        let &[before, after] = pair else { return true };
        let next = before.last_number().saturating_add(1);
        let distance = after.number.saturating_sub(next);
        let expected = if before.epoch == 0 { GAP_NUMBERS } else { 0 };
        let is_dense = distance == expected || is_restored && distance >= 0;
        before.until < after.epoch && is_dense
    };
    let begins = stretches
        .first()
        .is_none_or(|first| first.number == i64::from(first.epoch != 0) || is_restored);
    begins && stretches.iter().all(has_order) && stretches.windows(2).all(follows)
}
