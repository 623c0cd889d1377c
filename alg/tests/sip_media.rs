//! SIP: what descriptions announce, and how long calls keep their doors.

mod sip_messages;
mod stage;

use std::net::Ipv4Addr;

use alg::{Ports, Transport};
use sip_messages::{
    announced, answer, audio, described, door_to, invite, media, media_peers, message, own, phone, relength,
    request, text,
};
use stage::{Conversation, INSIDE_LOCAL, OUTSIDE, endpoint};

use Ports::{One, Pair};

/// What the outside reads of a phone's description, and which doors open.
fn offered(said: &str) -> (String, Vec<(u16, Ports)>) {
    let mut sip = phone(Transport::Udp);
    let whole = invite("c1", said);
    let heard = text(sip.client(&whole));
    assert_eq!(heard, relength(&heard), "the length of {said}");
    assert_eq!((&sip.refusals[..], sip.is_attached), (&[][..], true), "{said}");
    let (head, body) = heard.split_once("\r\n\r\n").expect("an empty line");
    let (own_head, _) = whole.split_once("\r\n\r\n").expect("an empty line");
    let without_length =
        |head: &str| head.lines().filter(|l| !l.starts_with("Content-L")).collect::<Vec<_>>().join("\n");
    assert_eq!(
        without_length(head),
        without_length(&announced(&format!("{own_head}\r\n\r\n"), &[])).trim_end()
    );
    (body.to_string(), media(&sip))
}

#[test]
fn each_line_of_media_has_the_doors_it_needs() {
    for (lines, heard, doors) in [
        ("m=audio 5004 RTP/AVP 0", "m=audio 6004 RTP/AVP 0", &[(5004, Pair)][..]),
        (
            "m=audio 5004 RTP/AVP 0\r\nm=video 5006 RTP/AVP 96",
            "m=audio 6004 RTP/AVP 0\r\nm=video 6006 RTP/AVP 96",
            &[(5004, Pair), (5006, Pair)],
        ),
        ("m=text 5008 RTP/AVP 98", "m=text 6008 RTP/AVP 98", &[(5008, Pair)]),
        ("m=audio 5004 RTP/SAVP 0", "m=audio 6004 RTP/SAVP 0", &[(5004, Pair)]),
        ("m=audio 5004 RTP/AVP 0\r\na=rtcp-mux", "m=audio 6004 RTP/AVP 0\r\na=rtcp-mux", &[(5004, One)]),
        ("m=audio 5004 RTP/AVP 0\r\na=rtcp:5005", "m=audio 6004 RTP/AVP 0\r\na=rtcp:6005", &[(5004, Pair)]),
        (
            "m=audio 5004 RTP/AVP 0\r\na=rtcp:5005 IN IP4 10.0.0.2",
            "m=audio 6004 RTP/AVP 0\r\na=rtcp:6005 IN IP4 203.0.113.1",
            &[(5004, Pair)],
        ),
        (
            "m=audio 5004 RTP/AVP 0\r\na=rtcp:5020 IN IP4 10.0.0.2",
            "m=audio 6004 RTP/AVP 0\r\na=rtcp:6020 IN IP4 203.0.113.1",
            &[(5004, One), (5020, One)],
        ),
        ("m=image 5010 udptl t38", "m=image 6010 udptl t38", &[(5010, One)]),
        ("m=image 5010 UDPTL t38", "m=image 6010 UDPTL t38", &[(5010, One)]),
        ("m=audio 5004/2 RTP/AVP 0", "m=audio 6004/2 RTP/AVP 0", &[(5004, Pair), (5006, Pair)]),
        (
            "m=application 5012 UDP/DTLS/SCTP webrtc-datachannel",
            "m=application 6012 UDP/DTLS/SCTP webrtc-datachannel",
            &[(5012, One)],
        ),
        (
            "m=audio 0 RTP/AVP 0\r\nm=video 5006 RTP/AVP 96",
            "m=audio 0 RTP/AVP 0\r\nm=video 6006 RTP/AVP 96",
            &[(5006, Pair)],
        ),
        ("m=image 9 TCP t38\r\na=setup:active", "m=image 9 TCP t38\r\na=setup:active", &[]),
        (
            "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtcp-mux",
            "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtcp-mux",
            &[],
        ),
    ] {
        let (body, opened) = offered(&own(&format!("{lines}\r\n")));
        assert_eq!(body, described("203.0.113.1", &format!("{heard}\r\n")));
        assert_eq!(opened, doors, "{lines}");
    }
}

/// RFC 5761 section 5.1.1: who does not multiplex sends reports where `a=rtcp` says.
#[test]
fn reports_that_share_the_port_of_media_are_where_those_are() {
    let lines = |addr: &str, port: u16| {
        described(addr, &format!("m=audio {port} RTP/AVP 0\r\na=rtcp-mux\r\na=rtcp:{port} IN IP4 {addr}\r\n"))
    };
    assert_eq!(offered(&lines("10.0.0.2", 5004)), (lines("203.0.113.1", 6004), vec![(5004, One)]));
}

/// RFC 3264 section 4 allows one offer at a time. Who sends more without an answer takes few doors, and costs little at the end.
#[test]
fn offers_without_answers_are_few() {
    let mut sip = established("c1", 5004);
    for n in 0..300 {
        sip.client(request("UPDATE", "c1", 10 + n, &own(&audio(6000 + 2 * n as u16))));
        assert!(media(&sip).len() <= 6, "{:?}", media(&sip));
    }
    let closed_before = sip.stage.closed.len();
    let said = request("UPDATE", "c1", 400, &own(&audio(7000)));
    let heard = text(sip.client(&said));
    sip.server(answer(&heard, 200, "<sip:bob@198.51.100.7>", &described("198.51.100.9", &audio(9000))));
    assert_eq!(media(&sip), [(7000, Pair)]);
    let closed = sip.stage.closed.len() - closed_before;
    assert!(closed <= 64, "{closed} owners are closed by one answer");
    assert!(sip.refusals.is_empty(), "{:?}", sip.refusals);
}

#[test]
fn media_over_tcp_waits_for_connections() {
    for line in ["m=image 5010 tcp t38", "m=application 5010 TCP/BFCP *", "m=message 5010 TCP/MSRP *"] {
        let mut sip = phone(Transport::Udp);
        let said = invite("c1", &own(&format!("{line}\r\na=setup:passive\r\n")));
        assert_eq!(text(sip.client(&said)), announced(&said, &[5010]));
        let door = door_to(&sip, Transport::Tcp, 5010).expect("a door");
        assert_eq!((door.ports, door.inside), (One, endpoint(INSIDE_LOCAL, 5010)), "{line}");
    }
}

/// RFC 4975: the endpoint of MSRP is in its path.
#[test]
fn the_path_of_msrp_names_the_announced_endpoint() {
    let lines = |addr: &str, port: u16| {
        described(addr, &format!("m=message {port} TCP/MSRP *\r\na=path:msrp://{addr}:{port}/s3;tcp\r\n"))
    };
    let (body, doors) = offered(&lines("10.0.0.2", 5010));
    assert_eq!(body, lines("203.0.113.1", 6010));
    assert_eq!(doors, [(5010, One)]);
}

#[test]
fn a_line_of_media_has_its_own_address_before_the_sessions() {
    let said = "v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nm=audio 5004 RTP/AVP 0\r\nc=IN IP4 10.0.0.2\r\n\
        m=video 5006 RTP/AVP 96\r\n";
    let heard = "v=0\r\no=- 1 1 IN IP4 203.0.113.1\r\ns=-\r\nc=IN IP4 192.0.2.1\r\nm=audio 6004 RTP/AVP 0\r\nc=IN IP4 203.0.113.1\r\n\
        m=video 5006 RTP/AVP 96\r\n";
    assert_eq!(offered(said), (heard.to_string(), vec![(5004, Pair)]));
    let said = said
        .replace("192.0.2.1", "10.0.0.2")
        .replace("4 RTP/AVP 0\r\nc=IN IP4 10.0.0.2", "4 RTP/AVP 0\r\nc=IN IP4 192.0.2.1");
    let (body, doors) = offered(&said);
    assert!(body.contains("m=audio 5004") && body.contains("m=video 6006"), "{body}");
    assert_eq!(doors, [(5006, Pair)], "a line that a third host serves");
}

#[test]
fn what_is_no_address_of_the_phones_stays() {
    for said in [
        described("198.51.100.200", &audio(5004)),
        described("203.0.113.1", &audio(5004)),
        described("10.0.0.20", &audio(5004)),
        "v=0\r\no=- 1 1 IN IP6 2001:db8::2\r\ns=-\r\nc=IN IP6 2001:db8::2\r\nm=audio 5004 RTP/AVP 0\r\n"
            .to_string(),
        "v=0\r\no=- 1 1 IN IP4 pc.example\r\ns=-\r\nc=IN IP4 pc.example\r\nm=audio 5004 RTP/AVP 0\r\n"
            .to_string(),
    ] {
        assert_eq!(offered(&said), (said.clone(), vec![]));
    }
    let said = own("i=c=IN IP4 10.0.0.2\r\nm=audio 0 RTP/AVP 0\r\n").replace("s=-", "s=IN IP4 10.0.0.2");
    let heard = said
        .replace("- 1 1 IN IP4 10.0.0.2", "- 1 1 IN IP4 203.0.113.1")
        .replace("\nc=IN IP4 10.0.0.2", "\nc=IN IP4 203.0.113.1");
    assert_eq!(offered(&said), (heard, vec![]));
}

#[test]
fn a_port_of_rtcp_that_is_not_the_one_behind_is_told() {
    let mut sip = phone(Transport::Udp);
    let global = endpoint(*sip.stage.session.inside_global.ip(), 7777);
    sip.stage.mappings.push((Transport::Udp, endpoint(INSIDE_LOCAL, 5005), global));
    let heard = text(sip.client(invite("c1", &own(&audio(5004)))));
    assert_eq!(heard, relength(&heard));
    assert!(heard.contains("m=audio 6004 RTP/AVP 0\r\n") && heard.contains("a=rtcp:7777"), "{heard}");
    let unended = text(sip.client(invite("c1", own(&audio(5004)).trim_end())));
    assert!(unended.ends_with("m=audio 6004 RTP/AVP 0\r\na=rtcp:7777\r\n"), "{unended}");
    let second = text(sip.client(invite("c1", &own(&format!("{}m=video 5020 RTP/AVP 96\r\n", audio(5004))))));
    let (first, second) = second.split_once("m=video 6020").expect("a second line");
    assert!(first.contains("a=rtcp:7777") && !second.contains("a=rtcp"), "{first}{second}");
}

#[test]
fn candidates_have_the_endpoints_that_the_lines_have() {
    let said = own("m=audio 5004 RTP/AVP 0\r\na=candidate:1 1 UDP 2130706431 10.0.0.2 5004 typ host\r\n\
         a=candidate:1 2 UDP 2130706430 10.0.0.2 5005 typ host\r\n\
         a=candidate:2 1 UDP 1694498815 203.0.113.1 6004 typ srflx raddr 10.0.0.2 rport 5004\r\n\
         a=candidate:3 1 UDP 100 198.51.100.99 3478 typ relay raddr 203.0.113.1 rport 6004\r\n\
         a=candidate:4 1 UDP 2130706431 2001:db8::2 5004 typ host\r\na=candidate:5 1 UDP 1 abc.local 5004 typ host\r\n");
    let (body, doors) = offered(&said);
    for line in [
        "a=candidate:1 1 UDP 2130706431 203.0.113.1 6004 typ host",
        "a=candidate:1 2 UDP 2130706430 203.0.113.1 6005 typ host",
        "a=candidate:2 1 UDP 1694498815 203.0.113.1 6004 typ srflx raddr 203.0.113.1 rport 6004",
        "a=candidate:3 1 UDP 100 198.51.100.99 3478 typ relay raddr 203.0.113.1 rport 6004",
        "a=candidate:4 1 UDP 2130706431 2001:db8::2 5004 typ host",
        "a=candidate:5 1 UDP 1 abc.local 5004 typ host",
        "m=audio 6004 RTP/AVP 0",
    ] {
        assert!(body.lines().any(|of| of == line), "{line} is not in {body}");
    }
    assert_eq!(doors, [(5004, Pair)]);
    let (body, doors) = offered(&own(
        "m=audio 5004 RTP/AVP 0\r\na=rtcp-mux\r\na=candidate:1 1 UDP 1 10.0.0.2 5030 typ host\r\n\
         a=candidate:2 1 TCP 1 10.0.0.2 9 typ host tcptype active\r\n",
    ));
    assert!(
        body.contains("203.0.113.1 6030 typ host") && body.contains("203.0.113.1 9 typ host tcptype active"),
        "{body}"
    );
    assert_eq!(doors, [(5004, One), (5030, One)]);
}

#[test]
fn lines_of_a_bundle_share_one_door() {
    let said = own(
        "a=group:BUNDLE a v\r\nm=audio 5004 RTP/AVP 0\r\na=mid:a\r\na=rtcp-mux\r\nm=video 5004 RTP/AVP 96\r\na=mid:v\r\na=rtcp-mux\r\n",
    );
    let (body, doors) = offered(&said);
    assert!(body.contains("m=audio 6004") && body.contains("m=video 6004"), "{body}");
    assert_eq!(doors, [(5004, One)]);
}

#[test]
fn a_part_of_a_body_is_a_description() {
    let parts = |sdp: &str| {
        format!(
            "m=audio 5090 RTP/AVP 0\r\n--x\r\nContent-Type: text/plain\r\n\r\nc=IN IP4 10.0.0.2\r\nm=audio 5098 RTP/AVP 0\r\n\
             --x\r\nContent-Disposition: session\r\nContent-Type: application/sdp\r\n\r\n{sdp}\r\n\
             --x\r\nContent-Type: application/isup\r\n\r\n\u{1}\u{2}--y\r\n--x--\r\n"
        )
    };
    for kind in
        ["multipart/mixed;boundary=x", "multipart/mixed; boundary=\"x\"", "Multipart/Mixed ; a=b ;BOUNDARY=x"]
    {
        let whole = |sdp: &str| {
            invite("c1", &parts(sdp)).replace("application/sdp\r\nContent-L", &format!("{kind}\r\nContent-L"))
        };
        let mut sip = phone(Transport::Udp);
        let heard = whole(&described("203.0.113.1", "m=audio 6004 RTP/AVP 0\r\n"));
        let heard = heard.replacen("10.0.0.2:5060", "203.0.113.1:6060", 2);
        assert_eq!(text(sip.client(whole(&own(&audio(5004))))), relength(&heard), "{kind}");
        assert_eq!((media(&sip), &sip.refusals[..]), (vec![(5004, Pair)], &[][..]));
    }
}

#[test]
fn bodies_that_are_no_descriptions_pass() {
    for (kind, more) in [
        ("text/plain", ""),
        ("application/isup", ""),
        ("application/sdpx", ""),
        ("application/sdp", "Content-Encoding: gzip\r\n"),
        ("application/sdp", "e: deflate\r\n"),
        ("multipart/mixed", ""),
        ("multipart/mixed;boundary=", ""),
        ("multipart/mixed;boundary=z", ""),
    ] {
        let said = invite("c1", &own(&audio(5004)));
        let said =
            said.replace("Content-Type: application/sdp\r\n", &format!("{more}Content-Type: {kind}\r\n"));
        let mut sip = phone(Transport::Udp);
        assert_eq!(
            text(sip.client(&said)),
            said.replace("10.0.0.2:5060", "203.0.113.1:6060"),
            "{kind} {more}"
        );
        assert!(media(&sip).is_empty() && sip.refusals.is_empty(), "{kind} {more}");
    }
    let mut sip = phone(Transport::Udp);
    let said = invite("c1", &own(&audio(5004)))
        .replace("Content-Type", "Content-Encoding: identity\r\nContent-Type");
    assert_eq!(text(sip.client(&said)), announced(&said, &[5004]));
}

/// Early media may come from anywhere before an answer says from where.
#[test]
fn media_may_come_from_where_the_answer_says() {
    let other = Ipv4Addr::new(198, 51, 100, 9);
    for (addr, peer) in [
        ("198.51.100.9", Some(other)),
        ("198.51.100.7", Some(OUTSIDE)),
        ("192.168.1.9", None),
        ("0.0.0.0", None),
    ] {
        let mut sip = phone(Transport::Udp);
        let heard = text(sip.client(invite("c1", &own(&audio(5004)))));
        assert_eq!(media_peers(&sip), [None]);
        sip.server(answer(&heard, 200, "<sip:bob@198.51.100.7>", &described(addr, &audio(9000))));
        assert_eq!(media_peers(&sip), [peer], "{addr}");
        assert_eq!((media(&sip), &sip.refusals[..]), (vec![(5004, Pair)], &[][..]));
    }
}

/// What the phone says of a call that an outside one begins, and the doors then.
fn called(offer: &str) -> (Conversation<'static>, String) {
    let mut sip = phone(Transport::Udp);
    let asked = message(
        "INVITE sip:alice@203.0.113.1:6060 SIP/2.0",
        "Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z9\r\nFrom: <sip:bob@example.com>;tag=b\r\nTo: <sip:alice@example.com>\r\n\
         Call-ID: c1\r\nCSeq: 1 INVITE\r\nContact: <sip:bob@198.51.100.7:5060>\r\nContent-Type: application/sdp\r\n",
        offer,
    );
    let heard = text(sip.server(&asked));
    assert_eq!(heard, asked.replace("203.0.113.1:6060", "10.0.0.2:5060"));
    (sip, heard)
}

#[test]
fn a_phone_that_is_called_announces_its_doors_in_the_answer() {
    let (mut sip, heard) = called(&described("198.51.100.9", &audio(9000)));
    assert!(media(&sip).is_empty(), "the outside announces nothing of the inside");
    for code in [183, 200] {
        let said = answer(&heard, code, "<sip:alice@10.0.0.2:5060>", &own(&audio(5004)));
        assert_eq!(text(sip.client(&said)), announced(&said, &[5004]));
        assert_eq!(media(&sip), [(5004, Pair)]);
        assert_eq!(media_peers(&sip), [Some(Ipv4Addr::new(198, 51, 100, 9))]);
    }
    assert!(sip.refusals.is_empty());
}

/// An established call: INVITE, 200, ACK.
fn established(call: &str, port: u16) -> Conversation<'static> {
    let mut sip = phone(Transport::Udp);
    let heard = text(sip.client(invite(call, &own(&audio(port)))));
    sip.server(answer(&heard, 200, "<sip:bob@198.51.100.7>", &described("198.51.100.9", &audio(9000))));
    sip.client(request("ACK", call, 1, ""));
    assert_eq!(media(&sip), [(port, Pair)]);
    sip
}

#[test]
fn a_call_that_comes_to_nothing_closes_its_doors() {
    for code in [302, 400, 404, 486, 487, 500, 503, 603] {
        let mut sip = phone(Transport::Udp);
        let heard = text(sip.client(invite("c1", &own(&audio(5004)))));
        sip.server(answer(&heard, 180, "", ""));
        assert_eq!(media(&sip), [(5004, Pair)]);
        sip.server(answer(&heard, code, "", ""));
        assert_eq!(media(&sip), [], "{code}");
    }
}

/// Anybody may forge a BYE: what ends a call is that it was accepted.
#[test]
fn a_call_ends_with_the_answer_to_bye() {
    let mut sip = established("c1", 5004);
    let heard = text(sip.client(request("BYE", "c1", 2, "")));
    assert_eq!(media(&sip), [(5004, Pair)]);
    sip.server(answer(&heard, 200, "", ""));
    assert_eq!(media(&sip), []);
    let mut sip = established("c1", 5004);
    let bye = message(
        "BYE sip:alice@203.0.113.1:6060 SIP/2.0",
        "Via: SIP/2.0/UDP 198.51.100.7:5060;branch=z8\r\nFrom: <sip:bob@example.com>;tag=b\r\nTo: <sip:alice@example.com>;tag=a\r\n\
         Call-ID: c1\r\nCSeq: 1 BYE\r\n",
        "",
    );
    let heard = text(sip.server(bye));
    assert_eq!(media(&sip), [(5004, Pair)]);
    sip.client(answer(&heard, 200, "", ""));
    assert_eq!(media(&sip), []);
    // What comes again of it is read as long as it may come.
    let left: Vec<u32> = sip.stage.calls.iter().map(|(.., life_s)| *life_s).collect();
    assert_eq!(left, [32], "{:?}", sip.stage.calls);
}

#[test]
fn an_answer_to_something_else_ends_no_call() {
    let mut sip = established("c1", 5004);
    for (method, code) in [("INFO", 481), ("OPTIONS", 404), ("MESSAGE", 500), ("UPDATE", 488), ("REFER", 603)]
    {
        let heard = text(sip.client(request(method, "c1", 5, "")));
        sip.server(answer(&heard, code, "", ""));
        assert_eq!(media(&sip), [(5004, Pair)], "{method}");
    }
    let heard = text(sip.client(request("BYE", "another", 2, "")));
    sip.server(answer(&heard, 200, "", ""));
    assert_eq!(media(&sip), [(5004, Pair)], "another call's end");
}

#[test]
fn a_new_description_replaces_the_old_one_once_it_is_accepted() {
    for method in ["INVITE", "UPDATE"] {
        let mut sip = established("c1", 5004);
        let heard = text(sip.client(request(method, "c1", 3, &own(&audio(5010)))));
        assert_eq!(media(&sip), [(5004, Pair), (5010, Pair)], "{method}");
        sip.server(answer(&heard, 200, "<sip:bob@198.51.100.7>", &described("198.51.100.9", &audio(9000))));
        if method == "INVITE" {
            sip.client(request("ACK", "c1", 3, ""));
        }
        assert_eq!(media(&sip), [(5010, Pair)], "{method}");
        let heard = text(sip.client(request(method, "c1", 4, &own(&audio(5020)))));
        sip.server(answer(&heard, 488, "", ""));
        assert_eq!(media(&sip), [(5010, Pair)], "{method} is refused");
        assert!(sip.refusals.is_empty());
    }
}

#[test]
fn a_call_on_hold_keeps_its_doors() {
    for hold in [
        own("m=audio 5004 RTP/AVP 0\r\na=sendonly\r\n"),
        own("m=audio 5004 RTP/AVP 0\r\na=inactive\r\n"),
        own(&audio(5004)).replace("c=IN IP4 10.0.0.2", "c=IN IP4 0.0.0.0"),
    ] {
        let mut sip = established("c1", 5004);
        let said = request("INVITE", "c1", 2, &hold);
        let heard = text(sip.client(&said));
        let is_old_form = hold.contains("0.0.0.0");
        assert_eq!(heard, announced(&said, if is_old_form { &[] } else { &[5004] }));
        sip.server(answer(&heard, 200, "<sip:bob@198.51.100.7>", &described("198.51.100.9", &audio(9000))));
        sip.client(request("ACK", "c1", 2, ""));
        let resumed = request("INVITE", "c1", 3, &own(&audio(5004)));
        assert_eq!(text(sip.client(&resumed)), announced(&resumed, &[5004]));
        assert_eq!(media(&sip), [(5004, Pair)], "{hold}");
        assert!(sip.refusals.is_empty());
    }
}

#[test]
fn an_offer_may_come_late() {
    let mut sip = phone(Transport::Udp);
    let heard = text(sip.client(invite("c1", "")));
    sip.server(answer(&heard, 200, "<sip:bob@198.51.100.7>", &described("198.51.100.9", &audio(9000))));
    assert_eq!(media(&sip), []);
    let said = request("ACK", "c1", 1, &own(&audio(5004)));
    assert_eq!(text(sip.client(&said)), announced(&said, &[5004]));
    assert_eq!(media(&sip), [(5004, Pair)]);
    assert_eq!(media_peers(&sip), [Some(Ipv4Addr::new(198, 51, 100, 9))]);
    let (mut sip, heard) = called(&described("198.51.100.9", &audio(9000)));
    let said = answer(&heard, 200, "<sip:alice@10.0.0.2:5060>", &own(&audio(5004)));
    sip.client(&said);
    assert_eq!(text(sip.client(&said)), announced(&said, &[5004]), "sent again, it is the same");
}

#[test]
fn calls_of_a_trunk_are_told_apart_by_their_call_id() {
    let mut sip = phone(Transport::Tcp);
    let tcp = |said: String| said.replace("10.0.0.2:5060", "10.0.0.2:40000").replace("/UDP", "/TCP");
    let mut heard = Vec::new();
    for n in 0..4 {
        heard.push(text(sip.client(tcp(invite(&format!("c{n}"), &own(&audio(5004 + 2 * n)))))));
    }
    assert_eq!(media(&sip).len(), 4);
    sip.server(answer(&heard[2], 486, "", ""));
    sip.server(answer(&heard[0], 200, "<sip:bob@198.51.100.7>", &described("198.51.100.9", &audio(9000))));
    let bye = text(sip.client(tcp(request("BYE", "c0", 2, ""))));
    sip.server(answer(&bye, 200, "", ""));
    assert_eq!(media(&sip), [(5006, Pair), (5010, Pair)]);
    assert!(sip.refusals.is_empty() && sip.is_attached);
}

/// RFC 3261 section 13.2.2.4: each branch of a fork answers for itself.
#[test]
fn forked_answers_let_media_in_from_all() {
    let mut sip = phone(Transport::Udp);
    let heard = text(sip.client(invite("c1", &own(&audio(5004)))));
    for (tag, addr) in [("b", "198.51.100.9"), ("c", "198.51.100.10")] {
        let said = answer(&heard, 183, "<sip:bob@198.51.100.7>", &described(addr, &audio(9000)));
        sip.server(said.replace(";tag=b", &format!(";tag={tag}")));
        assert_eq!(media(&sip), [(5004, Pair)]);
    }
    sip.server(answer(&heard, 200, "<sip:bob@198.51.100.7>", &described("198.51.100.10", &audio(9000))));
    assert_eq!(media_peers(&sip), [Some(Ipv4Addr::new(198, 51, 100, 10))]);
}

/// A referral alone opens nothing.
#[test]
fn a_referral_names_endpoints_and_opens_nothing_for_third_hosts() {
    let mut sip = established("c1", 5004);
    let said = request("REFER", "c1", 3, "").replace(
        "Content-L",
        "Refer-To: <sip:carol@10.0.0.3:5060?Replaces=x%40y%3Bto-tag%3D1%3Bfrom-tag%3D2>\r\nReferred-By: <sip:alice@10.0.0.2>\r\nContent-L",
    );
    let heard = text(sip.client(&said));
    assert_eq!(heard, announced(&said, &[]));
    assert!(sip.stage.asks.iter().all(|door| door.inside.ip() == &INSIDE_LOCAL));
    assert_eq!(media(&sip), [(5004, Pair)]);
}
