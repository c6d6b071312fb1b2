//! Requests that an earlier run sent without learning what became of them: the API echoes every request byte for byte, so
//! a certificate that was issued for one is recognised, whatever token and validity it was asked for with. (One that is
//! recorded only now is not in the list yet; the request's idempotency key keeps it from being issued twice.)

use std::collections::HashMap;

use certgate_model::ZoneId;
use serde::Deserialize;

use super::super::cert::{self, PAGE_MAX};
use super::super::rows::Row;
use super::super::session::Session;
use super::line::Start;
use crate::failure::Failure;

/// How many pages are looked through, newest certificates first: what was issued since the earlier run stopped, by
/// anybody, must fit.
const PAGES_MAX: u64 = 20;

#[derive(Deserialize)]
struct Issued {
    id: String,
    csr: String,
}

/// Turns [`Start::Requested`] into [`Start::Issued`] where there is a certificate.
pub fn adopt(session: &Session, zone: &ZoneId, todo: &mut [(Row, Start)]) -> Result<(), Failure> {
    let mut open: HashMap<String, &mut Start> = HashMap::new();
    for (_, start) in todo {
        if let Start::Requested { csr } = start {
            open.insert(csr.clone(), start);
        }
    }
    for page in 1..=PAGES_MAX {
        if open.is_empty() {
            break;
        }
        let path = format!(
            "{}?status=all&page={page}&limit={PAGE_MAX}",
            cert::path(zone)
        );
        let issued: Vec<Issued> = session.api.get(&path)?.parse()?;
        if issued.is_empty() {
            break;
        }
        for certificate in issued {
            if let Some(start) = open.remove(&certificate.csr) {
                *start = Start::Issued {
                    certificate_id: certificate.id,
                    journaled: false,
                };
            }
        }
    }
    Ok(())
}
