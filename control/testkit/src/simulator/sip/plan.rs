//! What a call is going to be like.

use rand::RngExt;
use rand::rngs::SmallRng;

use super::description::Kind;

/// How an invitation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// It is accepted.
    Answered,
    /// It is refused with this code.
    Refused(u16),
    /// The caller gives up while it rings.
    Cancelled,
    /// The caller gives up when the callee is about to accept.
    Raced,
}

/// What changes in the middle of a call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Other ports.
    Move,
    /// The same by UPDATE (RFC 3311).
    Update,
    /// Hold, by direction.
    Hold,
    /// Hold, by address.
    Nowhere,
    /// On again.
    Resume,
    /// A fax in place of speech (T.38).
    Fax,
    /// Pictures besides.
    Video,
    /// The same offer again.
    Refresh,
    /// Other ports, which the other side refuses.
    Refused,
    /// No offer (INFO).
    Info,
}

const CHANGES: [Change; 8] = [
    Change::Move,
    Change::Update,
    Change::Hold,
    Change::Nowhere,
    Change::Video,
    Change::Refresh,
    Change::Refused,
    Change::Info,
];

/// A change.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Whose: 0 the caller's, 1 the callee's.
    pub by: usize,
    /// What.
    pub change: Change,
    /// How long after what came before, in milliseconds.
    pub after_ms: u64,
}

/// A call.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Caller and callee.
    pub parties: [usize; 2],
    /// Without the proxy.
    pub is_direct: bool,
    /// The proxy stays in the way of requests within the call.
    pub is_recorded: bool,
    /// Between two packets of a stream of media that was heard, in milliseconds; more than any call takes where it falls silent.
    pub alive_ms: u64,
    /// When it begins.
    pub start_ms: u64,
    /// How long it rings.
    pub ring_ms: u64,
    /// The callee makes the offer.
    pub is_late: bool,
    /// The callee sends media while it rings.
    pub has_early_media: bool,
    /// How the invitation ends.
    pub end: End,
    /// What changes.
    pub steps: Vec<Step>,
    /// How long they talk after the last change.
    pub talk_ms: u64,
    /// Who hangs up.
    pub ended_by: usize,
    /// The lines of media.
    pub kinds: Vec<Kind>,
    /// Who waits with media until the other side was heard.
    pub waits: Option<usize>,
}

impl Plan {
    /// A random call of these parties.
    pub fn random(parties: [usize; 2], is_direct: bool, start_ms: u64, generator: &mut SmallRng) -> Plan {
        let end = match generator.random_range(0..100) {
            0..8 => End::Refused([486, 603, 404][generator.random_range(0..3)]),
            8..14 => End::Cancelled,
            14..17 => End::Raced,
            _ => End::Answered,
        };
        let mut kinds = vec![Kind::Audio];
        while kinds.len() < 6 && generator.random_bool(0.15) {
            kinds.push(if generator.random_bool(0.6) { Kind::Video } else { Kind::Audio });
        }
        let is_late = generator.random_bool(0.15);
        let mut steps = Vec::new();
        while steps.len() < 4 && generator.random_bool(0.4) {
            let by = generator.random_range(0..2);
            let is_held = steps
                .last()
                .is_some_and(|last: &Step| [Change::Hold, Change::Nowhere].contains(&last.change));
            let is_last = generator.random_bool(0.1);
            let change = match is_held {
                true => Change::Resume,
                false if is_last => Change::Fax,
                false => CHANGES[generator.random_range(0..CHANGES.len())],
            };
            // Who holds resumes.
            let by = if is_held { steps[steps.len() - 1].by } else { by };
            // Held calls are silent for longer than mappings live.
            let is_long = is_held && generator.random_bool(0.2);
            let after_ms = generator.random_range(4000..9000) + if is_long { 150_000 } else { 0 };
            steps.push(Step { by, change, after_ms });
            if change == Change::Fax {
                break;
            }
        }
        Plan {
            parties,
            is_direct,
            is_recorded: true,
            alive_ms: if generator.random_bool(0.5) { 7000 } else { u64::from(u32::MAX) },
            start_ms,
            ring_ms: generator.random_range(100..6000),
            is_late,
            has_early_media: !is_late && generator.random_bool(0.3),
            end,
            steps,
            talk_ms: generator.random_range(4000..12_000),
            ended_by: generator.random_range(0..2),
            kinds,
            waits: [None, Some(0), Some(1)][generator.random_range(0..3)],
        }
    }
}
