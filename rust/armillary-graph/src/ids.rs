//! New ids for quanta and datasets.

use std::time::{SystemTime, UNIX_EPOCH};
use uuid::Uuid;

/// An id as bytes, most significant first.
pub type Id = [u8; 16];

/// Makes version 7 ids that grow, and never by exactly one.
///
/// Layout: 48 bits of milliseconds, version, 12 + 12 bits of a counter that starts at random, 50 random bits. Neighbours
/// differ in the counter, so that two ids are never consecutive integers: a reader in use fails to find an id that follows
/// the last of its page by one.
///
/// ```
/// # use armillary_graph::IdSource;
/// let mut source = IdSource::new();
/// let (first, second) = (source.next_id(), source.next_id());
/// assert!(first < second);
/// assert_eq!((first[6] >> 4, first[8] >> 6), (7, 2));
/// ```
#[derive(Clone, Debug)]
pub struct IdSource {
    milliseconds: u64,
    counter: u64,
    state: [u64; 2],
}

impl Default for IdSource {
    fn default() -> Self {
        Self::new()
    }
}

const COUNTER_BITS: u32 = 24;

impl IdSource {
    /// A source that starts now.
    #[must_use]
    pub fn new() -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let (high, low) = Uuid::new_v4().as_u64_pair();
        let (more, _) = Uuid::new_v4().as_u64_pair();
        let milliseconds = u64::try_from(now.as_millis()).unwrap_or(u64::MAX);
        // Half of the range is left to count through before the clock has to be put forward.
        Self { milliseconds, counter: more >> (65 - COUNTER_BITS), state: [high, low] }
    }

    /// The next id.
    pub fn next_id(&mut self) -> Id {
        self.counter += 1;
        if self.counter >> COUNTER_BITS != 0 {
            self.counter = 0;
            self.milliseconds += 1;
        }
        let time = u128::from(self.milliseconds & 0xFFFF_FFFF_FFFF) << 80;
        let upper = u128::from(self.counter >> 12) << 64;
        let lower = u128::from(self.counter & 0xFFF) << 50;
        let random = u128::from(self.random() >> 14);
        (time | 7 << 76 | upper | 2 << 62 | lower | random).to_be_bytes()
    }

    /// Two counters with different steps, mixed; the seed has more than a hundred random bits.
    fn random(&mut self) -> u64 {
        self.state[0] = self.state[0].wrapping_add(0x9E37_79B9_7F4A_7C15);
        self.state[1] = self.state[1].wrapping_add(0xD1B5_4A32_D192_ED03);
        mix(self.state[0]) ^ mix(self.state[1]).rotate_left(17)
    }
}

/// The finishing steps of the `splitmix64` generator.
const fn mix(value: u64) -> u64 {
    let value = (value ^ value >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let value = (value ^ value >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ value >> 31
}

/// The id as text, in lower case with dashes.
#[must_use]
pub fn id_text(id: &Id) -> String {
    Uuid::from_bytes(*id).hyphenated().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_and_are_never_consecutive() {
        let mut source = IdSource::new();
        source.counter = (1 << COUNTER_BITS) - 5;
        let ids: Vec<u128> = (0..1000).map(|_| u128::from_be_bytes(source.next_id())).collect();
        assert!(ids.windows(2).all(|pair| pair[1] > pair[0] + 1));
    }

    #[test]
    fn two_sources_share_no_id() {
        let mut sources = [IdSource::new(), IdSource::new()];
        let ids: std::collections::HashSet<Id> = (0..20_000).map(|i| sources[i % 2].next_id()).collect();
        assert_eq!(ids.len(), 20_000);
    }
}
