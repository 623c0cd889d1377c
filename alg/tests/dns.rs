//! DNS: what becomes of messages, one kind after the other.

mod dns_messages;
mod stage;

use std::net::Ipv4Addr;

use alg::{Counterpart, Handled, Refusal, Side, State, Transport};
use dns_messages::*;
use hickory_proto::op::{Message, OpCode, ResponseCode};
use hickory_proto::rr::rdata::{A, CNAME, MX, NS, NULL, PTR, SOA, SRV, TXT};
use hickory_proto::rr::{DNSClass, RData, Record, RecordType};
use stage::{Conversation, FakeContext};

const TRANSPORTS: [Transport; 2] = [Transport::Udp, Transport::Tcp];
const WWW: &str = "www.example.net.";
const PUBLIC: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 80);

/// Sends a message across, and checks all of what arrives.
fn check(stage: &mut FakeContext, from: Side, message: &Message) -> Message {
    let wanted = expected(stage, from, message);
    let (said, out) = send(stage, from, message);
    assert_eq!(said, Ok(Handled::Continue));
    assert_eq!(out, wanted);
    out
}

/// A message of which nothing may change.
fn check_unchanged(stage: &mut FakeContext, from: Side, message: &Message, said: Result<Handled, Refusal>) {
    let bytes = wire(stage.session.transport, message);
    assert_eq!(stage::outcome(row(), stage, from, &bytes), (said, bytes));
}

fn addresses(message: &Message) -> Vec<(Ipv4Addr, u32)> {
    let records = message.answers().iter().chain(message.name_servers()).chain(message.additionals());
    records.filter_map(|r| Some((r.data().as_a()?.0, r.ttl()))).collect()
}

#[test]
fn addresses_from_a_server_inside_become_global_in_all_sections() {
    for transport in TRANSPORTS {
        let mut stage = stage(transport, Side::Outside);
        let mut message = answer(name(WWW), RecordType::A, vec![record(name(WWW), a(STATIC.0))]);
        message.add_answer(record(name(WWW), a(PUBLIC)));
        message.add_name_server(record(name("example.net."), RData::NS(NS(name("ns.example.net.")))));
        message.add_additional(record(name("ns.example.net."), a(DYNAMIC.0)));
        let out = check(&mut stage, Side::Inside, &message);
        // A static line's record keeps its time to live, a dynamic mapping's has none.
        assert_eq!(addresses(&out), [(STATIC.1, 3600), (PUBLIC, 3600), (DYNAMIC.1, 0)]);
    }
}

#[test]
fn addresses_from_a_server_outside_become_what_the_inside_calls_them() {
    for transport in TRANSPORTS {
        let mut stage = stage(transport, Side::Inside);
        let records = vec![record(name(WWW), a(STATIC.1)), record(name(WWW), a(TWICE.1))];
        let out = check(&mut stage, Side::Outside, &answer(name(WWW), RecordType::A, records));
        assert_eq!(addresses(&out), [(STATIC.0, 3600), (TWICE.0, 3600)]);
    }
}

/// An outside host whose network is the inside's too, and the address of a pool that the inside may know it by.
const POOLED: (Ipv4Addr, Ipv4Addr) = (Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(172, 16, 0, 1));

/// A session to a server outside, with an address for [`POOLED`].
struct Asking {
    stage: FakeContext,
    state: State,
    client: Side,
}

impl Asking {
    fn new(transport: Transport, client: Side) -> Asking {
        let mut stage = stage(transport, client);
        stage.pool.push(POOLED);
        Asking { stage, state: (row().state)(), client }
    }

    /// The subscriber asks.
    fn ask(&mut self, message: &Message) {
        assert_eq!(self.say(self.client, message).0, Ok(Handled::Continue));
    }

    /// Sends a message from one side. Returns what the gateway said, and what arrives.
    fn say(&mut self, from: Side, message: &Message) -> (Result<Handled, Refusal>, Message) {
        let transport = self.stage.session.transport;
        let bytes = wire(transport, message);
        let by_client = from == self.client;
        let message = alg::Message { bytes: &bytes, from, by_client };
        let (said, out) = stage::play(row(), &mut self.state, &mut self.stage, &message);
        (said, read(transport, &out))
    }

    fn has_bound(&self) -> bool {
        self.stage.policy.iter().any(|(_, addr, _)| *addr == POOLED.0)
    }
}

#[test]
fn outside_hosts_get_addresses_of_a_pool_when_subscribers_ask_for_them() {
    for transport in TRANSPORTS {
        let mut asking = Asking::new(transport, Side::Inside);
        let records = || vec![record(name(WWW), a(POOLED.0)), record(name(WWW), a(PUBLIC))];
        let message = answer(name(WWW), RecordType::A, records());
        // Once bound, and from then on, nobody is to keep the address.
        for _ in 0..2 {
            asking.ask(&query(name(WWW), RecordType::A));
            let (said, out) = asking.say(Side::Outside, &message);
            assert_eq!((said, addresses(&out)), (Ok(Handled::Continue), vec![(POOLED.1, 0), (PUBLIC, 3600)]));
        }
        let mut asking = Asking::new(transport, Side::Inside);
        let mut hints = answer(name(WWW), RecordType::HTTPS, vec![record(name(WWW), https([POOLED.0; 2]))]);
        hints.add_answer(record(name(WWW), a(PUBLIC)));
        asking.ask(&query(name(WWW), RecordType::HTTPS));
        let (said, out) = asking.say(Side::Outside, &hints);
        assert_eq!((said, out), (Ok(Handled::Continue), expected(&asking.stage, Side::Outside, &hints)));
        assert!(asking.has_bound());
    }
}

#[test]
fn a_question_has_one_answer_that_gives_addresses() {
    for transport in TRANSPORTS {
        let ask = |id: u16| query(name(WWW), RecordType::A).set_id(id).clone();
        let tell = |id: u16, addr| {
            answer(name(WWW), RecordType::A, vec![record(name(WWW), a(addr))]).set_id(id).clone()
        };
        // Nobody asked; the number was another; it was answered; it was asked too long ago.
        for (asked, told) in [(0..0, 1), (1..5, 7), (1..2, 1), (1..18, 1)] {
            let mut asking = Asking::new(transport, Side::Inside);
            for id in asked.clone() {
                asking.ask(&ask(id));
            }
            if asked.len() == 1 {
                let (said, _) = asking.say(Side::Outside, &tell(told, PUBLIC));
                assert_eq!(said, Ok(Handled::Continue));
            }
            let (said, out) = asking.say(Side::Outside, &tell(told, POOLED.0));
            assert_eq!((said, addresses(&out)), (Ok(Handled::Continue), vec![(POOLED.0, 3600)]), "{asked:?}");
            assert!(!asking.has_bound(), "{asked:?} {told}");
        }
    }
}

#[test]
fn nobody_else_has_outside_hosts_bound() {
    for transport in TRANSPORTS {
        let records = || vec![record(name(WWW), a(POOLED.0))];
        let named = answer(name(WWW), RecordType::A, records());
        let mut asks = query(name(WWW), RecordType::A);
        asks.add_additional(record(name(WWW), a(POOLED.0)));
        let mut signed = named.clone();
        signed.set_edns(edns(1232, true)).set_authentic_data(true);
        let mut transfer = answer(name(WWW), RecordType::AXFR, records());
        transfer.add_answer(record(name(WWW), a(PUBLIC)));
        let mut messages = vec![
            (Side::Outside, Side::Outside, asks.clone(), Ok(Handled::Continue)),
            (Side::Inside, Side::Inside, asks, Ok(Handled::Continue)),
            (Side::Outside, Side::Inside, named.clone(), Ok(Handled::Continue)),
            (Side::Inside, Side::Outside, signed, Err(Refusal::Signed)),
        ];
        match transport {
            // A client that answers; in a stream none may.
            Transport::Udp => messages.push((Side::Outside, Side::Outside, named, Ok(Handled::Continue))),
            Transport::Tcp => messages.push((Side::Inside, Side::Outside, transfer, Ok(Handled::Continue))),
        }
        for (client, from, message, said) in messages {
            let mut asking = Asking::new(transport, client);
            asking.ask(&query(name(WWW), RecordType::A));
            let sent = read(Transport::Udp, &wire(Transport::Udp, &message));
            assert_eq!(asking.say(from, &message), (said, sent), "{client:?} {from:?}");
            assert!(!asking.has_bound(), "{client:?} {from:?} {message:?}");
        }
    }
}

#[test]
fn an_address_that_stays_by_a_static_line_is_not_bound() {
    let mut asking = Asking::new(Transport::Udp, Side::Inside);
    let same = Counterpart { addr: POOLED.0, is_static: true };
    asking.stage.policy.push((Side::Outside, POOLED.0, same));
    asking.ask(&query(name(WWW), RecordType::A));
    let message = answer(name(WWW), RecordType::A, vec![record(name(WWW), a(POOLED.0))]);
    let (_, out) = asking.say(Side::Outside, &message);
    assert_eq!(addresses(&out), [(POOLED.0, 3600)]);
}

#[test]
fn what_subscribers_look_up_every_day_passes_byte_for_byte() {
    for transport in TRANSPORTS {
        let mut stage = stage(transport, Side::Inside);
        check_unchanged(&mut stage, Side::Inside, &query(name(WWW), RecordType::A), Ok(Handled::Continue));
        let mut message = answer(name(WWW), RecordType::A, vec![record(name(WWW), a(PUBLIC))]);
        message.add_answer(record(name(WWW), https([PUBLIC; 2])));
        message.set_edns(edns(1232, true)).set_authentic_data(true);
        check_unchanged(&mut stage, Side::Outside, &message, Ok(Handled::Continue));
        let foreign = query(reverse(PUBLIC), RecordType::PTR);
        check_unchanged(&mut stage, Side::Inside, &foreign, Ok(Handled::Continue));
    }
}

#[test]
fn the_outside_asks_for_the_name_of_a_global_address() {
    for transport in TRANSPORTS {
        for (local, global) in [STATIC, DYNAMIC, ALIKE] {
            let mut stage = stage(transport, Side::Outside);
            let asked = check(&mut stage, Side::Outside, &query(reverse(global), RecordType::PTR));
            assert_eq!(asked.queries()[0].name(), &reverse(local));
            let mut message = answer(
                reverse(local),
                RecordType::PTR,
                vec![record(reverse(local), RData::PTR(PTR(name("host.example.net."))))],
            );
            message.add_name_server(record(name("example.net."), RData::NS(NS(name("ns.example.net.")))));
            message.add_additional(record(name("ns.example.net."), a(STATIC.0)));
            let answered = check(&mut stage, Side::Inside, &message);
            assert_eq!(answered.queries()[0].name(), &reverse(global));
            assert_eq!(answered.answers()[0].name(), &reverse(global));
            assert_eq!(answered.answers()[0].ttl(), if local == DYNAMIC.0 { 0 } else { 3600 });
        }
    }
}

#[test]
fn a_reverse_zone_that_points_into_the_question_keeps_its_name() {
    for transport in TRANSPORTS {
        for (local, global) in [STATIC, ALIKE] {
            let mut stage = stage(transport, Side::Outside);
            let zone = name(reverse(local).to_ascii().split_once('.').expect("labels").1);
            let mut message = answer(reverse(local), RecordType::PTR, Vec::new());
            let soa = SOA::new(zone.clone(), reverse(local), 1, 2, 3, 4, 5);
            message
                .set_response_code(ResponseCode::NXDomain)
                .add_name_server(record(zone.clone(), RData::SOA(soa)));
            message.add_additional(record(zone.clone(), RData::MX(MX::new(10, reverse(local)))));
            let out = check(&mut stage, Side::Inside, &message);
            assert_eq!(out.name_servers()[0].name(), &zone);
            assert_eq!(out.queries()[0].name(), &reverse(global));
        }
    }
}

#[test]
fn only_names_of_exactly_four_octets_spell_addresses() {
    let mut stage = stage(Transport::Udp, Side::Inside);
    for text in [
        "0.0.10.in-addr.arpa.",
        "7.0.0.010.in-addr.arpa.",
        "07.0.0.10.in-addr.arpa.",
        "1.7.0.0.10.in-addr.arpa.",
        "7.0.0.10.in-addr.arpa.example.",
        "7.0.0.10.ip6.arpa.",
        "7.0.0.266.in-addr.arpa.",
        "_dns-sd.7.0.0.10.in-addr.arpa.",
    ] {
        check_unchanged(&mut stage, Side::Inside, &query(name(text), RecordType::PTR), Ok(Handled::Continue));
    }
    let mixed = name("7.0.0.10.iN-aDdR.aRpA.");
    let (_, out) = send(&mut stage, Side::Inside, &query(mixed, RecordType::PTR));
    assert_eq!(out.queries()[0].name().to_ascii(), "117.113.0.203.iN-aDdR.aRpA.");
}

#[test]
fn records_behind_a_changed_name_keep_what_they_say() {
    for transport in TRANSPORTS {
        let mut stage = stage(transport, Side::Outside);
        let target = name("a.very.long.name.of.a.host.example.net.");
        let records = vec![
            record(reverse(STATIC.0), RData::CNAME(CNAME(reverse(ALIKE.0)))),
            record(reverse(ALIKE.0), RData::PTR(PTR(target.clone()))),
            record(target.clone(), RData::TXT(TXT::new(vec!["\u{c0}\u{c} is no pointer".into()]))),
            record(target.clone(), RData::SRV(SRV::new(1, 2, 3, target.clone()))),
            record(target.clone(), RData::MX(MX::new(5, name("mx.example.net.")))),
            record(target, a(STATIC.0)),
        ];
        check(&mut stage, Side::Inside, &answer(reverse(STATIC.0), RecordType::PTR, records));
    }
}

#[test]
fn hints_of_https_records_change_in_place() {
    let mut stage = stage(Transport::Udp, Side::Outside);
    let message = answer(name(WWW), RecordType::HTTPS, vec![record(name(WWW), https([STATIC.0, PUBLIC]))]);
    let out = check(&mut stage, Side::Inside, &message);
    assert_eq!(out.answers()[0].data(), &https([STATIC.1, PUBLIC]));
}

#[test]
fn aliases_keep_their_time_to_live_unless_told_otherwise() {
    for resets_ttl in [false, true] {
        let mut stage = stage(Transport::Udp, Side::Outside);
        stage.resets_ttl = resets_ttl;
        let host = name("host.example.net.");
        let alias = record(name(WWW), RData::CNAME(CNAME(host.clone())));
        let records = vec![alias.clone(), record(host.clone(), a(STATIC.0)), record(host.clone(), a(PUBLIC))];
        let out = check(&mut stage, Side::Inside, &answer(name(WWW), RecordType::A, records));
        let ttls: Vec<u32> = out.answers().iter().map(Record::ttl).collect();
        assert_eq!(ttls, if resets_ttl { [0, 0, 3600] } else { [3600; 3] });
        // An answer without a translated address is nobody's business.
        let message = answer(name(WWW), RecordType::A, vec![alias, record(host, a(PUBLIC))]);
        check_unchanged(&mut stage, Side::Inside, &message, Ok(Handled::Continue));
    }
}

#[test]
fn signed_messages_stay_and_are_counted() {
    for (kind, is_signature) in [(46, true), (24, true), (250, true), (48, false)] {
        let mut stage = stage(Transport::Udp, Side::Outside);
        let mut message = answer(name(WWW), RecordType::A, vec![record(name(WWW), a(STATIC.0))]);
        let data = RData::Unknown { code: RecordType::Unknown(kind), rdata: NULL::with(vec![0; 24]) };
        message.add_answer(record(name(WWW), data));
        let bytes = wire(Transport::Udp, &message);
        let (said, out) = stage::outcome(row(), &mut stage, Side::Inside, &bytes);
        assert_eq!(said.err(), is_signature.then_some(Refusal::Signed), "type {kind}");
        assert_eq!(out == bytes, is_signature, "type {kind}");
    }
    assert!(!Refusal::Signed.detaches());
}

#[test]
fn what_a_server_vouches_for_to_who_minds_stays() {
    for (wants_signatures, is_authentic) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut stage = stage(Transport::Udp, Side::Outside);
        let mut message = answer(name(WWW), RecordType::A, vec![record(name(WWW), a(STATIC.0))]);
        message.set_edns(edns(1232, wants_signatures)).set_authentic_data(is_authentic);
        if wants_signatures && is_authentic {
            check_unchanged(&mut stage, Side::Inside, &message, Err(Refusal::Signed));
        } else {
            check(&mut stage, Side::Inside, &message);
        }
    }
}

#[test]
fn other_classes_and_operations_pass() {
    let mut stage = stage(Transport::Udp, Side::Outside);
    let mut chaos = record(name(WWW), a(STATIC.0));
    chaos.set_dns_class(DNSClass::CH);
    let message = answer(name(WWW), RecordType::A, vec![chaos]);
    check_unchanged(&mut stage, Side::Inside, &message, Ok(Handled::Continue));
    for opcode in [OpCode::Update, OpCode::Notify] {
        let mut message = answer(reverse(STATIC.0), RecordType::SOA, vec![record(name(WWW), a(STATIC.0))]);
        message.set_op_code(opcode);
        check_unchanged(&mut stage, Side::Inside, &message, Ok(Handled::Continue));
    }
}

#[test]
fn zone_transfers_learn_static_counterparts_alone() {
    let zone = name("example.net.");
    let records = vec![record(name(WWW), a(STATIC.0)), record(name(WWW), a(DYNAMIC.0))];
    let first = answer(zone.clone(), RecordType::AXFR, records.clone());
    let mut next = answer(zone, RecordType::AXFR, records);
    next.take_queries();
    for message in [first, next] {
        let mut stage = stage(Transport::Tcp, Side::Outside);
        let (said, out) = send(&mut stage, Side::Inside, &message);
        assert_eq!(said, Ok(Handled::Continue));
        assert_eq!(addresses(&out), [(STATIC.1, 3600), (DYNAMIC.0, 3600)]);
    }
}

/// An answer of `size` bytes exactly, to the question for STATIC's name; the answer in it grows by four.
fn long_answer(size: usize, has_opt: bool) -> Message {
    let mut message = answer(
        reverse(STATIC.0),
        RecordType::PTR,
        vec![record(reverse(STATIC.0), RData::PTR(PTR(name("host.example.net."))))],
    );
    if has_opt {
        message.set_edns(edns(4096, false));
    }
    // A record of text fills it up: 12 bytes, and each string with its length.
    let mut left = size - message.to_vec().expect("encodes").len() - 12;
    let mut strings = Vec::new();
    while left > 0 {
        let len = left.min(200);
        strings.push("x".repeat(len - 1));
        left -= len;
    }
    message.add_answer(record(name("host.example.net."), RData::TXT(TXT::new(strings))));
    assert_eq!(message.to_vec().expect("encodes").len(), size);
    message
}

#[test]
fn an_answer_that_outgrows_the_datagram_is_cut_and_says_so() {
    for (asked_size, size, is_cut) in [(None, 400, false), (None, 512, true), (Some(1232), 512, false)] {
        for has_opt in [false, true] {
            let stage = stage(Transport::Udp, Side::Outside);
            let mut talk = Conversation::new(row(), stage, Side::Outside);
            let mut question = query(reverse(STATIC.1), RecordType::PTR);
            if let Some(size) = asked_size {
                question.set_edns(edns(size, false));
            }
            talk.client(wire(Transport::Udp, &question));
            let message = long_answer(size, has_opt);
            let out = read(Transport::Udp, &talk.server(wire(Transport::Udp, &message)));
            assert_eq!(talk.refusals, []);
            assert_eq!(out.truncated(), is_cut);
            assert_eq!(out.queries()[0].name(), &reverse(STATIC.1));
            assert_eq!(out.answers().len(), if is_cut { 0 } else { message.answers().len() });
            assert_eq!(out.extensions().is_some(), has_opt);
        }
    }
    // A stream has room.
    let mut stage = stage(Transport::Tcp, Side::Outside);
    check(&mut stage, Side::Inside, &long_answer(512, true));
}

#[test]
fn an_address_record_of_another_length_is_malformed() {
    let mut stage = stage(Transport::Udp, Side::Outside);
    let mut message = answer(name(WWW), RecordType::A, vec![record(name(WWW), RData::A(A(STATIC.0)))]);
    message.add_answer(record(
        name(WWW),
        RData::Unknown { code: RecordType::Unknown(1), rdata: NULL::with(vec![10, 0, 0, 7, 0]) },
    ));
    let bytes = wire(Transport::Udp, &message);
    let said = stage::outcome(row(), &mut stage, Side::Inside, &bytes);
    assert_eq!(said, (Err(Refusal::Malformed), bytes));
}
