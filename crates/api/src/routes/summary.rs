//! `/zones/{zone_id}/summary`

use axum::extract::State;
use axum::response::Response;
use certgate_model::{Status, Totals, ZoneSummary};
use certgate_service::{ReadCertificates, ZoneScope};
use certgate_wire::{Answer, AuthorityTotals, Date, DayCount, Message, StatusTotals, ZonePath};

use crate::code;
use crate::envelope;
use crate::error::ApiError;
use crate::state::Api;

/// Get the numbers of a zone's certificates
///
/// By status, by CA, and by the UTC day on which they expire, were issued or were revoked. The
/// numbers are exact and of one instant, and their cost does not depend on the number of
/// certificates. After an upgrade from a version without them, `messages` says that the numbers by
/// CA and day are not complete yet (code 1536).
#[utoipa::path(
    get,
    path = "/certgate/v1/zones/{zone_id}/summary",
    tag = "Client certificates",
    operation_id = "zone-summary",
    params(ZonePath),
    responses((
        status = 200,
        description = "The numbers",
        body = Answer<certgate_wire::ZoneSummary<'static>>,
    )),
)]
pub(crate) async fn get(
    State(api): State<Api>,
    scope: ZoneScope<ReadCertificates>,
) -> Result<Response, ApiError> {
    let today = api.clock.now().unix_day();
    let summary = api.store.summary(scope.zone().id, today).await?;
    let summary = summary.ok_or_else(ApiError::no_tenant)?;
    let messages = uncounted(summary.uncounted).into_iter().collect();
    envelope::one_with_messages(object(&summary), messages)
}

/// Tells the client that not every number is complete.
fn uncounted(count: u64) -> Option<Message<'static>> {
    let message = format!(
        "The server counts the certificates of earlier versions: {count} are in totals only, and \
         not yet in the numbers by CA and day"
    );
    (count > 0).then(|| Message {
        code: code::NOT_COUNTED_YET.number(),
        message: message.into(),
        kind: None,
    })
}

fn object(summary: &ZoneSummary) -> certgate_wire::ZoneSummary<'_> {
    let authorities = summary.by_authority.iter();
    let authorities = authorities.map(|(authority, totals)| AuthorityTotals {
        id: authority.id.into(),
        name: (&authority.name).into(),
        totals: status_totals(*totals),
    });
    certgate_wire::ZoneSummary {
        totals: status_totals(summary.totals),
        replaced: summary.replaced.map(status_totals),
        certificate_authorities: authorities.collect(),
        expiring: days(&summary.expiring),
        issued: days(&summary.issued),
        revoked: days(&summary.revoked),
        uncounted: summary.uncounted,
    }
}

fn status_totals(totals: Totals) -> StatusTotals {
    StatusTotals {
        active: totals.of(Status::Active),
        pending_reactivation: totals.of(Status::PendingReactivation),
        pending_revocation: totals.of(Status::PendingRevocation),
        revoked: totals.of(Status::Revoked),
    }
}

fn days(days: &[(i64, u64)]) -> Vec<DayCount> {
    let count = |(day, count): &(i64, u64)| DayCount {
        date: Date(*day),
        count: *count,
    };
    days.iter().map(count).collect()
}
