//! Each verb with each outcome.

use super::adopting::adopting;
use super::audit::audit;
use super::authorities::{authorities, replaced_authorities};
use super::authority_states::authority_states;
use super::certificate_history::certificate_history;
use super::certificates::{certificates, deep_slices, settling, statuses};
use super::configuration::configuration;
use super::enforcement_points::{enforcement_points, silent_points};
use super::fixtures;
use super::fixtures::by;
use super::hostnames::hostnames;
use super::invites::invites;
use super::issuance_rules::issuance_rules;
use super::lists::lists;
use super::mtls_certificates::mtls_certificates;
use super::notifications::notifications;
use super::replacements::replacements;
use super::search::Searched;
use super::tenant_changes::{account_tokens, tenant_changes};
use super::tenants::{accounts, deletions, installation, zone_filters, zones};
use super::tokens::{api_keys, tokens};
use crate::{BackgroundJob, Settled, Store, StoreError};

/// Tries every verb on an empty store. Panics at the first wrong outcome.
pub async fn verbs(store: &dyn Store) {
    empty(store).await;
    installation(store).await;
    accounts(store).await;
    zones(store).await;
    zone_filters(store).await;
    tokens(store).await;
    api_keys(store).await;
    let authority = authorities(store).await;
    mtls_certificates(store).await;
    certificates(store, &authority).await;
    statuses(store, &authority).await;
    settling(store, &authority).await;
    issuance_rules(store, &authority).await;
    replaced_authorities(store).await;
    deep_slices(store).await;
    lists(store, &authority).await;
    enforcement_points(store, &authority).await;
    silent_points(store).await;
    configuration(store).await;
    hostnames(store, &authority).await;
    deletions(store).await;
    audit(store).await;
    certificate_history(store).await;
    tenant_changes(store).await;
    account_tokens(store).await;
    authority_states(store).await;
    adopting(store).await;
    replacements(store).await;
    invites(store).await;
    notifications(store).await;
    leases(store).await;
    Searched::begin(store, 700, 1)
        .await
        .compare_everything()
        .await;
    store.ready().await.expect("ready");
    assert_eq!(store.check().await.expect("check"), Vec::<String>::new());
}

/// Checks after [`verbs`] that a closed store refuses writes.
pub async fn closed(store: &dyn Store) {
    store.close().await;
    store.close().await;
    let refused = store.record_account(fixtures::account(90), by()).await;
    assert!(
        matches!(refused, Err(StoreError::Unavailable(_))),
        "{refused:?}"
    );
    assert!(matches!(
        store.ready().await,
        Err(StoreError::Unavailable(_))
    ));
}

async fn empty(store: &dyn Store) {
    let records = fixtures::first_records();
    assert_eq!(store.installation().await.expect("read"), None);
    assert_eq!(store.user().await.expect("read"), None);
    assert_eq!(store.account(records.account.id).await.expect("read"), None);
    assert_eq!(store.zone(records.zone.id).await.expect("read"), None);
    assert_eq!(store.token(records.token.id).await.expect("read"), None);
    assert_eq!(
        store
            .managed_authority(records.account.id)
            .await
            .expect("read"),
        None
    );
    assert_eq!(
        store
            .settle_pending(u64::MAX, fixtures::instant(0), &[], 100)
            .await
            .expect("settle"),
        Settled::default()
    );
    assert_eq!(store.check().await.expect("check"), Vec::<String>::new());
}

async fn leases(store: &dyn Store) {
    let hold = async |holder: u8, from, until| {
        let (from, until) = (fixtures::instant(from), fixtures::instant(until));
        store
            .hold_lease(BackgroundJob::Settling, [holder; 16], from, until)
            .await
            .expect("hold")
    };
    assert!(hold(1, 100, 130).await);
    assert!(!hold(2, 129, 159).await, "the first node has the lease");
    assert!(hold(1, 110, 140).await, "the holder renews the lease");
    assert!(!hold(2, 139, 169).await);
    assert!(hold(2, 140, 170).await, "the lease has expired");
    assert!(!hold(1, 141, 171).await);
    store
        .release_lease(BackgroundJob::Settling, [1; 16])
        .await
        .expect("leave");
    assert!(
        !hold(1, 141, 171).await,
        "only the holder can release the lease"
    );
    store
        .release_lease(BackgroundJob::Settling, [2; 16])
        .await
        .expect("leave");
    assert!(hold(1, 141, 171).await);
    assert!(hold(1, 9_000, 9_030).await);
    assert!(
        hold(2, 150, 180).await,
        "a lease that lasts for hours is ignored: a clock was wrong"
    );
}
