//! The records of a page of client certificates, which the store returns in parts.

use certgate_model::{
    CertificateFilter, CertificateId, CertificateQuery, CertificateRecord, Slice, ZoneId,
};
use certgate_store::{CertificatesPart, PART_OCTETS, PART_RECORDS_MAX};
use certgate_wire::{Message, ResultInfo};

use crate::envelope::{self, PageRequest};
use crate::error::ApiError;
use crate::state::Api;

/// The beginning of a page.
pub(crate) struct Begin {
    pub(crate) records: Vec<CertificateRecord>,
    pub(crate) info: ResultInfo,
    pub(crate) messages: Vec<Message<'static>>,
    pub(crate) source: Source,
}

/// The place that the rest of a page comes from.
pub(crate) enum Source {
    /// The certificates of a status after the last one, at most so many.
    Status {
        query: CertificateQuery,
        after: Option<CertificateId>,
        left: u32,
        /// The number of records to read at once.
        records: u32,
    },
    /// The certificates with these IDs, without those that do not match any more.
    Found {
        ids: Vec<CertificateId>,
        filter: Box<CertificateFilter>,
    },
}

/// Reads the beginning of a page of the certificates in a status.
pub(crate) async fn by_status(
    api: &Api,
    zone: ZoneId,
    asked: PageRequest,
    query: CertificateQuery,
) -> Result<Begin, ApiError> {
    let mut source = Source::Status {
        query,
        after: None,
        left: query.slice.size,
        records: PART_RECORDS_MAX,
    };
    let (records, total) = source.next_of_status(api, zone).await?;
    let whole = total.saturating_sub(query.slice.first);
    if records.len() as u64 >= whole {
        source = Source::end();
    }
    Ok(Begin {
        records,
        info: envelope::result_info(asked, total),
        messages: Vec::new(),
        source,
    })
}

impl Source {
    /// Makes the end of a page.
    pub(crate) fn end() -> Self {
        Self::Found {
            ids: Vec::new(),
            filter: Box::default(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Self::Status { left, .. } => *left == 0,
            Self::Found { ids, .. } => ids.is_empty(),
        }
    }

    /// Returns the next records; none at the end.
    pub(crate) async fn next(
        &mut self,
        api: &Api,
        zone: ZoneId,
    ) -> Result<Vec<CertificateRecord>, ApiError> {
        match self {
            Self::Status { .. } => Ok(self.next_of_status(api, zone).await?.0),
            Self::Found { ids, filter } => {
                let read = api.store.certificates_by_ids(zone, ids.clone()).await?;
                let last = read.last().map(|record| record.id);
                let read_ids = ids.iter().position(|id| Some(*id) == last);
                ids.drain(..read_ids.map_or(ids.len(), |place| place + 1));
                let matching = read.into_iter().filter(|record| filter.matches(record));
                Ok(matching.collect())
            }
        }
    }

    /// Returns the next records of a list by status, and the length of the list.
    async fn next_of_status(
        &mut self,
        api: &Api,
        zone: ZoneId,
    ) -> Result<(Vec<CertificateRecord>, u64), ApiError> {
        let Self::Status {
            query,
            after,
            left,
            records,
        } = self
        else {
            return Ok((Vec::new(), 0));
        };
        let size = (*left).min(*records);
        let part = CertificatesPart {
            query: CertificateQuery {
                status: query.status,
                slice: Slice {
                    first: query.slice.first,
                    size,
                },
            },
            after: *after,
            octets_max: PART_OCTETS,
        };
        let page = api.store.certificates_part(zone, part).await?;
        let found = page.items.len() as u32;
        // The page is shorter if the status of a record changed since the first part.
        *left = if found == 0 { 0 } else { *left - found };
        *after = page.items.last().map(|record| record.id).or(*after);
        // Records that are too many for a part are read in vain.
        if found < size {
            *records = found.max(1);
        }
        Ok((page.items, page.total))
    }
}
