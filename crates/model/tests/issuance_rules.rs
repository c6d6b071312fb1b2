//! The partial order of issuance rules against their plain meaning: what is within other rules
//! permits no request that they refuse.

#![allow(clippy::unwrap_used, reason = "a test may panic")]

use certgate_model::{
    AddressBlock, AlternativeName, AlternativeNameRules, BeyondRules, Counted, EnrolmentRules,
    IssuanceRules, KeyType, Lifetime, RequestedCertificate,
};

/// Number of pairs of random rules.
const PAIRS: u64 = 10_000;

/// Number of random requests for each pair.
const REQUESTS: u64 = 40;

#[test]
fn rules_within_others_permit_nothing_that_the_others_refuse() {
    let (mut within, mut permitted) = (0, 0);
    for seed in 0..PAIRS {
        let random = &mut Random(seed);
        let others = rules(random);
        // Half of the rules are made from the others, so that many are within them.
        let own = match random.below(2) {
            0 => rules(random),
            _ => narrowed(&others, random),
        };
        assert!(others.is_within(&others, Counted::Together));
        if others.certificates_per_day.is_some() {
            assert!(
                !own.is_within(&others, Counted::Apart),
                "{own:?} {others:?}"
            );
        }
        if !own.is_within(&others, Counted::Together) {
            continue;
        }
        within += 1;
        let at_most = |own: Option<u64>, other: Option<u64>| {
            other.is_none_or(|other| own.is_some_and(|own| own <= other))
        };
        assert!(at_most(
            own.certificates_per_day,
            others.certificates_per_day
        ));
        assert!(at_most(own.active_per_name, others.active_per_name));
        for _ in 0..REQUESTS {
            let request = request(random);
            let Some(names) = outcome(&own, &request) else {
                continue;
            };
            permitted += 1;
            let of_others = outcome(
                &others,
                &RequestedCertificate {
                    alternative_names: names.clone(),
                    ..request.clone()
                },
            );
            assert_eq!(of_others, Some(names), "{own:?}\n{others:?}\n{request:?}");
        }
    }
    assert!(
        within > PAIRS / 10 && permitted > 10_000,
        "{within} {permitted}"
    );
}

/// The names of the certificate of a request; `None` if the rules refuse it.
fn outcome(rules: &IssuanceRules, request: &RequestedCertificate) -> Option<Vec<AlternativeName>> {
    rules.check(request).ok()?;
    let names = &request.alternative_names;
    let Some(permitted) = rules.of_alternative_names() else {
        return Some(names.clone());
    };
    permitted.check(names).ok()?;
    let names = names.iter().filter(|name| permitted.permits(name));
    Some(names.cloned().collect())
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ mixed >> 31) % end
    }

    /// At most two values, often none.
    fn some<T>(&mut self, mut value: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let count = self.below(5).saturating_sub(2);
        (0..count).map(|_| value(self)).collect()
    }

    fn limit(&mut self, max: u64) -> Option<u64> {
        match self.below(2) {
            0 => None,
            _ => Some(1 + self.below(max)),
        }
    }

    /// A text of the letters, of one to four characters.
    fn text(&mut self, letters: &[char]) -> String {
        let count = 1 + self.below(4);
        (0..count)
            .map(|_| letters[self.below(letters.len() as u64) as usize])
            .collect()
    }
}

const PATTERN: [char; 4] = ['a', 'b', '*', '*'];
const NAME: [char; 3] = ['a', 'b', 'A'];
const ATTRIBUTES: [&str; 3] = ["common_name", "organization", "country"];
const KEYS: [KeyType; 4] = [
    KeyType::Rsa(None),
    KeyType::Rsa(Some(2048)),
    KeyType::Rsa(Some(3072)),
    KeyType::P256,
];

fn attribute(random: &mut Random) -> certgate_model::SubjectAttribute {
    ATTRIBUTES[random.below(3) as usize].parse().unwrap()
}

fn pattern(random: &mut Random) -> certgate_model::NamePattern {
    random.text(&PATTERN).parse().unwrap()
}

fn block(random: &mut Random) -> AddressBlock {
    AddressBlock {
        text: String::new(),
        address: [10, random.below(2) as u8 * 128, 0, 0].into(),
        prefix_length: 7 + random.below(4) as u8,
    }
}

fn rules(random: &mut Random) -> IssuanceRules {
    IssuanceRules {
        common_names: random.some(pattern),
        required_attributes: random.some(attribute),
        forbidden_attributes: random.some(attribute),
        key_types: random.some(|random| KEYS[random.below(4) as usize]),
        lifetime_max: random
            .limit(4)
            .map(|days| Lifetime::of_seconds(days * 86_400).unwrap()),
        certificates_per_day: random.limit(3),
        active_per_name: random.limit(3),
        alternative_names: (random.below(2) == 0).then(|| AlternativeNameRules {
            dns: random.some(pattern),
            email: Vec::new(),
            uri: random.some(pattern),
            ip: random.some(block),
            beyond: [BeyondRules::Drop, BeyondRules::Reject][random.below(2) as usize],
        }),
        enrolment: EnrolmentRules::default(),
    }
}

/// Changes some rules to those that permit less, or something else.
fn narrowed(others: &IssuanceRules, random: &mut Random) -> IssuanceRules {
    let fresh = rules(random);
    let mut own = others.clone();
    for _ in 0..=random.below(2) {
        match random.below(8) {
            0 => {
                let end = random.text(&NAME);
                for pattern in &mut own.common_names {
                    *pattern = pattern.as_str().replacen('*', &end, 1).parse().unwrap();
                }
            }
            1 => own
                .required_attributes
                .extend(fresh.required_attributes.clone()),
            2 => own
                .forbidden_attributes
                .extend(fresh.forbidden_attributes.clone()),
            3 => own.key_types = fresh.key_types.clone(),
            4 => own.lifetime_max = fresh.lifetime_max,
            5 => own.active_per_name = fresh.active_per_name,
            6 => own.alternative_names = fresh.alternative_names.clone(),
            _ => own.certificates_per_day = fresh.certificates_per_day,
        }
    }
    own
}

fn request(random: &mut Random) -> RequestedCertificate {
    let mut names = random.some(|random| match random.below(3) {
        0 => AlternativeName::Dns(random.text(&NAME)),
        1 => AlternativeName::Uri(random.text(&NAME)),
        _ => AlternativeName::Ip([10, random.below(2) as u8 * 128, 0, 1].into()),
    });
    names.dedup();
    RequestedCertificate {
        common_names: vec![random.text(&NAME)],
        attributes: random.some(attribute),
        key: KEYS[1 + random.below(3) as usize],
        days: 1 + random.below(4) as u32,
        alternative_names: names,
    }
}
