//! Files with a key that the server makes for the holder of an invite. The key is in memory only,
//! and only until the download.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use certgate_model::{
    Hex, KeyAlgorithm, KeyType, SignatureAlgorithm, StoredRules, SubjectFields, Timestamp,
    ZoneRecord, lock,
};
use certgate_pki::{
    AppleProfile, ClientKey, P12Error, P12Password, P12Protection, signed_data, write_p12,
};
use zeroize::Zeroizing;

use crate::enrolment::Enrolment;
use crate::environment::Environment;
use crate::error::{EnrolError, Fault};
use crate::generated_secret::GeneratedSecret;
use crate::invites::{Invites, PresentedInvite};
use crate::issuing::Issuing;

/// Seconds for which an invite's file is kept: ten minutes, enough for a person who first reads the
/// page.
pub const FILE_SECONDS: i64 = 600;

/// Downloads of an invite's file. Some browsers ask twice, and a connection may break.
pub const FILE_DOWNLOADS_MAX: u8 = 3;

/// Files of invites at a time. Each has a few kilobytes, and an invite that was used.
pub const FILES_MAX: usize = 1_000;

/// The rounds over the password of a file. They slow down guesses of passwords that people choose.
/// These are random, with 100 bits.
const ROUNDS: u32 = 2_048;

/// The kinds of keys that every device can use, the fastest first.
const KEYS: [(KeyType, KeyAlgorithm); 5] = [
    (KeyType::P256, KeyAlgorithm::P256),
    (KeyType::P384, KeyAlgorithm::P384),
    (KeyType::Rsa(Some(2_048)), KeyAlgorithm::Rsa2048),
    (KeyType::Rsa(Some(3_072)), KeyAlgorithm::Rsa3072),
    (KeyType::Rsa(Some(4_096)), KeyAlgorithm::Rsa4096),
];

/// Returns the kind of key that the rules of a zone accept and every device can use. If they accept
/// none of them, the request for its certificate is refused with the reason.
pub fn key_for_devices(zone: &ZoneRecord) -> (KeyType, KeyAlgorithm) {
    let accepted: &[KeyType] = match &zone.issuance_rules {
        StoredRules::Known(rules) => &rules.key_types,
        StoredRules::Absent | StoredRules::Corrupt(_) => &[],
    };
    let is_accepted = |kind: KeyType| accepted.iter().any(|one| one.includes(kind));
    let mut known = KEYS.into_iter();
    let found = known.find(|(kind, _)| accepted.is_empty() || is_accepted(*kind));
    found.unwrap_or(KEYS[0])
}

/// A form of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileForm {
    /// A signed configuration profile for Apple's devices.
    Profile,
    /// PKCS #12 with AES-256.
    Modern,
    /// PKCS #12 with 3DES.
    Legacy,
}

/// The current key that signs profiles, with its certificate, which devices trust.
pub trait ProfileSigner: Send + Sync {
    /// Calls `make` with the key and its chain. A later call may have others.
    fn sign(&self, make: &mut dyn FnMut(&ProfileIdentity<'_>));
}

/// A key with its certificate.
pub struct ProfileIdentity<'a> {
    /// The chain, in DER, the certificate of the key first.
    pub chain: Vec<&'a [u8]>,
    /// The algorithm of its signatures.
    pub algorithm: SignatureAlgorithm,
    /// Signs octets.
    pub sign: &'a dyn Fn(&[u8]) -> Option<Vec<u8>>,
}

/// The answer to a request for a file.
pub struct MadeFile {
    /// The secret name under which the file can be downloaded.
    pub token: String,
    /// The name of the file.
    pub name: String,
    /// The password of the key in it, which the server does not keep.
    pub password: GeneratedSecret,
}

/// A file to download.
pub struct InviteFile {
    /// Its form.
    pub form: FileForm,
    /// Its name.
    pub name: String,
    /// Its octets.
    pub octets: Zeroizing<Vec<u8>>,
}

/// Makes and keeps the files.
pub struct InviteFiles {
    environment: Environment,
    invites: Arc<Invites>,
    enrolment: Arc<Enrolment>,
    kept: Mutex<HashMap<String, Kept>>,
}

struct Kept {
    form: FileForm,
    name: String,
    octets: Zeroizing<Vec<u8>>,
    until: Timestamp,
    downloads_left: u8,
}

impl InviteFiles {
    pub(crate) fn new(issuing: &Issuing, invites: Arc<Invites>, enrolment: Arc<Enrolment>) -> Self {
        Self {
            environment: issuing.environment.clone(),
            invites,
            enrolment,
            kept: Mutex::default(),
        }
    }

    /// Uses an invite for a new key, and keeps it with its certificate in a file.
    pub async fn make(
        &self,
        presented: PresentedInvite<'_>,
        form: FileForm,
        signer: Arc<dyn ProfileSigner>,
    ) -> Result<MadeFile, EnrolError> {
        // 1. Everything that can fail, before the invite is used.
        let (invite, zone) = self.invites.open_unused(presented).await?;
        self.forget_old();
        if lock(&self.kept).len() >= FILES_MAX {
            return Err(
                Fault::Unavailable(format!("{FILES_MAX} files wait for a download")).into(),
            );
        }
        let (_, algorithm) = key_for_devices(&zone);
        let subject = SubjectFields {
            common_name: invite.name.clone(),
            ..SubjectFields::default()
        };
        let made = move || -> Result<_, String> {
            let key = ClientKey::generate(algorithm).map_err(|error| error.to_string())?;
            let csr = key.request(&subject).map_err(|error| error.to_string())?;
            Ok((key, csr))
        };
        // RSA keys take a second.
        let threads = match algorithm {
            KeyAlgorithm::P256 | KeyAlgorithm::P384 => &self.environment.signers,
            _ => &self.environment.slow_keys,
        };
        let made = threads.run(made).await?;
        let (key, csr) = made.map_err(Fault::Internal)?;
        let password = GeneratedSecret::file_password(&*self.environment.random);
        let secret = P12Password::new(Zeroizing::new(password.expose().to_owned()));
        let secret = secret.map_err(|error| Fault::Internal(error.to_string()))?;

        // 2. The certificate.
        let redeemed = self.invites.redeem(presented, Some(zone.id), csr);
        let (issued, _) = redeemed.await?;

        // 3. The file.
        let signed_by = issued.certificate.authority.id;
        let authorities = self.enrolment.authorities_from(&zone, signed_by).await?;
        let now = self.environment.now();
        let title = invite.name.clone();
        let write = move || {
            let certificate = &issued.certificate;
            let content = Content {
                name: &title,
                zone: &zone,
                id: &certificate.id.to_string(),
                certificate: &certificate.der,
                authorities: &authorities,
            };
            content.write(&key, &secret, form, &*signer, now)
        };
        let octets = self.environment.signers.run(write).await?;
        let octets = octets.map_err(Fault::Internal)?;
        let token = self.keep(form, &invite.name, octets, now);
        Ok(MadeFile {
            token,
            name: file_name(&invite.name, form),
            password,
        })
    }

    fn keep(
        &self,
        form: FileForm,
        name: &str,
        octets: Zeroizing<Vec<u8>>,
        now: Timestamp,
    ) -> String {
        let mut token = [0; 16];
        self.environment.random.fill(&mut token);
        let token = Hex(&token).to_string();
        let kept = Kept {
            form,
            name: file_name(name, form),
            octets,
            until: now.plus_seconds(FILE_SECONDS),
            downloads_left: FILE_DOWNLOADS_MAX,
        };
        lock(&self.kept).insert(token.clone(), kept);
        token
    }

    /// Returns a file for its download.
    pub fn take(&self, token: &str) -> Option<InviteFile> {
        self.forget_old();
        let mut kept = lock(&self.kept);
        let file = kept.get_mut(token)?;
        file.downloads_left -= 1;
        let (form, name) = (file.form, file.name.clone());
        let octets = match file.downloads_left {
            0 => kept.remove(token)?.octets,
            _ => file.octets.clone(),
        };
        Some(InviteFile { form, name, octets })
    }

    /// Forgets the files whose time is over.
    pub fn forget_old(&self) {
        let now = self.environment.now();
        lock(&self.kept).retain(|_, file| now < file.until);
    }
}

/// The content of a file.
struct Content<'a> {
    name: &'a str,
    zone: &'a ZoneRecord,
    /// The ID of the certificate.
    id: &'a str,
    certificate: &'a [u8],
    authorities: &'a [Vec<u8>],
}

impl Content<'_> {
    fn write(
        &self,
        key: &ClientKey,
        password: &P12Password,
        form: FileForm,
        signer: &dyn ProfileSigner,
        now: Timestamp,
    ) -> Result<Zeroizing<Vec<u8>>, String> {
        let protection = match form {
            FileForm::Modern => P12Protection::Modern { rounds: ROUNDS },
            // Apple's devices before iOS 18 and macOS 15 read nothing newer.
            FileForm::Legacy | FileForm::Profile => P12Protection::Legacy,
        };
        let own = std::iter::once(self.certificate);
        // The CA that signed is the first.
        let chain = own.chain(self.authorities.iter().take(1).map(Vec::as_slice));
        let pkcs12 = write_p12(self.name, &key.to_pkcs8_der(), chain, password, protection);
        let pkcs12 = pkcs12.map_err(|error: P12Error| error.to_string())?;
        if form != FileForm::Profile {
            return Ok(pkcs12);
        }
        let profile = AppleProfile {
            identifier: &format!("certgate.{}", self.id),
            name: &format!("{} for {}", self.name, self.zone.name),
            organization: &self.zone.name,
            pkcs12: &pkcs12,
            authorities: self.authorities,
        };
        let plist = Zeroizing::new(profile.to_plist());
        let mut signed = None;
        signer.sign(&mut |identity| {
            let chain = identity.chain.iter().copied();
            let ProfileIdentity {
                algorithm, sign, ..
            } = identity;
            signed = signed_data(plist.as_bytes(), chain, *algorithm, now, sign);
        });
        signed
            .map(Zeroizing::new)
            .ok_or_else(|| "the key of the invite listener cannot sign a profile".to_owned())
    }
}

/// Returns a name for a file that every system accepts.
fn file_name(name: &str, form: FileForm) -> String {
    /// Longest name of a file, in characters.
    const CHARACTERS: usize = 64;
    let safe: String = name
        .chars()
        .map(|one| match one {
            'a'..='z' | 'A'..='Z' | '0'..='9' | '.' | '_' => one,
            _ => '-',
        })
        .take(CHARACTERS)
        .collect();
    let safe = safe.trim_matches(['-', '.']);
    let stem = if safe.is_empty() { "certificate" } else { safe };
    let ending = match form {
        FileForm::Profile => "mobileconfig",
        FileForm::Modern | FileForm::Legacy => "p12",
    };
    format!("{stem}.{ending}")
}
