//! Seeded mutations of a corpus. Tests in the normal build search with them; libFuzzer, which is
//! guided by coverage, has its own.

/// Edits of an input at most.
const EDITS_MAX: usize = 4;

/// Octets that an edit removes, repeats or copies at most.
const PART_OCTETS_MAX: usize = 64;

/// Octets at the edges of lengths, tags and text.
const EDGES: [u8; 10] = [0, 1, 0x0a, 0x30, 0x7f, 0x80, 0x81, 0x82, 0x84, 0xff];

/// Returns inputs that are each made by a few edits of an input of the corpus. The same corpus and
/// count give the same inputs.
pub fn mutations(mut corpus: Vec<Vec<u8>>, count: u64) -> impl Iterator<Item = Vec<u8>> {
    // The order of a folder differs from machine to machine.
    corpus.sort();
    (0..count).map(move |seed| {
        let mut chance = Chance(seed);
        let mut input = corpus[chance.below(corpus.len())].clone();
        for _ in 0..=chance.below(EDITS_MAX) {
            let other = &corpus[chance.below(corpus.len())];
            edit(&mut input, other, &mut chance);
        }
        input
    })
}

fn edit(input: &mut Vec<u8>, other: &[u8], chance: &mut Chance) {
    let at = chance.below(input.len() + 1);
    let part = |octets: &[u8], chance: &mut Chance| {
        let begin = chance.below(octets.len() + 1);
        let end = octets.len().min(begin + 1 + chance.below(PART_OCTETS_MAX));
        begin..end
    };
    match chance.below(6) {
        0 => {
            if let Some(octet) = input.get_mut(at) {
                *octet ^= 1 << chance.below(8);
            }
        }
        1 => {
            if let Some(octet) = input.get_mut(at) {
                *octet = EDGES[chance.below(EDGES.len())];
            }
        }
        2 => {
            let removed = part(input, chance);
            input.drain(removed);
        }
        3 => {
            let repeated = input[part(input, chance)].to_vec();
            input.splice(at..at, repeated);
        }
        4 => {
            let copied = other[part(other, chance)].to_vec();
            input.splice(at..at, copied);
        }
        _ => input.truncate(at),
    }
}

/// A generator of numbers: SplitMix64.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ mixed >> 31) % end as u64) as usize
    }
}
