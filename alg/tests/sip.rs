//! SIP: which places of messages change, what they become, and what opens.

mod sip_messages;
mod stage;

use std::net::Ipv4Addr;

use alg::{Counterpart, Ports, Refusal, Side, Transport};
use sip_messages::{
    announced, answer, audio, described, door_to, invite, media, message, over_tcp, own, phone, request,
    server, text,
};
use stage::{INSIDE_LOCAL, OUTSIDE, endpoint};

/// Lines of a request that begins a dialog.
fn with(lines: &str) -> String {
    let headers = format!(
        "{lines}\r\nFrom: <sip:a@example.com>;tag=a\r\nTo: <sip:b@example.com>\r\nCall-ID: c1\r\nCSeq: 1 INVITE\r\n"
    );
    message("INVITE sip:b@198.51.100.7 SIP/2.0", &headers, "")
}

/// Without the spaces that may stand around marks.
fn tight(said: &str) -> String {
    said.replace(" :", ":").replace(": ", ":").replace(" /", "/").replace("/ ", "/")
}

#[test]
fn endpoints_of_the_phone_become_its_global_ones() {
    for (said, heard) in [
        ("Via: SIP/2.0/UDP 10.0.0.2:5060;branch=1", "Via: SIP/2.0/UDP 203.0.113.1:6060;branch=1"),
        ("Via: SIP/2.0/UDP 10.0.0.2;rport;branch=1", "Via: SIP/2.0/UDP 203.0.113.1:6060;rport;branch=1"),
        ("v:SIP/2.0/UDP\t10.0.0.2;branch=1", "v:SIP/2.0/UDP\t203.0.113.1:6060;branch=1"),
        ("Via: SIP / 2.0 / UDP 10.0.0.2 : 5060 ;a", "Via: SIP / 2.0 / UDP 203.0.113.1 : 6060 ;a"),
        (
            "Via: SIP/2.0/UDP 192.0.2.4:5060 , SIP/2.0/UDP 10.0.0.2:5060",
            "Via: SIP/2.0/UDP 192.0.2.4:5060 , SIP/2.0/UDP 203.0.113.1:6060",
        ),
        ("Contact: <sip:a@10.0.0.2:5060>", "Contact: <sip:a@203.0.113.1:6060>"),
        ("Contact: <sip:a@10.0.0.2>;expires=60", "Contact: <sip:a@203.0.113.1:6060>;expires=60"),
        ("Contact:<sip:10.0.0.2>", "Contact:<sip:203.0.113.1:6060>"),
        ("CONTACT : <SIP:a@10.0.0.2;transport=UDP>", "CONTACT : <SIP:a@203.0.113.1:6060;transport=UDP>"),
        ("m: sip:a@10.0.0.2;expires=60", "m: sip:a@203.0.113.1:6060;expires=60"),
        ("m: sip:a@10.0.0.2", "m: sip:a@203.0.113.1:6060"),
        (
            "Contact: <sip:a@10.0.0.2:5060>, <sip:b@10.0.0.2>;q=0.5,sip:c@10.0.0.2:5060",
            "Contact: <sip:a@203.0.113.1:6060>, <sip:b@203.0.113.1:6060>;q=0.5,sip:c@203.0.113.1:6060",
        ),
        (
            "Contact: <sip:a@10.0.0.2:5060>,\r\n\t<sip:b@10.0.0.2:5060>\r\n ;q=0.5",
            "Contact: <sip:a@203.0.113.1:6060>,\r\n\t<sip:b@203.0.113.1:6060>\r\n ;q=0.5",
        ),
        (
            "Contact: <sip:a@10.0.0.2:5060>\r\nContact: <sip:b@10.0.0.2:5060>",
            "Contact: <sip:a@203.0.113.1:6060>\r\nContact: <sip:b@203.0.113.1:6060>",
        ),
        ("Contact: <sip:a@10.0.0.2:5060?Subject=x>", "Contact: <sip:a@203.0.113.1:6060?Subject=x>"),
        ("Record-Route: <sip:10.0.0.2:5060;lr>", "Record-Route: <sip:203.0.113.1:6060;lr>"),
        (
            "Route: <sip:p@10.0.0.2;lr>, <sip:198.51.100.7;lr>",
            "Route: <sip:p@203.0.113.1:6060;lr>, <sip:198.51.100.7;lr>",
        ),
        ("Path: <sip:10.0.0.2;lr>", "Path: <sip:203.0.113.1:6060;lr>"),
        ("Service-Route: <sip:10.0.0.2:5060;lr>", "Service-Route: <sip:203.0.113.1:6060;lr>"),
        (
            "Refer-To: <sip:c@10.0.0.2:5060?Replaces=1%4010.0.0.2%3Bto-tag%3D1>",
            "Refer-To: <sip:c@203.0.113.1:6060?Replaces=1%4010.0.0.2%3Bto-tag%3D1>",
        ),
        ("r: sip:c@10.0.0.2", "r: sip:c@203.0.113.1:6060"),
    ] {
        let mut sip = phone(Transport::Udp);
        assert_eq!(tight(&text(sip.client(with(said)))), tight(&with(heard)));
        assert_eq!((&sip.refusals[..], sip.is_attached), (&[][..], true), "{said}");
        assert!(
            sip.stage.doors.iter().all(|(door, _)| door.inside == endpoint(INSIDE_LOCAL, 5060)),
            "{said}"
        );
    }
}

#[test]
fn names_change_their_host_and_gain_no_port() {
    for (said, heard) in [
        ("From: <sip:a@10.0.0.2>;tag=10.0.0.2", "From: <sip:a@203.0.113.1>;tag=10.0.0.2"),
        ("f: sip:a@10.0.0.2;tag=1", "f: sip:a@203.0.113.1;tag=1"),
        ("From: sip:10.0.0.2", "From: sip:203.0.113.1"),
        ("t: \"B\" <sip:b@10.0.0.2:5060>", "t: \"B\" <sip:b@203.0.113.1:6060>"),
        ("To: <sip:b@10.0.0.2:7000>", "To: <sip:b@203.0.113.1:7000>"),
        (
            "P-Asserted-Identity: \"A\" <sip:a@10.0.0.2>, <tel:+1>",
            "P-Asserted-Identity: \"A\" <sip:a@203.0.113.1>, <tel:+1>",
        ),
        ("P-Preferred-Identity: sip:a@10.0.0.2", "P-Preferred-Identity: sip:a@203.0.113.1"),
        ("P-Called-Party-ID: <sip:a@10.0.0.2>", "P-Called-Party-ID: <sip:a@203.0.113.1>"),
        ("Diversion: <sip:a@10.0.0.2>;reason=busy", "Diversion: <sip:a@203.0.113.1>;reason=busy"),
        (
            "History-Info: <sip:a@10.0.0.2?Reason=SIP%3Bcause%3D302>;index=1, <sip:b@10.0.0.2:5060>;index=2",
            "History-Info: <sip:a@203.0.113.1?Reason=SIP%3Bcause%3D302>;index=1, <sip:b@203.0.113.1:6060>;index=2",
        ),
        (
            "Remote-Party-ID: <sip:a@10.0.0.2>;id-type=user",
            "Remote-Party-ID: <sip:a@203.0.113.1>;id-type=user",
        ),
        ("b: <sip:a@10.0.0.2>;cid=\"1@10.0.0.9\"", "b: <sip:a@203.0.113.1>;cid=\"1@10.0.0.9\""),
        ("Referred-By: sip:a@10.0.0.2", "Referred-By: sip:a@203.0.113.1"),
        ("Reply-To: <sip:a@10.0.0.2>", "Reply-To: <sip:a@203.0.113.1>"),
        ("Call-Info: <http://10.0.0.2/a>;purpose=icon", "Call-Info: <http://203.0.113.1/a>;purpose=icon"),
        ("Alert-Info: <http://10.0.0.2:80/b>", "Alert-Info: <http://203.0.113.1:80/b>"),
        ("Error-Info: <sip:sorry@10.0.0.2>", "Error-Info: <sip:sorry@203.0.113.1>"),
        ("Warning: 399 10.0.0.2 \"at 10.0.0.9\"", "Warning: 399 203.0.113.1 \"at 10.0.0.9\""),
        ("Warning: 301 10.0.0.2:5060 \"x\"", "Warning: 301 203.0.113.1:6060 \"x\""),
    ] {
        let mut sip = phone(Transport::Udp);
        let line = |of: &str| with("Max-Forwards: 70").replace("Max-Forwards: 70", of);
        assert_eq!(text(sip.client(line(said))), line(heard));
        assert!(sip.refusals.is_empty() && media(&sip).is_empty(), "{said}");
    }
}

#[test]
fn what_is_not_a_host_of_the_phones_stays() {
    for said in [
        "Call-ID: 1@10.0.0.2",
        "i: 10.0.0.2",
        "User-Agent: sip:10.0.0.2 <sip:a@10.0.0.2>",
        "Server: 10.0.0.2",
        "Authorization: Digest username=\"a@10.0.0.2\", uri=\"sip:10.0.0.2\", response=\"1\"",
        "Proxy-Authorization: Digest realm=\"10.0.0.2\", uri=\"sip:b@10.0.0.2:5060\", response=\"1\"",
        "Replaces: 1@10.0.0.2;to-tag=1;from-tag=2",
        "Target-Dialog: 1@10.0.0.2;local-tag=1;remote-tag=2",
        "Subject: <sip:a@10.0.0.2>",
        "X-Unknown: <sip:a@10.0.0.2:5060>",
        "Contact: *",
        "Contact: <sip:10.0.0.2@example.com>",
        "Contact: <sip:a:10.0.0.2@example.com:5060>",
        "Contact: \"sip:a@10.0.0.2\" <sip:a@example.com>",
        "Contact: \"\\\" <sip:a@10.0.0.2>\" <sip:a@example.com>",
        "Contact: <sip:a@example.com?X=10.0.0.2>",
        "Contact: <sip:a@example.com>;+sip.instance=\"<sip:10.0.0.2>\"",
        "Contact: <sip:a@10.0.0.20:5060>",
        "Contact: <sip:a@110.0.0.2:5060>",
        "Contact: <sip:a@10.0.0.2.example.com>",
        "Contact: <sip:a@10.0.0>",
        "Contact: <sip:a@010.000.000.0002>",
        "Contact: <sip:a@[2001:db8::2]:5060>",
        "Contact: <sip:a@[::ffff:10.0.0.2]:5060>",
        "Contact: <sips:a@10.0.0.2:5061>",
        "Contact: <tel:+10.0.0.2>",
        "Contact: <mailto:a@10.0.0.2>",
        "Contact: <sip:a@203.0.113.1:6060>",
        "Contact: <sip:a@203.0.113.99:5060>",
        "Contact: <sip:a@10.0.0.3:5060>",
        "Contact: sip:a@example.com;x=10.0.0.2",
        "Via: SIP/2.0/UDP [2001:db8::2]:5060;branch=z9hG4bK10.0.0.2",
        "Via: SIP/2.0/UDP 203.0.113.1:6060;branch=z9hG4bK10.0.0.2",
        "Route: <sip:10.0.0.2@198.51.100.7;lr>",
        "P-Asserted-Identity: <tel:10.0.0.2>",
        "Warning: 399 proxy \"10.0.0.2\"",
    ] {
        let mut sip = phone(Transport::Udp);
        assert_eq!(text(sip.client(with(said))), with(said));
        assert_eq!((&sip.refusals[..], sip.is_attached), (&[][..], true), "{said}");
        assert!(media(&sip).is_empty(), "{said}");
    }
}

/// RFC 3261 section 25.1: a user part may have `& = + $ , ; ? /`, and a password follows a colon.
#[test]
fn the_host_is_behind_the_last_at_of_the_authority() {
    for user in [
        "10.0.0.2",
        "a;b=10.0.0.2",
        "a,b",
        "a?b",
        "a/b",
        "a&b=+$",
        "a:p",
        "a:10.0.0.2",
        "a:p,;$",
        "a%40b",
        "%22",
        "-_.!~*'()",
    ] {
        for (open, close) in [("<", ">;q=1"), ("\"<sip:x@10.0.0.9>, y\" <", ">"), ("a b <", ">")] {
            let said = with(&format!("Contact: {open}sip:{user}@10.0.0.2:5060{close}"));
            let heard = with(&format!("Contact: {open}sip:{user}@203.0.113.1:6060{close}"));
            let mut sip = phone(Transport::Udp);
            assert_eq!(text(sip.client(said)), heard);
            assert!(sip.refusals.is_empty(), "{user}");
        }
    }
}

#[test]
fn the_outside_names_the_phone_as_it_names_itself() {
    for (contact, outside) in [
        ("<sip:a@10.0.0.2:5060>", "<sip:a@203.0.113.1:6060>"),
        ("<sip:a@10.0.0.2>", "<sip:a@203.0.113.1:6060>"),
    ] {
        let mut sip = phone(Transport::Udp);
        let said = invite("c1", "").replace("<sip:alice@10.0.0.2:5060>", contact);
        let heard = text(sip.client(&said));
        assert!(heard.contains(outside), "{heard}");
        let asked = message(
            &format!("INFO {} SIP/2.0", outside.trim_matches(['<', '>'])),
            "Via: SIP/2.0/UDP 198.51.100.7:5060;branch=x\r\nFrom: <sip:bob@example.com>;tag=b\r\n\
             To: <sip:alice@example.com>;tag=a\r\nCall-ID: c1\r\nCSeq: 1 INFO\r\n",
            "",
        );
        let expected = asked.replace(outside.trim_matches(['<', '>']), contact.trim_matches(['<', '>']));
        assert_eq!(text(sip.server(&asked)), expected);
        assert!(sip.refusals.is_empty());
    }
}

#[test]
fn responses_come_back_as_the_request_was() {
    for via in ["10.0.0.2:5060;branch=1", "10.0.0.2;branch=1", "10.0.0.2:5060;rport;branch=1"] {
        let mut sip = phone(Transport::Udp);
        let said = invite("c1", "").replace("10.0.0.2:5060;branch=z9hG4bKc11", via);
        let said = said.replace("From: <sip:alice@example.com>", "From: <sip:alice@10.0.0.2>");
        let heard = text(sip.client(&said));
        assert!(!heard.contains("10.0.0.2"), "{heard}");
        assert_eq!(text(sip.server(answer(&heard, 180, "", ""))), answer(&said, 180, "", ""));
    }
    let mut sip = phone(Transport::Udp);
    let said = invite("c1", "").replace(";branch", ";rport;branch");
    let heard = text(sip.client(&said));
    let reply = answer(&heard, 180, "", "").replace(";rport;", ";received=203.0.113.1;rport=6060;");
    let expected = answer(&said, 180, "", "").replace(";rport;", ";received=10.0.0.2;rport=5060;");
    assert_eq!(text(sip.server(reply)), expected);
}

#[test]
fn the_outside_speaks_of_itself_unchanged() {
    let mut sip = phone(Transport::Udp);
    let heard = text(sip.client(invite("c1", "")));
    for contact in [
        "<sip:bob@198.51.100.7>",
        "<sip:bob@10.0.0.3:5060>",
        "<sip:bob@192.168.1.5>",
        "<sip:bob@203.0.113.2>",
    ] {
        let said = answer(&heard, 180, contact, "");
        let got = text(sip.server(&said));
        assert!(got.contains(&format!("Contact: {contact}\r\n")), "{got}");
    }
}

#[test]
fn an_address_that_configuration_maps_changes_wherever_it_is() {
    let mut sip = phone(Transport::Udp);
    let other = Counterpart { addr: Ipv4Addr::new(203, 0, 113, 9), is_static: true };
    sip.stage.policy.push((Side::Inside, Ipv4Addr::new(10, 0, 0, 9), other));
    let said =
        with("Contact: <sip:a@10.0.0.9>\r\nRoute: <sip:10.0.0.9:5080;lr>\r\nReply-To: <sip:a@10.0.0.9>");
    assert_eq!(text(sip.client(&said)), said.replace("10.0.0.9", "203.0.113.9"));
    assert!(sip.refusals.is_empty());
}

#[test]
fn a_server_inside_keeps_its_port_and_names_none() {
    let mut sip = server(Transport::Udp);
    let asked = message(
        "INVITE sip:10@203.0.113.1 SIP/2.0",
        "Via: SIP/2.0/UDP 198.51.100.7:40000;branch=1\r\nFrom: <sip:c@203.0.113.1>;tag=1\r\nTo: <sip:10@203.0.113.1>\r\n\
         Call-ID: c1\r\nCSeq: 1 INVITE\r\nContact: <sip:c@198.51.100.7:40000>\r\n",
        "",
    );
    let heard = text(sip.client(&asked));
    assert_eq!(heard, asked.replace("203.0.113.1", "10.0.0.2"));
    let said = answer(&heard, 200, "<sip:10@10.0.0.2>", &own(&audio(5004)));
    assert_eq!(text(sip.server(&said)), announced(&said, &[5004]));
    assert_eq!(media(&sip), [(5004, Ports::Pair)]);
    assert!(sip.refusals.is_empty());
}

/// Methods of RFC 3261, of its extensions, and one that nobody knows: headers are the same in all.
#[test]
fn every_method_has_its_headers_translated() {
    for method in [
        "INVITE",
        "ACK",
        "BYE",
        "CANCEL",
        "REGISTER",
        "OPTIONS",
        "INFO",
        "PRACK",
        "UPDATE",
        "SUBSCRIBE",
        "NOTIFY",
        "PUBLISH",
        "MESSAGE",
        "REFER",
        "FROBNICATE",
        "a-b.c!d%e*f_g+h`i'j~k",
    ] {
        for transport in [Transport::Udp, Transport::Tcp] {
            let mut sip = phone(transport);
            let own = sip.stage.session.inside_local;
            let said = request(method, "c1", 1, "").replace("10.0.0.2:5060", &own.to_string());
            assert_eq!(text(sip.client(&said)), announced(&said, &[]), "{method}");
            assert_eq!((&sip.refusals[..], sip.is_attached), (&[][..], true), "{method}");
        }
    }
}

#[test]
fn datagrams_that_are_no_messages_pass_and_the_next_is_read() {
    for said in [
        &b"\r\n"[..],
        b"\r\n\r\n",
        b"\0\0\0\0",
        b"jaK",
        b"\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl",
        b"",
        b"\0",
    ] {
        let mut sip = phone(Transport::Udp);
        for by_client in [true, false] {
            assert_eq!(sip.send(by_client, said), said);
        }
        assert!(sip.is_attached && sip.refusals.is_empty(), "{said:?}: {:?}", sip.refusals);
        let said = invite("c1", &own(&audio(5004)));
        assert_eq!(text(sip.client(&said)), announced(&said, &[5004]));
    }
}

#[test]
fn keep_alives_between_messages_of_a_stream_are_not_held() {
    let mut sip = phone(Transport::Tcp);
    assert_eq!(sip.client("\r\n\r\n"), b"\r\n\r\n");
    assert_eq!(sip.server("\r\n"), b"\r\n");
    let said = invite("c1", "").replace("5060", "40000");
    assert_eq!(text(sip.client(&said)), announced(&said, &[]));
    assert_eq!(sip.client("\r"), b"\r", "half of one");
    assert_eq!(sip.client("\n\r\n"), b"\n\r\n");
    assert_eq!(text(sip.client(format!("\r\n\r\n{said}"))), format!("\r\n\r\n{}", announced(&said, &[])));
    assert!(sip.is_attached && sip.refusals.is_empty());
}

#[test]
fn lines_may_end_with_lf_alone_and_datagrams_with_their_body() {
    let said = invite("c1", &own(&audio(5004))).replace("\r\n", "\n");
    let said =
        said.lines().filter(|line| !line.starts_with("Content-Length")).map(|line| format!("{line}\n"));
    let said: String = said.collect();
    let heard = said.replace("10.0.0.2:5060", "203.0.113.1:6060").replace("10.0.0.2", "203.0.113.1");
    let mut sip = phone(Transport::Udp);
    assert_eq!(text(sip.client(&said)), heard.replace("audio 5004", "audio 6004"));
    assert_eq!((media(&sip), &sip.refusals[..]), (vec![(5004, Ports::Pair)], &[][..]));
}

#[test]
fn bytes_behind_the_body_of_a_datagram_are_none_of_it() {
    let mut sip = phone(Transport::Udp);
    let said = invite("c1", &own(&audio(5004)));
    let behind = "m=audio 5010 RTP/AVP 0\r\nc=IN IP4 10.0.0.9\r\n";
    let heard = text(sip.client(format!("{said}{behind}")));
    assert_eq!(heard, format!("{}{behind}", announced(&said, &[5004])));
    assert_eq!(media(&sip), [(5004, Ports::Pair)]);
}

/// Some hosts leave out the empty line behind the last header.
#[test]
fn a_datagram_may_end_with_its_head() {
    for end in ["\r\n", "\n", ""] {
        let said = format!("{}{end}", invite("c1", "").trim_end());
        let mut sip = phone(Transport::Udp);
        assert_eq!(text(sip.client(&said)), said.replace("10.0.0.2:5060", "203.0.113.1:6060"));
        assert!(sip.refusals.is_empty(), "{end:?}");
    }
}

/// RFC 3261 section 7.5: line ends ahead of the first line are ignored.
#[test]
fn line_ends_ahead_of_a_message_in_a_datagram_are_ignored() {
    for ahead in ["\r\n", "\r\n\r\n", "\n"] {
        let mut sip = phone(Transport::Udp);
        let said = invite("c1", &own(&audio(5004)));
        let heard = text(sip.client(format!("{ahead}{said}")));
        assert_eq!(heard, format!("{ahead}{}", announced(&said, &[5004])));
        assert!(sip.refusals.is_empty());
    }
}

/// By STUN, or by `rport`: what it wrote in public it reads in public, or it would register again and again.
#[test]
fn a_client_that_knows_its_global_endpoint_reads_it_again() {
    for via in [";rport", ""] {
        let said = request("REGISTER", "r", 1, "").replace(";branch", &format!("{via};branch"));
        let said = said.replace("10.0.0.2:5060", "203.0.113.1:6060");
        let said = said.replace("sip:alice@example.com", "sip:alice@203.0.113.1");
        let mut sip = phone(Transport::Udp);
        assert_eq!(text(sip.client(&said)), said);
        let reply = answer(&said, 200, "<sip:alice@203.0.113.1:6060>;expires=60", "");
        let reply = reply.replace(";rport;", ";received=203.0.113.1;rport=6060;");
        assert_eq!(text(sip.server(&reply)), reply);
    }
}

/// Subscribers share global addresses. A neighbour's endpoint is not the phone's, by whatever message it comes.
#[test]
fn endpoints_of_neighbours_on_the_same_global_address_stay() {
    let mut sip = phone(Transport::Udp);
    let asked = message(
        "INVITE sip:alice@203.0.113.1:6060 SIP/2.0",
        "Via: SIP/2.0/UDP 198.51.100.7:5060;branch=x\r\nVia: SIP/2.0/UDP 203.0.113.1:5160;branch=y;received=203.0.113.1;rport=5160\r\n\
         Record-Route: <sip:203.0.113.1:5160;lr>\r\nFrom: <sip:bob@example.com>;tag=b\r\nTo: <sip:alice@example.com>\r\n\
         Call-ID: c1\r\nCSeq: 1 INVITE\r\nContact: <sip:bob@203.0.113.1:5160>\r\n",
        &described("203.0.113.1", &audio(5160)),
    );
    assert_eq!(text(sip.server(&asked)), asked.replace("alice@203.0.113.1:6060", "alice@10.0.0.2:5060"));
    assert!(sip.refusals.is_empty());
}

/// Where no more can be remembered, addresses are translated all the same.
#[test]
fn a_full_table_of_calls_leaves_no_private_address() {
    for method in ["INVITE", "REGISTER", "OPTIONS", "MESSAGE", "SUBSCRIBE"] {
        let mut sip = phone(Transport::Udp);
        for n in 0..30 {
            let said = request(method, &format!("c{n}"), 1, "").replace("10.0.0.2:5060", "10.0.0.2");
            let heard = text(sip.client(&said));
            assert!(!heard.contains("10.0.0.2"), "{heard}");
        }
        assert!(
            sip.refusals.iter().all(|why| matches!(why, Refusal::CallLimit | Refusal::DoorLimit)),
            "{:?}",
            sip.refusals
        );
    }
}

fn register(number: u32, contacts: &str, more: &str) -> String {
    let headers = format!(
        "Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bKr{number}\r\nFrom: <sip:alice@example.com>;tag=a\r\n\
         To: <sip:alice@example.com>\r\nCall-ID: r\r\nCSeq: {number} REGISTER\r\nContact: {contacts}\r\n{more}"
    );
    message("REGISTER sip:example.com SIP/2.0", &headers, "")
}

/// The life of the door for a contact, in seconds.
fn life(sip: &stage::Conversation, transport: Transport, port: u16) -> Option<u32> {
    door_to(sip, transport, port).map(|door| door.life_s)
}

#[test]
fn a_registration_is_a_door_for_the_registrar_as_long_as_it_was_granted() {
    for (asked, granted, life_s) in [
        (";expires=7200", "Contact: <sip:alice@203.0.113.1:6062>;expires=600\r\n", 600),
        ("", "Contact: <sip:alice@203.0.113.1:6062>\r\nExpires: 900\r\n", 900),
        (
            "",
            "Contact: <sip:bob@192.0.2.1>;expires=50, <sip:alice@203.0.113.1:6062>;expires=700\r\nExpires: 900\r\n",
            700,
        ),
        ("", "Contact: <sip:alice@203.0.113.1:6062>\r\n", 3600),
    ] {
        let mut sip = phone(Transport::Udp);
        let said = register(1, &format!("<sip:alice@10.0.0.2:5062>{asked}"), "");
        let heard = text(sip.client(&said));
        assert!(heard.contains("Contact: <sip:alice@203.0.113.1:6062>"), "{heard}");
        let door = door_to(&sip, Transport::Udp, 5062).expect("a door");
        assert_eq!((door.peer, door.life_s, door.child), (Some(OUTSIDE), 32, Some("sip")), "{asked}");
        text(sip.server(answer(&heard, 401, "", "")));
        assert!(life(&sip, Transport::Udp, 5062).is_some(), "a challenge is not the end");
        let again = text(sip.client(register(2, &format!("<sip:alice@10.0.0.2:5062>{asked}"), "")));
        let reply =
            answer(&again, 200, "", "").replace("Content-Length", &format!("{granted}Content-Length"));
        let back = text(sip.server(reply));
        assert!(back.contains("<sip:alice@10.0.0.2:5062>"), "{back}");
        assert_eq!(life(&sip, Transport::Udp, 5062), Some(life_s), "{granted}");
        assert!(sip.refusals.is_empty());
    }
}

#[test]
fn a_registration_ends_with_the_answer_that_removes_it() {
    for (contacts, more) in [
        ("<sip:alice@10.0.0.2:5062>;expires=0", ""),
        ("<sip:alice@10.0.0.2:5062>", "Expires: 0\r\n"),
        ("*", "Expires: 0\r\n"),
    ] {
        let mut sip = phone(Transport::Udp);
        let heard = text(sip.client(register(1, "<sip:alice@10.0.0.2:5062>", "")));
        sip.server(answer(&heard, 200, "<sip:alice@203.0.113.1:6062>;expires=600", ""));
        assert_eq!(life(&sip, Transport::Udp, 5062), Some(600));
        let heard = text(sip.client(register(2, contacts, more)));
        assert!(life(&sip, Transport::Udp, 5062).is_some(), "who asks may be refused");
        sip.server(answer(&heard, 200, "", ""));
        assert_eq!(life(&sip, Transport::Udp, 5062), None, "{contacts} {more}");
        assert!(sip.refusals.is_empty());
    }
}

#[test]
fn a_contact_of_another_transport_has_a_door_of_that() {
    let mut sip = phone(Transport::Udp);
    sip.client(register(1, "<sip:alice@10.0.0.2:5062;transport=tcp>", ""));
    assert!(door_to(&sip, Transport::Tcp, 5062).is_some() && door_to(&sip, Transport::Udp, 5062).is_none());
    let mut sip = phone(Transport::Tcp);
    let heard = text(sip.client(over_tcp(&register(1, "<sip:alice@10.0.0.2;transport=tcp>", ""))));
    assert!(heard.contains("<sip:alice@203.0.113.1:6060;transport=tcp>"), "{heard}");
    assert!(door_to(&sip, Transport::Tcp, 5060).is_some() && door_to(&sip, Transport::Udp, 5060).is_none());
}

#[test]
fn a_port_that_must_not_be_opened_is_announced_as_it_is() {
    let mut sip = phone(Transport::Udp);
    let heard = text(sip.client(register(1, "<sip:alice@10.0.0.2:80>", "")));
    assert!(!heard.contains("<sip:alice@203.0.113.1:1080>"), "{heard}");
    assert!(door_to(&sip, Transport::Udp, 80).is_none() && sip.is_attached);
    assert_eq!(sip.refusals, [Refusal::LowPort]);
}
