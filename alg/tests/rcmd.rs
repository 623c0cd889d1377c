//! rcmd: the port that a client names is opened, and no other word of its.

mod stage;

use alg::{Handled, Ports, Refusal, Row, Side, State, Transport, registry};
use stage::script::unescape;
use stage::{Conversation, FakeContext, INSIDE_GLOBAL, INSIDE_LOCAL, OUTSIDE, endpoint, session};

const REXEC: u16 = 512;
const RLOGIN: u16 = 513;
const RSH: u16 = 514;

fn row() -> &'static Row {
    registry::ROWS.iter().find(|row| row.name == "rcmd").expect("a row")
}

/// A connection to this port of a server, whose client is on a side. Global ports are so much higher than inside ones.
fn conversation(client: Side, port: u16, port_shift: u16) -> Conversation<'static> {
    let mut stage = FakeContext::new(session(Transport::Tcp, client, port));
    stage.port_shift = port_shift;
    Conversation::new(row(), stage, client)
}

#[test]
fn the_clients_port_is_opened_for_the_server_and_announced() {
    for (port, said, shift, heard, ports) in [
        (RSH, r"1021\0", 2, r"1023\0", Ports::Reserved),
        (RSH, r"1021\0", 0, r"1021\0", Ports::Reserved),
        (RSH, r"998\0", 9, r"1007\0", Ports::Reserved),
        (RSH, r"01021\0", 2, r"1023\0", Ports::Reserved),
        (REXEC, r"1024\0", 60000, r"61024\0", Ports::One),
        (REXEC, r"65535\0", 0, r"65535\0", Ports::One),
    ] {
        let mut rcmd = conversation(Side::Inside, port, shift);
        let rest = unescape(r"bob\01022\0echo 1021\0");
        assert_eq!(rcmd.client([unescape(said), rest.clone()].concat()), [unescape(heard), rest].concat());
        let [(door, global)] = rcmd.stage.doors[..] else { panic!("{:?}", rcmd.stage.doors) };
        let local: u16 = said.trim_end_matches(r"\0").parse().expect("a port");
        assert_eq!((door.inside, door.peer), (endpoint(INSIDE_LOCAL, local), Some(OUTSIDE)));
        assert_eq!((door.ports, door.uses_max, door.transport), (ports, 1, Transport::Tcp));
        assert_eq!(global, endpoint(INSIDE_GLOBAL, local + shift));
        assert!(!rcmd.is_attached && rcmd.refusals.is_empty(), "{said}: nothing more is read");
    }
}

#[test]
fn the_port_may_come_in_pieces() {
    let mut rcmd = conversation(Side::Inside, RSH, 1);
    let heard: Vec<u8> = b"1021\0".iter().flat_map(|byte| rcmd.client([*byte])).collect();
    assert_eq!(heard, b"1022\0");
    assert_eq!(rcmd.client("1021\0"), b"1021\0");
    assert_eq!(rcmd.stage.doors.len(), 1);
}

#[test]
fn a_client_without_a_port_gets_no_door() {
    for (port, said) in [(RSH, r"\0"), (RSH, r"0\0"), (RSH, r"00000\0"), (REXEC, r"\0"), (RLOGIN, r"\0")] {
        let mut rcmd = conversation(Side::Inside, port, 1);
        let said = unescape(&format!(r"{said}1021\0bob\0xterm/38400\0"));
        assert_eq!(rcmd.client(&said), said);
        assert!(rcmd.stage.asks.is_empty() && rcmd.refusals.is_empty() && !rcmd.is_attached);
    }
}

#[test]
fn what_names_no_port_is_left_alone() {
    for (port, said, refusal) in [
        (RSH, r"65536\0", Refusal::Malformed),
        (RSH, r"99999\0", Refusal::Malformed),
        (RSH, r"001021\0", Refusal::Foreign),
        (RSH, r"102100", Refusal::Foreign),
        (RSH, r"-1\0", Refusal::Foreign),
        (RSH, r" 1021\0", Refusal::Foreign),
        (RSH, r"1021\r\n", Refusal::Foreign),
        (RSH, r"POST / HTTP/1.1\r\n", Refusal::Foreign),
        (RSH, r"<34>1 2003-10-11T22:14:15.003Z", Refusal::Foreign),
        (RSH, r"64 <34>1 2003-10-11T22:14:15.003Z", Refusal::Foreign),
        (RLOGIN, r"1021\0", Refusal::Malformed),
    ] {
        let mut rcmd = conversation(Side::Inside, port, 1);
        let said = unescape(said);
        assert_eq!(rcmd.client(&said), said);
        assert_eq!((&rcmd.refusals[..], rcmd.is_attached), (&[refusal][..], false), "{said:?}");
        assert_eq!(rcmd.client("1021\0"), b"1021\0");
        assert!(rcmd.stage.asks.is_empty(), "{said:?}");
    }
}

/// It is refused, and the words behind it, which may be digits, are no ports.
#[test]
fn behind_a_port_that_is_refused_none_is_read() {
    for said in ["25\0", "511\0", "1\0"] {
        for client in [Side::Inside, Side::Outside] {
            let mut rcmd = conversation(client, RSH, 1);
            let said = format!("{said}1021\0bob\0ls\0");
            assert_eq!(rcmd.client(&said), said.as_bytes());
            assert_eq!(rcmd.refusals, [Refusal::LowPort]);
            assert!(!rcmd.is_attached);
            assert!(rcmd.stage.asks.is_empty() && rcmd.stage.expected.is_empty());
        }
    }
    let mut rcmd = conversation(Side::Inside, REXEC, 60_000);
    assert_eq!(rcmd.client("40001\0"), b"40001\0", "no global port is free");
    assert_eq!((&rcmd.refusals[..], rcmd.is_attached), (&[Refusal::NoPort][..], true));
    assert_eq!(rcmd.server("\x01no\n"), b"\x01no\n");
    assert_eq!((rcmd.refusals.len(), rcmd.is_attached), (1, false), "and nobody is to blame");
}

#[test]
fn a_server_that_speaks_first_is_no_server_of_these() {
    let mut rcmd = conversation(Side::Inside, RSH, 1);
    assert_eq!(rcmd.server("\x01Permission denied.\n"), b"\x01Permission denied.\n");
    assert_eq!(rcmd.client("1021\0"), b"1021\0");
    assert!(rcmd.stage.asks.is_empty());
}

#[test]
fn an_inside_server_is_expected_to_connect_to_the_client() {
    for (port, said, named) in
        [(RSH, "1021\0", Some(1021)), (REXEC, "40001\0", Some(40001)), (RSH, "0\0", None)]
    {
        let mut rcmd = conversation(Side::Outside, port, 1);
        assert_eq!(rcmd.client(said), said.as_bytes(), "it is the client's own");
        let expected: Vec<_> = rcmd.stage.expected.iter().map(|e| (e.transport, e.outside)).collect();
        let named = named.map(|port| (Transport::Tcp, endpoint(OUTSIDE, port)));
        assert_eq!(expected, Vec::from_iter(named));
        assert!(rcmd.stage.asks.is_empty() && !rcmd.is_attached);
    }
}

/// By the port that the client knows: rlogin's server may listen elsewhere inside.
#[test]
fn rlogin_is_known_by_its_global_port() {
    let mut rcmd = conversation(Side::Outside, RLOGIN, 0);
    rcmd.stage.session.inside_local.set_port(10_513);
    rcmd.client("1021\0");
    assert_eq!(rcmd.refusals, [Refusal::Malformed]);
    let mut rcmd = conversation(Side::Outside, RSH, 0);
    rcmd.stage.session.outside_global.set_port(RLOGIN);
    rcmd.client("1021\0");
    assert_eq!(rcmd.refusals, [], "a client's port may be any");
}

/// A gateway is asked with its own memory only; of another's it makes nothing.
#[test]
fn another_gateways_memory_is_foreign() {
    let mut stage = FakeContext::new(session(Transport::Tcp, Side::Inside, RSH));
    let message = alg::Message { bytes: b"1021\0", from: Side::Inside, by_client: true };
    assert_eq!((row().handle)(&mut State::None, &message, &mut stage), Err(Refusal::Foreign));
    let said = (row().handle)(&mut (row().state)(), &message, &mut stage);
    assert_eq!(said, Ok(Handled::Detach));
}
