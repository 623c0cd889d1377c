//! The encoding of plain state: read as it was written, or refused, whatever the bytes; and version 3 for good.

use std::borrow::Cow;
use std::net::Ipv4Addr;

use alg::registry::ROWS;
use alg::{Side, State};
use arrayvec::ArrayVec;
use dataplane::flow::{Endpoint, Tuple};
use dataplane::state::plain::{
    Address, Call, CallName, Channel, ControlSession, Door, Holds, MAGIC, Owner, Plain, PlainError, PortSet,
    Session, Subscriber, VERSION, decode, encode,
};
use dataplane::stream::{Opening, Shifts};
use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

/// A value of a type whose fields are not to be made from outside, by the fields in their order: the format writes a
/// struct like a tuple.
fn of_fields<T: DeserializeOwned>(fields: &impl Serialize) -> T {
    let bytes = postcard::to_stdvec(fields).expect("fields that can be written");
    postcard::from_bytes(&bytes).expect("fields of this type")
}

fn endpoints() -> impl Strategy<Value = Endpoint> {
    any::<(Ipv4Addr, u16)>().prop_map(|(addr, port)| Endpoint::new(addr, port))
}

fn tuples() -> impl Strategy<Value = Tuple> {
    (endpoints(), endpoints(), any::<(u8, u16)>()).prop_map(|(src, dst, (protocol, vrf))| Tuple {
        src,
        dst,
        protocol,
        vrf,
    })
}

fn kinds_of_holds() -> impl Strategy<Value = Holds> {
    prop_oneof![Just(Holds::Nothing), Just(Holds::Address), Just(Holds::Port)]
}

fn gateways() -> impl Strategy<Value = Cow<'static, str>> {
    // Also such as this program does not have.
    prop_oneof![(0..ROWS.len()).prop_map(|row| ROWS[row].name.into()), ".{0,20}".prop_map(Cow::from)]
}

fn shifts() -> impl Strategy<Value = Shifts> {
    any::<(u32, u32)>().prop_map(|(client, server)| Shifts { client, server })
}

fn states() -> impl Strategy<Value = State> {
    let numbers = || prop::collection::vec(any::<(u32, u32)>(), 0..=8);
    let setups = || prop::collection::vec((any::<(u32, u32)>(), 0u8..2), 0..=8);
    let ids = || prop::collection::vec(any::<u16>(), 0..=16).prop_map(ArrayVec::from_iter);
    prop_oneof![
        Just(State::None),
        (any::<u16>(), ids(), ids()).prop_map(|(payload_size_max, asked, signed)| State::Dns {
            payload_size_max,
            asked,
            signed
        }),
        (any::<((bool, bool), u16, u8, bool)>(), 0u8..3, [0u8..3, 0u8..3])
            .prop_map(|fields| State::Ftp(of_fields(&fields))),
        (any::<([bool; 2], u32)>(), setups(), numbers(), any::<[bool; 2]>())
            .prop_map(|fields| State::Rtsp(of_fields(&fields))),
    ]
}

fn openings() -> impl Strategy<Value = Opening> {
    let ends = any::<[([u8; 4], u16); 2]>();
    (ends, any::<(u8, u32, u16)>(), any::<(Option<u16>, Option<u8>, Option<u32>)>()).prop_map(
        |([source, destination], (ttl, sequence, window), options)| {
            let (segment_len_max, window_scale, timestamp) = options;
            Opening { source, destination, ttl, sequence, window, segment_len_max, window_scale, timestamp }
        },
    )
}

fn channels() -> impl Strategy<Value = Channel> {
    prop_oneof![
        Just(Channel::Datagrams),
        prop::option::of(openings()).prop_map(Channel::Opening),
        prop::option::of(shifts()).prop_map(Channel::Open),
        shifts().prop_map(Channel::Settled),
        Just(Channel::Untouched),
        shifts().prop_map(Channel::Ended),
    ]
}

fn subscribers() -> impl Strategy<Value = Plain> {
    let sets = prop::collection::vec(any::<(u16, u16, u16)>(), 0..=8);
    (any::<(Ipv4Addr, u16, u16, Ipv4Addr)>(), sets).prop_map(|((host, vrf, pool, global), sets)| {
        let sets: ArrayVec<PortSet, 8> =
            sets.into_iter().map(|(first, step, size)| PortSet { first, step, size }).collect();
        Plain::Subscriber(Subscriber { host, vrf, pool, global, sets })
    })
}

fn addresses() -> impl Strategy<Value = Plain> {
    (any::<(bool, [Ipv4Addr; 2], [u16; 3], [u32; 2])>()).prop_map(|(is_inside, addrs, numbers, times)| {
        let [own, seen] = addrs;
        let [own_vrf, seen_vrf, rule] = numbers;
        let [age_ms, idle_ms] = times;
        let side = if is_inside { Side::Inside } else { Side::Outside };
        Plain::Address(Address { side, own, seen, own_vrf, seen_vrf, rule, age_ms, idle_ms })
    })
}

fn sessions() -> impl Strategy<Value = Plain> {
    let ends = [endpoints(), endpoints(), endpoints(), endpoints()];
    let rest = any::<([u16; 3], u8, [u32; 2], [bool; 5], [u32; 2])>();
    (ends, kinds_of_holds(), 1..=u8::MAX, rest).prop_map(|(ends, holds, progress, rest)| {
        let [inside_local, inside_global, outside_local, outside_global] = ends;
        let ([inside_vrf, outside_vrf, rule], protocol, expected, flags, [age_ms, idle_ms]) = rest;
        let [is_any_peer, is_hairpin, is_contact, is_from_outside, is_control] = flags;
        Plain::Session(Session {
            inside_local,
            inside_global,
            outside_local,
            outside_global,
            inside_vrf,
            outside_vrf,
            rule,
            protocol,
            holds,
            progress: of_fields(&progress),
            expected,
            is_any_peer,
            is_hairpin,
            is_contact,
            is_from_outside,
            is_control,
            age_ms,
            idle_ms,
        })
    })
}

fn controls() -> impl Strategy<Value = Plain> {
    (tuples(), gateways(), states(), channels(), any::<(bool, bool)>()).prop_map(
        |(session, gateway, state, channel, (is_inside, is_over))| {
            let client = if is_inside { Side::Inside } else { Side::Outside };
            Plain::ControlSession(ControlSession { session, gateway, state, client, channel, is_over })
        },
    )
}

fn call_names() -> impl Strategy<Value = CallName> {
    any::<(u16, Ipv4Addr, u64)>().prop_map(|(vrf, host, hash)| CallName { vrf, host, hash })
}

fn calls() -> impl Strategy<Value = Plain> {
    let ends = prop::collection::vec(any::<std::net::SocketAddrV4>(), 0..=4);
    let memories = prop::option::of(ends).prop_map(|ends| match ends {
        None => alg::Call::None,
        Some(ends) => alg::Call::Announced(ArrayVec::from_iter(ends)),
    });
    (call_names(), gateways(), memories, any::<u32>())
        .prop_map(|(name, gateway, memory, left_ms)| Plain::Call(Call { name, gateway, memory, left_ms }))
}

fn doors() -> impl Strategy<Value = Plain> {
    let ends = (endpoints(), endpoints(), any::<Option<Ipv4Addr>>(), prop::option::of(endpoints()));
    let of = (gateways(), prop::option::of(gateways()));
    let owners = prop_oneof![tuples().prop_map(Owner::ControlSession), call_names().prop_map(Owner::Call)];
    let rest = any::<([u16; 4], u8, [u32; 3])>();
    (ends, kinds_of_holds(), of, owners, rest).prop_map(|(ends, holds, (gateway, child), owner, rest)| {
        let (inside, global, peer, outward) = ends;
        let ([inside_vrf, outside_vrf, rule, uses_left], protocol, [tag, age_ms, left_ms]) = rest;
        Plain::Door(Door {
            inside,
            global,
            peer,
            outward,
            inside_vrf,
            outside_vrf,
            rule,
            protocol,
            holds,
            gateway,
            child,
            owner,
            tag,
            uses_left,
            age_ms,
            left_ms,
        })
    })
}

fn records() -> impl Strategy<Value = Plain> {
    let children = (tuples(), tuples()).prop_map(|(session, control)| Plain::Child { session, control });
    prop_oneof![subscribers(), addresses(), sessions(), controls(), children, calls(), doors()]
}

proptest! {
    #[test]
    fn what_is_written_is_read(records in prop::collection::vec(records(), 0..20)) {
        prop_assert_eq!(decode(&encode(&records).unwrap()), Ok(records));
    }

    /// No part of an encoding is one, and neither is one with a bit turned over or a byte behind it.
    #[test]
    fn what_is_damaged_is_refused(records in prop::collection::vec(records(), 0..4)) {
        let mut bytes = encode(&records).unwrap();
        for len in 0..bytes.len() {
            prop_assert!(decode(&bytes[..len]).is_err(), "{} of {} bytes", len, bytes.len());
        }
        for bit in 0..bytes.len() * 8 {
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(decode(&bytes).is_err(), "bit {bit}");
            bytes[bit / 8] ^= 1 << (bit % 8);
        }
        bytes.push(0);
        prop_assert_eq!(decode(&bytes), Err(PlainError::Trailing(1)));
    }

    /// Bytes whose checksum is right, but that nobody wrote.
    #[test]
    fn any_bytes_are_read_or_refused(
        records in prop::collection::vec(records(), 0..4), at in any::<prop::sample::Index>(),
        noise in prop::collection::vec(any::<u8>(), 0..40),
    ) {
        let bytes = encode(&records).unwrap();
        let head = MAGIC.len() + 1;
        let mut body = bytes[head..bytes.len() - 4].to_vec();
        let at = at.index(body.len());
        body.splice(at..body.len().min(at + noise.len()), noise);
        let sum = crc::Crc::<u32>::new(&crc::CRC_32_ISCSI).checksum(&body);
        let forged = [&bytes[..head], &body, &sum.to_le_bytes()].concat();
        if let Ok(read) = decode(&forged) {
            prop_assert_eq!(decode(&encode(&read).unwrap()), Ok(read));
        }
    }
}

#[test]
fn what_is_refused_is_told() {
    let bytes = encode(&[]).unwrap();
    let told = |bytes: &[u8]| decode(bytes).map_err(|error| error.to_string());
    assert_eq!(told(b""), Err("this is no state of a NAT: it does not begin with its mark".into()));
    let mut newer = bytes.clone();
    newer[MAGIC.len()] = VERSION + 1;
    let only = format!("the state is of version {}, but only version {VERSION} can be read", VERSION + 1);
    assert_eq!(told(&newer), Err(only));
    assert_eq!(told(&bytes[..bytes.len() - 1]), Err("the state is damaged".into()));
    assert_eq!(told(&bytes), Ok(Vec::new()));
}

fn end(last: u8, port: u16) -> Endpoint {
    Endpoint::new(Ipv4Addr::new(10, 0, 0, last), port)
}

const TUPLE: Tuple = Tuple {
    src: Endpoint::new(Ipv4Addr::new(10, 0, 0, 2), 40_000),
    dst: Endpoint::new(Ipv4Addr::new(10, 0, 0, 7), 21),
    protocol: 6,
    vrf: 1,
};

fn one_subscriber() -> Plain {
    Plain::Subscriber(Subscriber {
        host: Ipv4Addr::new(10, 0, 0, 2),
        vrf: 1,
        pool: 2,
        global: Ipv4Addr::new(10, 0, 0, 9),
        sets: ArrayVec::from_iter([PortSet { first: 1024, step: 8, size: 64 }]),
    })
}

fn one_address() -> Plain {
    Plain::Address(Address {
        side: Side::Outside,
        own: Ipv4Addr::new(10, 0, 0, 2),
        seen: Ipv4Addr::new(10, 0, 0, 9),
        own_vrf: 1,
        seen_vrf: 2,
        rule: 3,
        age_ms: 1000,
        idle_ms: 10,
    })
}

fn one_session() -> Plain {
    Plain::Session(Session {
        inside_local: end(2, 40_000),
        inside_global: end(9, 40_000),
        outside_local: end(7, 21),
        outside_global: end(8, 21),
        inside_vrf: 1,
        outside_vrf: 2,
        rule: 3,
        protocol: 6,
        holds: Holds::Address,
        progress: of_fields(&0xecu8),
        expected: [1001, 5001],
        is_any_peer: false,
        is_hairpin: true,
        is_contact: false,
        is_from_outside: false,
        is_control: true,
        age_ms: 1000,
        idle_ms: 10,
    })
}

/// Control sessions with every gateway's memory and every channel.
fn all_controls() -> [Plain; 5] {
    let shifts = Shifts { client: 3, server: u32::MAX };
    let opening = Opening {
        source: ([10, 0, 0, 2], 40_000),
        destination: ([10, 0, 0, 7], 21),
        ttl: 64,
        sequence: 1000,
        window: 65_535,
        segment_len_max: Some(1460),
        window_scale: Some(7),
        timestamp: None,
    };
    let dns = State::Dns {
        payload_size_max: 1232,
        asked: ArrayVec::from_iter([7, 8]),
        signed: ArrayVec::from_iter([9]),
    };
    let ftp = State::Ftp(of_fields(&((true, false), 227u16, 1u8, true, 2u8, [1u8, 2])));
    let (setups, sessions) = ([(1u32, 2u32, 1u8)].as_slice(), [(3u32, 4u32), (5, 6)].as_slice());
    let rtsp = State::Rtsp(of_fields(&([true, false], 5u32, setups, sessions, [false, true])));
    [
        (State::None, Channel::Datagrams),
        (dns, Channel::Opening(Some(opening))),
        (ftp, Channel::Untouched),
        (rtsp, Channel::Open(Some(shifts))),
        (State::None, Channel::Settled(shifts)),
    ]
    .map(|(state, channel)| {
        let (gateway, client) = ("ftp".into(), Side::Outside);
        Plain::ControlSession(ControlSession {
            session: TUPLE,
            gateway,
            state,
            client,
            channel,
            is_over: true,
        })
    })
}

const CALL: CallName = CallName { vrf: 1, host: Ipv4Addr::new(10, 0, 0, 2), hash: 1 << 63 };

fn one_call() -> Plain {
    let end = std::net::SocketAddrV4::new(CALL.host, 5000);
    let memory = alg::Call::Announced(ArrayVec::from_iter([end]));
    Plain::Call(Call { name: CALL, gateway: "rtsp".into(), memory, left_ms: 1000 })
}

fn all_doors() -> [Plain; 2] {
    [(Holds::Port, Owner::ControlSession(TUPLE)), (Holds::Nothing, Owner::Call(CALL))].map(
        |(holds, owner)| {
            Plain::Door(Door {
                inside: end(2, 5000),
                global: end(9, 6000),
                peer: Some(Ipv4Addr::new(10, 0, 0, 7)),
                outward: Some(end(7, 20)),
                inside_vrf: 1,
                outside_vrf: 2,
                rule: 3,
                protocol: 6,
                holds,
                gateway: "ftp".into(),
                child: Some("rtsp".into()),
                owner,
                tag: 4,
                uses_left: 1,
                age_ms: 1000,
                left_ms: 119_000,
            })
        },
    )
}

/// Version 1 as it is written for good: where this fails, the version is to be another one.
const VERSION_3: &str = "\
    706f727469636f0a030c000a00000201020a000009018008084001010a0000020a000009010203e8070a020a000002c0b802\
    0a000009c0b8020a000007150a000008150102030601ece90789270001000001e8070a030a000002c0b8020a000007150601\
    0366747000010001030a000002c0b8020a0000071506010366747001d00902070801090101010a000002c0b8020a00000715\
    40e807ffff0301b40b01070001030a000002c0b8020a00000715060103667470020100e3010101020102010401030a000002\
    c0b8020a0000071506010366747003010005010102010203040506000101020103ffffffff0f01030a000002c0b8020a0000\
    071506010366747000010303ffffffff0f01040a000002c0b8020a0000071506010a000002c0b8020a00000715060105010a\
    00000280808080808080808001047274737001010a0000028827e807060a00000288270a000009f02e010a000007010a0000\
    0714010203060203667470010472747370000a000002c0b8020a0000071506010401e807d8a107060a00000288270a000009\
    f02e010a000007010a0000071401020306000366747001047274737001010a000002808080808080808080010401e807d8a1\
    077420d1e4";

#[test]
fn version_3_stays_what_it_is() {
    let child = Plain::Child { session: TUPLE, control: TUPLE };
    let mut records = vec![one_subscriber(), one_address(), one_session()];
    records.extend(all_controls());
    records.push(child);
    records.push(one_call());
    records.extend(all_doors());
    let hex: String = encode(&records).unwrap().iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(hex, VERSION_3);
}
