//! Recording certificates that a CA issued elsewhere.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;

use certgate_model::{AuthorityId, By, CertificateId};
use futures_util::future::try_join3;

use super::recording::{self, Circumstances, New};
use crate::db::{Db, Row, Values, values};
use crate::{Adopted, Adoption, Basis, CertificateRecorded, StoreError};

/// Stores certificates of CAs that need not be active, at the end of a zone.
pub(crate) async fn adopt<D: Db>(
    db: &D,
    adoptions: &[Adoption],
    quota: Option<u64>,
    by: &By,
) -> Result<Vec<Adopted>, StoreError> {
    let known = known(db, adoptions).await?;
    let mut outcomes = Vec::with_capacity(adoptions.len());
    let mut news = Vec::new();
    let mut in_request = BTreeMap::<(AuthorityId, [u8; 20]), CertificateId>::new();
    for (adoption, known) in adoptions.iter().zip(known) {
        let certificate = &adoption.certificate;
        // The first of these CAs is the one of the certificate, whenever they are the same.
        let place = (certificate.authority.id, *certificate.serial.as_bytes());
        let before = match known {
            Known::Adopted(id) => Some(Some(id)),
            Known::Issued => Some(None),
            Known::Unknown => match in_request.entry(place) {
                Entry::Occupied(earlier) => Some(Some(*earlier.get())),
                Entry::Vacant(new) => {
                    new.insert(certificate.id);
                    None
                }
            },
        };
        let outcome = before.map(|id| match id {
            Some(id) if id == certificate.id => Adopted::Known,
            _ => Adopted::SerialTaken,
        });
        if outcome.is_none() {
            news.push(New {
                certificate: Arc::clone(certificate),
                limits: quota.into(),
                by: *by,
                basis: Basis::Permission,
                circumstances: Circumstances::Adopted,
            });
        }
        outcomes.push(outcome);
    }
    let recorded = recording::record(db, &news.iter().collect::<Vec<_>>()).await?;
    let mut recorded = recorded.into_iter();
    let mut outcome = || match recorded.next() {
        Some(CertificateRecorded::Recorded) => Adopted::Recorded,
        Some(CertificateRecorded::QuotaReached) => Adopted::QuotaReached,
        Some(CertificateRecorded::Exists) => Adopted::SerialTaken,
        Some(CertificateRecorded::AuthorityNotActive) => Adopted::NoAuthority,
        Some(
            CertificateRecorded::NoZone
            // Issuance rules do not limit adoption, which replaces nothing and needs no invite.
            | CertificateRecorded::NotReplaced(_)
            | CertificateRecorded::NotInvited(_)
            | CertificateRecorded::DayLimitReached { .. }
            | CertificateRecorded::NameLimitReached
            | CertificateRecorded::NameNotCountable
            | CertificateRecorded::NamesNotIndexed,
        )
        | None => {
            Adopted::NoZone
        }
    };
    Ok(outcomes
        .into_iter()
        .map(|known| known.unwrap_or_else(&mut outcome))
        .collect())
}

/// A certificate with the same issuer and serial number.
#[derive(Debug, Clone, Copy)]
enum Known {
    Unknown,
    Adopted(CertificateId),
    /// It was issued here.
    Issued,
}

/// Returns the stored certificate with the issuer and serial number of each, without waiting for
/// one after another.
async fn known<D: Db>(db: &D, adoptions: &[Adoption]) -> Result<Vec<Known>, StoreError> {
    let adopted = "SELECT certificates.id FROM adopted_certificates JOIN certificates \
                   ON certificates.position = adopted_certificates.position \
                   WHERE adopted_certificates.authority = \
                   (SELECT number FROM authorities WHERE id = ?1) \
                   AND adopted_certificates.serial = ?2";
    let issued = "SELECT id FROM certificates WHERE id = ?3 AND serial = ?2 \
                  AND authority = (SELECT number FROM authorities WHERE id = ?1)";
    let lost = "SELECT id FROM lost_certificates WHERE serial = ?2 \
                AND authority = (SELECT number FROM authorities WHERE id = ?1)";
    let mut places = Vec::new();
    let (mut of_two, mut of_three): (Vec<Values<'_>>, Vec<Values<'_>>) = (Vec::new(), Vec::new());
    for (place, adoption) in adoptions.iter().enumerate() {
        for authority in &adoption.same_issuer {
            let serial = &adoption.certificate.serial;
            places.push(place);
            of_two.push(values![*authority, serial].to_vec());
            of_three.push(values![*authority, serial, adoption.own_id].to_vec());
        }
    }
    let id = |row: &dyn Row| row.get::<CertificateId>(0);
    let (adopted, issued, lost) = try_join3(
        db.optional_each(adopted, &of_two, id),
        db.optional_each(issued, &of_three, id),
        db.optional_each(lost, &of_two, id),
    )
    .await?;
    let mut known = vec![Known::Unknown; adoptions.len()];
    for (((place, adopted), issued), lost) in places.into_iter().zip(adopted).zip(issued).zip(lost)
    {
        match (adopted, issued.or(lost)) {
            (Some(id), _) => known[place] = Known::Adopted(id),
            (None, Some(_)) => known[place] = Known::Issued,
            (None, None) => {}
        }
    }
    Ok(known)
}
