//! Paths that were valid once. A known certificate costs a lookup instead of signatures.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::certificate::{ClientCertificate, Presented};
use crate::path::CertifiedPath;

/// The number of locks. Threads that judge different certificates rarely meet.
const SHARDS: usize = 32;

/// The most paths in half a shard of the cache of paths: 16,384 in all, about 3 kB each. Only
/// certificates of trusted CAs come in, so that strangers cannot displace them.
const HALF_MAX: usize = 256;

/// SHA-256 of the certificates, and the number of the host's CAs.
pub(crate) type CacheKey = ([u8; 32], u32);

/// A known certificate and its path.
#[derive(Clone)]
pub(crate) struct Known {
    pub certificate: Arc<ClientCertificate>,
    pub path: Arc<CertifiedPath>,
}

/// Two halves: entries enter the young one, and the old one is dropped when that is full.
#[derive(Default)]
struct Shard {
    young: HashMap<CacheKey, Known>,
    old: HashMap<CacheKey, Known>,
}

/// The cache of one configuration: a new one starts empty.
pub(crate) struct PathCache([RwLock<Shard>; SHARDS]);

impl Default for PathCache {
    fn default() -> Self {
        Self(std::array::from_fn(|_| RwLock::default()))
    }
}

impl PathCache {
    pub fn get(&self, key: &CacheKey) -> Option<Known> {
        let (known, is_young) = {
            let shard = read(self.shard(key));
            match shard.young.get(key) {
                Some(known) => (known.clone(), true),
                None => (shard.old.get(key)?.clone(), false),
            }
        };
        if !is_young {
            self.insert(*key, known.clone());
        }
        Some(known)
    }

    pub fn insert(&self, key: CacheKey, known: Known) {
        let mut shard = write(self.shard(&key));
        if shard.young.len() >= HALF_MAX {
            shard.old = std::mem::take(&mut shard.young);
        }
        shard.young.insert(key, known);
    }

    fn shard(&self, key: &CacheKey) -> &RwLock<Shard> {
        &self.0[usize::from(key.0[0]) % SHARDS]
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
}

/// Computes the key. The lengths separate the certificates.
pub(crate) fn key_of(presented: &Presented<'_>, trust: u32) -> CacheKey {
    if presented.intermediates.is_empty() {
        return (certgate_pki::sha256(presented.leaf), trust);
    }
    let mut octets = Vec::new();
    for der in [presented.leaf].iter().chain(presented.intermediates) {
        octets.extend_from_slice(&(der.len() as u64).to_be_bytes());
        octets.extend_from_slice(der);
    }
    (certgate_pki::sha256(&octets), trust)
}
