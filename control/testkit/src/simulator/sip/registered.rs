//! What an agent knows of its registration.

use rand::RngExt;
use rand::rngs::SmallRng;

/// A registration.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Its Call-ID.
    pub call_id: String,
    /// The tag of its requests.
    pub tag: String,
    /// The last sequence number.
    pub cseq: u32,
    /// When there is something to do.
    pub next_ms: Option<u64>,
    /// The registrar knows of it.
    pub is_granted: bool,
    /// It is to be removed.
    pub is_leaving: bool,
    /// What the registrar asked to be answered.
    pub nonce: Option<String>,
}

impl Registration {
    /// One that begins at a time.
    pub fn new(start_ms: u64, generator: &mut SmallRng) -> Registration {
        let mut word = || format!("{:08x}", generator.random::<u32>());
        Registration {
            call_id: format!("r{}{}", word(), word()),
            tag: word(),
            cseq: generator.random_range(1..1000),
            next_ms: Some(start_ms),
            is_granted: false,
            is_leaving: false,
            nonce: None,
        }
    }
}
