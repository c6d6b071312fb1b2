//! Uploaded certificates: each verb with each outcome.

use certgate_model::MtlsCertificateRecord;

use super::fixtures;
use super::fixtures::{by, by_at};
use crate::{
    AccountDeleted, AccountRecorded, MtlsCertificateDeleted, MtlsCertificateRecorded, Store,
};

/// Tries the verbs on a store that has an installation. Makes accounts 60 and 61, and deletes them.
pub(super) async fn mtls_certificates(store: &dyn Store) {
    use MtlsCertificateRecorded::{Exists, NoAccount, QuotaReached, Recorded};
    let (account, other) = (fixtures::account(60), fixtures::account(61));
    for account in [&account, &other] {
        assert_eq!(
            store
                .record_account(account.clone(), by())
                .await
                .expect("record"),
            AccountRecorded::Recorded
        );
    }
    assert!(
        store
            .mtls_certificates(account.id)
            .await
            .expect("list")
            .is_empty()
    );

    let record = async |certificate: &MtlsCertificateRecord, quota| {
        store
            .record_mtls_certificate(certificate.clone(), quota, by())
            .await
            .expect("record")
    };
    let [first, second, third] = [1, 2, 3].map(|n| fixtures::mtls_certificate(n, &account));
    assert_eq!(record(&first, Some(1)).await, Recorded);
    assert_eq!(record(&second, Some(1)).await, QuotaReached);
    assert_eq!(record(&second, Some(2)).await, Recorded);
    assert_eq!(record(&third, None).await, Recorded);
    // The same certificate again, also if the quota is reached. Another account may have it too.
    let again = MtlsCertificateRecord {
        id: fixtures::mtls_certificate(9, &account).id,
        ..first.clone()
    };
    assert_eq!(record(&again, Some(1)).await, Exists(first.id));
    let elsewhere = MtlsCertificateRecord {
        account: other.id,
        ..again
    };
    assert_eq!(record(&elsewhere, None).await, Recorded);
    assert_eq!(
        record(&fixtures::mtls_certificate(4, &fixtures::account(77)), None).await,
        NoAccount
    );

    let newest_first = vec![third.clone(), second.clone(), first.clone()];
    assert_eq!(
        store.mtls_certificates(account.id).await.expect("list"),
        newest_first
    );
    for certificate in &newest_first {
        let found = store
            .mtls_certificate(account.id, certificate.id)
            .await
            .expect("read");
        assert_eq!(found.as_ref(), Some(certificate));
        assert_eq!(
            store
                .mtls_certificate_used_by(account.id, certificate.id)
                .await
                .expect("read"),
            Some(0)
        );
    }
    assert_eq!(
        store
            .mtls_certificate(other.id, first.id)
            .await
            .expect("read"),
        None
    );
    assert_eq!(
        store
            .mtls_certificate_used_by(other.id, first.id)
            .await
            .expect("read"),
        None
    );

    let in_use = store
        .delete_account(account.id, by_at(fixtures::instant(9)))
        .await
        .expect("delete");
    assert_eq!(in_use, AccountDeleted::HasMtlsCertificates(3));
    let delete = async |of, id| {
        store
            .delete_mtls_certificate(of, id, by())
            .await
            .expect("delete")
    };
    assert_eq!(
        delete(other.id, first.id).await,
        MtlsCertificateDeleted::NotFound
    );
    for certificate in newest_first {
        let (of, id) = (certificate.account, certificate.id);
        assert_eq!(
            delete(of, id).await,
            MtlsCertificateDeleted::Deleted(certificate)
        );
        assert_eq!(delete(of, id).await, MtlsCertificateDeleted::NotFound);
        assert_eq!(store.mtls_certificate(of, id).await.expect("read"), None);
    }
    assert_eq!(
        delete(other.id, elsewhere.id).await,
        MtlsCertificateDeleted::Deleted(elsewhere.clone())
    );
    for account in [account, other] {
        let gone = store
            .delete_account(account.id, by_at(fixtures::instant(9)))
            .await
            .expect("delete");
        assert_eq!(gone, AccountDeleted::Deleted);
    }
}
