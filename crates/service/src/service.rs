use std::sync::{Arc, Mutex};

use certgate_model::{Clock, Random, lock};
use certgate_store::{ReadStore, Store};

use crate::access::{Access, LastUses};
use crate::adopting::Adopting;
use crate::api_keys::ApiKeys;
use crate::certificate_gauges::CertificateGauges;
use crate::enforcement_points::EnforcementPoints;
use crate::enrolment::Enrolment;
use crate::environment::Environment;
use crate::error::Fault;
use crate::feed::Feed;
use crate::hostnames::Hostnames;
use crate::indexing::Indexer;
use crate::invite_files::InviteFiles;
use crate::invites::Invites;
use crate::issuers::Issuers;
use crate::issuing::Issuing;
use crate::key_searches::KeySearches;
use crate::managed_authorities::ManagedAuthorities;
use crate::master_key::MasterKey;
use crate::measures;
use crate::mtls_certificates::MtlsCertificates;
use crate::notification::Outlet;
use crate::notifying::{Notifier, NotifierSettings};
use crate::publishing::Publisher;
use crate::renewal::Renewal;
use crate::responder::Responder;
use crate::revoking::Revoking;
use crate::serial_texts::SerialTexts;
use crate::serials::SerialCipher;
use crate::settings::{Limits, Settings};
use crate::settling::Settler;
use crate::signals::Signals;
use crate::signers::Signers;
use crate::tenants::Tenants;
use crate::tokens::Tokens;

/// The rules of an installation, one part for each subject.
pub struct Service {
    /// Authentication, and the scopes that prove a permission.
    pub access: Arc<Access>,
    /// The last uses of tokens.
    pub last_uses: Arc<LastUses>,
    /// Accounts and zones.
    pub tenants: Tenants,
    /// API tokens.
    pub tokens: Tokens,
    /// API keys of users.
    pub api_keys: ApiKeys,
    /// The CAs that sign for accounts.
    pub managed_authorities: ManagedAuthorities,
    /// Uploaded certificates.
    pub mtls_certificates: MtlsCertificates,
    /// Issue of client certificates.
    pub issuing: Issuing,
    /// Enrolment and renewal of clients without a token.
    pub enrolment: Arc<Enrolment>,
    /// Invites, by which clients enrol.
    pub invites: Arc<Invites>,
    /// Files with a key that the server makes for the holder of an invite.
    pub invite_files: InviteFiles,
    /// Recording of client certificates that were issued elsewhere.
    pub adopting: Adopting,
    /// Serial numbers as callers write them.
    pub serial_texts: SerialTexts,
    /// Revocation and reactivation of client certificates.
    pub revoking: Revoking,
    /// The background job that publishes revocation lists and settles changes.
    pub settler: Settler,
    /// The background job that indexes certificates of earlier versions.
    pub indexer: Indexer,
    /// The metrics of all certificates.
    pub certificate_gauges: CertificateGauges,
    /// The lists that a request finds due.
    pub renewal: Renewal,
    /// OCSP.
    pub responder: Responder,
    /// The hostnames that require client certificates.
    pub hostnames: Hostnames,
    /// Registration and acknowledgements of enforcement points.
    pub enforcement_points: EnforcementPoints,
    /// The revocations that enforcement points follow.
    pub feed: Feed,
    /// The end of waiting when the process ends.
    pub signals: Arc<Signals>,
    environment: Environment,
}

/// Reasons not to open an installation.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The store has no installation.
    #[error("the store has no installation")]
    NotInitialised,
    /// The keys in the store are sealed under another master key.
    #[error("the master key does not open the keys in the store")]
    WrongMasterKey,
    /// A fault of the server.
    #[error(transparent)]
    Fault(#[from] Fault),
}

impl Service {
    /// Opens the installation in a store. Refuses a master key of another installation.
    pub async fn open(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
        master_key: Arc<MasterKey>,
        settings: Settings,
    ) -> Result<Self, OpenError> {
        let installation = store
            .installation()
            .await
            .map_err(Fault::from)?
            .ok_or(OpenError::NotInitialised)?;
        if !master_key.opens_check(&installation.master_key_check) {
            return Err(OpenError::WrongMasterKey);
        }
        let environment = Environment {
            store,
            clock,
            random,
            signers: Arc::new(Signers::start()?),
            slow_keys: Arc::new(Signers::for_slow_keys()?),
            key_searches: Arc::new(KeySearches::start()?),
            signals: Arc::new(Signals::new()),
            limits: Arc::new(Mutex::new(settings.limits)),
        };
        let serials = serial_cipher(&environment, &master_key).await?;
        measures::begin();
        Ok(Self::assemble(environment, master_key, settings, serials))
    }

    fn assemble(
        environment: Environment,
        master_key: Arc<MasterKey>,
        settings: Settings,
        serials: SerialCipher,
    ) -> Self {
        let serials = Arc::new(serials);
        let last_uses = Arc::new(LastUses::new(environment.store.clone()));
        let access = Arc::new(Access::new(environment.clone(), last_uses.clone()));
        let issuers = Arc::new(Issuers::new(
            environment.clone(),
            master_key.clone(),
            settings.public_url,
        ));
        let publisher = Publisher {
            environment: environment.clone(),
            issuers: issuers.clone(),
        };
        let issuing = Issuing {
            environment: environment.clone(),
            access: access.clone(),
            issuers: issuers.clone(),
            serials: serials.clone(),
        };
        let enrolment = Arc::new(Enrolment::new(environment.clone(), issuing.clone()));
        let invites = Arc::new(Invites::new(issuing.clone()));
        Self {
            tenants: Tenants {
                environment: environment.clone(),
                access: access.clone(),
                issuers: issuers.clone(),
                authority_algorithm: settings.authority_algorithm,
            },
            tokens: Tokens {
                environment: environment.clone(),
                access: access.clone(),
            },
            api_keys: ApiKeys {
                environment: environment.clone(),
                access: access.clone(),
            },
            managed_authorities: ManagedAuthorities::new(
                environment.clone(),
                issuers.clone(),
                master_key.clone(),
            ),
            mtls_certificates: MtlsCertificates {
                environment: environment.clone(),
                master_key,
            },
            invite_files: InviteFiles::new(&issuing, invites.clone(), enrolment.clone()),
            enrolment,
            invites,
            issuing,
            adopting: Adopting {
                environment: environment.clone(),
                serials: serials.clone(),
            },
            serial_texts: SerialTexts {
                serials: serials.clone(),
            },
            revoking: Revoking {
                environment: environment.clone(),
            },
            settler: Settler::new(environment.clone(), publisher.clone()),
            indexer: Indexer::new(environment.clone()),
            certificate_gauges: CertificateGauges {
                environment: environment.clone(),
            },
            renewal: Renewal::new(environment.clone(), publisher),
            responder: Responder::new(environment.clone(), issuers, serials),
            hostnames: Hostnames {
                environment: environment.clone(),
            },
            enforcement_points: EnforcementPoints {
                environment: environment.clone(),
            },
            feed: Feed::new(environment.clone()),
            access,
            last_uses,
            signals: environment.signals.clone(),
            environment,
        }
    }

    /// Replaces the limits. Requests that have begun keep the earlier ones.
    pub fn set_limits(&self, limits: Limits) {
        *lock(&self.environment.limits) = limits;
    }

    /// Returns the reading half of the store.
    pub fn reads(&self) -> Arc<dyn ReadStore> {
        self.environment.store.clone()
    }

    /// Returns the background job that delivers notifications to these destinations.
    pub fn notifier(&self, outlets: Vec<Arc<dyn Outlet>>, settings: NotifierSettings) -> Notifier {
        Notifier::new(self.environment.clone(), outlets, settings)
    }
}

/// Returns the cipher with the installation's key of serial numbers, created now on first use.
async fn serial_cipher(
    environment: &Environment,
    master_key: &MasterKey,
) -> Result<SerialCipher, Fault> {
    let random = &*environment.random;
    let sealed = master_key.seal_serial_key(&SerialCipher::generate_key(random), random);
    let sealed = environment.store.record_serial_key(sealed).await?;
    sealed
        .and_then(|sealed| master_key.open_serial_key(&sealed).ok())
        .and_then(|key| SerialCipher::new(&key))
        .ok_or_else(|| Fault::Internal("the key of serial numbers cannot be opened".to_owned()))
}
