use std::sync::Arc;

use certgate_model::AccountId;

use crate::error::{AuthorityError, Fault, IssueError, MtlsCertificateError};
use crate::shares::{ShareLimits, ShareReached, Shares};
use crate::signers::Signers;
use crate::turn::Turns;

/// Maximum number of requests of an account that wait for a search of an RSA key. A search of
/// RSA-2048 takes less than 0.1 s, so that a fleet which enrols with 32 connections does not
/// reach it.
const WAITING_PER_ACCOUNT_MAX: usize = 32;

/// Maximum number of requests of all accounts that wait for a search of an RSA key. Each holds a
/// request in memory: 16 MB with the longest chains.
const WAITING_MAX: usize = 256;

/// The search for weaknesses of RSA keys that the server sees for the first time.
///
/// A search of RSA-8192 takes up to a second, for which a client needs only a signature. Therefore
/// it does not run on the signing threads, and the accounts take turns on one thread: a search
/// waits for at most one of each other account.
pub(crate) struct KeySearches {
    thread: Signers,
    waiting: Arc<Shares<AccountId>>,
    turns: Turns<AccountId>,
}

/// Reasons not to run a search.
pub(crate) enum NotSearched {
    Busy {
        /// The waiting requests, as the subject of a sentence.
        waiting: String,
    },
    Fault(Fault),
}

impl From<Fault> for NotSearched {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
    }
}

impl From<NotSearched> for IssueError {
    fn from(reason: NotSearched) -> Self {
        match reason {
            NotSearched::Busy { waiting } => Self::Busy { waiting },
            NotSearched::Fault(fault) => fault.into(),
        }
    }
}

impl From<NotSearched> for MtlsCertificateError {
    fn from(reason: NotSearched) -> Self {
        match reason {
            NotSearched::Busy { waiting } => Self::Busy { waiting },
            NotSearched::Fault(fault) => fault.into(),
        }
    }
}

impl From<NotSearched> for AuthorityError {
    fn from(reason: NotSearched) -> Self {
        match reason {
            NotSearched::Busy { waiting } => Self::Busy { pending: waiting },
            NotSearched::Fault(fault) => fault.into(),
        }
    }
}

impl KeySearches {
    pub(crate) fn start() -> Result<Self, Fault> {
        Ok(Self {
            thread: Signers::for_key_searches()?,
            waiting: Shares::new(ShareLimits {
                each: WAITING_PER_ACCOUNT_MAX,
                total: WAITING_MAX,
            }),
            turns: Turns::new(),
        })
    }

    /// Runs a search for a request of an account.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        account: AccountId,
        search: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, NotSearched> {
        let _waiting = self.waiting.begin(account).map_err(|reached| {
            let waiting = match reached {
                ShareReached::Each(max) => format!("{max} requests of the account"),
                ShareReached::Total(max) => format!("{max} requests of all accounts"),
            };
            NotSearched::Busy { waiting }
        })?;
        let turn = self.turns.of(account);
        let _one_at_a_time = turn.hold().await;
        Ok(self.thread.run(search).await?)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;
    use std::sync::mpsc::channel;

    use certgate_model::lock;
    use futures_util::future::{join, join_all};

    use super::*;

    #[tokio::test]
    async fn accounts_take_turns_and_neither_one_nor_all_have_too_many_waiting() {
        let searches = KeySearches::start().ok().unwrap();
        let account = |n: u8| AccountId::from_bytes([n; 16]);
        let done = Arc::new(Mutex::new(Vec::new()));
        let (begin, begun) = channel::<()>();
        let begun = Mutex::new(begun);
        let gate = {
            let done = done.clone();
            searches.run(account(1), move || {
                let _ = lock(&begun).recv();
                lock(&done).push(1);
            })
        };
        let search = |n: u8| {
            let done = done.clone();
            searches.run(account(n), move || lock(&done).push(n))
        };
        // One account fills its share before another has a request.
        let others = async {
            tokio::task::yield_now().await;
            let hostile = join_all((0..WAITING_PER_ACCOUNT_MAX).map(|_| search(1)));
            let honest = async {
                tokio::task::yield_now().await;
                let opened = async { begin.send(()).unwrap() };
                join(search(2), opened).await.0
            };
            join(hostile, honest).await
        };
        let (first, (hostile, honest)) = join(gate, others).await;
        assert!(first.is_ok() && honest.is_ok());
        let refused: Vec<_> = hostile.into_iter().filter_map(Result::err).collect();
        assert!(matches!(&refused[..], [NotSearched::Busy { waiting }]
                if waiting == "32 requests of the account"),);
        let done = lock(&done);
        assert_eq!(done.len(), 1 + WAITING_PER_ACCOUNT_MAX);
        let honest = done.iter().position(|n| *n == 2).unwrap();
        assert!(honest <= 2, "it waited for {honest} searches");
    }
}
