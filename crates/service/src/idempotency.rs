use aws_lc_rs::digest::{Context, SHA256};
use certgate_model::{Actor, CertificateId, ZoneId};

/// The client's name of a request. A repeated request with the same key creates nothing new.
///
/// The certificate's ID is derived from the key. Therefore no record of keys is stored or expires,
/// and of two simultaneous requests, to any processes, only one can be recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdempotencyKey(String);

/// The longest idempotency key, in characters.
pub const IDEMPOTENCY_KEY_CHARACTERS_MAX: usize = 255;

impl IdempotencyKey {
    /// Accepts 1 to [`IDEMPOTENCY_KEY_CHARACTERS_MAX`] visible ASCII characters.
    pub fn new(text: &str) -> Option<Self> {
        let is_good = (1..=IDEMPOTENCY_KEY_CHARACTERS_MAX).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        is_good.then(|| Self(text.to_owned()))
    }

    /// Returns the ID of the certificate that this actor requests with the key in this zone.
    pub(crate) fn certificate(&self, zone: ZoneId, actor: &Actor) -> CertificateId {
        let (kind, id) = actor.code();
        let mut context = Context::new(&SHA256);
        context.update(zone.as_bytes());
        context.update(&[kind]);
        // The parts before the key have a fixed length, so the key cannot imitate them.
        context.update(id.unwrap_or(&[0; 16]));
        context.update(self.0.as_bytes());
        let mut octets = [0; 16];
        octets.copy_from_slice(&context.finish().as_ref()[..16]);
        CertificateId::named(octets)
    }
}
