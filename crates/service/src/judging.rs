use std::collections::HashMap;

use certgate_model::{AuthorityId, AuthorityRecord, CertificateRecord, MtlsCertificateRecord};
use certgate_pki::{StoredAuthority, contradicts_uploaded};
use certgate_store::{Judge, JudgedCrl};

/// Compares stored records with the DER forms in them, for the full check.
pub struct DerJudge<P> {
    /// Each CA that was passed; [`None`] if its certificate cannot be read.
    authorities: HashMap<AuthorityId, Option<StoredAuthority>>,
    progress: P,
}

impl<P: FnMut(u64) + Send + Sync> DerJudge<P> {
    /// Begins. `progress` gets the numbers of rows as they are read, and may pause.
    pub fn new(progress: P) -> Self {
        Self {
            authorities: HashMap::new(),
            progress,
        }
    }

    fn found(&self, authority: AuthorityId) -> Option<&StoredAuthority> {
        self.authorities.get(&authority)?.as_ref()
    }
}

impl<P: FnMut(u64) + Send + Sync> Judge for DerJudge<P> {
    fn authority(&mut self, record: &AuthorityRecord) -> Vec<&'static str> {
        let read = StoredAuthority::read(&record.certificate_der, record.algorithm);
        let contradicted = match &read {
            Some(read) => read.contradicts(record),
            None => vec!["certificate_der or algorithm"],
        };
        self.authorities.insert(record.id, read);
        contradicted
    }

    fn certificate(&mut self, record: &CertificateRecord) -> Vec<&'static str> {
        match self.found(record.authority.id) {
            Some(authority) => authority.contradicts_certificate(record),
            None => vec!["authority"],
        }
    }

    fn uploaded(&mut self, record: &MtlsCertificateRecord) -> Vec<&'static str> {
        contradicts_uploaded(record)
    }

    fn crl(&mut self, authority: AuthorityId, der: &[u8]) -> JudgedCrl {
        match self.found(authority).and_then(|found| found.read_crl(der)) {
            Some(crl) => JudgedCrl::Intact(crl),
            None => JudgedCrl::Corrupt,
        }
    }

    fn same_issuer(&self, authority: AuthorityId) -> Vec<AuthorityId> {
        let Some(one) = self.found(authority) else {
            return vec![authority];
        };
        let is_same = |other: &Option<StoredAuthority>| {
            other
                .as_ref()
                .is_some_and(|other| one.is_same_issuer(other))
        };
        let same = self.authorities.iter().filter(|(_, other)| is_same(other));
        same.map(|(id, _)| *id).collect()
    }

    fn progress(&mut self, rows: u64) {
        (self.progress)(rows);
    }
}
