//! Random numbers of a shard: for choosing ports and identifications, seeded once.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// A generator whose next number cannot be told from those before, so that ports are hard to guess (RFC 6056).
#[derive(Clone, Debug)]
pub struct Random(ChaCha8Rng);

impl Random {
    /// A generator with this secret seed.
    pub fn new(seed: [u64; 2]) -> Random {
        let mut bytes = [0; 32];
        bytes[..8].copy_from_slice(&seed[0].to_le_bytes());
        bytes[8..16].copy_from_slice(&seed[1].to_le_bytes());
        Random(ChaCha8Rng::from_seed(bytes))
    }

    /// The next number.
    pub fn draw(&mut self) -> u64 {
        self.0.next_u64()
    }
}
