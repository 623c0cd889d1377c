//! Messages of DNS by an encoder that is not the product's, and what should become of them.
//!
//! Every test binary includes this module and uses a part of it.
#![allow(dead_code)]

use std::net::Ipv4Addr;

use alg::{Context, Counterpart, Handled, Refusal, Row, Side, Transport};
use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query};
use hickory_proto::rr::rdata::svcb::{Alpn, IpHint, SvcParamKey, SvcParamValue};
use hickory_proto::rr::rdata::{A, CNAME, HTTPS, MX, NAPTR, NS, PTR, SOA, SRV, SVCB};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use super::stage::{FakeContext, outcome, session};

/// The gateway.
pub fn row() -> &'static Row {
    alg::registry::ROWS.iter().find(|row| row.name == "dns").expect("a row for dns")
}

/// An inside host with a static line, inside and outside. The names that spell them differ in length.
pub const STATIC: (Ipv4Addr, Ipv4Addr) = (Ipv4Addr::new(10, 0, 0, 7), Ipv4Addr::new(203, 0, 113, 117));
/// One with a dynamic mapping.
pub const DYNAMIC: (Ipv4Addr, Ipv4Addr) = (Ipv4Addr::new(10, 0, 0, 9), Ipv4Addr::new(203, 0, 113, 8));
/// One whose counterpart has the same last octets.
pub const ALIKE: (Ipv4Addr, Ipv4Addr) = (Ipv4Addr::new(10, 0, 113, 6), Ipv4Addr::new(203, 0, 113, 6));
/// An outside host that twice NAT gives another address inside: inside, outside.
pub const TWICE: (Ipv4Addr, Ipv4Addr) = (Ipv4Addr::new(172, 16, 200, 200), Ipv4Addr::new(10, 0, 0, 1));

/// A session to port 53 whose client is on side `client`, and the addresses above.
pub fn stage(transport: Transport, client: Side) -> FakeContext {
    let mut stage = FakeContext::new(session(transport, client, 53));
    for ((inside, outside), is_static) in [(STATIC, true), (DYNAMIC, false), (ALIKE, true), (TWICE, true)] {
        stage.policy.push((Side::Inside, inside, Counterpart { addr: outside, is_static }));
        stage.policy.push((Side::Outside, outside, Counterpart { addr: inside, is_static }));
    }
    stage
}

/// A name.
pub fn name(text: &str) -> Name {
    Name::from_ascii(text).expect("a name")
}

/// The name that spells an address.
pub fn reverse(addr: Ipv4Addr) -> Name {
    let [a, b, c, d] = addr.octets();
    name(&format!("{d}.{c}.{b}.{a}.in-addr.arpa."))
}

/// A question.
pub fn query(asked: Name, kind: RecordType) -> Message {
    let mut message = Message::new();
    message.set_id(0x1234).set_recursion_desired(true).add_query(Query::query(asked, kind));
    message
}

/// An answer.
pub fn answer(asked: Name, kind: RecordType, records: Vec<Record>) -> Message {
    let mut message = query(asked, kind);
    message.set_message_type(MessageType::Response).insert_answers(records);
    message
}

/// A record with an hour to live.
pub fn record(owner: Name, data: RData) -> Record {
    Record::from_rdata(owner, 3600, data)
}

/// An address record's data.
pub fn a(addr: Ipv4Addr) -> RData {
    RData::A(A(addr))
}

/// A server's declaration of what it takes.
pub fn edns(payload_size_max: u16, wants_signatures: bool) -> Edns {
    let mut edns = Edns::new();
    edns.set_max_payload(payload_size_max).set_dnssec_ok(wants_signatures);
    edns
}

/// A message as it is carried.
pub fn wire(transport: Transport, message: &Message) -> Vec<u8> {
    let bytes = message.to_vec().expect("a message that can be encoded");
    match transport {
        Transport::Udp => bytes,
        Transport::Tcp => prefixed(&bytes),
    }
}

/// A message with its length in front of it.
pub fn prefixed(bytes: &[u8]) -> Vec<u8> {
    let len = u16::try_from(bytes.len()).expect("no longer than the length can say");
    [&len.to_be_bytes(), bytes].concat()
}

/// The message that is carried.
pub fn read(transport: Transport, bytes: &[u8]) -> Message {
    let bytes = match transport {
        Transport::Udp => bytes,
        Transport::Tcp => {
            assert_eq!(usize::from(u16::from_be_bytes([bytes[0], bytes[1]])), bytes.len() - 2);
            &bytes[2..]
        }
    };
    Message::from_vec(bytes).unwrap_or_else(|error| panic!("{error}: {bytes:02x?}"))
}

/// Sends a message from a side to the other one.
pub fn send(stage: &mut FakeContext, from: Side, message: &Message) -> (Result<Handled, Refusal>, Message) {
    let transport = stage.session.transport;
    let (said, out) = outcome(row(), stage, from, &wire(transport, message));
    (said, read(transport, &out))
}

/// What a message that is neither signed nor part of a zone transfer should become, by what its parts mean.
pub fn expected(stage: &FakeContext, from: Side, message: &Message) -> Message {
    // With the counts in its header.
    let mut message = read(Transport::Udp, &wire(Transport::Udp, message));
    if message.op_code() != OpCode::Query {
        return message;
    }
    let mapper = Mapper { stage, from };
    let mut has_changed = false;
    for query in message.queries_mut() {
        if query.query_class() != DNSClass::IN {
            continue;
        }
        if let Some((new, _)) = mapper.name(query.name()) {
            query.set_name(new);
            has_changed = true;
        }
    }
    let mut sections = [message.take_answers(), message.take_name_servers(), message.take_additionals()];
    for record in sections.iter_mut().flatten() {
        has_changed |= mapper.record(record);
    }
    if stage.resets_ttl && has_changed {
        let records = sections.iter_mut().flatten();
        records.filter(|record| record.record_type() == RecordType::CNAME).for_each(|record| {
            record.set_ttl(0);
        });
    }
    let [answers, name_servers, additionals] = sections;
    message.insert_answers(answers);
    message.insert_name_servers(name_servers);
    message.insert_additionals(additionals);
    message
}

struct Mapper<'s> {
    stage: &'s FakeContext,
    from: Side,
}

impl Mapper<'_> {
    fn name(&self, old: &Name) -> Option<(Name, bool)> {
        let text = old.to_ascii().to_ascii_lowercase();
        let octets = text.strip_suffix(".in-addr.arpa.")?;
        let mut labels: Vec<&str> = octets.split('.').collect();
        labels.reverse();
        let addr = labels.join(".").parse().ok()?;
        let found = self.stage.policy_address(self.from, addr)?;
        Some((reverse(found.addr), found.is_static))
    }

    fn address(&self, addr: &mut Ipv4Addr, found: &mut Vec<bool>) {
        if let Some(counterpart) = self.stage.policy_address(self.from, *addr) {
            *addr = counterpart.addr;
            found.push(counterpart.is_static);
        }
    }

    fn record(&self, record: &mut Record) -> bool {
        if record.dns_class() != DNSClass::IN {
            return false;
        }
        let mut found = Vec::new();
        let mut mapped = |old: &Name| match self.name(old) {
            Some((new, is_static)) => {
                found.push(is_static);
                new
            }
            None => old.clone(),
        };
        let owner = mapped(record.name());
        let mut data = match record.data() {
            RData::CNAME(CNAME(target)) => RData::CNAME(CNAME(mapped(target))),
            RData::NS(NS(target)) => RData::NS(NS(mapped(target))),
            RData::PTR(PTR(target)) => RData::PTR(PTR(mapped(target))),
            RData::SRV(srv) => {
                RData::SRV(SRV::new(srv.priority(), srv.weight(), srv.port(), mapped(srv.target())))
            }
            RData::NAPTR(naptr) => RData::NAPTR(NAPTR::new(
                naptr.order(),
                naptr.preference(),
                naptr.flags().into(),
                naptr.services().into(),
                naptr.regexp().into(),
                mapped(naptr.replacement()),
            )),
            RData::MX(mx) => RData::MX(MX::new(mx.preference(), mapped(mx.exchange()))),
            RData::SOA(soa) => RData::SOA(SOA::new(
                mapped(soa.mname()),
                mapped(soa.rname()),
                soa.serial(),
                soa.refresh(),
                soa.retry(),
                soa.expire(),
                soa.minimum(),
            )),
            other => other.clone(),
        };
        match &mut data {
            RData::A(A(addr)) => self.address(addr, &mut found),
            RData::HTTPS(HTTPS(svcb)) | RData::SVCB(svcb) => {
                let mut params = svcb.svc_params().to_vec();
                for (_, value) in &mut params {
                    if let SvcParamValue::Ipv4Hint(IpHint(hints)) = value {
                        hints.iter_mut().for_each(|A(addr)| self.address(addr, &mut found));
                    }
                }
                *svcb = SVCB::new(svcb.svc_priority(), svcb.target_name().clone(), params);
            }
            _ => {}
        }
        record.set_name(owner).set_data(data);
        if found.iter().any(|is_static| !is_static) || self.stage.resets_ttl && !found.is_empty() {
            record.set_ttl(0);
        }
        !found.is_empty()
    }
}

/// An HTTPS record's data with two addresses that the client may try at once.
pub fn https(hints: [Ipv4Addr; 2]) -> RData {
    let hints = SvcParamValue::Ipv4Hint(IpHint(hints.map(A).to_vec()));
    let alpn = SvcParamValue::Alpn(Alpn(vec!["h2".to_string()]));
    RData::HTTPS(HTTPS(SVCB::new(
        1,
        name("web.example.net."),
        vec![(SvcParamKey::Alpn, alpn), (SvcParamKey::Ipv4Hint, hints)],
    )))
}
