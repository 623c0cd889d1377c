//! Seeds: every random test prints its own, and takes another from the environment.

use rand::SeedableRng;
use rand::rngs::SmallRng;

/// The variable that a seed is taken from.
pub const SEED_VARIABLE: &str = "PORTICO_SEED";

/// A generator for a test, seeded from `PORTICO_SEED` or else with `default`; the seed is printed.
pub fn generator(test: &str, default: u64) -> SmallRng {
    let given = std::env::var(SEED_VARIABLE).ok().and_then(|seed| seed.parse().ok());
    let seed = given.unwrap_or(default);
    println!("{test}: seed {seed} (set {SEED_VARIABLE} for another)");
    SmallRng::seed_from_u64(seed)
}
