//! Damaged messages: what a gateway may not do with any of them.

use alg::{Message, Owner, Ports, Row, Side, State};

use super::context::{GROWTH_MAX, LIFE_MAX_S};
use super::{FakeContext, across, play};

/// A sound message to be damaged: whose it is, and what the gateway remembered when it came.
pub struct Damaged<'s> {
    /// The gateway.
    pub row: &'static Row,
    stage: &'s dyn Fn() -> FakeContext,
    client: Side,
    /// The client says it.
    pub by_client: bool,
    /// The message.
    pub bytes: &'s [u8],
    /// The gateway's memory.
    pub before: &'s State,
    /// Where it is from.
    pub name: String,
    /// Ports that the sound message opens.
    port_count: usize,
}

impl<'s> Damaged<'s> {
    /// A message: by the client?, its bytes, and the gateway's memory before.
    pub fn new(
        row: &'static Row,
        stage: &'s dyn Fn() -> FakeContext,
        client: Side,
        (by_client, bytes, before): (bool, &'s [u8], &'s State),
        name: String,
    ) -> Damaged<'s> {
        let mut sample = Damaged { row, stage, client, by_client, bytes, before, name, port_count: 0 };
        let mut stage = stage();
        let _ = play(row, &mut before.clone(), &mut stage, &sample.message(bytes));
        sample.port_count = port_count(&stage);
        sample
    }

    /// The message with these bytes.
    pub fn message<'m>(&self, bytes: &'m [u8]) -> Message<'m> {
        let from = if self.by_client { self.client } else { across(self.client) };
        Message { bytes, from, by_client: self.by_client }
    }

    /// Gives the gateway this message instead, and checks what it may not do.
    pub fn try_instead(&self, bytes: &[u8], how: impl Fn() -> String) {
        let mut state = self.before.clone();
        let mut stage = (self.stage)();
        let (said, out) = play(self.row, &mut state, &mut stage, &self.message(bytes));
        let of = &|| format!("{}, {}", self.name, how());
        check_doors(&stage, of);
        // What announces one endpoint, or none, never opens two for being damaged, unless it names its host in several places.
        let port_count = port_count(&stage);
        let may_be_more = || self.port_count > 1 || self.names_host_again();
        assert!(port_count <= 1 || may_be_more(), "{}: {port_count} ports are open", of());
        self.check_named(&stage, bytes, of);
        assert!(out.len() <= bytes.len() + GROWTH_MAX, "{}: grew to {}", of(), out.len());
        if said.is_err() {
            assert!(out == bytes, "{}: refused and changed", of());
            assert!(stage.doors.is_empty() && stage.expected.is_empty(), "{}: refused, and a door", of());
        }
    }

    /// Whether it names the inside host more than once.
    fn names_host_again(&self) -> bool {
        let host = (self.stage)().session.inside_local.ip().to_string();
        self.bytes.windows(host.len()).filter(|of| *of == host.as_bytes()).count() > 1
    }

    /// Doors lead to ports that the message writes, in decimal or a byte at a time, to where it came from, or to a port that
    /// is meant where none is written.
    fn check_named(&self, stage: &FakeContext, bytes: &[u8], of: impl Fn() -> String) {
        if stage.doors.is_empty() {
            return;
        }
        let runs = bytes.split(|byte| !byte.is_ascii_digit()).filter_map(|run| std::str::from_utf8(run).ok());
        let numbers: Vec<u32> = runs.filter_map(|run| run.parse().ok()).collect();
        let is_named = |port: u16| {
            let [high, low] = port.to_be_bytes().map(u32::from);
            port == stage.session.inside_local.port()
                || self.row.ports().iter().any(|meant| meant.port == port)
                || numbers.contains(&u32::from(port))
                || numbers.contains(&high) && numbers.contains(&low)
        };
        for (door, _) in &stage.doors {
            // The second of a pair is written too, but where it belongs to a line of media; that may be of several.
            let (port, is_line) = (door.inside.port(), matches!(door.owner, Owner::Part(..)));
            let ahead_max = if is_line { 6 } else { 0 };
            let is_first_named = (0..=ahead_max).any(|ahead| is_named(port.saturating_sub(ahead)));
            let is_pair = door.ports == Ports::Pair && !is_line;
            let is_all_named = is_first_named && (!is_pair || is_named(port + 1));
            assert!(is_all_named, "{}: a door that nobody announced: {door:?}", of());
        }
    }

    /// Every beginning of it.
    pub fn every_prefix(&self) {
        for len in 0..=self.bytes.len() {
            self.try_instead(&self.bytes[..len], || format!("the first {len} bytes"));
        }
    }

    /// Every bit of it, the other way.
    pub fn every_bit(&self) {
        each_bit_flip(self.bytes, 1, |flipped, how| self.try_instead(flipped, how));
    }
}

fn port_count(stage: &FakeContext) -> usize {
    stage.doors.iter().map(|(door, _)| if door.ports == Ports::Pair { 2 } else { 1 }).sum()
}

/// Doors lead to the session's own inside host, to ports that may be opened, for a while.
pub fn check_doors(stage: &FakeContext, of: impl Fn() -> String) {
    let own = stage.session.inside_local.ip();
    for (door, _) in stage.doors.iter().chain(stage.asked()) {
        assert!(door.inside.ip() == own, "{}: a door for another host", of());
        let is_low = door.inside.port() < 1024;
        assert!(!is_low || door.ports == Ports::Reserved, "{}: a door to port {}", of(), door.inside.port());
        let life_max_s = if matches!(door.owner, Owner::Session(_)) { 3600 } else { LIFE_MAX_S };
        assert!((1..=life_max_s).contains(&door.life_s) && door.uses_max > 0, "{}: {door:?}", of());
    }
    let other = stage.session.outside_global.ip();
    for expected in &stage.expected {
        assert!(expected.outside.ip() == other, "{}: another host's endpoint is expected", of());
        let is_lasting = expected.life_s > 0 && expected.life_s <= 3600;
        // Reserved ports from 512 on are those of rcmd's clients; services are below.
        assert!(expected.outside.port() >= 512 && is_lasting, "{}: {expected:?}", of());
    }
}

/// Flips every bit, or one of so many, and says which.
pub fn each_bit_flip(bytes: &[u8], step: usize, mut check: impl FnMut(&[u8], &dyn Fn() -> String)) {
    let mut flipped = bytes.to_vec();
    for bit in (0..bytes.len() * 8).step_by(step) {
        flipped[bit / 8] ^= 1 << (bit % 8);
        check(&flipped, &|| format!("bit {bit} flipped"));
        flipped[bit / 8] ^= 1 << (bit % 8);
    }
}
