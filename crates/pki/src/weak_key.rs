//! Public keys whose private key anyone can compute, or that accept forged signatures.
//!
//! The time for a key is bounded: the first time that an RSA modulus is seen, 3,900 multiplications
//! modulo one of 2,048 bits and 9,300 modulo one of 8,192 bits, and less than a microsecond for
//! ordinary keys on NIST curves.

use std::collections::{BTreeSet, HashSet};
use std::sync::{LazyLock, Mutex};

use aws_lc_rs::agreement::{self, ECDH_P256, ECDH_P384, ECDH_P521};
use certgate_model::lock;
use crypto_bigint::modular::{BoxedMontyForm, BoxedMontyParams};
use crypto_bigint::{BoxedUint, Gcd as _, Limb, NonZero, Odd, Resize as _};
use curve25519_dalek::edwards::CompressedEdwardsY;

use crate::digest::sha256;

/// A weakness of a public key. The text continues a sentence about the key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Weakness {
    /// The RSA modulus has a small factor.
    #[error("its modulus has the small factor {0}")]
    SmallFactor(u64),
    /// Pollard's p−1 method factors the RSA modulus, or it is the power of a prime.
    #[error("its modulus has a factor that Pollard's p−1 method finds")]
    SmoothFactor,
    /// The RSA modulus is a prime.
    #[error("its modulus is a prime, so that anyone can compute the private key")]
    Prime,
    /// The prime factors of the RSA modulus are close to each other.
    #[error(
        "the factors of its modulus are so close to each other that Fermat's method finds them"
    )]
    CloseFactors,
    /// The RSA modulus has the structure of CVE-2017-15361.
    #[error("its modulus has the ROCA flaw (CVE-2017-15361), so that its factors can be found")]
    Roca,
    /// The private key of the point is a small number.
    #[error("its private key is a small number, or the negative of one")]
    SmallPrivateKey,
    /// The Ed25519 point has a small order: signatures under it can be forged.
    #[error("it is a point of small order, under which anyone can sign")]
    SmallOrder,
    /// The octets of the Ed25519 key are not the only valid form of a point.
    #[error("it is not the canonical encoding of a point (RFC 8032 §5.1.3)")]
    NotCanonical,
}

/// Largest prime that an RSA modulus is divided by.
const SMALL_FACTOR_MAX: u64 = 1 << 16;

/// Largest prime power of Pollard's p−1 method: it finds a factor p if p−1 has prime powers up to the first, and
/// at most one more prime up to the second. With them, it factors a product of sixty-four random
/// primes of 32 bits in 998 of 1,000 cases.
const SMOOTH_MAX: u64 = 512;
const SMOOTH_LAST_MAX: u64 = 8_192;

/// Largest last prime of Pollard's p−1 method for more than 3,072 bits: such a modulus has more factors of 32 bits, and a
/// multiplication takes longer.
const SMOOTH_LAST_LONG_MAX: u64 = 2_048;

/// Longest modulus, in octets, with the larger of the bounds for the last prime.
const SHORT_OCTETS_MAX: usize = 384;

/// Width of the giant steps through the last prime: the product of the first four primes, so that
/// few baby steps lead to a prime.
const STEP: u64 = 210;

/// Number of steps of Fermat's method. Random primes of the same length need 2^500 and more.
const FERMAT_STEPS: u32 = 100;

/// Largest private key on a curve that is rejected, with its negative.
const SMALL_PRIVATE_KEY_MAX: u16 = 256;

/// The primes up to [`SMALL_FACTOR_MAX`], ascending.
static PRIMES: LazyLock<Vec<u64>> = LazyLock::new(|| {
    let mut primes: Vec<u64> = Vec::new();
    for number in 2..=SMALL_FACTOR_MAX {
        let mut smaller = primes.iter().take_while(|prime| *prime * *prime <= number);
        if smaller.all(|prime| !number.is_multiple_of(*prime)) {
            primes.push(number);
        }
    }
    primes
});

/// Digests of moduli without a weakness: clients renew certificates with the same key.
static STRONG: Mutex<Strong> = Mutex::new(Strong {
    latest: BTreeSet::new(),
    earlier: BTreeSet::new(),
});

/// Most remembered moduli of a generation: 1 MB. There are two of them, so that many new moduli do
/// not make the latest ones forgotten.
const STRONG_MAX: usize = 8_192;

struct Strong {
    latest: BTreeSet<[u8; 32]>,
    earlier: BTreeSet<[u8; 32]>,
}

impl Strong {
    /// Returns true if a modulus is remembered, which renews it.
    fn knows(&mut self, digest: &[u8; 32]) -> bool {
        if self.latest.contains(digest) {
            return true;
        }
        let known = self.earlier.contains(digest);
        if known {
            self.add(*digest);
        }
        known
    }

    fn add(&mut self, digest: [u8; 32]) {
        if self.latest.len() >= STRONG_MAX {
            self.earlier = std::mem::take(&mut self.latest);
        }
        self.latest.insert(digest);
    }
}

/// Returns true if the modulus was searched before and has no weakness.
pub(crate) fn is_known_strong(modulus: &[u8]) -> bool {
    lock(&STRONG).knows(&sha256(modulus))
}

/// Finds a weakness of an RSA modulus, a magnitude without leading zero octets.
pub(crate) fn of_rsa(modulus: &[u8]) -> Option<Weakness> {
    let digest = sha256(modulus);
    if lock(&STRONG).knows(&digest) {
        return None;
    }
    let weakness = find_in_rsa(modulus);
    if weakness.is_none() {
        lock(&STRONG).add(digest);
    }
    weakness
}

fn find_in_rsa(modulus: &[u8]) -> Option<Weakness> {
    let modulus = BoxedUint::from_be_slice_vartime(modulus);
    if let Some(prime) = small_factor(&modulus) {
        return Some(Weakness::SmallFactor(prime));
    }
    if is_roca(&modulus) {
        return Some(Weakness::Roca);
    }
    if has_close_factors(&modulus) {
        return Some(Weakness::CloseFactors);
    }
    let modulus = modulus.into_odd().into_option()?;
    prime_or_smooth(&modulus)
}

fn rest(modulus: &BoxedUint, divisor: u64) -> u64 {
    match NonZero::new(Limb::from(divisor)).into_option() {
        Some(divisor) => modulus.rem_limb(divisor).0,
        None => 0,
    }
}

fn small_factor(modulus: &BoxedUint) -> Option<u64> {
    // Four primes at a time: their product has at most 64 bits.
    PRIMES.chunks(4).find_map(|primes| {
        let rest = rest(modulus, primes.iter().product());
        primes
            .iter()
            .copied()
            .find(|prime| rest.is_multiple_of(*prime))
    })
}

/// Recognises moduli of the library with CVE-2017-15361, whose primes are powers of 65537 modulo
/// many small primes (Nemec et al. 2017, §2.3). A random modulus passes each of the 38 tests with
/// a probability of about a half.
fn is_roca(modulus: &BoxedUint) -> bool {
    let tested = PRIMES.iter().filter(|prime| (3..=167).contains(*prime));
    tested.into_iter().all(|prime| {
        let (rest, mut power) = (rest(modulus, *prime), 1);
        (0..*prime).any(|_| {
            power = power * 65_537 % prime;
            power == rest
        })
    })
}

/// Fermat's method: a² − n is a square for a number a that is little above √n.
fn has_close_factors(modulus: &BoxedUint) -> bool {
    let precision = modulus.bits_precision() + Limb::BITS;
    let one = BoxedUint::one_with_precision(precision);
    let modulus = modulus.resize(precision);
    let mut root = modulus.floor_sqrt_vartime().resize(precision);
    if root.wrapping_mul(&root) == modulus {
        return true;
    }
    for _ in 0..FERMAT_STEPS {
        root = root.wrapping_add(&one);
        if is_square(&root.wrapping_mul(&root).wrapping_sub(&modulus)) {
            return true;
        }
    }
    false
}

/// Returns true for a square. Most other numbers are recognised by their rest.
fn is_square(number: &BoxedUint) -> bool {
    const MODULI: [u64; 7] = [64, 63, 65, 11, 17, 19, 23];
    let rest = rest(number, MODULI.iter().product());
    let may_be = |modulus: &u64| (0..*modulus).any(|root| root * root % modulus == rest % modulus);
    if !MODULI.iter().all(may_be) {
        return false;
    }
    let root = number.floor_sqrt_vartime();
    let root = root.resize(number.bits_precision());
    root.wrapping_mul(&root) == *number
}

/// The product of all prime powers up to [`SMOOTH_MAX`].
static SMOOTH: LazyLock<BoxedUint> = LazyLock::new(|| {
    let mut product = BoxedUint::one_with_precision(1024);
    for prime in PRIMES.iter().take_while(|prime| **prime <= SMOOTH_MAX) {
        let mut power = *prime;
        while power * prime <= SMOOTH_MAX {
            power *= prime;
        }
        product = product.wrapping_mul(BoxedUint::from(power));
    }
    product
});

/// Finds out if a modulus is a prime or the power of one, by Fermat's little theorem, or has a
/// factor that Pollard's p−1 method finds (Montgomery 1987, §4).
fn prime_or_smooth(modulus: &Odd<BoxedUint>) -> Option<Weakness> {
    let params = BoxedMontyParams::new_vartime(modulus.clone());
    let one = BoxedMontyForm::one(&params);
    // 2^(n−1) is 1 modulo a prime n. Modulo a factor p of a power n = p^k it is 1 too.
    let before = modulus.as_ref().wrapping_sub(BoxedUint::one());
    let fermat = power_of_two(&before, &one);
    if fermat == one {
        return Some(Weakness::Prime);
    }
    // The product has each factor whose p−1 divides an exponent.
    let mut product = fermat.sub(&one);
    let base = power_of_two(&SMOOTH, &one);
    product = product.mul(&base.sub(&one));
    let square = base.square();
    // Baby steps: the odd powers below STEP. Giant steps: multiples of STEP.
    let mut powers = vec![base.clone()];
    while (powers.len() as u64) < STEP / 2 {
        powers.extend(powers.last().map(|last| last.mul(&square)));
    }
    let giant = powers.last()?.mul(&base);
    let mut reached = (0, one);
    let bound = match modulus.as_ref().bits_precision() as usize <= 8 * SHORT_OCTETS_MAX {
        true => SMOOTH_LAST_MAX,
        false => SMOOTH_LAST_LONG_MAX,
    };
    let last = PRIMES.iter().take_while(|prime| **prime <= bound);
    for prime in last.filter(|prime| **prime > SMOOTH_MAX) {
        // A multiple of STEP minus an odd number.
        let steps = prime.div_ceil(STEP);
        while reached.0 < steps {
            reached = (reached.0 + 1, reached.1.mul(&giant));
        }
        let baby = &powers[((steps * STEP - prime) / 2) as usize];
        product = product.mul(&reached.1.sub(baby));
    }
    let common = modulus.gcd_vartime(&product.retrieve());
    (*common.as_ref() != BoxedUint::one()).then_some(Weakness::SmoothFactor)
}

fn power_of_two(exponent: &BoxedUint, one: &BoxedMontyForm) -> BoxedMontyForm {
    let bits = (0..exponent.bit_width_vartime()).rev();
    bits.fold(one.clone(), |power, bit| {
        let square = power.square();
        match exponent.bit_vartime(bit) {
            true => square.double(),
            false => square,
        }
    })
}

/// The first coordinates of the smallest multiples of a curve's base point. A negative has the same
/// one.
type SmallMultiples = LazyLock<HashSet<Vec<u8>>>;

static P256: SmallMultiples = LazyLock::new(|| small_multiples(&ECDH_P256, 32));
static P384: SmallMultiples = LazyLock::new(|| small_multiples(&ECDH_P384, 48));
static P521: SmallMultiples = LazyLock::new(|| small_multiples(&ECDH_P521, 66));

fn small_multiples(curve: &'static agreement::Algorithm, octets: usize) -> HashSet<Vec<u8>> {
    let first_coordinate = |scalar: u16| {
        let mut private_key = vec![0; octets];
        private_key[octets - 2..].copy_from_slice(&scalar.to_be_bytes());
        let key = agreement::PrivateKey::from_private_key(curve, &private_key).ok()?;
        let point = key.compute_public_key().ok()?;
        Some(point.as_ref()[1..=octets].to_vec())
    };
    (1..=SMALL_PRIVATE_KEY_MAX)
        .filter_map(first_coordinate)
        .collect()
}

/// Finds a weakness of an uncompressed point: the octet 04 and both coordinates.
pub(crate) fn of_point(point: &[u8]) -> Option<Weakness> {
    let first = point.get(1..=point.len() / 2)?;
    let small = match first.len() {
        32 => &P256,
        48 => &P384,
        _ => &P521,
    };
    small.contains(first).then_some(Weakness::SmallPrivateKey)
}

/// Finds a weakness of an Ed25519 public key of 32 octets.
pub(crate) fn of_ed25519(octets: &[u8]) -> Option<Weakness> {
    let encoded = CompressedEdwardsY::from_slice(octets).ok()?;
    match encoded.decompress() {
        Some(point) if point.is_small_order() => Some(Weakness::SmallOrder),
        Some(point) if point.compress() == encoded => None,
        _ => Some(Weakness::NotCanonical),
    }
}
