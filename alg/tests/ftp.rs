//! FTP: what is announced, what opens, and what does not.

mod stage;

use std::net::{Ipv4Addr, SocketAddrV4};

use alg::{Context, Counterpart, Ports, Refusal, Row, Side, Transport, registry};
use stage::{Conversation, FakeContext, INSIDE_GLOBAL, INSIDE_LOCAL, OUTSIDE, endpoint, session};

fn row() -> &'static Row {
    registry::ROWS.iter().find(|row| row.name == "ftp").expect("a row")
}

fn opened(client: Side) -> Conversation<'static> {
    let mut stage = FakeContext::new(session(Transport::Tcp, client, 21));
    stage.port_shift = 1000;
    Conversation::new(row(), stage, client)
}

fn greeted(client: Side) -> Conversation<'static> {
    let mut ftp = opened(client);
    assert_eq!(ftp.server("220 ready\r\n"), b"220 ready\r\n");
    assert_eq!(ftp.client("USER anonymous\r\n"), b"USER anonymous\r\n");
    assert_eq!(ftp.server("331 and your name?\r\n"), b"331 and your name?\r\n");
    ftp
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("text")
}

fn doors(ftp: &Conversation) -> Vec<SocketAddrV4> {
    ftp.stage.doors.iter().map(|(door, _)| door.inside).collect()
}

#[test]
fn an_inside_client_announces_its_global_endpoint() {
    for (said, heard) in [
        ("PORT 10,0,0,2,19,136\r\n", "PORT 203,0,113,1,23,112\r\n"),
        ("port  10,0,0,2,19,136\n", "port  203,0,113,1,23,112\n"),
        ("PoRt 010,000,0,2,019,136 \r\n", "PoRt 203,0,113,1,23,112 \r\n"),
        ("EPRT |1|10.0.0.2|5000|\r\n", "EPRT |1|203.0.113.1|6000|\r\n"),
        ("eprt !1!10.0.0.2!5000!\r\n", "eprt !1!203.0.113.1!6000!\r\n"),
        ("EPRT .1.10.0.0.2.5000.\r\n", "EPRT .1.203.0.113.1.6000.\r\n"),
        ("LPRT 4,4,10,0,0,2,2,19,136\r\n", "LPRT 4,4,203,0,113,1,2,23,112\r\n"),
        ("PORT 203,0,113,1,19,136\r\n", "PORT 203,0,113,1,23,112\r\n"),
    ] {
        let mut ftp = greeted(Side::Inside);
        assert_eq!(text(ftp.client(said)), heard);
        let (door, global) = ftp.stage.doors[0];
        assert_eq!((door.inside, global), (endpoint(INSIDE_LOCAL, 5000), endpoint(INSIDE_GLOBAL, 6000)));
        assert_eq!((door.transport, door.ports, door.peer), (Transport::Tcp, Ports::One, Some(OUTSIDE)));
        assert!(ftp.refusals.is_empty() && ftp.is_attached);
    }
}

#[test]
fn telnet_commands_come_before_a_line() {
    let mut ftp = greeted(Side::Inside);
    let said = b"\xff\xf4\xff\xf2ABOR\r\n\xff\xfd\x06PORT 10,0,0,2,19,136\r\n";
    let heard = b"\xff\xf4\xff\xf2ABOR\r\n\xff\xfd\x06PORT 203,0,113,1,23,112\r\n";
    assert_eq!(ftp.client(said), heard);
    assert_eq!(ftp.server(b"\xff\xfc\x06226 aborted\r\n"), b"\xff\xfc\x06226 aborted\r\n");
    assert!(ftp.is_attached);
}

#[test]
fn commands_share_and_cross_segments() {
    let mut ftp = greeted(Side::Inside);
    assert_eq!(text(ftp.client("TYPE I\r\nPO")), "TYPE I\r\n");
    assert_eq!(text(ftp.client("RT 10,0,0,2,1")), "");
    assert_eq!(text(ftp.client("9,136\r\nLIST\r\nNOOP")), "PORT 203,0,113,1,23,112\r\nLIST\r\n");
    assert_eq!(ftp.held(true), b"NOOP");
}

#[test]
fn what_cannot_be_announced_passes_without_a_door() {
    for (said, refusal) in [
        ("PORT 10,0,0,3,19,136", Refusal::ForeignAddress),
        ("PORT 198,51,100,7,19,136", Refusal::ForeignAddress),
        ("PORT 10,0,0,2,0,80", Refusal::LowPort),
        ("PORT 10,0,0,2,3,255", Refusal::LowPort),
        ("PORT 10,0,0,2,0,0", Refusal::LowPort),
        ("PORT 10,0,0,2,256,22", Refusal::Argument),
        ("PORT 10,0,0,258,19,136", Refusal::Argument),
        ("PORT 266,0,0,2,19,136", Refusal::Argument),
        ("PORT 10,0,0,2,19", Refusal::Argument),
        ("PORT 10,0,0,2,19,136,1", Refusal::Argument),
        ("PORT 10,0,0,2,19,-136", Refusal::Argument),
        ("PORT 10,0,0,2,19,136x", Refusal::Argument),
        ("PORT", Refusal::Argument),
        ("EPRT |1|10.0.0.2|65558|", Refusal::Argument),
        ("EPRT |1|10.0.0.2|5000", Refusal::Argument),
        ("EPRT |1|10.0.0.2!5000|", Refusal::Argument),
        ("EPRT 11110.0.0.2150001", Refusal::Argument),
        ("EPRT |1|10.0.0.9|5000|", Refusal::ForeignAddress),
        ("EPRT |1|10.0.0.2|22|", Refusal::LowPort),
        ("LPRT 4,4,10,0,0,2,2,0,22", Refusal::LowPort),
        ("LPRT 6,4,10,0,0,2,2,19,136", Refusal::Argument),
    ] {
        let mut ftp = greeted(Side::Inside);
        assert_eq!(text(ftp.client(format!("{said}\r\n"))), format!("{said}\r\n"));
        assert_eq!((&ftp.refusals[..], ftp.stage.doors.len()), (&[refusal][..], 0), "{said}");
        assert!(ftp.is_attached, "{said} is no reason to let go");
        ftp.client("PORT 10,0,0,2,19,136\r\n");
        assert_eq!(ftp.stage.doors.len(), 1);
    }
}

#[test]
fn what_is_no_announcement_passes() {
    for said in
        ["EPRT |2|2001:db8::1|5000|", "SITE PORT 10,0,0,2,19,136", "STOR PORT 10,0,0,2,19,136", "PORTS 1", ""]
    {
        let mut ftp = greeted(Side::Inside);
        assert_eq!(text(ftp.client(format!("{said}\r\n"))), format!("{said}\r\n"));
        assert!(ftp.refusals.is_empty() && ftp.stage.doors.is_empty() && ftp.is_attached, "{said}");
    }
}

#[test]
fn an_inside_server_answers_with_its_global_endpoint() {
    for (asked, said, heard) in [
        (
            "PASV",
            "227 Entering Passive Mode (10,0,0,2,19,136).",
            "227 Entering Passive Mode (203,0,113,1,23,112).",
        ),
        ("pasv", "227 =10,0,0,2,19,136", "227 =203,0,113,1,23,112"),
        ("PASV", "227 in 5 s at 10,0,0,2,19,136", "227 in 5 s at 203,0,113,1,23,112"),
        ("PASV", "227 (203,0,113,1,19,136)", "227 (203,0,113,1,23,112)"),
        ("LPSV", "228 (4,4,10,0,0,2,2,19,136)", "228 (4,4,203,0,113,1,2,23,112)"),
        ("EPSV", "229 Entering (|||5000|)", "229 Entering (|||6000|)"),
        ("EPSV 1", "229 Entering (!!!5000!)", "229 Entering (!!!6000!)"),
        ("EPSV ALL\r\nEPSV", "229 (|1|10.0.0.2|5000|)", "229 (|1|10.0.0.2|6000|)"),
        ("EPSV", "227 (10,0,0,2,19,136)", "227 (203,0,113,1,23,112)"),
        ("PASV", "229 (|||5000|)", "229 (|||6000|)"),
        ("PASV", "227 (0,0,0,0,19,136)", "227 (203,0,113,1,23,112)"),
    ] {
        let mut ftp = greeted(Side::Outside);
        ftp.client(format!("{asked}\r\n"));
        assert_eq!(text(ftp.server(format!("{said}\r\n"))), format!("{heard}\r\n"));
        assert_eq!(doors(&ftp), [endpoint(INSIDE_LOCAL, 5000)]);
        assert_eq!(ftp.stage.doors[0].0.peer, Some(OUTSIDE));
        let twice = format!("{}\r\n", said.replace("19,136", "19,137").replace("5000", "5001"));
        assert_eq!(text(ftp.server(&twice)), twice, "asked once, answered once");
        assert_eq!(ftp.stage.doors.len(), 1);
    }
}

#[test]
fn an_answer_must_be_asked_for_and_sound() {
    for (asked, said, refusal) in [
        ("NOOP", "227 (10,0,0,2,19,136)", None),
        ("NOOP", "229 (|||5000|)", None),
        ("PASV", "227 Response to PASV command", None),
        ("PASV", "227 (10,0,0,2,19)", Some(Refusal::Argument)),
        ("PASV", "227 (256,10,0,0,2,19,136)", Some(Refusal::Argument)),
        ("PASV", "227 (10,0,0,2,19,136,7)", Some(Refusal::Argument)),
        ("PASV", "227 (10,0,0,3,19,136)", Some(Refusal::ForeignAddress)),
        ("PASV", "227 (10,0,0,2,0,22)", Some(Refusal::LowPort)),
        ("EPSV", "229 (|||65536|)", Some(Refusal::Argument)),
        ("EPSV", "229 (|||22|)", Some(Refusal::LowPort)),
        ("EPSV", "229 |||5000|", None),
    ] {
        let mut ftp = greeted(Side::Outside);
        ftp.client(format!("{asked}\r\n"));
        assert_eq!(text(ftp.server(format!("{said}\r\n"))), format!("{said}\r\n"));
        assert_eq!((ftp.stage.doors.len(), ftp.refusals.first().copied()), (0, refusal), "{said}");
        assert!(ftp.is_attached);
    }
}

#[test]
fn the_text_of_longer_replies_is_not_read() {
    let mut ftp = greeted(Side::Outside);
    ftp.client("PASV\r\nSTAT\r\n");
    let said = "211-status\r\n227 (10,0,0,2,19,136)\r\n211-227 (10,0,0,2,19,136)\r\nanything\r\n211 end\r\n";
    assert_eq!(text(ftp.server(said)), said);
    assert!(ftp.stage.doors.is_empty());
    let heard = "227-203,0,113,1,23,112\r\n10,0,0,2,19,136\r\n227 end\r\n";
    assert_eq!(text(ftp.server("227-10,0,0,2,19,136\r\n10,0,0,2,19,136\r\n227 end\r\n")), heard);
    assert_eq!(ftp.stage.doors.len(), 1);
}

#[test]
fn an_outside_hosts_endpoint_changes_with_its_address_alone() {
    let mut ftp = greeted(Side::Inside);
    ftp.client("PASV\r\nEPSV\r\n");
    for said in ["227 (198,51,100,7,0,20)\r\n", "229 (|||22|)\r\n"] {
        assert_eq!(text(ftp.server(said)), said);
    }
    let mut ftp = greeted(Side::Outside);
    assert_eq!(text(ftp.client("PORT 198,51,100,7,19,136\r\n")), "PORT 198,51,100,7,19,136\r\n");

    let outside_local = Ipv4Addr::new(10, 99, 0, 7);
    let media = (Ipv4Addr::new(198, 51, 100, 8), Ipv4Addr::new(10, 99, 0, 8));
    let mut ftp = greeted(Side::Inside);
    ftp.stage.session.outside_local = endpoint(outside_local, 21);
    ftp.stage.policy.push((Side::Outside, media.0, Counterpart { addr: media.1, is_static: true }));
    ftp.client("PASV\r\nPASV\r\n");
    assert_eq!(text(ftp.server("227 (198,51,100,7,19,136)\r\n")), "227 (10,99,0,7,19,136)\r\n");
    assert_eq!(text(ftp.server("227 (198,51,100,8,19,136)\r\n")), "227 (10,99,0,8,19,136)\r\n");
    assert!(ftp.stage.doors.is_empty() && ftp.refusals.is_empty());
}

#[test]
fn epsv_all_is_a_promise_once_granted() {
    for (answer, count) in [("200 yes", 0), ("501 what?", 1)] {
        let mut ftp = greeted(Side::Inside);
        ftp.client("EPSV ALL\r\n");
        ftp.server(format!("{answer}\r\n"));
        ftp.client("PORT 10,0,0,2,19,136\r\n");
        assert_eq!(ftp.stage.doors.len(), count, "{answer}");
    }
}

#[test]
fn other_hosts_are_announced_as_policy_says() {
    let other = Ipv4Addr::new(10, 0, 0, 3);
    let global = Ipv4Addr::new(203, 0, 113, 3);
    let (said, port) = ("227 (10,0,0,3,19,136)\r\n", "PORT 10,0,0,3,19,136\r\n");
    let mut ftp = greeted(Side::Outside);
    ftp.stage.third_parties.push(other);
    ftp.client("PASV\r\n");
    assert_eq!(text(ftp.server(said)), "227 (203,0,113,1,23,112)\r\n", "a third party");
    assert_eq!(doors(&ftp), [endpoint(other, 5000)]);
    for by_port in [false, true] {
        let mut ftp = greeted(Side::Outside);
        if by_port {
            ftp.stage.statics.push((Transport::Tcp, endpoint(other, 5000), endpoint(global, 5000)));
        } else {
            ftp.stage.policy.push((Side::Inside, other, Counterpart { addr: global, is_static: true }));
        }
        ftp.client("PASV\r\n");
        assert_eq!(text(ftp.server(said)), "227 (203,0,113,3,19,136)\r\n", "its static line says so");
        assert!(ftp.stage.doors.is_empty() && ftp.refusals.is_empty());
    }
    let mut ftp = greeted(Side::Outside);
    ftp.stage.policy.push((Side::Inside, other, Counterpart { addr: global, is_static: false }));
    ftp.client("PASV\r\n");
    assert_eq!(text(ftp.server(said)), said, "a dynamic mapping says nothing");
    let mut ftp = greeted(Side::Inside);
    ftp.stage.policy.push((Side::Inside, other, Counterpart { addr: global, is_static: true }));
    assert_eq!(text(ftp.client(port)), port, "nor does a client speak for a server");
}

#[test]
fn for_want_of_room_the_address_alone_is_translated() {
    let mut ftp = greeted(Side::Inside);
    for n in 0..stage::context::DOOR_COUNT_MAX {
        ftp.client(format!("PORT 10,0,0,2,19,{n}\r\n"));
    }
    assert_eq!(text(ftp.client("PORT 10,0,0,2,19,136\r\n")), "PORT 203,0,113,1,19,136\r\n");
    assert_eq!(ftp.refusals, [Refusal::DoorLimit]);
}

#[test]
fn lines_that_follow_records_are_read_again() {
    let mut ftp = greeted(Side::Inside);
    ftp.client("AUTH TLS\r\n");
    ftp.server("234 go ahead\r\n");
    let hello = b"\x16\x03\x01\0\x04abcd";
    assert_eq!(ftp.client(&hello[..3]), b"");
    assert_eq!(ftp.client(&hello[3..]), hello);
    assert_eq!(
        ftp.server(b"\x16\x03\x03\0\x02ab\x17\x03\x03\0\x01c"),
        b"\x16\x03\x03\0\x02ab\x17\x03\x03\0\x01c"
    );
    let inner = b"\x17\x03\x03\0\x16PORT 10,0,0,2,19,136\r\n";
    assert_eq!(ftp.client(inner), inner, "a record is not read");
    assert_eq!(ftp.client(b"\x15\x03\x03\0\x02\0\0"), b"\x15\x03\x03\0\x02\0\0");
    assert_eq!(text(ftp.client("PORT 10,0,0,2,19,136\r\n")), "PORT 203,0,113,1,23,112\r\n");
    assert_eq!(text(ftp.server("200 yes\r\n")), "200 yes\r\n");
    assert!(ftp.is_attached && ftp.refusals.is_empty() && ftp.stage.doors.len() == 1);
}

#[test]
fn what_is_encrypted_is_left_alone() {
    let mut ftp = greeted(Side::Inside);
    ftp.server("234 unasked\r\n");
    assert!(ftp.is_attached);
    ftp.client("AUTH TLS\r\n");
    ftp.server("234 go ahead\r\n");
    let port = "PORT 10,0,0,2,19,136\r\n";
    assert_eq!(text(ftp.client(port)), port, "no record of TLS, and so no line either");
    assert!(!ftp.is_attached && ftp.refusals.is_empty());
}

#[test]
fn what_is_not_ftp_is_left_alone() {
    for said in [
        "POST / HTTP/1.1\r\n",
        "GET / HTTP/1.0\r\n",
        "REGISTER sip:a SIP/2.0\r\n",
        "\x16\x03\x01\x02",
        "EHLO\r\n",
        "\r\n",
        "PORTAL\r\n",
        "Host: a\r\n",
        "OPTIONS * HTTP/1.1\r\n",
        "DELETE /",
        "PORT\t10,0,0,2,19,136\r\n",
    ] {
        let mut ftp = opened(Side::Inside);
        ftp.server("220 ready\r\n");
        assert_eq!(text(ftp.client(said)), said);
        assert_eq!((&ftp.refusals[..], ftp.is_attached), (&[Refusal::Foreign][..], false), "{said:?}");
    }
    for said in ["+OK POP3\r\n", "SSH-2.0-x\r\n", "220x", "\r\n", "HTTP/1.1 200 OK\r\n", "020 a\r\n", "720 "]
    {
        let mut ftp = opened(Side::Inside);
        assert_eq!(text(ftp.server(said)), said);
        assert!(!ftp.is_attached, "{said:?}");
    }
}

#[test]
fn a_padded_request_of_http_opens_nothing() {
    let port = "PORT 10,0,0,2,19,136\r\n";
    let mut ftp = opened(Side::Inside);
    ftp.server("220 ready\r\n");
    let head = "POST / HTTP/1.1\r\nHost: 198.51.100.7:21\r\nContent-Length: 4096\r\n\r\n";
    assert_eq!(text(ftp.client(head)), head);
    assert_eq!(text(ftp.client("x".repeat(1460 - head.len()))).len(), 1460 - head.len());
    assert_eq!(text(ftp.client(port)), port, "a segment that looks like a command");
    ftp.server("200 yes\r\n");
    assert_eq!(text(ftp.client(port)), port, "and again");
    assert_eq!((ftp.stage.doors.len(), &ftp.refusals[..]), (0, &[Refusal::Foreign][..]));
}

#[test]
fn later_lines_that_are_no_commands_detach() {
    for said in ["Host: x\r\n", "<html>\r\n", "\x16\x03\x01\r\n", "GET/HTTP\r\n", "ABCDEFGHIJKLMNOPQ\r\n"] {
        let mut ftp = greeted(Side::Inside);
        ftp.client(said);
        assert_eq!((&ftp.refusals[..], ftp.is_attached), (&[Refusal::Foreign][..], false), "{said:?}");
    }
}

#[test]
fn a_line_has_an_end() {
    let mut ftp = greeted(Side::Inside);
    assert_eq!(ftp.client(format!("STOR {}", "x".repeat(8000))), b"");
    let end = format!("{}\r\nPORT 10,0,0,2,19,136\r\n", "x".repeat(200));
    assert_eq!(ftp.client(&end).len(), 8005 + end.len(), "all of it is let go");
    assert_eq!((&ftp.refusals[..], ftp.stage.doors.len()), (&[Refusal::TooLong][..], 0));
    assert!(!ftp.is_attached);
}

#[test]
fn an_endpoint_announced_twice_has_one_door() {
    let mut ftp = greeted(Side::Inside);
    ftp.client("PORT 10,0,0,2,19,136\r\nEPRT |1|10.0.0.2|5000|\r\n");
    assert_eq!(ftp.stage.doors.len(), 1);
    assert_eq!(
        ftp.stage.global(Transport::Tcp, endpoint(INSIDE_LOCAL, 5000)),
        Some(endpoint(INSIDE_GLOBAL, 6000))
    );
}

#[test]
fn an_inside_server_is_expected_where_its_client_listens() {
    let mut ftp = greeted(Side::Outside);
    for said in [
        "PORT 198,51,100,7,19,136\r\n",
        "EPRT |1|198.51.100.7|5001|\r\n",
        "LPRT 4,4,198,51,100,7,2,19,138\r\n",
    ] {
        assert_eq!(text(ftp.client(said)), said);
    }
    let to: Vec<_> = ftp.stage.expected.iter().map(|expected| expected.outside).collect();
    assert_eq!(to, [5000, 5001, 5002].map(|port| endpoint(OUTSIDE, port)));
}

#[test]
fn an_inside_server_is_expected_nowhere_else() {
    let mut ftp = greeted(Side::Outside);
    for said in [
        "PORT 198,51,100,8,19,136\r\n",
        "PORT 198,51,100,7,0,25\r\n",
        "EPRT |1|198.51.100.7|80|\r\n",
        "EPRT |2|::1|5000|\r\n",
    ] {
        assert_eq!(text(ftp.client(said)), said);
    }
    assert_eq!(text(ftp.server("227 ok (198,51,100,7,19,136)\r\n")), "227 ok (198,51,100,7,19,136)\r\n");
    assert!(ftp.stage.expected.is_empty(), "{:?}", ftp.stage.expected);
}
