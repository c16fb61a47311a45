//! The algorithms that keep a key with an endpoint: weighted rendezvous hashing.
//!
//! Every endpoint draws a score from the key and its identity, and the highest wins. When an endpoint goes, its keys alone move, to
//! all others in proportion; when one comes, it takes its share from each.

use super::Candidates;

/// How far above its fair share of requests in flight a candidate may be before it passes a key on, in percent.
const LOAD_BOUND_PERCENT: u64 = 125;

/// The hash of a key: 64 bits of FNV-1a, mixed. Not for secrets.
#[must_use]
pub fn hash(key: &[u8]) -> u64 {
    let folded = key.iter().fold(0xCBF2_9CE4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01B3)
    });
    mix(folded)
}

/// The finalizer of SplitMix64: every bit of the input reaches every bit of the output.
fn mix(mut bits: u64) -> u64 {
    bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ (bits >> 31)
}

/// The candidate with the highest score among those that have `room`.
pub(super) fn highest(candidates: &impl Candidates, key: u64, room: impl Fn(usize) -> bool) -> Option<usize> {
    let scored = candidates.eligible().filter(|index| room(*index)).map(|index| {
        let draw = mix(key ^ mix(candidates.identity(index)));
        // Uniform in (0, 1): the top 53 bits, moved off zero, whose logarithm there is not.
        let uniform = ((draw >> 11) as f64 + 0.5) / (1_u64 << 53) as f64;
        (f64::from(candidates.base_weight(index).get()) / -uniform.ln(), index)
    });
    scored.max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, index)| index)
}

/// The candidate with the highest score among those whose requests in flight are within the bound.
pub(super) fn highest_with_room(candidates: &impl Candidates, key: u64) -> Option<usize> {
    let weight = |index: usize| u64::from(candidates.weight(index).get());
    let (load, weights) = candidates.eligible().fold((1, 0), |(load, weights), index| {
        (load + u64::from(candidates.in_flight(index)), weights + weight(index))
    });
    let has_room = |index: usize| {
        let share_max = (load * weight(index) * LOAD_BOUND_PERCENT).div_ceil(weights * 100);
        u64::from(candidates.in_flight(index)) < share_max
    };
    // Not everyone can be above 1.25 times the average at one moment, but counts move while they are read.
    highest(candidates, key, has_room).or_else(|| highest(candidates, key, |_| true))
}
