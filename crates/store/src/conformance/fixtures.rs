//! Records with every field of real ones, which differ by a number.

use certgate_model::{
    AccountId, AccountRecord, AccountSettings, AccountType, Actor, AddressBlock,
    AlternativeNameRules, AuthorityId, AuthorityRecord, AuthorityRef, BeyondRules, By,
    CertificateId, CertificateRecord, Effect, Installation, IssuanceRules, KeyAlgorithm, KeyType,
    Lifetime, Lineage, MtlsCertificateId, MtlsCertificateRecord, PermissionGroup, Policy, Resource,
    RevocationReason, SerialNumber, SignatureAlgorithm, Slice, Status, StoredRules, SubjectFields,
    Timestamp, TokenHash, TokenId, TokenRecord, TokenState, UserId, UserProfile, UserRecord,
    ZoneId, ZoneProperties, ZoneRecord, ZoneType,
};

use crate::FirstRecords;

/// A slice longer than any list of the suite.
pub(super) const EVERYTHING: Slice = Slice {
    first: 0,
    size: 1_000,
};

/// Returns an instant, `seconds` after a fixed one.
pub fn instant(seconds: u32) -> Timestamp {
    Timestamp::from_unix(1_790_000_040 + i64::from(seconds))
}

/// Returns token 0 as the actor, with an address, at [`instant`] 0.
pub fn by() -> By {
    by_at(instant(0))
}

/// Returns token 0 as the actor, with an address, at this instant.
pub fn by_at(at: Timestamp) -> By {
    let address = "192.0.2.1".parse().expect("a literal address");
    By {
        actor: Actor::Token(TokenId::from_bytes(octets(4, 0))),
        address: Some(address),
        at,
    }
}

/// Returns account number `n`.
pub fn account(n: u32) -> AccountRecord {
    AccountRecord {
        id: AccountId::from_bytes(octets(1, n)),
        name: format!("Account {n}"),
        kind: AccountType::ALL[n as usize % AccountType::ALL.len()],
        settings: AccountSettings {
            enforce_twofactor: n.is_multiple_of(2),
            abuse_contact_email: n
                .is_multiple_of(3)
                .then(|| format!("abuse-{n}@example.com")),
        },
        authority_algorithm: KeyAlgorithm::ALL[n as usize % KeyAlgorithm::ALL.len()],
        created_on: instant(n),
    }
}

/// Returns zone number `n` of an account.
pub fn zone(n: u32, of: &AccountRecord) -> ZoneRecord {
    ZoneRecord {
        id: ZoneId::from_bytes(octets(2, n)),
        name: format!("zone-{n}.example"),
        account: of.id,
        account_name: of.name.clone(),
        properties: ZoneProperties {
            paused: n.is_multiple_of(3),
            kind: ZoneType::ALL[n as usize % ZoneType::ALL.len()],
            vanity_name_servers: (0..n % 3)
                .map(|server| format!("ns{server}.example"))
                .collect(),
        },
        issuance_rules: issuance_rules(n),
        created_on: instant(n),
        modified_on: instant(n + 1),
    }
}

/// Returns rules number `n`: none for every third one, otherwise few or all.
pub fn issuance_rules(n: u32) -> StoredRules {
    let pattern = |text: String| text.parse().expect("a short text");
    let rules = IssuanceRules {
        common_names: vec![pattern(format!("device-{n}-*"))],
        certificates_per_day: Some(n.into()),
        ..IssuanceRules::default()
    };
    match n % 3 {
        0 => StoredRules::Absent,
        1 => rules.into(),
        _ => IssuanceRules {
            required_attributes: vec!["organization".parse().expect("a name")],
            forbidden_attributes: vec!["2.5.4.97".parse().expect("an object identifier")],
            key_types: vec![KeyType::P256, KeyType::Rsa(Some(3072))],
            lifetime_max: Lifetime::of_seconds(3_600 * u64::from(n)).ok(),
            active_per_name: Some(2),
            alternative_names: Some(AlternativeNameRules {
                dns: vec![pattern("*.example".to_owned())],
                beyond: BeyondRules::Reject,
                ..AlternativeNameRules::default()
            }),
            ..rules
        }
        .into(),
    }
}

/// Returns CA number `n`, of an account.
pub fn authority(n: u32, of: &AccountRecord) -> AuthorityRecord {
    AuthorityRecord {
        id: AuthorityId::from_bytes(octets(3, n)),
        account: of.id,
        name: format!("Authority {n}"),
        algorithm: of.authority_algorithm,
        certificate_der: vec![0x30; 700],
        sealed_key: vec![0x5e; 200],
        public_url: "http://pki.example".into(),
        created_on: instant(0),
        expires_on: instant(0).plus_days(7_300),
    }
}

/// Returns uploaded certificate number `n` of an account. Those with an even number have a key.
pub fn mtls_certificate(n: u32, of: &AccountRecord) -> MtlsCertificateRecord {
    MtlsCertificateRecord {
        id: MtlsCertificateId::from_bytes(octets(7, n)),
        account: of.id,
        name: if n == 1 {
            String::new()
        } else {
            format!("Uploaded {n}")
        },
        ca: !n.is_multiple_of(2),
        issuer: format!("CN=Root {n},O=Example\\, Ltd"),
        signature: "SHA1WithRSA".into(),
        serial_number: format!("{n}00000000000000000000000000000000000000000000000"),
        certificates: format!("-----BEGIN CERTIFICATE-----\n{}\n", "A".repeat(64)),
        fingerprint_sha256: [n as u8; 32],
        sealed_key: n.is_multiple_of(2).then(|| vec![0x5e; 200]),
        uploaded_on: Timestamp::from_unix_microseconds(instant(n).unix_microseconds() + 120),
        expires_on: instant(0).plus_days(7_300),
    }
}

/// Returns token number `n` of a user, with a policy of every kind.
pub fn token(n: u32, of: &UserRecord) -> TokenRecord {
    let block = |text: &str, prefix_length| AddressBlock {
        text: format!("{text}/{prefix_length}"),
        address: text.parse().expect("a literal address"),
        prefix_length,
    };
    TokenRecord {
        id: TokenId::from_bytes(octets(4, n)),
        user: of.id,
        account: None,
        name: format!("Token {n}"),
        hash: hash(n),
        state: if n.is_multiple_of(2) {
            TokenState::Active
        } else {
            TokenState::Disabled
        },
        policies: vec![
            Policy {
                id: format!("{n:032x}"),
                effect: Effect::Allow,
                permission_groups: PermissionGroup::ALL.to_vec(),
                resources: vec![
                    Resource::User(of.id),
                    Resource::AllAccounts,
                    Resource::Account(account(n).id),
                    Resource::AllZones,
                    Resource::Zone(ZoneId::from_bytes(octets(2, n))),
                    Resource::ZonesOfAccount(account(n).id),
                ],
            },
            Policy {
                id: "deny".into(),
                effect: Effect::Deny,
                permission_groups: Vec::new(),
                resources: Vec::new(),
            },
        ],
        allowed_addresses: vec![block("192.0.2.0", 24), block("2001:db8::", 128)],
        refused_addresses: vec![block("198.51.100.7", 32)],
        issuance_rules: issuance_rules(n),
        not_before: (!n.is_multiple_of(3)).then(|| instant(n)),
        expires_on: n
            .is_multiple_of(3)
            .then(|| Timestamp::from_unix_microseconds(1_890_000_000_123_456)),
        issued_on: instant(n),
        modified_on: instant(n + 5),
        last_used_on: n.is_multiple_of(2).then(|| instant(n + 7)),
    }
}

/// Returns the hash of the value of token number `n`.
pub(super) fn hash(n: u32) -> TokenHash {
    let mut hash = [0xab; 32];
    hash[..4].copy_from_slice(&n.to_be_bytes());
    TokenHash(hash)
}

/// Returns the records of a new installation: account 0, zone 0, token 0.
pub fn first_records() -> FirstRecords {
    let user = UserRecord {
        id: UserId::from_bytes(octets(5, 0)),
        email: "admin@example.com".into(),
        profile: UserProfile::default(),
        created_on: instant(0),
        modified_on: instant(0),
    };
    FirstRecords {
        installation: Installation {
            master_key_check: vec![7; 48],
            created_on: instant(0),
        },
        account: account(0),
        zone: zone(0, &account(0)),
        token: token(0, &user),
        user,
    }
}

/// Returns certificate number `n` of a zone, about 1.4 kB. The serial numbers are as scattered as
/// random ones.
pub fn certificate(
    n: u32,
    zone: ZoneId,
    authority: &AuthorityRecord,
    status: Status,
) -> CertificateRecord {
    let issued_on = instant(n / 1000).cut_to_minute();
    let revoked = matches!(status, Status::PendingRevocation | Status::Revoked);
    CertificateRecord {
        id: CertificateId::from_bytes(octets(6, n)),
        zone,
        authority: AuthorityRef {
            id: authority.id,
            name: authority.name.clone(),
        },
        status,
        serial: SerialNumber::from_random(scattered(n)),
        subject: SubjectFields {
            common_name: format!("device-{n:08}"),
            country: "DE".into(),
            state: String::new(),
            location: "Köln".into(),
            organization: "Example, \"Ltd\"\u{0}".into(),
            organizational_unit: String::new(),
        },
        issued_on,
        expires_on: issued_on.plus_days(365),
        validity_days: 365,
        signature: SignatureAlgorithm::ALL[n as usize % SignatureAlgorithm::ALL.len()],
        fingerprint_sha256: [n as u8; 32],
        ski: [n as u8; 20],
        der: vec![n as u8; 680],
        csr: format!(
            "-----BEGIN CERTIFICATE REQUEST-----\r\n{n}{}\n\n",
            "A".repeat(460)
        ),
        revoked_on: revoked.then(|| instant(n)),
        revocation_reason: revoked.then_some(RevocationReason::CertificateHold),
        lineage: Lineage::default(),
    }
}

fn octets(kind: u8, n: u32) -> [u8; 16] {
    let mut octets = [kind; 16];
    octets[..4].copy_from_slice(&n.to_be_bytes());
    octets
}

/// Returns 20 octets that look random and differ for each `n`: the finaliser of SplitMix64, which
/// is a bijection.
fn scattered(n: u32) -> [u8; 20] {
    let mut octets = [0; 20];
    for (round, chunk) in (1_u64..).zip(octets.chunks_mut(8)) {
        let mut word = u64::from(n).wrapping_add(round.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        word = (word ^ word >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ word >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^= word >> 31;
        chunk.copy_from_slice(&word.to_be_bytes()[..chunk.len()]);
    }
    octets
}
