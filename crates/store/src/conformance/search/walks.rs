//! Walks through all matches while certificates change.

use std::collections::HashSet;

use certgate_model::{
    CertificateFilter, CertificateId, CertificateSearch, SearchOutcome, Slice, Status,
};

use super::{SMALL, Searched, WALK};

/// The conditions beside the status: those that many certificates meet, and that do not change.
const OTHERS: [u64; 6] = [2, 3, 7, 8, 9, 10];

impl Searched<'_> {
    /// Walks so many times while statuses change at random. Each walk finds every certificate that
    /// matches all the time, and none twice.
    pub async fn walk_while_changing(&mut self, rounds: u32) {
        let mut walks = 0;
        for round in 0..rounds {
            let other = OTHERS[self.next(OTHERS.len() as u64) as usize];
            let filter = CertificateFilter {
                status: Some(Status::Active),
                ..self.filter(&[other])
            };
            walks += u32::from(self.walk(filter, round.is_multiple_of(2)).await);
        }
        assert!(walks > rounds / 4, "{walks} of {rounds} had a second part");
    }

    /// Walks once. Returns false if the first answer had all matches.
    async fn walk(&mut self, filter: CertificateFilter, is_small: bool) -> bool {
        let mut search = CertificateSearch {
            filter,
            order: None,
            direction: None,
            slice: Slice {
                first: 0,
                size: 1 + self.next(9) as u32,
            },
            after: None,
        };
        let limits = if is_small { SMALL } else { WALK };
        let mut always = self.matching(&search.filter);
        let mut ever = always.clone();
        let mut found = Vec::new();
        loop {
            let next = match self.within(&search, limits).await {
                SearchOutcome::Found {
                    items, rest, next, ..
                } => {
                    let items = self.page(items, rest).await;
                    found.extend(items.into_iter().map(|certificate| certificate.id));
                    next
                }
                SearchOutcome::NothingYet(next) => Some(next),
                other => panic!("{other:?} of {search:?}"),
            };
            if next.is_none() {
                break;
            }
            search.after = next;
            self.change().await;
            let now = self.matching(&search.filter);
            always.retain(|id| now.contains(id));
            ever.extend(now);
        }
        if search.after.is_none() {
            return false;
        }
        let distinct: HashSet<_> = found.iter().copied().collect();
        assert_eq!(distinct.len(), found.len(), "{search:?}");
        assert!(always.is_subset(&distinct), "{search:?}");
        assert!(distinct.is_subset(&ever), "{search:?}");
        true
    }

    fn matching(&self, filter: &CertificateFilter) -> HashSet<CertificateId> {
        let all = self.certificates.iter();
        let matching = all.filter(|certificate| filter.matches(certificate));
        matching.map(|certificate| certificate.id).collect()
    }
}
