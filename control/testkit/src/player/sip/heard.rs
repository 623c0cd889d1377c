//! What the outside host reads in a message of the inside host: the inside host's endpoints as they are to be found outside, with
//! doors where it is told of any, and nothing else that is not as it was said.

use std::net::{Ipv4Addr, SocketAddrV4};

use dataplane::message::DoorRow;

use super::compare::{Read, compare};
use super::read::{Message, Place, Role};
use super::words::SIP_PORT;
use crate::packet::{TCP, UDP};
use crate::player::play::{Player, protocol_of};
use crate::player::shown::excerpt;

/// Requests whose sender must be reached where their Contact says, if they have one.
const BEGINNINGS: &[&str] = &["INVITE", "SUBSCRIBE", "REFER", "REGISTER"];

/// Where a message came from and by.
#[derive(Clone, Copy)]
pub struct Way {
    /// The IP protocol.
    pub protocol: u8,
    /// The inside host's endpoint, as the inside sees it.
    pub local: SocketAddrV4,
    /// As the outside does.
    pub global: SocketAddrV4,
    /// Who heard it.
    pub outside: Ipv4Addr,
}

impl Player {
    /// A message of an inside host came out.
    pub(in crate::player) fn sip_heard(&mut self, way: Way, said: &[u8], heard: &[u8]) {
        let own = self.statics.get(way.local.ip()).copied().unwrap_or(*way.global.ip());
        self.sip_only(said, heard, (*way.local.ip(), own));
        let refused = self.bench.appliance.counters.iter().flat_map(|counters| &counters.gateways);
        let refused: u64 = refused
            .flat_map(|gateway| gateway.refused.iter().chain(&gateway.detached))
            .map(|count| count.value())
            .sum();
        let is_refused = std::mem::replace(&mut self.refused, refused) != refused;
        if is_refused && said == heard {
            // That it was refused is judged where all is known.
            self.rewritten.insert(*way.local.ip());
            let message = Message::read(said, way.protocol == TCP);
            for place in message.iter().flat_map(|message| &message.places) {
                let text = &said[place.at.clone()];
                self.words.note(place.role, text, text);
            }
            return;
        }
        let Some(message) = Message::read(said, way.protocol == TCP) else {
            if said != heard {
                self.complain(format!("what is no message changed: {}", excerpt(heard)));
            }
            return;
        };
        let reads = match compare(&message, heard) {
            Ok(reads) => reads,
            Err(why) => return self.complain(format!("{} {}: {why}", message.method, way.outside)),
        };
        if way.protocol == UDP {
            self.signalling.insert((UDP, way.local));
        }
        let open = self.bench.doors();
        self.note_doors(&open);
        for read in &reads {
            let place = &message.places[read.place];
            let (was, is) = (&said[place.at.clone()], &heard[read.heard.clone()]);
            self.report.edits += usize::from(was != is);
            if let Err(why) = self.sip_place(&message, (place, read), (was, is), (way, &open)) {
                let shown = format!("'{}' became '{}'", excerpt(was), excerpt(is));
                self.complain(format!("{} {:?}: {shown}: {why}", message.method, place.role));
            }
        }
        self.sip_media(&message, &reads, way, &open);
        let body = |bytes: &[u8]| {
            bytes.windows(4).position(|four| four == b"\r\n\r\n").map_or(0, |at| bytes.len() - at - 4)
        };
        let length = message.places.iter().zip(&reads).find(|(place, _)| place.role == Role::Length);
        if let Some((place, read)) = length {
            let number = |bytes: &[u8]| {
                std::str::from_utf8(bytes).ok().and_then(|text| text.parse().ok()).unwrap_or(0usize)
            };
            let (was, is) = (number(&said[place.at.clone()]), number(&heard[read.heard.clone()]));
            // What was wrong is wrong by as much.
            if is + body(said) != was + body(heard) {
                self.complain(format!("a body of {} bytes is said to have {is}", body(heard)));
            }
        }
    }

    /// In a message, damaged or not, nothing changes but numbers, and a host's address into another one with a port.
    pub(in crate::player) fn sip_only(
        &mut self,
        said: &[u8],
        heard: &[u8],
        (own, other): (Ipv4Addr, Ipv4Addr),
    ) {
        let both = [own.to_string(), other.to_string()];
        if stripped(said, &both) != stripped(heard, &both) {
            self.accuse(format!(
                "more than endpoints changed: {} became {}",
                said.escape_ascii(),
                heard.escape_ascii()
            ));
        }
    }

    /// Judges a place.
    fn sip_place(
        &mut self,
        message: &Message,
        (place, read): (&Place, &Read),
        (was, is): (&[u8], &[u8]),
        (way, open): (Way, &[DoorRow]),
    ) -> Result<(), String> {
        if matches!(place.role, Role::Length | Role::MayTellReports(_)) {
            return Ok(());
        }
        let own = place.addr.filter(|addr| self.scenario.inside.contains(addr));
        let may_change = !matches!(place.role, Role::Received | Role::Rport | Role::RequestUri);
        let Some(own) = own.filter(|_| may_change) else {
            return if was == is { Ok(()) } else { Err("it is not the inside host's to change".into()) };
        };
        let own_global = self.statics.get(&own).copied().unwrap_or(*way.global.ip());
        if place.host.is_some() {
            self.rewritten.insert(own);
            if read.addr != Some(own_global) {
                return Err(format!("{own} is {own_global} outside"));
            }
        }
        self.words.note(place.role, was, is);
        let protocol = if place.is_tcp { TCP } else { UDP };
        match place.role {
            Role::Host | Role::Media(_) | Role::Reports(_) => Ok(()),
            Role::Name => match (place.port, read.port) {
                (None, None) => Ok(()),
                (Some(port), Some(now)) => {
                    let ports = self.global_ports(protocol, SocketAddrV4::new(own, port), open);
                    if port == now || ports.contains(&now) {
                        Ok(())
                    } else {
                        Err("it is nobody's port".into())
                    }
                }
                _ => Err("a name has a port now, or none any more".into()),
            },
            Role::Candidate => {
                let local = SocketAddrV4::new(own, place.port.unwrap_or(0));
                let ports = self.global_ports(protocol, local, open);
                let is_right = read.port.is_some_and(|port| ports.contains(&port));
                if is_right { Ok(()) } else { Err(format!("{local} has {ports:?}")) }
            }
            _ => {
                let local = SocketAddrV4::new(own, place.port.unwrap_or(SIP_PORT));
                let port = read.port.unwrap_or(SIP_PORT);
                let opens = matches!(place.role, Role::Contact | Role::Via { is_answered_there: true });
                if opens {
                    self.signalling.insert((protocol, local));
                }
                let ports = self.global_ports(protocol, local, open);
                let is_written = port == local.port() && ports.is_empty();
                // A message may have closed the door that it still names.
                let was = self.door_ports.contains(&(protocol, local, port));
                let is_of_no_use = !is_due(message, place.role) && (is_written || was);
                if is_of_no_use || ports.contains(&port) {
                    Ok(())
                } else {
                    Err(format!("{local} has {ports:?}"))
                }
            }
        }
    }

    /// The global ports by which an inside endpoint is reached, or sends.
    fn global_ports(&self, protocol: u8, local: SocketAddrV4, open: &[DoorRow]) -> Vec<u16> {
        let is_it = |door: &&DoorRow| {
            (door.protocol, door.inside_local.addr, door.inside_local.port)
                == (protocol, *local.ip(), local.port())
        };
        let of_doors = open.iter().filter(is_it).map(|door| door.inside_global.port);
        let mapped = self.globals.get(&(protocol, local)).map(|global| global.port());
        let fixed = self.statics.contains_key(local.ip()).then_some(local.port());
        of_doors.chain(mapped).chain(fixed).collect()
    }

    /// Notes the doors of the inside host's media lines.
    fn sip_media(&mut self, message: &Message, reads: &[Read], way: Way, open: &[DoorRow]) {
        for medium in &message.media {
            let Some(addr) = medium.addr.filter(|addr| self.scenario.inside.contains(addr)) else { continue };
            let read = |role: Role| reads.iter().find(|read| message.places[read.place].role == role)?.port;
            let Some(port) = read(Role::Media(medium.line)) else { continue };
            let told = read(Role::Reports(medium.line)).or(read(Role::MayTellReports(medium.line)));
            let reports = medium.reports.map(|local| (local, told.unwrap_or(port.wrapping_add(1))));
            let own = self.statics.get(&addr).copied().unwrap_or(*way.global.ip());
            let protocol = if medium.is_tcp { TCP } else { UDP };
            for (local, global) in std::iter::once((medium.port, port)).chain(reports) {
                let local = SocketAddrV4::new(addr, local);
                let ports = self.global_ports(protocol, local, open);
                if !ports.contains(&global) {
                    self.complain(format!(
                        "media to {local} are announced for port {global}, and it has {ports:?}"
                    ));
                }
                let is_it = |door: &&mut crate::player::judge::DoorState| {
                    door.order.local == local && protocol_of(&door.order) == protocol
                };
                let mut doors = self.doors.iter_mut().filter(is_it).peekable();
                let is_listed = doors.peek().is_some();
                for door in doors {
                    (door.announced, door.peer) = (Some(SocketAddrV4::new(own, global)), Some(way.outside));
                    door.line = Some((message.call.clone(), medium.line));
                }
                if !is_listed && self.scenario.is_judged() {
                    self.complain(format!("media to {local} are announced and not listed"));
                }
            }
        }
    }
}

/// Text without numbers, some addresses and the port behind them, and lines that tell the port of reports.
fn stripped(text: &[u8], addresses: &[String; 2]) -> Vec<u8> {
    let (mut out, mut at) = (Vec::new(), 0);
    while at < text.len() {
        let digits = |from: usize| text[from..].iter().take_while(|byte| byte.is_ascii_digit()).count();
        let is_here = |addr: &&String| {
            text[at..].starts_with(addr.as_bytes())
                && !text.get(at + addr.len()).is_some_and(u8::is_ascii_digit)
        };
        if let Some(addr) = addresses.iter().find(is_here) {
            at += addr.len();
            let port_len = if text.get(at) == Some(&b':') { digits(at + 1) } else { 0 };
            at += if port_len > 0 { 1 + port_len } else { 0 };
            out.push(b'@');
        } else if text[at..].starts_with(b"a=rtcp:") && text[at..].contains(&b'\n') {
            at += text[at..].iter().position(|byte| *byte == b'\n').unwrap_or(0) + 1;
        } else if digits(at) > 0 {
            at += digits(at);
            out.push(b'#');
        } else {
            out.push(text[at]);
            at += 1;
        }
    }
    out
}

/// Whether its peer is to reach the inside host here.
fn is_due(message: &Message, role: Role) -> bool {
    match role {
        Role::Via { is_answered_there } => is_answered_there && message.code.is_none(),
        Role::Contact => {
            let is_removal = message.method == "REGISTER" && message.removes;
            message.code.is_none() && BEGINNINGS.contains(&&*message.method) && !is_removal
        }
        _ => false,
    }
}
