//! What the test knows: the calls there are, what was announced and read, what media was sent and heard, what was wrong.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt;

use super::description::{Description, ReadDescription};
use super::message::Endpoint;
use super::parcel::Incoming;
use super::plan::Plan;

/// Packets in a row that a bad link loses by chance, at most.
const UNHEARD_MAX: u64 = 8;
/// Packets after which a stream of media that was heard needs no more.
const HEARD_ENOUGH: u64 = 2;
/// The last lines of a log that a failure tells.
const LOG_LEN: usize = 24;

/// A description: its call, the side that wrote or read it, its version.
type Said = (usize, usize, u32);
/// Where RTP and RTCP of a line go.
type Ends<E> = [Option<E>; 2];

/// A stream of media packets, in one direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Flow {
    /// Its call.
    pub call: usize,
    /// Who sends: 0 the caller, 1 the callee.
    pub sender: usize,
    /// Its line of media.
    pub line: usize,
    /// 0 for RTP, 1 for RTCP.
    pub kind: usize,
    /// The receiver's description that it goes by.
    pub version: u32,
}

/// What became of a stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heard {
    sent: u64,
    heard: u64,
    /// Packets since one was heard.
    unheard: u64,
    /// When one was heard last.
    heard_ms: u64,
}

/// Counts of what happened.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Requests and responses read by agents and proxies.
    pub messages: u64,
    /// Requests sent again.
    pub repeated: u64,
    /// Descriptions offered amid calls and accepted.
    pub changes: u64,
    /// Registrations granted.
    pub registrations: u64,
    /// Restarts.
    pub restarts: u64,
}

impl Counts {
    /// Adds others.
    pub fn add(&mut self, other: Counts) {
        self.messages += other.messages;
        self.repeated += other.repeated;
        self.changes += other.changes;
        self.registrations += other.registrations;
        self.restarts += other.restarts;
    }
}

/// What the test knows.
#[derive(Default)]
pub struct Book {
    /// The clock.
    pub now_ms: u64,
    /// The calls.
    pub plans: Vec<Plan>,
    /// When each ended, for caller and callee.
    pub ended: Vec<[Option<u64>; 2]>,
    /// Counts.
    pub counts: Counts,
    /// All messages are kept, to be told with what is wrong.
    pub has_log: bool,
    wrong: Vec<String>,
    wrongs: HashSet<String>,
    /// What did not come to its end, by call; and at which agent, where it was no call.
    unfinished: Vec<(Option<usize>, usize, String)>,
    announced: HashMap<Said, Vec<Ends<u16>>>,
    read: HashMap<Said, Vec<Ends<Endpoint>>>,
    media: BTreeMap<Flow, Heard>,
    /// Which agent was away from when until when.
    away: Vec<(usize, u64, u64)>,
    /// Calls that a side has ended, or is about to.
    pub leaving: HashSet<(usize, usize)>,
    /// Call-IDs by call.
    pub ids: HashMap<usize, String>,
    log: HashMap<String, Vec<String>>,
}

impl Book {
    /// A book of these calls.
    pub fn new(plans: Vec<Plan>, now_ms: u64) -> Book {
        Book { now_ms, ended: vec![[None; 2]; plans.len()], plans, ..Book::default() }
    }

    /// Something is wrong, whatever the network does.
    pub fn wrong(&mut self, call_id: &str, reason: impl fmt::Display) {
        let log = self.log_of(call_id);
        // What was wrong first leads to the rest.
        if call_id.is_empty() || self.wrongs.insert(call_id.to_string()) {
            self.wrong.push(format!("{reason}, at {} ms, of {call_id}{log}", self.now_ms));
        }
    }

    /// A call did not come to its end.
    pub fn unfinished(
        &mut self,
        call: Option<usize>,
        agent: usize,
        call_id: &str,
        reason: impl fmt::Display,
    ) {
        let log = self.log_of(call_id);
        let plan = call.map(|call| format!("\n    {:?}", self.plans[call])).unwrap_or_default();
        let text = format!("{reason}, at {} ms, of {call_id}{plan}{log}", self.now_ms);
        self.unfinished.push((call, agent, text));
    }

    /// Takes note of a message.
    pub fn log(&mut self, call_id: &str, who: &str, what: &str, bytes: &[u8]) {
        if !self.has_log {
            return;
        }
        let line = format!("{} {who} {what} {}", self.now_ms, bytes.escape_ascii());
        self.log.entry(call_id.to_string()).or_default().push(line);
    }

    fn log_of(&self, call_id: &str) -> String {
        let lines = self.log.get(call_id).map(Vec::as_slice).unwrap_or_default();
        let lines = &lines[lines.len().saturating_sub(LOG_LEN)..];
        lines.iter().map(|line| format!("\n    {line}")).collect()
    }

    /// A side announces this.
    pub fn announce(&mut self, call: usize, side: usize, description: &Description) {
        let ports = description.lines.iter().map(|line| line.ports()).collect();
        self.announced.insert((call, side, description.version), ports);
    }

    /// A side has read this of the other.
    pub fn note_read(&mut self, call: usize, side: usize, description: &ReadDescription) {
        let ends = description.lines.iter().map(|line| line.ends).collect();
        self.read.insert((call, side, description.version), ends);
    }

    /// Whether a stream should have another packet: it was not heard yet, or it is time for one that shows that it is alive.
    pub fn is_wanted(&self, flow: &Flow, is_late: bool) -> bool {
        let heard = self.media.get(flow).copied().unwrap_or_default();
        heard.heard < HEARD_ENOUGH || is_late
    }

    /// A packet of a stream is sent.
    pub fn send(&mut self, flow: Flow) {
        let heard = self.media.entry(flow).or_default();
        heard.sent += 1;
        heard.unheard += 1;
    }

    /// Whether anything was heard of a sender.
    pub fn has_heard(&self, call: usize, sender: usize) -> bool {
        let from = Flow { call, sender, line: 0, kind: 0, version: 0 };
        let until = Flow { call, sender, line: usize::MAX, kind: 1, version: u32::MAX };
        self.media.range(from..=until).any(|(_, heard)| heard.heard > 0)
    }

    /// A packet arrives that its sender sent by description `own` of its own: it must be at the port that was announced for
    /// it, and come from where its sender said that it is.
    pub fn hear(&mut self, flow: Flow, own: u32, incoming: &Incoming) {
        let receiver = 1 - flow.sender;
        let of = |ends: Option<&Vec<Ends<Endpoint>>>| ends?.get(flow.line)?[flow.kind];
        let ports = self.announced.get(&(flow.call, receiver, flow.version));
        let port = ports.and_then(|ports| ports.get(flow.line)?[flow.kind]);
        // What comes late in a call that its sender was about to end may have come by none of its doors.
        let has_ended = self.leaving.contains(&(flow.call, flow.sender));
        let source = of(self.read.get(&(flow.call, receiver, own))).filter(|_| !has_ended);
        if port != Some(incoming.to.1) || source.is_some_and(|source| source != incoming.from) {
            let text = format!(
                "media {flow:?} at port {} from {:?}, not at {port:?} from {source:?}",
                incoming.to.1, incoming.from
            );
            return self.wrong(&self.call_id(flow.call), text);
        }
        let heard = self.media.entry(flow).or_default();
        heard.heard += 1;
        (heard.unheard, heard.heard_ms) = (0, self.now_ms);
    }

    /// How many streams were heard since a time.
    pub fn heard_since(&self, ms: u64) -> usize {
        self.media.values().filter(|heard| heard.heard > 0 && heard.heard_ms >= ms).count()
    }

    fn call_id(&self, call: usize) -> String {
        self.ids.get(&call).cloned().unwrap_or_default()
    }

    /// An agent is away until it is registered again.
    pub fn leave(&mut self, agent: usize) {
        self.counts.restarts += 1;
        self.away.push((agent, self.now_ms, u64::MAX));
    }

    /// It is back.
    pub fn come_back(&mut self, agent: usize) {
        let now_ms = self.now_ms;
        let own = self.away.iter_mut().filter(|(of, _, until_ms)| *of == agent && *until_ms == u64::MAX);
        own.for_each(|(_, _, until_ms)| *until_ms = now_ms);
    }

    /// Whether a party of a call restarted meanwhile.
    pub fn is_disturbed(&self, call: usize) -> bool {
        let plan = &self.plans[call];
        let ended_ms = self.ended[call].iter().map(|at| at.unwrap_or(u64::MAX)).max().unwrap_or(u64::MAX);
        let is_party = |agent: &usize| plan.parties.contains(agent);
        self.away.iter().any(|(agent, from_ms, until_ms)| {
            is_party(agent) && *from_ms <= ended_ms && *until_ms >= plan.start_ms
        })
    }

    fn was_away(&self, agent: usize) -> bool {
        self.away.iter().any(|(other, _, _)| *other == agent)
    }

    /// All about a call.
    pub fn tell(&self, call: usize) -> String {
        let id = self.call_id(call);
        format!("{id} {:?} {:?}{}", self.plans[call], self.ended[call], self.log_of(&id))
    }

    /// Judges all calls: what is wrong, and how many streams of media were heard.
    pub fn judge(&mut self) -> (Vec<String>, u64) {
        let mut failures = std::mem::take(&mut self.wrong);
        for (call, agent, reason) in std::mem::take(&mut self.unfinished) {
            let is_excused = call.map_or_else(|| self.was_away(agent), |call| self.is_disturbed(call));
            if !is_excused {
                failures.push(reason);
            }
        }
        for call in 0..self.plans.len() {
            if self.ended[call].contains(&None) && !self.is_disturbed(call) {
                failures.push(format!("it never ended: {}", self.tell(call)));
            }
        }
        let mut heard_count = 0;
        for (flow, heard) in &self.media {
            heard_count += u64::from(heard.heard > 0);
            if heard.unheard >= UNHEARD_MAX && !self.is_disturbed(flow.call) {
                let call = self.tell(flow.call);
                failures.push(format!("media was not heard: {flow:?} {heard:?} of {call}"));
            }
        }
        (failures, heard_count)
    }
}

/// The number of a call, which its Call-ID begins with.
pub fn number(call_id: &str) -> Option<usize> {
    call_id.strip_prefix('c')?.split('-').next()?.parse().ok()
}
