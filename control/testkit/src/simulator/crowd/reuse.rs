//! A client's next connection over the ports of the one before it.

use std::collections::HashSet;

use rand::RngExt;
use rand::rngs::SmallRng;

use super::conversation::{Conversation, Protocol};

/// The share of sessions whose ports are used again.
const REUSED: f64 = 0.16;
/// How long a host may take to start, in milliseconds.
const START_MS_MAX: u64 = 8000;

/// What became of the connection before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Before {
    /// It came to its end.
    Closed,
    /// Its client reset it.
    Reset,
    /// Its client forgot it, and its server did not.
    Forgotten,
    /// Both forgot it.
    ForgottenByBoth,
}

impl Before {
    /// All, in the order in which outcomes count them.
    pub const ALL: [Before; 4] = [Before::Closed, Before::Reset, Before::Forgotten, Before::ForgottenByBoth];
}

/// Another connection over the ports of a session's first.
pub struct Reuse {
    /// What becomes of the first.
    pub before: Before,
    /// What is said over the second.
    pub conversation: Conversation,
    /// The first goes on until so many messages were heard, if it is not to come to its end.
    pub heard: usize,
    /// How long the client is away, in milliseconds.
    pub away_ms: u64,
    /// While it is away it takes no packets; otherwise it refuses them.
    pub is_off: bool,
}

impl Reuse {
    /// Another connection once in a while; `first` is said over the first.
    pub fn random(
        first: &Conversation,
        generator: &mut SmallRng,
        mut conversation: impl FnMut(&mut SmallRng) -> Conversation,
    ) -> Option<Reuse> {
        if !generator.random_bool(REUSED) {
            return None;
        }
        let before = Before::ALL[generator.random_range(0..Before::ALL.len())];
        let message_count: usize = first.messages.iter().map(Vec::len).sum();
        let is_restart = matches!(before, Before::Forgotten | Before::ForgottenByBoth);
        let announced = announced(first);
        let mut conversation = || conversation(generator);
        let mut next = conversation();
        // What went through the doors of the first is alive.
        while !announced.is_disjoint(&self::announced(&next)) {
            next = conversation();
        }
        Some(Reuse {
            before,
            conversation: next,
            heard: generator.random_range(0..=message_count),
            away_ms: if is_restart { [0, START_MS_MAX][generator.random_range(0..2)] } else { 0 },
            is_off: generator.random_bool(0.5),
        })
    }
}

/// The pairs of ports that the inside host announces.
fn announced(conversation: &Conversation) -> HashSet<(Protocol, u16)> {
    conversation.doors().map(|(protocol, port)| (protocol, port / 2)).collect()
}
