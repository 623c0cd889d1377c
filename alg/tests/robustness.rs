//! What every gateway owes: for each message of its corpus, every prefix, every single-bit flip and every two-way
//! split neither panics, nor opens a door that it should not, nor edits out of bounds.

mod stage;

use alg::registry::READS_PER_BYTE_MAX;
use alg::{Framing, Message, Row, Side, State, Transport, registry};
use stage::damage::{Damaged, check_doors, each_bit_flip};
use stage::script::{Script, corpus};
use stage::{Conversation, FakeContext, session};

fn stage(row: &Row, script: &Script) -> FakeContext {
    let mut stage = FakeContext::new(session(script.transport, script.client, row.ports()[0].port));
    stage.port_shift = 1000;
    stage
}

/// Plays a script, with its thing number `n` split at `split`. Returns what reached the client and the server, too.
fn played(
    row: &'static Row,
    script: &Script,
    n: usize,
    split: usize,
) -> (Conversation<'static>, [Vec<u8>; 2]) {
    let mut conversation = Conversation::new(row, stage(row, script), script.client);
    let mut streams = [Vec::new(), Vec::new()];
    for (m, (by_client, bytes)) in script.said.iter().enumerate() {
        let (head, tail) = bytes.split_at(if m == n { split } else { 0 });
        if !head.is_empty() {
            streams[usize::from(*by_client)].extend(conversation.send(*by_client, head));
        }
        streams[usize::from(*by_client)].extend(conversation.send(*by_client, tail));
    }
    (conversation, streams)
}

/// A message of a corpus.
struct Sample<'s> {
    script: &'s Script,
    damaged: Damaged<'s>,
}

impl Sample<'_> {
    fn framing(&self, bytes: &[u8], how: &str) -> Framing {
        let Damaged { row, before, name, .. } = &self.damaged;
        let framing = (row.framing)(before, &self.damaged.message(bytes));
        match framing {
            Framing::Message(len) | Framing::Opaque(len) => assert!(len > 0, "{name}, {how}: {framing:?}"),
            Framing::Line(len_max) => assert!(len_max > bytes.len(), "{name}, {how}: {framing:?}"),
            Framing::Incomplete | Framing::Foreign => {}
        }
        framing
    }

    /// The framing of a beginning is that of the whole, or not known yet.
    fn check_beginnings(&self, bytes: &[u8], how: impl AsRef<str>) {
        let how = how.as_ref();
        let whole = self.framing(bytes, how);
        for len in 1..bytes.len() {
            let part = self.framing(&bytes[..len], how);
            let of = format!("{}, {how}, of which {len} bytes came", self.damaged.name);
            let is_open = matches!(part, Framing::Incomplete | Framing::Line(_));
            assert!(part == whole || is_open, "{of}: {part:?}, then {whole:?}");
            if let (Framing::Message(whole), true) = (whole, is_open) {
                assert!(len < whole, "{of}: held though whole");
            }
            if let Framing::Line(len_max) = part
                && !bytes[len..].contains(&b'\n')
                && bytes.len() < len_max
            {
                assert!(matches!(whole, Framing::Line(_)), "{of}: a line feed was asked for, and none came");
            }
        }
    }
}

fn each_sample(check: impl Fn(&Sample)) {
    for row in registry::ROWS {
        let scripts = corpus(row);
        assert!(!scripts.is_empty(), "{} has no corpus", row.name);
        for script in &scripts {
            let (conversation, _) = played(row, script, 0, 0);
            assert!(!conversation.messages.is_empty(), "{} says nothing", script.path.display());
            for (n, (by_client, bytes, before)) in conversation.messages.iter().enumerate() {
                let name = format!("{}, message {n}", script.path.display());
                let fresh = || stage(row, script);
                let client = script.client;
                let damaged = Damaged::new(row, &fresh, client, (*by_client, bytes, before), name);
                check(&Sample { script, damaged });
            }
        }
    }
}

#[test]
fn every_script_is_understood() {
    for row in registry::ROWS {
        for script in corpus(row) {
            let (conversation, _) = played(row, &script, 0, 0);
            check_doors(&conversation.stage, || row.name.to_string());
            let has_detached = conversation.refusals.iter().any(|refusal| refusal.detaches());
            assert!(!has_detached, "{}: {:?}", script.path.display(), conversation.refusals);
        }
    }
}

#[test]
fn every_prefix() {
    each_sample(|sample| sample.damaged.every_prefix());
}

#[test]
fn every_bit() {
    each_sample(|sample| sample.damaged.every_bit());
}

#[test]
fn the_framing_of_a_part_is_that_of_the_whole() {
    each_sample(|sample| {
        if sample.script.transport == Transport::Udp {
            return;
        }
        let bytes = sample.damaged.bytes;
        sample.check_beginnings(&[bytes, bytes].concat(), "twice");
        each_bit_flip(bytes, 7, |flipped, how| sample.check_beginnings(flipped, how()));
    });
}

/// Bytes that framing reads when a message's bytes come one by one, and how many there are until the framing is known.
fn read_count(row: &Row, state: &State, by_client: bool, bytes: &[u8]) -> (usize, usize) {
    let (mut read, mut wanted, mut ends_line) = (0, 1, false);
    for len in 1..=bytes.len() {
        if len < wanted && !(ends_line && bytes[len - 1] == b'\n') {
            continue;
        }
        read += len;
        let message = Message { bytes: &bytes[..len], from: Side::Outside, by_client };
        (wanted, ends_line) = match (row.framing)(state, &message) {
            Framing::Incomplete => (len + 1, false),
            Framing::Line(len_max) => (len_max, true),
            Framing::Message(whole) if whole > len => (whole, false),
            _ => return (read, len),
        };
    }
    (read, bytes.len())
}

/// Whoever sends bytes one by one costs a bounded number of reads for each.
#[test]
fn a_byte_is_read_so_many_times_at_most() {
    let long = vec![b'a'; 1 << 16];
    let of_lines =
        |head: &str, line: &str| [head, &line.repeat((1 << 16) / line.len())].concat().into_bytes();
    let hostile = [
        [b"SETUP ", &long[..]].concat(),
        [b"SETUP rtsp://a RTSP/1.0\r\nA: ", &long[..]].concat(),
        of_lines("SETUP rtsp://a RTSP/1.0\n", "a\n"),
        of_lines("SETUP rtsp://a RTSP/1.0\nContent-Length: 60000\n\n", "\n"),
        [b"INVITE sip:", &long[..]].concat(),
        [b"INVITE sip:a SIP/2.0\r\nv:", &long[..]].concat(),
        of_lines("INVITE sip:a SIP/2.0\n", "\n"),
        of_lines("INVITE sip:a SIP/2.0\n", "v:\n"),
        of_lines("SIP/2.0 200 OK\nl: 60000\n\n", "\n"),
        of_lines("", "\r\n"),
        of_lines(&format!("SETUP rtsp://a RTSP/1.0\nA: {}\n", "a".repeat(16_000)), "\n\r"),
        [b"USER ", &long[..]].concat(),
        [b"220 ", &long[..]].concat(),
        [0xff, 0xf1].repeat(1 << 15),
        [&[0xff, 0xff, 0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0][..], &long].concat(),
        long.clone(),
    ];
    each_sample(|sample| {
        if sample.script.transport == Transport::Udp {
            return;
        }
        let own = [sample.damaged.bytes.to_vec(), [sample.damaged.bytes, &long[..]].concat()];
        for bytes in hostile.iter().chain(&own) {
            let (read, len) =
                read_count(sample.damaged.row, sample.damaged.before, sample.damaged.by_client, bytes);
            let per_byte = read / len;
            assert!(per_byte <= READS_PER_BYTE_MAX, "{}: {read} reads of {len} bytes", sample.damaged.name);
        }
    });
}

#[test]
fn every_split_gives_the_same_streams() {
    for row in registry::ROWS {
        for script in corpus(row).iter().filter(|script| script.transport == Transport::Tcp) {
            let (whole, streams) = played(row, script, 0, 0);
            for (n, (_, bytes)) in script.said.iter().enumerate() {
                for split in 1..bytes.len() {
                    let of = format!("{}, part {n}, split at {split}", script.path.display());
                    let (parts, heard) = played(row, script, n, split);
                    assert_eq!(heard, streams, "{of}");
                    assert_eq!(parts.stage.doors, whole.stage.doors, "{of}");
                    assert_eq!(
                        (parts.refusals, parts.state),
                        (whole.refusals.clone(), whole.state.clone()),
                        "{of}"
                    );
                }
            }
        }
    }
}
