//! Real traffic: the control sessions of captures are understood, and change nowhere but where they should.
//!
//! The captures are no part of the project. `PORTICO_CAPTURES` names the folder that has them, one folder for each
//! gateway; `deploy/test --captures DIR` sets it.

mod stage;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::{Path, PathBuf};

use alg::{Refusal, Row, Session, Side, Transport, registry};
use stage::damage::Damaged;
use stage::{Conversation, FakeContext, INSIDE_GLOBAL};

/// Captures of what is not sound, and why their messages are refused; some of them, where there are several reasons.
const UNSOUND: &[(&str, &[Refusal])] = &[
    ("heap_overflow", &[Refusal::Malformed]),
    ("long_and_bad_commands", &[Refusal::Foreign]),
    ("bad_content_length", &[Refusal::Malformed]),
    ("fuzzed_udp_2594", &[Refusal::Malformed, Refusal::Foreign, Refusal::TooLong]),
];

/// What one host sent.
struct Packet {
    transport: Transport,
    src: SocketAddrV4,
    dst: SocketAddrV4,
    sequence: u32,
    payload: Vec<u8>,
}

fn packets(path: &Path) -> Vec<Packet> {
    let frames = capture_file::read(path, capture_file::is_known).unwrap_or_else(|error| panic!("{error}"));
    frames.iter().filter_map(|frame| frame.ipv4().and_then(read)).collect()
}

/// Reads an IPv4 packet of TCP or UDP that is no fragment.
fn read(ip: &[u8]) -> Option<Packet> {
    let word = |bytes: &[u8], at: usize| Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]));
    let is_fragment = word(ip, 6)? & 0x3fff != 0;
    if ip.first()? >> 4 != 4 || is_fragment {
        return None;
    }
    let body = ip.get(usize::from(ip[0] & 15) * 4..usize::from(word(ip, 2)?).min(ip.len()))?;
    let addr = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(ip.get(at..at + 4)?).ok()?));
    let (transport, head_len, sequence) = match ip[9] {
        6 => (
            Transport::Tcp,
            usize::from(body.get(12)? >> 4) * 4,
            u32::from(word(body, 4)?) << 16 | u32::from(word(body, 6)?),
        ),
        17 => (Transport::Udp, 8, 0),
        _ => return None,
    };
    Some(Packet {
        transport,
        src: SocketAddrV4::new(addr(12)?, word(body, 0)?),
        dst: SocketAddrV4::new(addr(16)?, word(body, 2)?),
        sequence,
        payload: body.get(head_len..)?.to_vec(),
    })
}

/// A control session that is played, and where each direction's stream has come to.
struct Played {
    conversation: Conversation<'static>,
    sequences: [Option<u32>; 2],
    said: [Vec<u8>; 2],
    heard: [Vec<u8>; 2],
}

impl Played {
    fn new(row: &'static Row, transport: Transport, ends: [SocketAddrV4; 2], client: Side) -> Played {
        let [inside, outside] = if client == Side::Inside { ends } else { [ends[1], ends[0]] };
        let session = Session {
            transport,
            inside_local: inside,
            inside_global: SocketAddrV4::new(INSIDE_GLOBAL, inside.port()),
            outside_local: outside,
            outside_global: outside,
            through: None,
        };
        let conversation = Conversation::new(row, FakeContext::new(session), client);
        Played { conversation, sequences: [None; 2], said: Default::default(), heard: Default::default() }
    }

    /// Gives a packet to the gateway; what a stream has already, is left out.
    fn send(&mut self, by_client: bool, packet: &Packet) {
        let n = usize::from(by_client);
        let is_stream = packet.transport == Transport::Tcp;
        let expected = self.sequences[n].filter(|_| is_stream).unwrap_or(packet.sequence);
        let known_len = expected.wrapping_sub(packet.sequence);
        if is_stream && known_len as usize >= packet.payload.len().max(1) {
            return;
        }
        let new = &packet.payload[known_len as usize..];
        self.sequences[n] = Some(expected.wrapping_add(new.len() as u32));
        self.said[n].extend(new);
        self.heard[n].extend(self.conversation.send(by_client, new));
    }
}

/// Plays a capture, with this side's host as the client.
fn play(row: &'static Row, path: &Path, side: Side) -> Vec<Played> {
    let mut sessions: BTreeMap<(SocketAddrV4, SocketAddrV4), Played> = BTreeMap::new();
    for packet in packets(path).iter().filter(|packet| !packet.payload.is_empty()) {
        let serves = |endpoint: SocketAddrV4| {
            row.ports().iter().any(|p| p.transport == packet.transport && p.port == endpoint.port())
        };
        let (client, server, by_client) = match (serves(packet.dst), serves(packet.src)) {
            (true, _) => (packet.src, packet.dst, true),
            (_, true) => (packet.dst, packet.src, false),
            _ => continue,
        };
        // Where both have the port of servers, whoever began is the client.
        let is_answer = sessions.contains_key(&(server, client));
        let (client, server) = if is_answer { (server, client) } else { (client, server) };
        let session = sessions
            .entry((client, server))
            .or_insert_with(|| Played::new(row, packet.transport, [client, server], side));
        session.send(by_client != is_answer, packet);
    }
    sessions.into_values().collect()
}

fn captures(row: &Row, folder: &Path) -> Vec<PathBuf> {
    capture_file::below(&folder.join(row.name)).unwrap_or_else(|error| panic!("{error}"))
}

/// What the outside host heard, with the inside host's address back in its place. No port changes on this stage.
fn localised(heard: &[u8], local: Ipv4Addr) -> Vec<u8> {
    let text: String = heard.iter().map(|byte| char::from(*byte)).collect();
    let commas = |addr: Ipv4Addr| addr.to_string().replace('.', ",");
    let text = text.replace(&commas(INSIDE_GLOBAL), &commas(local));
    text.replace(&INSIDE_GLOBAL.to_string(), &local.to_string()).chars().map(|c| c as u8).collect()
}

/// Without the numbers that tell how long bodies are: they follow the addresses in these.
fn without_lengths(said: &[u8]) -> String {
    let text: String = said.iter().map(|byte| char::from(*byte)).collect();
    let tells_length = |line: &str| {
        line.split_once(':')
            .is_some_and(|(name, _)| ["content-length", "l"].contains(&name.trim().to_lowercase().as_str()))
    };
    text.split('\n').map(|line| if tells_length(line) { "" } else { line }).collect::<Vec<_>>().join("\n")
}

#[test]
fn sound_traffic_is_understood() {
    let Some(folder) = capture_file::folder() else { return };
    for row in registry::ROWS.iter().filter(|row| ["ftp", "tftp", "rtsp", "rcmd", "sip"].contains(&row.name))
    {
        for path in captures(row, &folder) {
            let unsound = UNSOUND.iter().find(|(name, _)| path.file_stem().is_some_and(|stem| stem == *name));
            for played in play(row, &path, Side::Inside) {
                let conversation = &played.conversation;
                let end = conversation.refusals.iter().find(|refusal| refusal.detaches());
                // What is damaged on purpose is so in part.
                let is_as_known = end.is_none_or(|end| unsound.is_some_and(|(_, known)| known.contains(end)));
                assert!(is_as_known, "{}: {end:?}", path.display());
                assert!(
                    unsound.is_none_or(|(_, known)| known.len() > 1 || end.is_some()),
                    "{}",
                    path.display()
                );
                let own = conversation.stage.session.inside_local;
                assert!(conversation.stage.doors.iter().all(|(door, _)| door.inside.ip() == own.ip()));
                for n in 0..2 {
                    let restored = without_lengths(&localised(&played.heard[n], *own.ip()));
                    let said = without_lengths(&played.said[n]);
                    assert_eq!(restored, said, "{}, direction {n}", path.display());
                }
                let doors: Vec<_> =
                    conversation.stage.asks.iter().map(|door| (door.inside, door.ports)).collect();
                println!(
                    "{}: {own} asked for {doors:?}, refused {:?}",
                    path.display(),
                    conversation.refusals
                );
            }
        }
    }
}

/// Does something with every message of every capture that has a gateway, either end inside.
fn each_message(check: impl Fn(&Damaged)) {
    let Some(folder) = capture_file::folder() else { return };
    for row in registry::ROWS {
        let (mut count, mut len_total) = (0, 0);
        for path in captures(row, &folder) {
            for side in [Side::Inside, Side::Outside] {
                for Played { conversation, .. } in play(row, &path, side) {
                    let session = conversation.stage.session;
                    let fresh = || FakeContext::new(session);
                    for (n, (by_client, bytes, before)) in conversation.messages.iter().enumerate() {
                        let name = format!("{}, {side:?} client, message {n}", path.display());
                        check(&Damaged::new(row, &fresh, side, (*by_client, bytes, before), name));
                        (count, len_total) = (count + 1, len_total + bytes.len());
                    }
                }
            }
        }
        println!("{}: {count} messages of {len_total} bytes", row.name);
    }
}

#[test]
fn every_prefix_of_a_captured_message() {
    each_message(|message| message.every_prefix());
}

#[test]
fn every_bit_of_a_captured_message() {
    each_message(|message| message.every_bit());
}
