//! DNS: random messages, squeezed by an encoder that points wherever it may.

mod dns_messages;
mod stage;

use alg::{Handled, Side, Transport};
use dns_messages::*;
use hickory_proto::rr::RecordType;
use proptest::prelude::*;
use stage::{Conversation, across};

const NAMES: &[&str] = &[
    "7.0.0.10.in-addr.arpa",
    "9.0.0.10.in-addr.arpa",
    "6.113.0.10.in-addr.arpa",
    "8.0.0.10.in-addr.arpa",
    "1.0.0.10.in-addr.arpa",
    "117.113.0.203.in-addr.arpa",
    "8.113.0.203.in-addr.arpa",
    "6.113.0.203.in-addr.arpa",
    "200.200.16.172.IN-ADDR.arpa",
    "0.0.10.in-addr.arpa",
    "113.0.10.in-addr.arpa",
    "113.0.203.in-addr.arpa",
    "10.in-addr.arpa",
    "in-addr.arpa",
    "x.7.0.0.10.in-addr.arpa",
    "7.0.0.10.in-addr.arpa.example",
    "www.example",
    "example",
    "",
];

/// A record, as random numbers choose it.
#[derive(Clone, Debug)]
struct Sketch {
    kind: u16,
    owner: usize,
    names: [usize; 2],
    addr: usize,
    ttl_s: u32,
}

fn sketch() -> impl Strategy<Value = Sketch> {
    let kinds = prop::sample::select(vec![1u16, 1, 2, 5, 6, 12, 12, 15, 16, 28, 33, 35, 65]);
    let name = || 0..NAMES.len();
    (kinds, name(), [name(), name()], 0..7usize, prop::sample::select(vec![0u32, 60, 86_400]))
        .prop_map(|(kind, owner, names, addr, ttl_s)| Sketch { kind, owner, names, addr, ttl_s })
}

/// Writes a message, with a pointer where the numbers say so.
struct Squeezer {
    bytes: Vec<u8>,
    /// Where names and their ends are spelled, also by a pointer.
    places: Vec<(usize, String)>,
    choices: Vec<u8>,
    next: usize,
}

impl Squeezer {
    fn choose(&mut self) -> usize {
        self.next += 1;
        usize::from(self.choices[self.next % self.choices.len()])
    }

    fn put_u16(&mut self, values: &[u16]) {
        values.iter().for_each(|value| self.bytes.extend(value.to_be_bytes()));
    }

    fn put_name(&mut self, text: &str) {
        let mut rest = text;
        let mut fresh = Vec::new();
        loop {
            let at = self.bytes.len();
            fresh.push((at, rest.to_string()));
            let places: Vec<usize> =
                self.places.iter().filter(|(_, spelled)| spelled == rest).map(|(at, _)| *at).collect();
            // Seldom literal, if there is a choice.
            let choice = self.choose();
            if !places.is_empty() && !choice.is_multiple_of(4) {
                self.put_u16(&[0xc000 | places[choice % places.len()] as u16]);
                break;
            }
            if rest.is_empty() {
                self.bytes.push(0);
                break;
            }
            let (label, behind) = rest.split_once('.').unwrap_or((rest, ""));
            self.bytes.push(label.len() as u8);
            self.bytes.extend(label.bytes());
            rest = behind;
        }
        self.places.append(&mut fresh);
    }

    fn put_record(&mut self, sketch: &Sketch) {
        self.put_name(NAMES[sketch.owner]);
        self.put_u16(&[sketch.kind, 1, (sketch.ttl_s >> 16) as u16, sketch.ttl_s as u16, 0]);
        let start = self.bytes.len();
        let [first, second] = sketch.names.map(|n| NAMES[n]);
        let addr =
            [STATIC.0, STATIC.1, DYNAMIC.0, DYNAMIC.1, ALIKE.0, TWICE.1, [192, 0, 2, 80].into()][sketch.addr];
        match sketch.kind {
            1 => self.bytes.extend(addr.octets()),
            2 | 5 | 12 => self.put_name(first),
            6 => {
                self.put_name(first);
                self.put_name(second);
                self.bytes.extend([7; 20]);
            }
            15 => {
                self.put_u16(&[10]);
                self.put_name(first);
            }
            16 => self.bytes.extend(b"\x06\xc0\x0c\xc0\x12\x01."),
            28 => self.bytes.extend([0xc0; 16]),
            33 => {
                self.put_u16(&[1, 2, 3]);
                self.put_name(first);
            }
            35 => {
                self.bytes.extend(b"\x00\x01\x00\x02\x01s\x07SIP+D2U\x00");
                self.put_name(first);
            }
            _ => {
                self.bytes.extend(b"\x00\x01\x03web\x00\x00\x01\x00\x03\x02h2\x00\x04\x00\x08");
                self.bytes.extend(addr.octets());
                self.bytes.extend([192, 0, 2, 81]);
            }
        }
        let len = (self.bytes.len() - start) as u16;
        self.bytes[start - 2..start].copy_from_slice(&len.to_be_bytes());
    }
}

/// An answer with the records in all three sections, in turn of their counts.
fn squeeze(asked: usize, records: &[Sketch], choices: &[u8]) -> Vec<u8> {
    let mut squeezer = Squeezer { bytes: Vec::new(), places: Vec::new(), choices: choices.to_vec(), next: 0 };
    let each = records.len() as u16 / 3;
    squeezer.put_u16(&[0x1234, 0x8180, 1, records.len() as u16 - 2 * each, each, each]);
    squeezer.put_name(NAMES[asked]);
    squeezer.put_u16(&[12, 1]);
    records.iter().for_each(|record| squeezer.put_record(record));
    squeezer.bytes
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_message_says_the_same_of_the_mapped_addresses_and_nothing_else(
        asked in 0..NAMES.len(),
        records in prop::collection::vec(sketch(), 0..10),
        choices in prop::collection::vec(any::<u8>(), 1..40),
        is_inside in any::<bool>(),
        is_stream in any::<bool>(),
        resets_ttl in any::<bool>(),
    ) {
        let from = if is_inside { Side::Inside } else { Side::Outside };
        let transport = if is_stream { Transport::Tcp } else { Transport::Udp };
        let bytes = squeeze(asked, &records, &choices);
        let message = read(Transport::Udp, &bytes);
        let bytes = if is_stream { prefixed(&bytes) } else { bytes };

        let mut stage = stage(transport, across(from));
        stage.resets_ttl = resets_ttl;
        let wanted = expected(&stage, from, &message);
        let mut talk = Conversation::new(row(), stage, across(from));
        let mut question = query(name("example."), RecordType::A);
        question.set_edns(edns(4096, false));
        talk.client(wire(transport, &question));
        let out = talk.server(&bytes);
        prop_assert_eq!(&talk.refusals, &[]);
        prop_assert_eq!(read(transport, &out), wanted);
        if expected(&talk.stage, from, &message) == message {
            prop_assert_eq!(&out, &bytes);
        }
    }

    #[test]
    fn without_policy_a_message_passes_byte_for_byte(
        asked in 0..NAMES.len(),
        records in prop::collection::vec(sketch(), 0..20),
        choices in prop::collection::vec(any::<u8>(), 1..40),
    ) {
        let bytes = squeeze(asked, &records, &choices);
        let mut stage = stage(Transport::Udp, Side::Inside);
        stage.policy.clear();
        stage.resets_ttl = true;
        let (said, out) = stage::outcome(row(), &mut stage, Side::Outside, &bytes);
        prop_assert_eq!(said, Ok(Handled::Continue));
        prop_assert_eq!(out, bytes);
    }
}
