//! SIP: the faults of others, each by its name, and what else may come from somebody who means harm.

mod sip_messages;
mod stage;

use std::net::Ipv4Addr;

use alg::{Owner, Ports, Refusal, Transport};
use sip_messages::{
    WANTED, announced, answer, audio, crowd, described, door_to, invite, is_open, media, over_tcp, own,
    phone, phone_session, relength, request, text, wanted,
};
use stage::damage::check_doors;
use stage::{INSIDE_LOCAL, endpoint};

/// NAT slipstreaming (2020): a browser fills a request of HTTP up so that a segment of it is a registration.
#[test]
fn slipstreaming_opens_nothing() {
    for beginning in [
        "POST / HTTP/1.1\r\nHost: 198.51.100.7:5060\r\n\r\n",
        "POST /sip:x@198.51.100.7 HTTP/1.1\r\n",
        "GET sip:x@198.51.100.7 HTTP/1.0\r\n",
        "\r\nPOST / HTTP/1.1\r\n",
        "\r\n\r\nx\r\n",
        "\0\x01\0\x08\x21\x12B",
    ] {
        for filling in [0, 1, 1400, 5000] {
            let mut sip = phone(Transport::Tcp);
            let first = format!("{beginning}{}", "a".repeat(filling));
            sip.client(&first);
            let first_held = sip.held(true).len();
            let heard = text(sip.client(wanted()));
            assert!(heard.ends_with(&wanted()), "{beginning}: {heard}");
            assert_eq!(heard.len(), wanted().len() + first_held);
            assert_eq!((&sip.refusals[..], sip.is_attached), (&[Refusal::Foreign][..], false), "{beginning}");
            assert_eq!(text(sip.client(wanted())), wanted(), "for good");
            assert!(!is_open(&sip) && sip.stage.doors.is_empty());
        }
    }
}

/// What browsers, scanners and other protocols say to port 5060 is nothing of ours.
#[test]
fn what_is_not_sip_is_left_alone() {
    for said in [
        "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
        "CONNECT a:1 HTTP/1.1\r\n\r\n",
        "RTSP/1.0 200 OK\r\n\r\n",
        "OPTIONS * RTSP/1.0\r\n\r\n",
        "\x16\x03\x01\x02\0\x01\0\x01\x7c\x03\x03",
        "SSH-2.0-OpenSSH_9.2\r\n",
        "$\0\0\x04abcd",
        "SIP/2.0 20 OK\r\n\r\n",
        "SIP/2.0 2000 OK\r\n\r\n",
        "SIP/2.0\r\n\r\n",
        "INVITE SIP/2.0\r\n\r\n",
        "INVITE\r\n\r\n",
        "INVITE sip:a@b\r\n\r\n",
        "INV ITE sip:a@b SIP/2.0x\r\n",
        " INVITE sip:a@b SIP/2.0\r\n\r\n",
        "INVITE sip:a@b SIP/22.0\r\n\r\n",
        "m=audio 7777 RTP/AVP 0\r\n",
    ] {
        for transport in [Transport::Tcp, Transport::Udp] {
            let mut sip = phone(transport);
            let mut heard = sip.client(said);
            heard.extend(sip.held(true));
            assert_eq!(heard, said.as_bytes());
            assert!(sip.stage.asks.is_empty(), "{said:?}");
            if transport == Transport::Tcp {
                assert_eq!(
                    (&sip.refusals[..], sip.is_attached),
                    (&[Refusal::Foreign][..], false),
                    "{said:?}"
                );
            }
        }
    }
}

/// CVE-2026-53002: the stack overflowed while a longer Content-Length was written. The number has more digits than before.
#[test]
fn cve_2026_53002_a_length_with_more_digits() {
    for transport in [Transport::Udp, Transport::Tcp] {
        for filling in (0..60).chain(860..960).chain([9000, 9870, 9880, 9890, 9900]) {
            let body = own(&format!("m=audio 9004 RTP/AVP 0\r\na=x:{}\r\n", "x".repeat(filling)));
            let said = invite("c1", &body);
            let said = if transport == Transport::Tcp { over_tcp(&said) } else { said };
            let mut sip = phone(transport);
            assert_eq!(text(sip.client(&said)), announced(&said, &[9004]));
            assert!(sip.refusals.is_empty(), "{filling}: {:?}", sip.refusals);
        }
    }
    let body = own(&audio(9004));
    for field in [
        "Content-Length:{}",
        "l: {}",
        "L:{}",
        "CONTENT-LENGTH : {} ",
        "Content-Length:\r\n {}",
        "Content-Length: 000{}",
    ] {
        let fill = |len: usize| field.replace("{}", &len.to_string());
        let said = invite("c1", &body).replace(&format!("Content-Length: {}", body.len()), &fill(body.len()));
        let mut sip = phone(Transport::Udp);
        let heard = text(sip.client(&said));
        let (head, body) = heard.split_once("\r\n\r\n").expect("an empty line");
        let told =
            head.rsplit([':', ' ', '\n']).map(str::trim).find(|word| !word.is_empty()).expect("a length");
        assert_eq!(told.parse(), Ok(body.len()), "{field}");
        assert_eq!(body, described("203.0.113.1", "m=audio 10004 RTP/AVP 0\r\n"));
    }
}

/// The same where everything becomes shorter.
#[test]
fn a_length_with_fewer_digits() {
    for filling in 0..60 {
        let mut sip = phone(Transport::Udp);
        let inside = Ipv4Addr::new(192, 168, 100, 200);
        sip.stage.session.inside_local.set_ip(inside);
        sip.stage.session.inside_global.set_ip(Ipv4Addr::new(8, 8, 8, 8));
        let body = own(&format!("m=audio 5004 RTP/AVP 0\r\na=x:{}\r\n", "x".repeat(filling)));
        let said = relength(&invite("c1", &body).replace("10.0.0.2", &inside.to_string()));
        let heard =
            said.replace("192.168.100.200:5060", "8.8.8.8:6060").replace("192.168.100.200", "8.8.8.8");
        assert_eq!(
            text(sip.client(&said)),
            relength(&heard.replace("audio 5004", "audio 6004")),
            "{filling}"
        );
    }
}

/// CVE-2026-23457: a length of 2^32 + 32 was cut to 32, and a second message read out of the body.
#[test]
fn cve_2026_23457_lengths_that_lie() {
    let long = (1u64 << 32) + 32;
    for lengths in [
        vec![long.to_string()],
        vec!["4294967328".to_string()],
        vec!["18446744073709551648".to_string()],
        vec!["99999999999999999999999999".to_string()],
        vec!["-1".to_string()],
        vec!["-4294967264".to_string()],
        vec!["+32".to_string()],
        vec!["0x20".to_string()],
        vec!["32 32".to_string()],
        vec!["32,32".to_string()],
        vec!["3 2".to_string()],
        vec![String::new()],
        vec!["bad".to_string()],
        vec!["32;".to_string()],
        vec!["32".to_string(), "33".to_string()],
        vec!["0".to_string(), "32".to_string()],
        vec!["65536".to_string()],
        vec!["4294967295".to_string()],
        vec!["4294967296".to_string()],
    ] {
        let headers: String = lengths.iter().map(|len| format!("Content-Length: {len}\r\n")).collect();
        for transport in [Transport::Tcp, Transport::Udp] {
            let own_port = if transport == Transport::Tcp { 40000 } else { 5060 };
            let said = format!(
                "MESSAGE sip:b@198.51.100.7 SIP/2.0\r\nVia: SIP/2.0/TCP 10.0.0.2:{own_port};branch=z9\r\n\
                 Call-ID: m\r\nCSeq: 1 MESSAGE\r\n{headers}\r\n{}{}",
                "b".repeat(32),
                wanted()
            );
            let mut sip = phone(transport);
            let mut heard = sip.client(&said);
            heard.extend(sip.held(true));
            assert_eq!(text(heard), said, "{lengths:?}");
            assert!(!is_open(&sip), "{lengths:?}");
            if transport == Transport::Tcp {
                let [refusal] = sip.refusals[..] else { panic!("{lengths:?}: {:?}", sip.refusals) };
                assert!(matches!(refusal, Refusal::Malformed | Refusal::TooLong), "{lengths:?}: {refusal:?}");
                assert!(!sip.is_attached, "{lengths:?}");
            }
        }
    }
}

/// Lengths that agree are one; both are written anew.
#[test]
fn a_length_that_is_told_twice() {
    let body = own(&audio(5004));
    let said = invite("c1", &body);
    let line = format!("Content-Length: {}\r\n", body.len());
    let said = said.replace(&line, &line.repeat(2));
    let mut sip = phone(Transport::Udp);
    assert_eq!(text(sip.client(&said)), announced(&said, &[5004]));
}

/// Linux in July 2026: after an edit that shrank the message, later contacts were looked for in the wrong place and kept their
/// private addresses.
#[test]
fn later_contacts_leak_nothing_after_edits_that_shrink_and_grow() {
    let contact = |n: usize| match n % 5 {
        0 => "<sip:a@192.168.100.200:40000>".to_string(),
        1 => "<sip:192.168.100.200>;q=0.1".to_string(),
        2 => "\"192.0.2.1, <x>\" <sip:b;x@192.168.100.200:1025;transport=tcp>".to_string(),
        3 => "<sip:c@192.168.100.200:40000>,<sip:d@192.168.100.200:40000>".to_string(),
        _ => "<sip:e@192.0.2.1>, sip:f@192.168.100.200:40000;x=192.0.2.1".to_string(),
    };
    for global in [Ipv4Addr::new(8, 8, 8, 8), Ipv4Addr::new(203, 200, 113, 100)] {
        for count in 1..30 {
            for transport in [Transport::Tcp, Transport::Udp] {
                let mut sip = phone(transport);
                let inside = endpoint(Ipv4Addr::new(192, 168, 100, 200), 40000);
                (sip.stage.session.inside_local, sip.stage.session.inside_global) =
                    (inside, endpoint(global, 7));
                sip.stage.port_shift = 9;
                let said = crowd(count, contact).replace("10.0.0.2", "192.168.100.200");
                let heard = text(sip.client(&said));
                assert!(sip.refusals.is_empty(), "{count}: {:?}", sip.refusals);
                assert!(!heard.contains("192.168.100.200"), "{heard}");
                let count_of = |of: &str, word: &str| of.matches(word).count();
                assert_eq!(count_of(&heard, &global.to_string()), count_of(&said, "192.168.100.200"));
                assert_eq!(count_of(&heard, "192.0.2.1"), count_of(&said, "192.0.2.1"));
                assert_eq!(heard.lines().count(), said.lines().count());
            }
        }
    }
}

/// CVE-2026-72251: a rule for UDP rewrote a packet of TCP. The door's transport is that of the endpoint that is announced.
#[test]
fn cve_2026_72251_doors_have_the_transport_that_is_announced() {
    for (session, param, transport) in [
        (Transport::Udp, "", Transport::Udp),
        (Transport::Tcp, "", Transport::Tcp),
        (Transport::Udp, ";transport=tcp", Transport::Tcp),
        (Transport::Tcp, ";transport=TCP", Transport::Tcp),
        (Transport::Tcp, ";transport=udp", Transport::Udp),
        (Transport::Udp, ";lr;Transport=UDP;ob", Transport::Udp),
    ] {
        let mut sip = phone(session);
        let own_port = sip.stage.session.inside_local.port();
        // Another endpoint of the other transport has this number.
        let other = if transport == Transport::Udp { Transport::Tcp } else { Transport::Udp };
        let global = endpoint(*sip.stage.session.inside_global.ip(), 9999);
        sip.stage.mappings.push((other, endpoint(INSIDE_LOCAL, WANTED), global));
        let said =
            wanted().replace("40000", &own_port.to_string()).replace(":7777>", &format!(":7777{param}>"));
        let heard = text(sip.client(&said));
        assert!(heard.contains(&format!("<sip:x@203.0.113.1:8777{param}>")), "{heard}");
        let doors: Vec<_> = sip.stage.doors.iter().filter(|(door, _)| door.inside.port() == WANTED).collect();
        assert_eq!(
            doors.iter().map(|(door, _)| door.transport).collect::<Vec<_>>(),
            [transport],
            "{session:?} {param}"
        );
    }
    let mut sip = phone(Transport::Tcp);
    sip.client(over_tcp(&invite("c1", &own(&audio(5004)))));
    assert!(door_to(&sip, Transport::Udp, 5004).is_some() && door_to(&sip, Transport::Tcp, 5004).is_none());
}

/// CVE-2026-52986, and Linux in March and April 2026: ports were read beyond the buffer, and `05535` was accepted for one.
#[test]
fn cve_2026_52986_ports_are_numbers_of_their_own_digits() {
    for written in [
        "05535",
        "005535",
        "00000000000005535",
        "65536",
        "65535555",
        "4294972831",
        "0",
        "-5535",
        "+5535",
        "5535x",
        "0x159f",
        "",
        " ",
    ] {
        let contact = wanted().replace("7777", written).replace("40000", "5060");
        let line = invite("c1", &own(&format!("m=audio {written} RTP/AVP 0\r\n")));
        let control = invite("c1", &own(&format!("m=audio 6000 RTP/AVP 0\r\na=rtcp:{written}\r\n")));
        for said in [&contact, &line, &control] {
            let mut sip = phone(Transport::Udp);
            let heard = text(sip.client(said));
            check_doors(&sip.stage, || written.to_string());
            for (door, _) in &sip.stage.doors {
                let is_known = [5060, 6000].contains(&door.inside.port());
                let is_written = written.len() == 5 && written.parse() == Ok(door.inside.port());
                assert!(is_known || is_written, "{written}: {door:?}");
            }
            assert_eq!(heard, relength(&heard), "{written}");
            assert!(sip.is_attached, "{written}");
        }
    }
}

/// The same rows: the port is the message's last byte.
#[test]
fn a_message_may_end_with_a_port_or_an_address() {
    for end in [
        "m=audio 5004 RTP/AVP 0\r\nc=IN IP4 10.0.0.2",
        "m=audio 5004 RTP/AVP 0\r\na=rtcp:5005",
        "m=audio 5004 RTP/AVP 0\r\na=rtcp:5005 IN IP4 10.0.0.2",
        "m=audio 5004 RTP/AVP",
        "m=audio 5004 RTP/AVP 0",
        "m=audio 5004 RTP/AVP 0\r\na=candidate:1 1 UDP 1 10.0.0.2 5004",
    ] {
        let said = invite("c1", &own(end));
        let mut sip = phone(Transport::Udp);
        let heard = text(sip.client(&said));
        assert!(!heard.contains("10.0.0.2"), "{heard}");
        assert_eq!((media(&sip), &sip.refusals[..]), (vec![(5004, Ports::Pair)], &[][..]), "{end}");
    }
    for whole in [wanted().replace("40000", "5060"), invite("c1", &own(&audio(5004)))] {
        for len in 0..whole.len() {
            let mut sip = phone(Transport::Udp);
            let heard = sip.client(&whole[..len]);
            check_doors(&sip.stage, || whole[..len].to_string());
            assert!(sip.stage.doors.is_empty() || heard != whole.as_bytes()[..len], "{}", &whole[..len]);
            let is_short = |port: u16| port != 5060 && port != WANTED && port != 5004;
            assert!(
                !sip.stage.doors.iter().any(|(door, _)| is_short(door.inside.port())),
                "{}",
                &whole[..len]
            );
        }
    }
}

/// Linux in March 2026: without an active line of media, the session's addresses became what was on the stack.
#[test]
fn descriptions_without_active_media_keep_sound_addresses() {
    for lines in [
        "",
        "m=audio 0 RTP/AVP 0\r\n",
        "m=audio 0 RTP/AVP 0\r\nm=video 0 RTP/AVP 96\r\n",
        "a=sendrecv\r\n",
        "m=\r\n",
        "m=audio\r\n",
        "m=audio RTP/AVP 0\r\n",
        "m=image 0 udptl t38\r\n",
        "m=audio 0 RTP/AVP 0\r\na=rtcp:0\r\n",
        "x\r\n",
        "m=audio 0/2 RTP/AVP 0\r\n",
    ] {
        let mut sip = phone(Transport::Udp);
        let said = invite("c1", &own(lines));
        assert_eq!(text(sip.client(&said)), announced(&said, &[]), "{lines}");
        assert!(media(&sip).is_empty() && sip.is_attached, "{lines}");
    }
    for lines in ["m=foo 5004 RTP/AVP 0\r\n", "m=data 5004 XYZ *\r\n", "m=control 5004 H323 mc\r\n"] {
        let mut sip = phone(Transport::Udp);
        let heard = text(sip.client(invite("c1", &own(lines))));
        let (_, body) = heard.split_once("\r\n\r\n").expect("an empty line");
        assert!(body.starts_with(&described("203.0.113.1", "")), "{body}");
    }
    for addr in ["0.0.0.0", "255.255.255.255", "127.0.0.1", "224.2.0.1"] {
        let said = invite("c1", &described(addr, &audio(5004)));
        let mut sip = phone(Transport::Udp);
        assert_eq!(text(sip.client(&said)), said.replace("10.0.0.2:5060", "203.0.113.1:6060"));
        assert!(media(&sip).is_empty(), "{addr}");
    }
}

/// CVE-2026-72253: media to an address without a route crashed. Here it is an address like any other, and no door leads there.
#[test]
fn cve_2026_72253_media_from_nowhere() {
    for addr in [
        "0.0.0.0",
        "127.0.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "240.0.0.1",
        "169.254.1.1",
        "10.0.0.2",
        "203.0.113.1",
    ] {
        let mut sip = phone(Transport::Udp);
        let heard = text(sip.client(invite("c1", &own(&audio(5004)))));
        let said = answer(&heard, 200, "<sip:bob@198.51.100.7>", &described(addr, &audio(9000)));
        sip.server(&said);
        assert_eq!((media(&sip), &sip.refusals[..]), (vec![(5004, Ports::Pair)], &[][..]), "{addr}");
        assert!(sip.stage.doors.iter().all(|(door, _)| door.inside.ip() == &INSIDE_LOCAL));
        let resumed = request("INVITE", "c1", 2, &own(&audio(5004)));
        assert_eq!(text(sip.client(&resumed)), announced(&resumed, &[5004]));
    }
}

/// Linux in 2019: the same media in two control sessions clashed, and the second was dropped.
#[test]
fn the_same_media_in_two_control_sessions() {
    let said = invite("c1", &own(&audio(5004)));
    for other in ["c1", "c2"] {
        let mut first = phone(Transport::Udp);
        first.client(&said);
        let mut second = phone(Transport::Udp);
        second.stage.session.inside_local.set_port(5080);
        second.stage.session.inside_global.set_port(6080);
        second.stage.session.outside_local.set_ip(Ipv4Addr::new(198, 51, 100, 77));
        second.stage.session.outside_global.set_ip(Ipv4Addr::new(198, 51, 100, 77));
        (second.stage.doors, second.stage.calls) = (first.stage.doors.clone(), first.stage.calls.clone());
        let again = invite(other, &own(&audio(5004))).replace(":5060", ":5080");
        let heard = text(second.client(&again));
        assert!(heard.contains("m=audio 6004 RTP/AVP 0"), "{heard}");
        assert!(second.refusals.is_empty() && media(&second).contains(&(5004, Ports::Pair)));
    }
}

/// Linux in 2019: where the announced port was another, media from inside kept its own. What a door announces is its endpoint's.
#[test]
fn media_that_was_there_before_is_announced_where_it_is() {
    let mut sip = phone(Transport::Udp);
    let global = |port| endpoint(*phone_session(Transport::Udp).inside_global.ip(), port);
    sip.stage.mappings.push((Transport::Udp, endpoint(INSIDE_LOCAL, 5010), global(8888)));
    let said = invite("c1", &own("m=image 5010 udptl t38\r\n"));
    let heard = text(sip.client(&said));
    assert!(heard.contains("m=image 8888 udptl t38"), "{heard}");
    assert!(sip.stage.doors.iter().any(|(door, at)| door.inside.port() == 5010 && *at == global(8888)));
}

/// A neighbour behind the same global address, or a server, gets nothing by writing somebody else's address.
#[test]
fn nobody_opens_doors_for_others() {
    let third = wanted().replace("10.0.0.2:7777", "10.0.0.3:7777");
    let mut sip = phone(Transport::Tcp);
    assert!(text(sip.client(&third)).contains("<sip:x@10.0.0.3:7777>"));
    let media_of_another = over_tcp(&invite("c1", &described("10.0.0.3", &audio(5004))));
    sip.client(&media_of_another);
    for said in [
        wanted(),
        over_tcp(&invite("c2", &own(&audio(5004)))),
        over_tcp(&invite("c3", &described("203.0.113.1", &audio(6004)))),
    ] {
        sip.server(&said);
    }
    let own_port = sip.stage.session.inside_local.port();
    assert!(media(&sip).iter().all(|(port, _)| *port == own_port), "{:?}", sip.stage.doors);
    assert!(
        sip.stage
            .doors
            .iter()
            .all(|(door, _)| door.inside.ip() == &INSIDE_LOCAL && door.inside.port() == own_port)
    );
}

/// Answers to nothing, and requests from outside about calls that are none, open nothing and close nothing.
#[test]
fn forged_answers_and_requests_change_nothing() {
    let mut sip = phone(Transport::Udp);
    let heard = text(sip.client(invite("c1", &own(&audio(5004)))));
    let before = media(&sip);
    sip.server(answer(&heard.replace("Call-ID: c1", "Call-ID: other"), 487, "", ""));
    sip.server(answer(&heard.replace("1 INVITE", "1 BYE"), 200, "", ""));
    sip.server(answer(&heard.replace("1 INVITE", "9 INVITE"), 486, "", ""));
    for method in ["BYE", "CANCEL"] {
        sip.server(request(method, "c1", 1, "").replace("10.0.0.2", "198.51.100.66"));
    }
    assert_eq!(media(&sip), before);
    assert!(sip.stage.closed.iter().all(|owner| matches!(owner, Owner::Call(_) | Owner::Session(_))));
}
