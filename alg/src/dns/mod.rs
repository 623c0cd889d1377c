//! DNS (RFC 1035) through NAT, as RFC 2694 has it: addresses in answers, and names that spell addresses backwards.
//!
//! # Which way means what
//!
//! An address in a message is written for the realm that the message comes from, and is read in the realm that it
//! goes to. So it does not matter who asks and who answers: each address of a message from inside becomes what the
//! outside calls that host, and each address of a message from outside becomes what the inside calls it, where
//! configuration (or a dynamic mapping of the whole address) has a word on it, and stays otherwise.
//!
//! - A server inside answers somebody outside: its inside local addresses become inside global ones.
//! - A server outside answers a subscriber: an inside global address becomes the inside local one, so that
//!   subscribers reach each other's published names without a detour, and under twice NAT an outside global address
//!   becomes the outside local one. Under a rule with a pool for outside sources, an outside host that an answer to a
//!   subscriber names gets its outside local address then: overlapping networks reach each other by name.
//! - Somebody outside asks a server inside for the name of a global address (`1.113.0.203.in-addr.arpa`): the
//!   question becomes that for the inside local address, which the server knows, and the question and the owners of
//!   the records in its answer become what was asked. A subscriber's question to the outside goes the other way.
//! - What subscribers look up every day names nobody that configuration knows, and passes byte for byte.
//!
//! # What is changed
//!
//! Records and questions of class IN, in all sections: addresses in A records and the `ipv4hint` of HTTPS and SVCB
//! records are overwritten in place. Names of exactly four octets before `in-addr.arpa` are spelled anew wherever
//! names may be compressed, pointers and lengths are put right, and an answer that grows past what the asker takes in
//! a datagram becomes an empty one with TC set. Names of reverse zones (three octets and fewer) are no addresses and
//! stay, as do APL records and the client subnet option. The header stays, but for TC.
//!
//! Times to live: a record changed by a static line keeps its own; one changed by a dynamic mapping gets 0 (RFC 2694).
//! Aliases (CNAME) keep theirs. With `ip nat service dns-reset-ttl` the changed records and the aliases of a message
//! that changes get 0, static or not. In zone transfers only static lines change anything.
//!
//! # What is not changed
//!
//! Signed messages (RRSIG, SIG, TSIG), and those whose server vouches for them (AD) to an asker who minds (DO): they
//! are refused, and counted, if something in them should change. Dynamic updates, notifications and other operations
//! pass as they are.

mod data;
mod edits;
mod message;
mod name;
mod rename;
mod rewrite;
mod survey;

use arrayvec::ArrayVec;

use crate::registry::{Attach, Port, Reads, Row};
use crate::{Context, Framing, Handled, Message, Refusal, Side, State, Transport};
use edits::{Edits, PREFIX_LEN};
use message::{HEADER_LEN, Header, Opcode};
use rewrite::Rewrite;
use survey::{PAYLOAD_SIZE_MIN, Survey};

/// The row of DNS.
pub(crate) const ROW: Row = Row {
    name: "dns",
    label: "DNS",
    keyword: "dns {}",
    attach: Attach::Ports(&[
        Port { transport: Transport::Udp, port: 53 },
        Port { transport: Transport::Tcp, port: 53 },
    ]),
    is_ietf: false,
    reads: Reads::MappedAddresses,
    state: || State::Dns {
        payload_size_max: PAYLOAD_SIZE_MIN,
        asked: ArrayVec::new_const(),
        signed: ArrayVec::new_const(),
    },
    framing,
    handle,
    about: "Translates addresses in answers, and names that spell addresses backwards in questions and answers, \
            where configuration maps them; signed messages stay.",
    standards: "RFC 1035, 2694, 6891",
    kinds: &[],
};

/// A message has its length in front of it, in two bytes.
fn framing(_: &State, message: &Message) -> Framing {
    let Some((prefix, rest)) = message.bytes.split_first_chunk::<PREFIX_LEN>() else {
        return Framing::Incomplete;
    };
    let len = usize::from(u16::from_be_bytes(*prefix));
    if len < HEADER_LEN {
        return Framing::Foreign;
    }
    if rest.len() < HEADER_LEN {
        return Framing::Incomplete;
    }
    match Header::read(rest, len) {
        Some(header) if is_in_turn(&header, message.by_client) => {}
        _ => return Framing::Foreign,
    }
    Framing::Message(PREFIX_LEN + len)
}

/// In a stream clients ask and servers answer.
fn is_in_turn(header: &Header, by_client: bool) -> bool {
    header.opcode == Opcode::Stateful || header.is_response() != by_client
}

fn handle(state: &mut State, message: &Message, context: &mut dyn Context) -> Result<Handled, Refusal> {
    let mut edits = Edits::new(context, message.from);
    let bytes = if edits.is_stream() { unprefixed(message.bytes)? } else { message.bytes };
    let header = Header::read(bytes, bytes.len()).ok_or(Refusal::Foreign)?;
    if header.opcode != Opcode::Query {
        return Ok(Handled::Continue);
    }
    let State::Dns { payload_size_max, asked, signed } = state else { return Ok(Handled::Continue) };
    edits.may_bind = is_awaited(asked, message, &header);
    let survey = Survey::new(bytes, &header, &mut edits)?;
    let is_covered = edits.is_stream() && note_signed(signed, &header, survey.has_tsig);
    if !header.is_response() {
        *payload_size_max = survey.payload_size_max;
    }
    // A stream's answers have all the room there is.
    let is_bounded = header.is_response() && !edits.is_stream();
    let size_max = is_bounded.then_some(usize::from(*payload_size_max));
    if !survey.has_changes {
        return Ok(Handled::Continue);
    }
    if survey.is_authenticated || is_covered {
        return Err(Refusal::Signed);
    }
    Rewrite { bytes, header: &header, survey: &survey }.apply(&mut edits, size_max)?;
    Ok(Handled::Continue)
}

/// Whether a message is the first answer to what a subscriber asked. Notes what subscribers ask, and forgets what was asked
/// longest ago.
fn is_awaited<const N: usize>(asked: &mut ArrayVec<u16, N>, message: &Message, header: &Header) -> bool {
    match (message.from, message.by_client, header.is_response()) {
        (Side::Inside, true, false) => {
            if asked.is_full() {
                asked.pop_at(0);
            }
            asked.push(header.id);
            false
        }
        (Side::Outside, false, true) => {
            let position = asked.iter().position(|&id| id == header.id);
            position.and_then(|position| asked.pop_at(position)).is_some()
        }
        _ => false,
    }
}

/// Whether a signature covers a stream's message, its own or another one's of its transfer.
fn note_signed<const N: usize>(signed: &mut ArrayVec<u16, N>, header: &Header, has_tsig: bool) -> bool {
    let known = signed.iter().position(|&id| id == header.id);
    match known {
        // The next question with this number.
        Some(position) if !header.is_response() && !has_tsig => _ = signed.pop_at(position),
        None if has_tsig => {
            if signed.is_full() {
                signed.pop_at(0);
            }
            signed.push(header.id);
        }
        _ => {}
    }
    signed.contains(&header.id)
}

fn unprefixed(bytes: &[u8]) -> Result<&[u8], Refusal> {
    match bytes.split_first_chunk::<PREFIX_LEN>() {
        Some((prefix, rest)) if usize::from(u16::from_be_bytes(*prefix)) == rest.len() => Ok(rest),
        _ => Err(Refusal::Foreign),
    }
}
