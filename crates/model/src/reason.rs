use std::fmt;

/// The reason of a revocation: the CRLReason of RFC 5280 §5.3.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum RevocationReason {
    /// 0. A CRL omits it.
    Unspecified,
    /// 1: an attacker has, or may have, the private key.
    KeyCompromise,
    /// 2: an attacker has, or may have, the CA's private key.
    CaCompromise,
    /// 3: the subject's name or other information has changed.
    AffiliationChanged,
    /// 4: another certificate replaces it.
    Superseded,
    /// 5: it is no longer needed.
    CessationOfOperation,
    /// 6: on hold. The default, and the only reason that can be undone.
    #[default]
    CertificateHold,
    /// 9: the subject has lost the privilege that the certificate granted.
    PrivilegeWithdrawn,
}

impl RevocationReason {
    /// Every reason that a client certificate can be revoked for.
    pub const ALL: [Self; 8] = [
        Self::Unspecified,
        Self::KeyCompromise,
        Self::CaCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::CertificateHold,
        Self::PrivilegeWithdrawn,
    ];

    /// The number in CRLs, OCSP responses and the store.
    pub const fn code(self) -> u8 {
        match self {
            Self::Unspecified => 0,
            Self::KeyCompromise => 1,
            Self::CaCompromise => 2,
            Self::AffiliationChanged => 3,
            Self::Superseded => 4,
            Self::CessationOfOperation => 5,
            Self::CertificateHold => 6,
            Self::PrivilegeWithdrawn => 9,
        }
    }

    /// Returns the reason with this number.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// The name in RFC 5280 and in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "unspecified",
            Self::KeyCompromise => "keyCompromise",
            Self::CaCompromise => "cACompromise",
            Self::AffiliationChanged => "affiliationChanged",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
            Self::CertificateHold => "certificateHold",
            Self::PrivilegeWithdrawn => "privilegeWithdrawn",
        }
    }

    /// Returns the reason with this name, in any letter case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|reason| reason.name().eq_ignore_ascii_case(name))
    }

    /// Returns true if the certificate can never be restored. RFC 5280 §5.3.1: only certificateHold
    /// can be removed.
    pub fn is_permanent(self) -> bool {
        self != Self::CertificateHold
    }
}

impl fmt::Display for RevocationReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_round_trip_and_only_the_hold_can_be_undone() {
        for reason in RevocationReason::ALL {
            assert_eq!(RevocationReason::from_code(reason.code()), Some(reason));
            assert_eq!(
                RevocationReason::from_name(&reason.name().to_uppercase()),
                Some(reason)
            );
            assert_eq!(reason.is_permanent(), reason.code() != 6);
        }
        // 7 is not in use, 8 is for delta CRLs, 10 for attribute authorities.
        for code in [7, 8, 10, 255] {
            assert_eq!(RevocationReason::from_code(code), None);
        }
        assert_eq!(RevocationReason::from_name("hold"), None);
    }
}
