//! DNS: damaged and hostile messages, and streams in pieces.

mod dns_messages;
mod stage;

use alg::{Framing, Handled, Message, Refusal, Side, Transport};
use dns_messages::*;
use hickory_proto::rr::rdata::{CNAME, MX, NAPTR, NS, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{RData, RecordType};
use stage::{Conversation, FakeContext, outcome};

const HEADER_ONE_ANSWER: [u8; 12] = [0, 1, 0x80, 0, 0, 1, 0, 1, 0, 0, 0, 0];

/// Messages that change, with all that the gateway reads.
fn samples() -> Vec<Vec<u8>> {
    let host = name("host.example.net.");
    let mut forward = answer(
        name("www.example.net."),
        RecordType::A,
        vec![
            record(name("www.example.net."), RData::CNAME(CNAME(host.clone()))),
            record(host.clone(), a(STATIC.0)),
            record(host.clone(), a(DYNAMIC.0)),
            record(host.clone(), https([STATIC.0, ALIKE.0])),
        ],
    );
    forward.add_name_server(record(name("example.net."), RData::NS(NS(name("ns.example.net.")))));
    forward.add_additional(record(name("ns.example.net."), a(TWICE.0))).set_edns(edns(1232, false));
    let naptr = NAPTR::new(
        1,
        2,
        b"s".to_vec().into(),
        b"SIP+D2U".to_vec().into(),
        b"".to_vec().into(),
        reverse(ALIKE.0),
    );
    let soa = SOA::new(name("0.0.10.in-addr.arpa."), host.clone(), 1, 2, 3, 4, 5);
    let mut backward = answer(
        reverse(STATIC.0),
        RecordType::PTR,
        vec![
            record(reverse(STATIC.0), RData::CNAME(CNAME(reverse(ALIKE.0)))),
            record(reverse(ALIKE.0), RData::PTR(PTR(host.clone()))),
            record(host.clone(), RData::NAPTR(naptr)),
            record(host.clone(), RData::SRV(SRV::new(1, 2, 3, host.clone()))),
            record(host.clone(), RData::MX(MX::new(1, host.clone()))),
            record(host, RData::TXT(TXT::new(vec!["text".into()]))),
        ],
    );
    backward.add_name_server(record(name("0.0.10.in-addr.arpa."), RData::SOA(soa)));
    let question = query(reverse(DYNAMIC.0), RecordType::PTR);
    [forward, backward, question].map(|message| message.to_vec().expect("encodes")).to_vec()
}

/// Gives a message to the gateway; a refused one must be as it was. Returns what became of it.
fn give(transport: Transport, bytes: &[u8]) -> (Result<Handled, Refusal>, Vec<u8>) {
    let mut stage = stage(transport, Side::Outside);
    let carried = if transport == Transport::Tcp { prefixed(bytes) } else { bytes.to_vec() };
    let (said, out) = outcome(row(), &mut stage, Side::Inside, &carried);
    assert!(said.is_ok() || out == carried);
    let skip = if transport == Transport::Tcp { 2 } else { 0 };
    (said, out[skip..].to_vec())
}

#[test]
fn every_prefix_of_a_message_passes_as_it_is() {
    for transport in [Transport::Udp, Transport::Tcp] {
        for sample in samples() {
            assert_ne!(give(transport, &sample).1, sample);
            for len in 0..sample.len() {
                let (said, out) = give(transport, &sample[..len]);
                assert!(matches!(said, Err(Refusal::Foreign | Refusal::Malformed)), "{len}: {said:?}");
                assert_eq!(out, &sample[..len]);
            }
        }
    }
}

/// Old types whose names the gateway reads, and the library does not.
fn has_names_beyond_the_reader(message: &hickory_proto::op::Message) -> bool {
    let records = message.answers().iter().chain(message.name_servers()).chain(message.additionals());
    records
        .map(|record| u16::from(record.record_type()))
        .any(|kind| matches!(kind, 3 | 4 | 7..=9 | 14 | 17 | 18 | 21 | 26 | 36 | 39))
}

#[test]
fn every_flipped_bit_changes_what_the_message_says_and_nothing_else() {
    for transport in [Transport::Udp, Transport::Tcp] {
        let (mut compared, mut all) = (0, 0);
        for sample in samples() {
            for bit in 0..sample.len() * 8 {
                let mut flipped = sample.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                all += 1;
                let (said, out) = give(transport, &flipped);
                let Ok(message) = hickory_proto::op::Message::from_vec(&flipped) else { continue };
                let is_transfer = message
                    .queries()
                    .iter()
                    .any(|query| matches!(query.query_type(), RecordType::AXFR | RecordType::IXFR));
                if said.is_err()
                    || is_transfer
                    || has_names_beyond_the_reader(&message)
                    || read(Transport::Udp, &out).truncated()
                {
                    continue;
                }
                let stage = stage(transport, Side::Outside);
                let wanted = expected(&stage, Side::Inside, &message);
                assert_eq!(read(Transport::Udp, &out), wanted, "bit {bit} of {sample:02x?}");
                compared += 1;
            }
        }
        assert!(compared * 2 > all, "{compared} of {all} compared");
    }
}

#[test]
fn pointers_that_do_not_lead_back_are_refused() {
    let at = HEADER_ONE_ANSWER.len() as u8;
    let names: [&[u8]; 7] = [
        // At itself, and behind its own first label.
        &[0xc0, at],
        &[1, b'x', 0xc0, at],
        &[1, b'x', 0xc0, at + 2],
        // Forwards, past the end, into the header.
        &[0xc0, at + 6],
        &[0xff, 0xff],
        &[0xc0, 2],
        // No label and no pointer.
        &[0x40, 0],
    ];
    for name in names {
        for transport in [Transport::Udp, Transport::Tcp] {
            let mut bytes = HEADER_ONE_ANSWER.to_vec();
            bytes.extend(name);
            bytes.extend([0, 12, 0, 1]);
            bytes.extend([0xc0, at, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 0, 0, 7]);
            assert_eq!(give(transport, &bytes), (Err(Refusal::Malformed), bytes), "{name:02x?}");
        }
    }
}

/// A question, then a record of unknown type that holds `hidden`, then a record at whose place `owner` is the name.
fn with_hidden(hidden: &[u8], owner: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 1, 0x80, 0, 0, 1, 0, 2, 0, 0, 0, 0];
    bytes.extend(b"\x017\x010\x010\x0210\x07in-addr\x04arpa\x00\x00\x0c\x00\x01");
    bytes.extend([0, 0xff, 0x01, 0, 1, 0, 0, 0, 9]);
    bytes.extend((hidden.len() as u16).to_be_bytes());
    bytes.extend(hidden);
    bytes.extend(owner);
    bytes.extend([0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 0, 0, 7]);
    bytes
}

/// Where the hidden bytes are.
const HIDDEN_AT: u16 = 12 + 23 + 4 + 11;

#[test]
fn a_pointer_into_unknown_data_is_refused_when_names_change() {
    let owner = (0xc000 | HIDDEN_AT).to_be_bytes();
    let bytes = with_hidden(b"\x01x\xc0\x0c", &owner);
    assert_eq!(give(Transport::Tcp, &bytes), (Err(Refusal::Malformed), bytes));
    // An owner of its own labels beside the same data is fine, and the data stays.
    let bytes = with_hidden(b"\x01x\xc0\x0c", &[1, b'y', 0xc0, 12]);
    let (said, out) = give(Transport::Tcp, &bytes);
    assert_eq!(said, Ok(Handled::Continue));
    assert!(out.windows(4).any(|window| window == b"\x01x\xc0\x0c"));
    assert_eq!(out[12..12 + 28], *b"\x03117\x03113\x010\x03203\x07in-addr\x04arpa\x00");
}

#[test]
fn long_chains_of_pointers_come_to_an_end() {
    // Each pointer leads to the one before it; the first one to the question.
    let mut hidden = vec![0xc0, 12];
    for n in 0..7000u16 {
        hidden.extend((0xc000 | (HIDDEN_AT + 2 * n)).to_be_bytes());
    }
    let owner = (0xc000 | (HIDDEN_AT + 2 * 7000)).to_be_bytes();
    let bytes = with_hidden(&hidden, &owner);
    assert_eq!(give(Transport::Tcp, &bytes), (Err(Refusal::Malformed), bytes));
}

#[test]
fn a_message_with_more_names_to_change_than_there_is_room_for_passes() {
    let records = (0..200).map(|_| record(reverse(STATIC.0), RData::PTR(PTR(reverse(ALIKE.0))))).collect();
    let bytes = answer(reverse(STATIC.0), RecordType::PTR, records).to_vec().expect("encodes");
    assert_eq!(give(Transport::Tcp, &bytes), (Err(Refusal::EditLimit), bytes));
}

#[test]
fn names_that_move_out_of_the_pointers_reach_are_spelled_out() {
    // The question grows by five bytes; the last record's owner is a pointer to the one before it, which is moved
    // from before the last place that pointers can name to behind it.
    for far_at in 16_370..16_384u16 {
        let mut bytes = vec![0, 1, 0x80, 0, 0, 1, 0, 3, 0, 0, 0, 0];
        bytes.extend(b"\x017\x010\x010\x0210\x07in-addr\x04arpa\x00\x00\x0c\x00\x01");
        bytes.extend([0, 0, 16, 0, 1, 0, 0, 0, 9]);
        let filling = far_at - bytes.len() as u16 - 2;
        bytes.extend(filling.to_be_bytes());
        bytes.extend(vec![0; usize::from(filling)]);
        let rest = [0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 0, 0, 7];
        bytes.extend([&b"\x03far\x03net\x00"[..], &rest].concat());
        bytes.extend([&(0xc000 | far_at).to_be_bytes()[..], &rest].concat());
        let (said, out) = give(Transport::Tcp, &bytes);
        assert_eq!(said, Ok(Handled::Continue), "{far_at}");
        let stage = stage(Transport::Tcp, Side::Outside);
        let message = read(Transport::Udp, &bytes);
        assert_eq!(message.answers()[2].name(), &name("far.net."));
        assert_eq!(read(Transport::Udp, &out), expected(&stage, Side::Inside, &message), "{far_at}");
    }
}

/// A stream's beginning, given to the framing.
fn framing(bytes: &[u8], by_client: bool) -> Framing {
    let row = row();
    (row.framing)(&(row.state)(), &Message { bytes, from: Side::Inside, by_client })
}

#[test]
fn what_does_not_look_like_dns_is_foreign() {
    let question = prefixed(&query(name("www.example.net."), RecordType::A).to_vec().expect("encodes"));
    assert_eq!(framing(&question, true), Framing::Message(question.len()));
    assert_eq!(framing(&[&question[..], b"more"].concat(), true), Framing::Message(question.len()));
    assert_eq!(
        framing(&question[..question.len() - 1], true),
        Framing::Message(question.len()),
        "the rest is to come"
    );
    assert_eq!(framing(&question, false), Framing::Foreign, "servers do not ask");
    let mut odd = question.clone();
    odd[4] = 0x18;
    assert_eq!(framing(&odd, true), Framing::Foreign, "there is no operation 3");
    let mut many = question.clone();
    many[9] = 2;
    assert_eq!(framing(&many, true), Framing::Foreign, "no room for two records");
    let foreign: [&[u8]; 6] = [
        b"\x00\x00",
        b"\x00\x0b",
        b"GET / HTTP/1.1\r\nHost: example.net\r\n\r\n",
        b"POST / HTTP/1.1\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x11\x22\x33\x44\x55\x66",
    ];
    for bytes in foreign {
        assert_eq!(framing(bytes, true), Framing::Foreign, "{bytes:02x?}");
    }
}

/// What a client asks and a server inside answers, several messages each.
fn talk() -> [Vec<u8>; 2] {
    let questions: Vec<u8> = [STATIC, DYNAMIC, ALIKE]
        .iter()
        .flat_map(|(_, global)| wire(Transport::Tcp, &query(reverse(*global), RecordType::PTR)))
        .collect();
    let answers: Vec<u8> = samples()[..2].iter().flat_map(|sample| prefixed(sample)).collect();
    [questions, answers]
}

fn fresh() -> Conversation<'static> {
    let stage: FakeContext = stage(Transport::Tcp, Side::Outside);
    Conversation::new(row(), stage, Side::Outside)
}

#[test]
fn a_stream_in_two_parts_becomes_what_it_becomes_in_one() {
    for (bytes, by_client) in talk().iter().zip([true, false]) {
        let whole = fresh().send(by_client, bytes);
        assert_ne!(&whole, bytes);
        for split in 0..=bytes.len() {
            let mut talk = fresh();
            let mut out = talk.send(by_client, &bytes[..split]);
            out.extend(talk.send(by_client, &bytes[split..]));
            assert_eq!(out, whole, "split at {split}");
            assert_eq!(talk.held(by_client), b"");
        }
        let mut talk = fresh();
        let out: Vec<u8> = bytes.iter().flat_map(|byte| talk.send(by_client, &[*byte])).collect();
        assert_eq!(out, whole, "byte by byte");
    }
}

#[test]
fn a_stream_that_turns_foreign_is_let_go_and_passes() {
    let [questions, _] = talk();
    let mut talk = fresh();
    let translated = talk.client(&questions);
    assert_eq!(talk.messages.len(), 3);
    let rest = b"\x00\x00 whatever follows";
    assert_eq!(talk.client(rest), rest);
    assert!(!talk.is_attached);
    assert_eq!(talk.client(&questions), questions);
    assert_ne!(translated, questions);
}
