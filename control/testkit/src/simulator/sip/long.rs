//! A call of two hours in which nobody says anything: no registration, no message, no media keeps its way open.

use rand::SeedableRng;
use rand::rngs::SmallRng;

use super::agent::Setup;
use super::cast::{self, Role};
use super::description::Kind;
use super::parcel::Transport;
use super::plan::{Change, End, Plan, Step};
use super::play::{Crowd, Outcome, Stage};

/// Two hours.
const LENGTH_MS: u64 = 7_200_000;
/// Connections that nobody closed are gone after a day, by default; nothing outlives them.
const AFTER_S: u64 = 86_400 + 4 * 3600;

/// What such a call is like.
#[derive(Clone, Copy, Debug)]
pub struct LongCall {
    /// How its signalling travels.
    pub transport: Transport,
    /// Phone and outside phone need no proxy.
    pub is_direct: bool,
    /// The appliance's mode.
    pub is_cgn: bool,
    /// The outside changes its ports before it hangs up.
    pub has_change: bool,
}

/// Plays the call: an inside phone calls, and after two hours it is the outside that speaks first, and hangs up.
///
/// # Errors
/// What is wrong.
pub fn long_call(call: LongCall) -> Result<Outcome, String> {
    let mut generator = SmallRng::seed_from_u64(7);
    let roles = [Role::Phone, Role::Outside];
    let cast: Vec<(Role, Setup)> = (0..2)
        .map(|at| {
            let setup = cast::setup(at, roles[at], call.transport, &mut generator);
            (roles[at], Setup { registers_s: None, keeps_alive: false, ..setup })
        })
        .collect();
    let start_ms = 1_000_000;
    let change = Step { by: 1, change: Change::Move, after_ms: LENGTH_MS };
    let plan = Plan {
        parties: [0, 1],
        is_direct: call.is_direct,
        is_recorded: true,
        alive_ms: LENGTH_MS - 10_000,
        start_ms,
        ring_ms: 1000,
        is_late: false,
        has_early_media: false,
        end: End::Answered,
        steps: if call.has_change { vec![change] } else { Vec::new() },
        talk_ms: if call.has_change { 10_000 } else { LENGTH_MS },
        ended_by: 1,
        kinds: vec![Kind::Audio],
        waits: Some(0),
    };
    let configuration = Some(cast::configuration(false, call.is_cgn));
    let stage = Stage { configuration, start_ms, is_fair: true };
    let mut crowd = Crowd::new(cast, vec![plan], stage, generator)?;
    crowd.book.has_log = true;
    crowd.play_for(LENGTH_MS + 60_000)?;
    let heard_count = crowd.book.heard_since(start_ms + LENGTH_MS - 10_000);
    if heard_count < 4 {
        return Err(format!("{heard_count} of 4 streams of media were heard after two hours"));
    }
    crowd.finish(AFTER_S)
}
