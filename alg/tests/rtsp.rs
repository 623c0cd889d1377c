//! RTSP: whose ports are announced, what opens, and what stays as it is.

mod stage;

use std::net::{Ipv4Addr, SocketAddrV4};

use alg::{Counterpart, Owner, Ports, Refusal, Row, Side, Transport, registry};
use stage::{Conversation, FakeContext, INSIDE_LOCAL, OUTSIDE, endpoint, session};

fn row() -> &'static Row {
    registry::ROWS.iter().find(|row| row.name == "rtsp").expect("a row")
}

/// A session to port 554 whose global ports are 1000 above the local ones.
fn opened(client: Side) -> Conversation<'static> {
    let mut stage = FakeContext::new(session(Transport::Tcp, client, 554));
    stage.port_shift = 1000;
    Conversation::new(row(), stage, client)
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("text")
}

fn setup(number: u32, transport: &str) -> String {
    format!(
        "SETUP rtsp://198.51.100.7/a/{number} RTSP/1.0\r\nCSeq: {number}\r\nTransport: {transport}\r\n\r\n"
    )
}

fn granted(number: u32, transport: &str) -> String {
    format!("RTSP/1.0 200 OK\r\nCSeq: {number}\r\nSession: s;timeout=60\r\nTransport: {transport}\r\n\r\n")
}

fn doors(rtsp: &Conversation) -> Vec<(u16, Ports)> {
    rtsp.stage.doors.iter().map(|(door, _)| (door.inside.port(), door.ports)).collect()
}

#[test]
fn an_inside_client_announces_its_global_ports_and_sees_its_own() {
    use Ports::{One, Pair};
    for (said, heard, opens) in [
        (
            "RTP/AVP;unicast;client_port=5000-5001",
            "RTP/AVP;unicast;client_port=6000-6001",
            &[(5000, Pair)][..],
        ),
        ("RTP/AVP;client_port=5000-5001", "RTP/AVP;client_port=6000-6001", &[(5000, Pair)]),
        (
            "rtp/avp/udp;UNICAST; Client_Port = 5000 - 5001",
            "rtp/avp/udp;UNICAST; Client_Port = 6000-6001",
            &[(5000, Pair)],
        ),
        (
            "x-real-rdt/udp;client_port=5000;mode=play",
            "x-real-rdt/udp;client_port=6000;mode=play",
            &[(5000, One)],
        ),
        ("RTP/AVP;unicast;client_port=5000-5000", "RTP/AVP;unicast;client_port=6000-6000", &[(5000, One)]),
        (
            "x-real-rdt/udp;client_port=5000,RTP/AVP;unicast;client_port=5000-5001",
            "x-real-rdt/udp;client_port=6000,RTP/AVP;unicast;client_port=6000-6001",
            &[(5000, Pair)],
        ),
        (
            "RTP/AVP;unicast;destination=10.0.0.2;client_port=5000-5001",
            "RTP/AVP;unicast;destination=203.0.113.1;client_port=6000-6001",
            &[(5000, Pair)],
        ),
        (
            "RTP/AVP;unicast;client_port=5000-5006",
            "RTP/AVP;unicast;client_port=6000-6006",
            &[(5000, One), (5006, One)],
        ),
        (
            "RTP/AVP;unicast;client_port=5001/5000",
            "RTP/AVP;unicast;client_port=6001/6000",
            &[(5001, One), (5000, One)],
        ),
        (
            "RTP/AVP;unicast;destination=10.0.0.2:5000",
            "RTP/AVP;unicast;destination=203.0.113.1:6000",
            &[(5000, One)],
        ),
        (
            "RTP/AVP;unicast;dest_addr=\":5000\"/\":5001\"",
            "RTP/AVP;unicast;dest_addr=\":6000\"/\":6001\"",
            &[(5000, Pair)],
        ),
        (
            "RTP/AVP;unicast;RTCP-mux;dest_addr=\"10.0.0.2:5000\"",
            "RTP/AVP;unicast;RTCP-mux;dest_addr=\"203.0.113.1:6000\"",
            &[(5000, One)],
        ),
        (
            "RTP/AVP;unicast;dest_addr=\":5000\"/\":5010\",RTP/AVP/TCP;interleaved=0-1",
            "RTP/AVP;unicast;dest_addr=\":6000\"/\":6010\",RTP/AVP/TCP;interleaved=0-1",
            &[(5000, One), (5010, One)],
        ),
    ] {
        let mut rtsp = opened(Side::Inside);
        assert_eq!(text(rtsp.client(setup(3, said))), setup(3, heard));
        assert_eq!(doors(&rtsp), opens, "{said}");
        let (door, _) = rtsp.stage.doors[0];
        assert_eq!((door.transport, door.peer, door.child), (Transport::Udp, Some(OUTSIDE), None));
        assert_eq!(door.inside.ip(), &INSIDE_LOCAL);
        let restored = text(rtsp.server(granted(3, heard))).replace(" - ", "-");
        assert_eq!(restored, granted(3, &said.replace(" - ", "-")), "the client sees its own");
        assert!(rtsp.is_attached && rtsp.refusals.is_empty());
    }
}

#[test]
fn a_port_of_a_pair_has_no_door_of_its_own() {
    let mut rtsp = opened(Side::Inside);
    let said = "x-real-rdt/udp;client_port=5001,RTP/AVP;unicast;client_port=5000-5001";
    let heard = "x-real-rdt/udp;client_port=6001,RTP/AVP;unicast;client_port=6000-6001";
    assert_eq!(text(rtsp.client(setup(1, said))), setup(1, heard));
    assert_eq!(doors(&rtsp), [(5000, Ports::Pair)]);
}

#[test]
fn only_the_hosts_own_ports_are_turned_back() {
    let mut rtsp = opened(Side::Inside);
    let other = endpoint(Ipv4Addr::new(10, 0, 0, 3), 5000);
    let global = SocketAddrV4::new(*rtsp.stage.session.inside_global.ip(), 6000);
    rtsp.stage.mappings.push((Transport::Udp, other, global));
    let said = granted(1, "RTP/AVP;unicast;client_port=6000");
    assert_eq!(text(rtsp.server(&said)), said, "a neighbour's, on the same global address");
}

#[test]
fn an_outside_client_opens_nothing() {
    let mut rtsp = opened(Side::Outside);
    let global = SocketAddrV4::new(*rtsp.stage.session.inside_global.ip(), 7000);
    rtsp.stage.mappings.push((Transport::Udp, endpoint(INSIDE_LOCAL, 7000), global));
    let said = setup(1, "RTP/AVP;unicast;client_port=7000;source=198.51.100.9");
    assert_eq!(text(rtsp.client(&said)), said);
    assert!(rtsp.stage.doors.is_empty());
}

#[test]
fn what_is_not_for_the_translation_stays() {
    for said in [
        "RTP/AVP/TCP;unicast;interleaved=0-1",
        "RTP/AVP/TCP;unicast;client_port=5000-5001",
        "RTP/AVP;unicast;interleaved=0-1;client_port=5000-5001",
        "RTP/AVP;multicast;destination=224.2.0.1;port=5000-5001;ttl=16",
        "x-real-rdt/mcast;client_port=5000;mode=play",
        "RTP/AVP;unicast;dest_addr=\"[2001:db8::2]:5000\"",
        "RTP/AVP;unicast;mode=\"PLAY,client_port=5000\"",
        "RTP/AVP;unicast;x-client_port=5000",
        "RTP/AVP;unicast;server_port=5000-5001",
    ] {
        let mut rtsp = opened(Side::Inside);
        assert_eq!(text(rtsp.client(setup(1, said))), setup(1, said));
        assert_eq!(text(rtsp.server(granted(1, said))), granted(1, said));
        assert!(rtsp.stage.doors.is_empty() && rtsp.refusals.is_empty() && rtsp.is_attached, "{said}");
    }
    let mut rtsp = opened(Side::Inside);
    let said = setup(1, "RTP/AVP;unicast;client_port=5000-5001").replace("SETUP", "PLAY");
    assert_eq!(text(rtsp.client(&said)), said, "only a set-up sets up");
    assert!(rtsp.stage.doors.is_empty());
}

#[test]
fn what_cannot_be_announced_passes_without_a_door() {
    for (said, refusal) in [
        ("RTP/AVP;unicast;client_port=1023-1024", Refusal::LowPort),
        ("RTP/AVP;unicast;client_port=0", Refusal::LowPort),
        ("RTP/AVP;unicast;dest_addr=\":80\"", Refusal::LowPort),
        ("RTP/AVP;unicast;client_port=65536", Refusal::Argument),
        ("RTP/AVP;unicast;client_port=5000-80", Refusal::LowPort),
        ("RTP/AVP;unicast;client_port=5000-5001-5002", Refusal::Argument),
        ("RTP/AVP;unicast;client_port=65535-65536", Refusal::Argument),
        ("RTP/AVP;unicast;client_port=", Refusal::Argument),
        ("RTP/AVP;unicast;client_port=-1", Refusal::Argument),
        ("RTP/AVP;unicast;dest_addr=\":x\"", Refusal::Argument),
        ("RTP/AVP;unicast;destination=10.0.0.3;client_port=5000-5001", Refusal::ForeignAddress),
        ("RTP/AVP;unicast;dest_addr=\"10.0.0.3:5000\"", Refusal::ForeignAddress),
        ("RTP/AVP;unicast;client_port=5000,RTP/AVP;unicast;client_port=80", Refusal::LowPort),
    ] {
        let mut rtsp = opened(Side::Inside);
        assert_eq!(text(rtsp.client(setup(1, said))), setup(1, said));
        assert_eq!((&rtsp.refusals[..], doors(&rtsp).len()), (&[refusal][..], 0), "{said}");
        assert!(rtsp.is_attached);
    }
}

#[test]
fn the_media_may_come_from_where_the_server_says() {
    for source in ["source=198.51.100.9;server_port=9000-9001", "src_addr=\"198.51.100.9:9000\""] {
        let mut rtsp = opened(Side::Inside);
        rtsp.client(setup(1, "RTP/AVP;unicast;client_port=5000-5001"));
        rtsp.server(granted(1, &format!("RTP/AVP;unicast;client_port=6000-6001;{source}")));
        let (door, _) = rtsp.stage.doors[0];
        assert_eq!((door.inside, door.ports), (endpoint(INSIDE_LOCAL, 5000), Ports::Pair));
        assert_eq!(door.peer, Some(Ipv4Addr::new(198, 51, 100, 9)));
        assert_eq!(rtsp.stage.doors.len(), 1);
    }
}

#[test]
fn an_inside_server_announces_its_global_ports() {
    for (said, heard, opens) in [
        (
            "RTP/AVP;unicast;client_port=7000-7001;server_port=9000-9001;source=10.0.0.2",
            "RTP/AVP;unicast;client_port=7000-7001;server_port=10000-10001;source=203.0.113.1",
            &[(9000, Ports::Pair)][..],
        ),
        (
            "RTP/AVP;unicast;src_addr=\"10.0.0.2:9000\"/\"10.0.0.2:9001\";dest_addr=\"198.51.100.7:7000\"",
            "RTP/AVP;unicast;src_addr=\"203.0.113.1:10000\"/\"203.0.113.1:10001\";dest_addr=\"198.51.100.7:7000\"",
            &[(9000, Ports::Pair)],
        ),
        (
            "RTP/AVP;destination=198.51.100.7;source=cam.example;server_port=9000",
            "RTP/AVP;destination=198.51.100.7;source=cam.example;server_port=10000",
            &[(9000, Ports::One)],
        ),
        (
            "RTP/AVP;unicast;source=10.0.0.2:9000;server_port=9000-9007",
            "RTP/AVP;unicast;source=203.0.113.1:10000;server_port=10000-10007",
            &[(9000, Ports::One), (9007, Ports::One)],
        ),
    ] {
        let mut rtsp = opened(Side::Outside);
        let asked = setup(2, "RTP/AVP;unicast;client_port=7000-7001;destination=198.51.100.7");
        assert_eq!(text(rtsp.client(&asked)), asked);
        assert!(rtsp.stage.doors.is_empty());
        assert_eq!(text(rtsp.server(granted(9, said))).find("10000"), None, "an answer to nothing");
        assert_eq!(text(rtsp.server(granted(2, said))), granted(2, heard));
        assert_eq!(doors(&rtsp), opens);
        assert_eq!(rtsp.stage.doors[0].0.peer, Some(OUTSIDE));
        assert!(rtsp.refusals.is_empty());
    }
}

#[test]
fn doors_close_with_their_session() {
    let mut rtsp = opened(Side::Inside);
    rtsp.client(setup(1, "RTP/AVP;unicast;client_port=5000-5001"));
    rtsp.server(granted(1, "RTP/AVP;unicast;client_port=6000-6001"));
    let second = setup(2, "RTP/AVP;unicast;client_port=5002-5003").replace("CSeq", "Session: s\r\nCSeq");
    rtsp.client(second);
    rtsp.server(granted(2, "RTP/AVP;unicast;client_port=6002-6003"));
    rtsp.client(setup(3, "RTP/AVP;unicast;client_port=5004-5005"));
    rtsp.server(granted(3, "RTP/AVP;unicast;client_port=6004-6005").replace("Session: s", "Session: t"));
    rtsp.client(setup(4, "RTP/AVP;unicast;client_port=5006-5007"));
    assert_eq!(rtsp.stage.doors.len(), 4);
    rtsp.server("RTSP/1.0 461 Unsupported Transport\r\nCSeq: 4\r\n\r\n");
    assert_eq!(doors(&rtsp).last(), Some(&(5004, Ports::Pair)), "the set-up that failed");
    let third = setup(7, "RTP/AVP;unicast;client_port=1-2").replace("CSeq", "Session: s\r\nCSeq");
    rtsp.client(third);
    rtsp.server("RTSP/1.0 461 Unsupported Transport\r\nCSeq: 7\r\n\r\n");
    assert_eq!(rtsp.stage.doors.len(), 3, "a set-up that failed ends no session");
    rtsp.client("TEARDOWN rtsp://198.51.100.7/a RTSP/1.0\r\nCSeq: 5\r\nSession: unknown\r\n\r\n");
    assert_eq!(rtsp.stage.doors.len(), 3);
    rtsp.client("TEARDOWN rtsp://198.51.100.7/a RTSP/1.0\r\nCSeq: 6\r\nSession:  s \r\n\r\n");
    assert_eq!(doors(&rtsp), [(5004, Ports::Pair)]);
    assert_eq!(rtsp.stage.closed, [Owner::Session(2), Owner::Session(0)]);
}

/// RTSP 2.0 allows it (RFC 7826 section 18.33): the client asks for the second before it knows of a session.
#[test]
fn set_ups_that_did_not_wait_for_each_other_close_together() {
    let mut rtsp = opened(Side::Inside);
    for number in [1, 2] {
        let port = 5000 + 2 * number;
        rtsp.client(setup(number, &format!("RTP/AVP;unicast;client_port={port}-{}", port + 1)));
    }
    for number in [1, 2] {
        rtsp.server(granted(number, "RTP/AVP;unicast;client_port=6000-6001"));
    }
    assert_eq!(rtsp.stage.doors.len(), 2);
    rtsp.client("TEARDOWN rtsp://198.51.100.7/a RTSP/1.0\r\nCSeq: 6\r\nSession: s\r\n\r\n");
    assert_eq!(doors(&rtsp), []);
}

fn described(number: u32, body: &str) -> String {
    format!(
        "RTSP/1.0 200 OK\r\nCSeq: {number}\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
}

#[test]
fn descriptions_change_with_their_length() {
    let body = "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=10.0.0.2\r\nc=IN IP4 10.0.0.2/127\r\n\
        m=video 0 RTP/AVP 96\r\nc=IN IP4 224.2.0.1/16\r\na=control:rtsp://a@10.0.0.2:554/b?c=10.0.0.2\r\n";
    let after = "v=0\r\no=- 1 1 IN IP4 203.0.113.1\r\ns=10.0.0.2\r\nc=IN IP4 203.0.113.1/127\r\n\
        m=video 0 RTP/AVP 96\r\nc=IN IP4 224.2.0.1/16\r\na=control:rtsp://a@203.0.113.1:554/b?c=10.0.0.2\r\n";
    let mut rtsp = opened(Side::Outside);
    assert_eq!(text(rtsp.server(described(1, body))), described(1, after));
    let other = described(2, body).replace("application/sdp", "text/plain");
    assert_eq!(text(rtsp.server(&other)), other);
    let packed = described(3, body).replace("CSeq", "Content-Encoding: gzip\r\nCSeq");
    assert_eq!(text(rtsp.server(&packed)), packed);

    let mut rtsp = opened(Side::Inside);
    let announce =
        |body| described(1, body).replace("RTSP/1.0 200 OK", "ANNOUNCE rtsp://198.51.100.7/a RTSP/1.0");
    assert_eq!(text(rtsp.client(announce(body))), announce(after), "a client that records announces itself");
    let theirs = described(1, &body.replace("10.0.0.2", "198.51.100.7"));
    assert_eq!(text(rtsp.server(&theirs)), theirs);
}

#[test]
fn urls_of_the_inside_server_change() {
    let head = "RTSP/1.0 302 Moved\r\nCSeq: 1\r\n";
    for (said, heard) in [
        ("Content-Base: rtsp://10.0.0.2/a/", "Content-Base: rtsp://203.0.113.1/a/"),
        ("Content-Base: rtsp://10.0.0.20/a/", "Content-Base: rtsp://10.0.0.20/a/"),
        ("Content-Location: rtsp://10.0.0.2:554", "Content-Location: rtsp://203.0.113.1:554"),
        ("Location: rtsp://10.0.0.2:8554/a", "Location: rtsp://203.0.113.1:18554/a"),
        ("Location: rtsp://10.0.0.2:9554/a", "Location: rtsp://203.0.113.1:9554/a"),
        ("Location: rtsp://10.0.0.9/a", "Location: rtsp://203.0.113.9/a"),
        (
            "RTP-Info: url=rtsp://10.0.0.2/a;seq=1,\r\n url=\"rtsp://10.0.0.2\"",
            "RTP-Info: url=rtsp://203.0.113.1/a;seq=1,\r\n url=\"rtsp://203.0.113.1\"",
        ),
        ("Content-Base: 10.0.0.2:554/a/", "Content-Base: 203.0.113.1:554/a/"),
        ("Content-Base: 10.0.0.2", "Content-Base: 203.0.113.1"),
        ("Content-Base: 10.0.0.20/", "Content-Base: 10.0.0.20/"),
        (
            "RTP-Info: url=10.0.0.2/a;seq=1,url=\"10.0.0.2:554\"",
            "RTP-Info: url=203.0.113.1/a;seq=1,url=\"203.0.113.1:554\"",
        ),
        ("Location: rtsp://a.example/10.0.0.2/", "Location: rtsp://a.example/10.0.0.2/"),
        ("Server: rtsp://10.0.0.2/", "Server: rtsp://10.0.0.2/"),
    ] {
        let mut rtsp = opened(Side::Outside);
        let other = Counterpart { addr: Ipv4Addr::new(203, 0, 113, 9), is_static: true };
        rtsp.stage.policy.push((Side::Inside, Ipv4Addr::new(10, 0, 0, 9), other));
        let global = SocketAddrV4::new(*rtsp.stage.session.inside_global.ip(), 18554);
        rtsp.stage.mappings.push((Transport::Tcp, endpoint(INSIDE_LOCAL, 8554), global));
        assert_eq!(text(rtsp.server(format!("{head}{said}\r\n\r\n"))), format!("{head}{heard}\r\n\r\n"));
    }
    let mut rtsp = opened(Side::Outside);
    rtsp.stage.session.inside_global.set_port(10554);
    let said = format!("{head}Content-Base: rtsp://10.0.0.2/a\r\n\r\n");
    assert_eq!(
        text(rtsp.server(&said)),
        said.replace("10.0.0.2", "203.0.113.1:10554"),
        "a port that it had not"
    );
}

#[test]
fn an_outside_server_has_the_address_that_the_inside_knows() {
    let mut rtsp = opened(Side::Inside);
    rtsp.stage.session.outside_local = endpoint(Ipv4Addr::new(10, 99, 0, 7), 554);
    let said = described(1, "v=0\r\nc=IN IP4 198.51.100.7\r\n");
    assert_eq!(text(rtsp.server(said)), described(1, "v=0\r\nc=IN IP4 10.99.0.7\r\n"));
}

#[test]
fn frames_of_media_are_not_read() {
    let mut rtsp = opened(Side::Inside);
    rtsp.client(setup(1, "RTP/AVP/TCP;unicast;interleaved=0-1"));
    let inner = setup(2, "RTP/AVP;unicast;client_port=5000-5001");
    let mut frame = vec![b'$', 0, 0, inner.len() as u8];
    frame.extend(inner.as_bytes());
    assert_eq!(rtsp.client(&frame[..3]), []);
    assert_eq!(rtsp.client(&frame[3..20]), &frame[..20], "what is opaque is not held");
    assert_eq!(rtsp.client(&frame[20..]), &frame[20..]);
    assert!(rtsp.stage.doors.is_empty() && rtsp.is_attached);
    assert!(
        text(rtsp.client(format!("\r\n{inner}"))).contains("client_port=6000-6001"),
        "and then a message"
    );
}

#[test]
fn bodies_are_not_read_as_messages() {
    let mut rtsp = opened(Side::Inside);
    let inner = setup(2, "RTP/AVP;unicast;client_port=5000-5001");
    let said = format!(
        "SET_PARAMETER rtsp://198.51.100.7/a RTSP/1.0\r\nCSeq: 1\r\nContent-Length: {}\r\n\r\n{inner}",
        inner.len()
    );
    assert_eq!(text(rtsp.client(&said)), said);
    assert!(rtsp.stage.doors.is_empty() && rtsp.is_attached);
}

#[test]
fn a_description_without_a_length_ends_with_the_first_line_that_is_none() {
    let body = "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=a\r\nc=IN IP4 10.0.0.2\r\na=rtcp:5001 IN IP4 10.0.0.2\r\n\
        a=control:10.0.0.2:554/a\r\n";
    let head = "RTSP/1.0 200 OK\r\nCSeq: 1\r\nContent-Type: application/sdp\r\n\r\n";
    for cut in 0..body.len() {
        let mut rtsp = opened(Side::Outside);
        rtsp.client("DESCRIBE rtsp://203.0.113.1/a RTSP/1.0\r\nCSeq: 1\r\n\r\n");
        let mut heard = text(rtsp.server(format!("{head}{}", &body[..cut])));
        heard += &text(rtsp.server(&body[cut..]));
        assert_eq!(heard, format!("{head}{}", body.replace("10.0.0.2", "203.0.113.1")));
        rtsp.client(setup(2, "RTP/AVP;unicast;client_port=7000-7001"));
        let heard = text(rtsp.server(granted(2, "RTP/AVP;unicast;server_port=9000-9001")));
        assert_eq!(heard, granted(2, "RTP/AVP;unicast;server_port=10000-10001"), "and is read on");
        assert_eq!((&rtsp.refusals[..], rtsp.is_attached), (&[][..], true));
    }
    let mut rtsp = opened(Side::Outside);
    rtsp.server("RTSP/1.0 200 OK\r\nCSeq: 1\r\n\r\n");
    assert_eq!(text(rtsp.server(body)), body, "no description was announced");
    assert!(!rtsp.is_attached);
}

#[test]
fn whoever_asks_is_the_client() {
    let mut rtsp = opened(Side::Inside);
    let asked = setup(2, "RTP/AVP;unicast;client_port=7000-7001");
    assert_eq!(text(rtsp.server(&asked)), asked, "a camera that called its server");
    let heard = text(rtsp.client(granted(2, "RTP/AVP;unicast;source=10.0.0.2;server_port=9000-9001")));
    assert_eq!(heard, granted(2, "RTP/AVP;unicast;source=203.0.113.1;server_port=10000-10001"));
    assert_eq!(doors(&rtsp), [(9000, Ports::Pair)]);
    let mut rtsp = opened(Side::Outside);
    let asked = setup(2, "RTP/AVP;unicast;client_port=5000-5001");
    let heard = setup(2, "RTP/AVP;unicast;client_port=6000-6001");
    assert_eq!(text(rtsp.server(asked)), heard);
    assert_eq!(
        text(rtsp.client(granted(2, "RTP/AVP;unicast;client_port=6000-6001"))),
        granted(2, "RTP/AVP;unicast;client_port=5000-5001")
    );
}

#[test]
fn some_servers_do_not_count() {
    for number in ["CSeq: 0\r\n", ""] {
        let mut rtsp = opened(Side::Outside);
        rtsp.client(setup(4, "RTP/AVP;unicast;client_port=7000-7001"));
        let answer = |of: &str| granted(9, of).replace("CSeq: 9\r\n", number);
        rtsp.server(format!("RTSP/1.0 200 OK\r\n{number}\r\n"));
        let heard = text(rtsp.server(answer("RTP/AVP;unicast;server_port=9000-9001")));
        assert_eq!(heard, answer("RTP/AVP;unicast;server_port=10000-10001"));
    }
    let mut rtsp = opened(Side::Outside);
    rtsp.client(setup(0, "RTP/AVP;unicast;client_port=7000-7001"));
    assert_eq!(
        text(rtsp.server(granted(0, "RTP/AVP;server_port=9000"))),
        granted(0, "RTP/AVP;server_port=10000")
    );
}

#[test]
fn frames_of_a_session_before_may_come_ahead_of_the_first_answer() {
    let mut rtsp = opened(Side::Inside);
    rtsp.client(setup(1, "RTP/AVP;unicast;client_port=5000-5001"));
    assert_eq!(rtsp.server(b"$\0\0\x02ab"), b"$\0\0\x02ab");
    let heard = text(rtsp.server(granted(1, "RTP/AVP;unicast;client_port=6000-6001")));
    assert_eq!(heard, granted(1, "RTP/AVP;unicast;client_port=5000-5001"));
    let mut rtsp = opened(Side::Inside);
    rtsp.server(b"$\0\0\x02ab");
    assert!(!rtsp.is_attached, "ahead of the first question nobody has spoken RTSP");
}

#[test]
fn what_cannot_be_announced_has_its_address_translated() {
    let mut rtsp = opened(Side::Outside);
    rtsp.client(setup(1, "RTP/AVP;unicast;client_port=7000-7001"));
    let heard = text(rtsp.server(granted(1, "RTP/AVP;unicast;source=10.0.0.2;server_port=80-81")));
    assert_eq!(heard, granted(1, "RTP/AVP;unicast;source=203.0.113.1;server_port=80-81"));
    assert_eq!((&rtsp.refusals[..], doors(&rtsp).len()), (&[Refusal::LowPort][..], 0));
}

#[test]
fn lengths_must_be_sound() {
    let long = (1u64 << 32) + 32;
    for (lengths, refusal) in [
        (vec!["bad".to_string()], Refusal::Malformed),
        (vec!["-1".to_string()], Refusal::Malformed),
        (vec!["1".to_string(), "2".to_string()], Refusal::Malformed),
        (vec![long.to_string()], Refusal::Malformed),
        (vec!["70000".to_string()], Refusal::TooLong),
    ] {
        let headers: String = lengths.iter().map(|len| format!("Content-Length: {len}\r\n")).collect();
        let said = format!("OPTIONS * RTSP/1.0\r\nCSeq: 1\r\n{headers}\r\n");
        let mut rtsp = opened(Side::Inside);
        assert_eq!(text(rtsp.client(&said)), said);
        assert_eq!((&rtsp.refusals[..], rtsp.is_attached), (&[refusal][..], false), "{lengths:?}");
    }
}

#[test]
fn what_is_not_rtsp_is_left_alone() {
    for said in [
        "GET /a HTTP/1.0\r\n",
        "POST / HTTP/1.1\r\n",
        "\x16\x03\x01",
        "$\0\0\x04",
        "\r\n",
        "setup a RTSP/1.0\r\n",
        "SETUP RTSP/1.0\r\n",
        "SETUP  RTSP/1.0\r\n",
        "RTSP/1.0 20 OK\r\n",
        "RTSP/1.0 2000\r\n",
        "RTSP/10",
        "PLAY a RTSP/1.0 \r\n",
    ] {
        let mut rtsp = opened(Side::Inside);
        assert_eq!(text(rtsp.client(said)), said);
        assert_eq!((&rtsp.refusals[..], rtsp.is_attached), (&[Refusal::Foreign][..], false), "{said:?}");
    }
    let mut rtsp = opened(Side::Inside);
    rtsp.client(format!("SETUP rtsp://198.51.100.7/{}", "a".repeat(5000)));
    assert!(!rtsp.is_attached, "a first line has an end");
}

#[test]
fn a_padded_request_of_http_opens_nothing() {
    let inner = setup(2, "RTP/AVP;unicast;client_port=5000-5001");
    let mut rtsp = opened(Side::Inside);
    rtsp.client(format!("POST / HTTP/1.1\r\nHost: 198.51.100.7:554\r\n\r\n{}", "x".repeat(1400)));
    assert_eq!(text(rtsp.client(&inner)), inner, "a segment that looks like a set-up");
    assert_eq!((&rtsp.refusals[..], rtsp.stage.doors.len()), (&[Refusal::Foreign][..], 0));
}

#[test]
fn datagrams_are_messages_too() {
    let mut stage = FakeContext::new(session(Transport::Udp, Side::Inside, 554));
    stage.port_shift = 1000;
    let mut rtsp = Conversation::new(row(), stage, Side::Inside);
    let heard = text(rtsp.client(setup(1, "RTP/AVP;unicast;client_port=5000-5001")));
    assert_eq!(heard, setup(1, "RTP/AVP;unicast;client_port=6000-6001"));
}

#[test]
fn what_would_grow_without_bound_passes_unchanged() {
    let mut rtsp = opened(Side::Outside);
    let bomb = described(1, &"c=IN IP4 10.0.0.2\r\n".repeat(3000));
    assert_eq!(text(rtsp.server(&bomb)), bomb);
    assert_eq!((&rtsp.refusals[..], rtsp.is_attached), (&[Refusal::EditLimit][..], true));

    let mut rtsp = opened(Side::Inside);
    let specs: Vec<String> =
        (0..20).map(|n| format!("RTP/AVP;unicast;client_port={0}-{1}", 5000 + 2 * n, 5001 + 2 * n)).collect();
    let bomb = setup(1, &specs.join(","));
    assert_eq!(text(rtsp.client(&bomb)), bomb);
    assert_eq!((&rtsp.refusals[..], rtsp.stage.doors.len()), (&[Refusal::DoorLimit][..], 0));
    for number in 0..40 {
        let port = 5000 + 2 * number;
        rtsp.client(setup(number, &format!("RTP/AVP;unicast;client_port={port}-{}", port + 1)));
    }
    assert_eq!(rtsp.stage.doors.len(), stage::context::DOOR_COUNT_MAX);
    assert!(rtsp.is_attached);
}
