use crate::{Lifetime, MtlsCertificateId};

/// The rules of a zone for clients that get certificates without a token.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnrolmentRules {
    /// The lifetime of their certificates. `None`: that of the certificate that is renewed.
    pub lifetime: Option<Lifetime>,
    /// The uploaded CAs whose clients may enrol, each under the common name that it has.
    pub trusted_cas: Vec<MtlsCertificateId>,
    /// The time after which a replaced certificate is revoked. `None`: it is not revoked.
    pub revoke_replaced_after: Option<Lifetime>,
}
