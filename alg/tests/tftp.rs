//! TFTP: a request lets the server's answer in.

mod stage;

use alg::{Handled, Refusal, Row, Side, Transport, registry};
use stage::script::unescape;
use stage::{FakeContext, INSIDE_GLOBAL, INSIDE_LOCAL, OUTSIDE, endpoint, outcome, session};

fn row() -> &'static Row {
    registry::ROWS.iter().find(|row| row.name == "tftp").expect("a row")
}

fn stage(client: Side) -> FakeContext {
    FakeContext::new(session(Transport::Udp, client, 69))
}

#[test]
fn a_request_opens_the_clients_own_endpoint() {
    for said in [
        r"\0\x01boot.img\0octet\0",
        r"\0\x02config\0NetASCII\0",
        r"\0\x01a b\0mail\0tsize\00\0blksize\01428\0",
        r"\0\x01f\0octet\0multicast\0\0",
        r"\0\x01f\0octet\0x_rev\0\0tsize\00\0",
        r"\0\x01f\0octet\0\0\0\0",
    ] {
        let mut stage = stage(Side::Inside);
        stage.session.inside_global = endpoint(INSIDE_GLOBAL, 2049);
        let said = unescape(said);
        assert_eq!(outcome(row(), &mut stage, Side::Inside, &said), (Ok(Handled::Continue), said));
        let (door, global) = stage.doors[0];
        assert_eq!((door.inside, door.peer), (endpoint(INSIDE_LOCAL, 40000), Some(OUTSIDE)));
        assert_eq!(global, endpoint(INSIDE_GLOBAL, 2049), "the request's own global endpoint");
    }
}

#[test]
fn a_request_sent_again_has_one_door() {
    let mut stage = stage(Side::Inside);
    let said = unescape(r"\0\x01f\0octet\0");
    let _ = outcome(row(), &mut stage, Side::Inside, &said);
    let _ = outcome(row(), &mut stage, Side::Inside, &said);
    assert_eq!(stage.doors.len(), 1);
}

#[test]
fn what_is_no_request_opens_nothing() {
    for (said, expected) in [
        (r"\0\x03\0\x01data", Ok(Handled::Continue)),
        (r"\0\x04\0\x01", Ok(Handled::Continue)),
        (r"\0\x05\0\x01no\0", Ok(Handled::Continue)),
        (r"\0\x06tsize\05\0", Ok(Handled::Continue)),
        (r"\0\x01f\0octet", Err(Refusal::Malformed)),
        (r"\0\x01\0octet\0", Err(Refusal::Malformed)),
        (r"\0\x01f\0octets\0", Err(Refusal::Malformed)),
        (r"\0\x01f\0octet\0blksize\0", Err(Refusal::Malformed)),
        (r"\0\x01f\0octet\0\0x\0", Err(Refusal::Malformed)),
        (r"\0\x01f", Err(Refusal::Malformed)),
        (r"\0\x07", Err(Refusal::Foreign)),
        (r"\x01", Err(Refusal::Foreign)),
        (r"", Err(Refusal::Foreign)),
        (r"GET / HTTP/1.1\r\n", Err(Refusal::Foreign)),
    ] {
        let mut stage = stage(Side::Inside);
        let bytes = unescape(said);
        assert_eq!(outcome(row(), &mut stage, Side::Inside, &bytes), (expected, bytes), "{said}");
        assert!(stage.doors.is_empty(), "{said}");
    }
}

#[test]
fn an_inside_server_is_expected_to_answer_the_client() {
    let mut stage = stage(Side::Outside);
    let said = unescape(r"\0\x01f\0octet\0");
    assert_eq!(outcome(row(), &mut stage, Side::Outside, &said), (Ok(Handled::Continue), said));
    assert!(stage.doors.is_empty());
    let to = stage.expected.iter().map(|expected| (expected.transport, expected.outside));
    assert_eq!(to.collect::<Vec<_>>(), [(Transport::Udp, endpoint(OUTSIDE, 40000))]);
}

#[test]
fn nobody_is_expected_to_answer_what_is_no_request() {
    for said in [r"\0\x03\0\x01data", r"\0\x01f\0octet", r"GET / HTTP/1.1\r\n"] {
        let mut stage = stage(Side::Outside);
        let _ = outcome(row(), &mut stage, Side::Outside, &unescape(said));
        assert!(stage.expected.is_empty(), "{said}");
    }
}
