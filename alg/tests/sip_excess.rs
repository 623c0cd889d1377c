//! SIP: the faults of others that too much of something, or damage, led to; each by its name.

mod sip_messages;
mod stage;

use alg::{Call, Refusal, Side, Transport};
use sip_messages::{
    announced, audio, crowd, door_to, invite, media, over_tcp, own, phone, request, row, text, wanted,
};
use stage::damage::check_doors;
use stage::dice::Dice;
use stage::script::corpus;
use stage::{Conversation, FakeContext, session};

/// CVE-2026-74569, and Linux in July 2026: growth of over 32,767 bytes wrapped around in 16 bits.
#[test]
fn cve_2026_74569_growth_is_bounded() {
    for transport in [Transport::Tcp, Transport::Udp] {
        let listed = vec!["<sip:10.0.0.2>"; 900].join(",");
        let bomb = crowd(1, |_| listed.clone());
        let mut sip = phone(transport);
        assert_eq!(text(sip.client(&bomb)), bomb);
        assert_eq!((&sip.refusals[..], sip.stage.doors.len()), (&[Refusal::EditLimit][..], 0));
        let body = own(&"c=IN IP4 10.0.0.2\r\n".repeat(3000));
        let said = over_tcp(&invite("c1", &body));
        let mut sip = phone(transport);
        assert_eq!(text(sip.client(&said)), said);
        assert_eq!((&sip.refusals[..], sip.stage.doors.len()), (&[Refusal::EditLimit][..], 0));
        let lines: String = (0..600).map(|n| audio(5004 + 2 * n)).collect();
        let said = over_tcp(&invite("c1", &own(&lines)));
        let mut sip = phone(transport);
        sip.client(&said);
        assert_eq!(sip.refusals, [Refusal::DoorLimit], "more lines than there may be doors");
        assert_eq!(sip.stage.doors.len(), stage::context::DOOR_COUNT_MAX);
    }
}

/// CVE-2026-21905, and CVE-2018-0051 and CVE-2025-30656 of the same gateway: several messages in a segment, in all cuts.
#[test]
fn cve_2026_21905_many_messages_in_a_segment() {
    let options = |n: usize| over_tcp(&request("OPTIONS", &format!("c{n}"), 1, ""));
    let few: String = (0..6).map(|n| format!("{}{}", options(n), ["", "\r\n", "\r\n\r\n"][n % 3])).collect();
    let heard = announced(&few.replace("Content-Length", "Content-\u{1}"), &[])
        .replace("Content-\u{1}", "Content-Length");
    for cut in 0..=few.len() {
        let mut sip = phone(Transport::Tcp);
        let mut got = sip.client(&few[..cut]);
        got.extend(sip.client(&few[cut..]));
        assert_eq!(text(got), heard, "cut at {cut}");
        assert_eq!(
            (sip.is_attached, &sip.refusals[..], sip.held(true)),
            (true, &[][..], &b""[..]),
            "cut at {cut}"
        );
    }
    let many: String = (0..250).map(options).collect();
    for size in [many.len(), 1, 2, 3, 100, 1448] {
        let mut sip = phone(Transport::Tcp);
        let got: Vec<u8> = many.as_bytes().chunks(size).flat_map(|part| sip.client(part)).collect();
        assert_eq!(got.len(), many.len() + 250 * 2 * ("203.0.113.1:41000".len() - "10.0.0.2:40000".len()));
        assert_eq!(
            (sip.messages.len(), sip.is_attached, sip.held(true)),
            (250, true, &b""[..]),
            "pieces of {size}"
        );
    }
}

/// CVE-2022-22204: entries of calls that came to nothing stayed. Each has an end, and there are so many at most.
#[test]
fn cve_2022_22204_abandoned_calls_end() {
    let mut sip = phone(Transport::Udp);
    for n in 0..40 {
        sip.client(invite(&format!("c{n}"), &own(&audio(5004))));
        assert!(sip.stage.calls.len() <= stage::context::CALL_COUNT_MAX && sip.is_attached);
    }
    let (reached, calls): (Vec<_>, Vec<_>) =
        sip.stage.calls.iter().partition(|(_, call, _)| matches!(call, Call::Reach { .. }));
    assert!(calls.iter().all(|(_, _, life_s)| (1..=180).contains(life_s)), "{calls:?}");
    assert_eq!(reached.len(), 1, "one for the endpoint and its peer, however many calls: {reached:?}");
    for (port, _) in media(&sip) {
        assert!(door_to(&sip, Transport::Udp, port).is_some_and(|door| (1..=180).contains(&door.life_s)));
    }
    assert!(
        sip.refusals.iter().all(|why| matches!(why, Refusal::CallLimit | Refusal::DoorLimit)),
        "{:?}",
        sip.refusals
    );
    for method in ["CANCEL", "BYE"] {
        let mut sip = phone(Transport::Udp);
        sip.client(invite("c1", &own(&audio(5004))));
        sip.client(request(method, "c1", 1, ""));
        let mut calls = sip.stage.calls.iter().filter(|(_, call, _)| matches!(call, Call::Dialog(_)));
        assert!(calls.all(|(_, _, life_s)| *life_s <= 32), "{method}: {:?}", sip.stage.calls);
    }
}

/// CVE-2024-21616: malformed messages leaked ports. What is refused leaves the doors as they were.
#[test]
fn cve_2024_21616_malformed_messages_leave_no_doors() {
    let mut dice = Dice::new(0x51b);
    let samples = [
        invite("c1", &own(&audio(5004))),
        wanted().replace("40000", "5060"),
        request("UPDATE", "c1", 2, &own(&audio(5006))),
    ];
    let others = samples.concat();
    let mut refused = 0;
    for n in 0..6000 {
        let mut sip = phone(Transport::Udp);
        sip.client(&samples[0]);
        let before = sip.stage.doors.clone();
        let mut said = samples[n % samples.len()].clone().into_bytes();
        for _ in 0..=n % 4 {
            said = dice.damage(&said, others.as_bytes());
        }
        sip.send(n % 5 != 0, &said);
        if sip.refusals.iter().any(|why| why.detaches()) {
            refused += 1;
            assert_eq!(sip.stage.doors, before, "{}", String::from_utf8_lossy(&said));
        }
        check_doors(&sip.stage, || String::from_utf8_lossy(&said).into_owned());
    }
    assert!(refused > 500, "{refused} were refused");
}

/// CVE-2019-12646 and CVE-2018-0476: crafted messages reloaded the router. Heads without end, of any kind, end the reading.
#[test]
fn cve_2019_12646_heads_without_end() {
    let start = "INVITE sip:b@198.51.100.7 SIP/2.0\r\n";
    let via = "Via: SIP/2.0/TCP 10.0.0.2:40000;branch=z9\r\n";
    let heads = [
        via.repeat(3000),
        format!("x:{}", "\r\n ".repeat(20_000)),
        format!("Via:{}", ",".repeat(60_000)),
        format!("Contact: {}", "<".repeat(60_000)),
        format!("Contact: {}", "\"".repeat(60_001)),
        format!("Contact: {}", "<sip:a@10.0.0.2>,".repeat(4000)),
        "a:\r\n".repeat(10_000),
        format!("x:{}", "\n\t".repeat(30_000)),
        format!("Contact: \"{}\" <sip:a@10.0.0.2>\r\n", "\\\"".repeat(30_000)),
        format!("{}: x\r\n", "n".repeat(60_000)),
        "Call-ID: x\r\n".repeat(5000),
    ];
    for head in heads {
        for transport in [Transport::Tcp, Transport::Udp] {
            let said = format!("{start}{head}\r\n\r\n{}", wanted());
            let mut sip = phone(transport);
            let mut heard = sip.client(&said);
            heard.extend(sip.held(true));
            assert_eq!(text(heard), said);
            assert!(sip.stage.doors.is_empty(), "{}", &head[..20]);
            assert_eq!(sip.refusals.len(), 1, "{:?}", sip.refusals);
            assert!(
                matches!(sip.refusals[0], Refusal::TooLong | Refusal::Malformed),
                "{}: {:?}",
                &head[..20],
                sip.refusals
            );
            assert!(transport == Transport::Udp || !sip.is_attached);
        }
    }
}

/// What fits a head may be as nested as it likes: it is read, or refused as a whole.
#[test]
fn nested_lists_and_quotes_that_fit() {
    for value in [
        ",".repeat(9000),
        ", ,".repeat(3000),
        "\"".repeat(9000),
        "\"".repeat(9001),
        "<".repeat(9000),
        ">".repeat(9000),
        "<>,".repeat(3000),
        ";".repeat(9000),
        "\\".repeat(9000),
        "sip:".repeat(2000),
        "@".repeat(9000),
        ":".repeat(9000),
        "(".repeat(9000),
        "<sip:a@192.0.2.1>,".repeat(500),
        "\"a\" <sip:".repeat(900),
        " \r\n ".repeat(40),
        "[".repeat(9000),
        "<sip:[".repeat(1500),
        "%".repeat(9000),
        "10.0.0.2".repeat(1000),
    ] {
        for name in
            ["Contact", "Via", "Route", "From", "Warning", "Call-Info", "History-Info", "Content-Type"]
        {
            let said = invite("c1", &own(&audio(5004))).replace("Max-F", "").replacen(
                "Call-ID",
                &format!("{name}: {value}\r\nCall-ID"),
                1,
            );
            let mut sip = phone(Transport::Udp);
            let heard = text(sip.client(&said));
            assert!(sip.refusals.len() <= 1, "{name}: {:?}", sip.refusals);
            assert!(heard.len() <= said.len() + stage::context::GROWTH_MAX);
            check_doors(&sip.stage, || name.to_string());
            if !sip.refusals.is_empty() && sip.refusals[0].detaches() {
                assert_eq!(heard, said, "{name}");
            }
        }
    }
}

#[test]
fn first_lines_that_are_huge_or_cut() {
    for len in [4000, 4096, 5000, 60_000] {
        for line in [
            format!("INVITE sip:{}", "a".repeat(len)),
            "I".repeat(len),
            format!("SIP/2.0 200 {}", "a".repeat(len)),
        ] {
            for transport in [Transport::Tcp, Transport::Udp] {
                let said = format!("{line} SIP/2.0\r\nContact: <sip:x@10.0.0.2:7777>\r\n\r\n");
                let mut sip = phone(transport);
                let mut heard = sip.client(&said);
                heard.extend(sip.held(true));
                // A datagram has all of its first line at once.
                let is_read = len < if transport == Transport::Tcp { 4096 } else { 16_000 };
                if !is_read {
                    assert_eq!(text(heard), said);
                    assert!(sip.stage.asks.is_empty() && sip.refusals.len() == 1, "{:?}", sip.refusals);
                }
                assert!(is_read || transport == Transport::Udp || !sip.is_attached);
            }
        }
    }
    let line = "INVITE sip:alice@203.0.113.1:6060 SIP/2.0";
    for len in 0..line.len() {
        for end in ["", "\r", "\n", "\r\n", "\r\n\r\n"] {
            for transport in [Transport::Tcp, Transport::Udp] {
                let said = format!("{}{end}", &line[..len]);
                let mut sip = phone(transport);
                let mut heard = sip.server(&said);
                heard.extend(sip.held(false));
                assert_eq!(text(heard), said);
                assert!(sip.stage.asks.is_empty());
            }
        }
    }
}

/// No private address is in what leaves, but where nothing is ever to change; that of the corpus is 10.0.0.9.
#[test]
fn no_private_address_leaves() {
    for script in corpus(row()) {
        let mut stage = FakeContext::new(session(script.transport, script.client, 5060));
        stage.port_shift = 1000;
        let mut sip = Conversation::new(row(), stage, script.client);
        let mut outside = Vec::new();
        for (by_client, bytes) in &script.said {
            let heard = sip.send(*by_client, bytes);
            if *by_client == (script.client == Side::Inside) {
                outside.extend(heard);
            }
        }
        let outside = String::from_utf8_lossy(&outside);
        assert!(!outside.contains("10.0.0.2"), "{}: {outside}", script.path.display());
        assert!(sip.refusals.is_empty() && sip.is_attached, "{}: {:?}", script.path.display(), sip.refusals);
        assert!(sip.held(true).is_empty() && sip.held(false).is_empty());
        check_doors(&sip.stage, || script.path.display().to_string());
    }
}
