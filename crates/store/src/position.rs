//! Positions of certificates, and the blocks of positions that a counter counts.
//! [`crate::verbs::counters`] explains them.

use crate::schema::{BLOCKS, Table, UPPER_BLOCKS};

/// A zone has room for 2^36 certificates, the store for 2^27 zones: together 63 bits.
pub(crate) const SEQUENCE_BITS: u32 = 36;

/// The number of positions that one counter of each level counts. Fixed when the database is
/// created, and read from it afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Layout {
    block_bits: u32,
    upper_block_bits: u32,
}

impl Layout {
    /// 512 positions in a block: skipping 511 index entries costs about as much as reading the
    /// page itself. 2^18 in an upper block: ten million certificates have 39 of them, each of
    /// which has 512 blocks.
    pub(crate) const DEFAULT: Self = Self {
        block_bits: 9,
        upper_block_bits: 18,
    };

    /// Returns the layout with these bits, if they make one.
    pub(crate) fn new(block_bits: u32, upper_block_bits: u32) -> Option<Self> {
        let is_valid =
            block_bits >= 1 && block_bits < upper_block_bits && upper_block_bits <= SEQUENCE_BITS;
        is_valid.then_some(Self {
            block_bits,
            upper_block_bits,
        })
    }

    pub(crate) fn block_bits(self) -> u32 {
        self.block_bits
    }

    pub(crate) fn upper_block_bits(self) -> u32 {
        self.upper_block_bits
    }

    /// The first and the last position that a block counts.
    pub(crate) fn range(self, level: Level, block: i64) -> (Position, Position) {
        let first = block << self.of(level);
        (
            Position(first),
            Position(first + ((1 << self.of(level)) - 1)),
        )
    }

    fn of(self, level: Level) -> u32 {
        match level {
            Level::Lower => self.block_bits,
            Level::Upper => self.upper_block_bits,
        }
    }
}

/// One of the two levels of counters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Lower,
    Upper,
}

impl Level {
    pub(crate) const BOTH: [Self; 2] = [Self::Lower, Self::Upper];

    pub(crate) fn table(self) -> &'static Table {
        match self {
            Self::Lower => &BLOCKS,
            Self::Upper => &UPPER_BLOCKS,
        }
    }
}

/// The position of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Position(pub(crate) i64);

impl Position {
    /// The first position of a zone.
    pub(crate) fn first_of(zone: i64) -> Self {
        Self(zone << SEQUENCE_BITS)
    }

    /// The last position of a zone.
    pub(crate) fn last_of(zone: i64) -> Self {
        Self((zone << SEQUENCE_BITS) + ((1 << SEQUENCE_BITS) - 1))
    }

    /// The position in a zone that has `sequence` certificates before it.
    pub(crate) fn in_zone(zone: i64, sequence: u64) -> Self {
        let sequence = i64::try_from(sequence).unwrap_or(i64::MAX);
        Self(Self::first_of(zone).0.saturating_add(sequence))
    }

    /// The zone's number.
    pub(crate) fn zone(self) -> i64 {
        self.0 >> SEQUENCE_BITS
    }

    /// The number within the zone, from 0.
    pub(crate) fn sequence(self) -> i64 {
        self.0 - Self::first_of(self.zone()).0
    }

    /// The block that counts it.
    pub(crate) fn block(self, layout: Layout, level: Level) -> i64 {
        self.0 >> layout.of(level)
    }
}

/// The place of the n-th newest certificate of a status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// Nothing newer than this needs to be read.
    pub(crate) newest: Position,
    /// The certificates of the status to skip from there; fewer than a block has.
    pub(crate) skip: u64,
}
