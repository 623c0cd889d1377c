//! SIP: messages are counted by kind, each by its method or code once, and for what it brought about.

mod sip_messages;
mod stage;

use alg::Transport;
use alg::registry::KIND_COUNT_MAX;
use sip_messages::{answer, audio, described, invite, message, own, phone, request, row};
use stage::Conversation;

const CONTACT: &str = "<sip:bob@198.51.100.7:5060>";

const METHODS: &str =
    "ACK BYE CANCEL REGISTER OPTIONS INFO PRACK UPDATE SUBSCRIBE NOTIFY PUBLISH MESSAGE REFER";

/// Codes of responses, the methods of their requests, and the kinds that they are of.
const RESPONSES: [(u32, &str, &str); 18] = [
    (100, "INVITE", "100"),
    (180, "INVITE", "180"),
    (183, "INVITE", "183"),
    (181, "INVITE", "1xx"),
    (200, "INVITE", "200-to-invite"),
    (200, "BYE", "200-to-bye"),
    (200, "REGISTER", "200-to-register"),
    (200, "PRACK", "200-to-prack"),
    (200, "UPDATE", "200-to-update"),
    (200, "SUBSCRIBE", "200-to-subscribe"),
    (200, "REFER", "200-to-refer"),
    (200, "OPTIONS", "200-to-other"),
    (202, "REFER", "2xx"),
    (302, "INVITE", "3xx"),
    (407, "INVITE", "4xx"),
    (503, "INVITE", "5xx"),
    (603, "INVITE", "6xx"),
    (700, "INVITE", "other-response"),
];

/// What is no message, and the kind that it is of.
const UNREAD: [(&str, &str); 4] = [
    ("\r\n\r\n", "keep-alive"),
    ("GET / HTTP/1.1\r\n\r\n", "not-sip"),
    ("INVITE sip:b SIP/2.0\r\nCall-ID: c\r\nl: -1\r\n\r\n", "malformed"),
    ("INVITE sip:b SIP/2.0\r\nCall-ID: c\r\nl: 1\r\n\r\n", "malformed"),
];

/// The kinds that were counted, with how many messages; and forgets them.
fn counted(sip: &mut Conversation) -> Vec<(&'static str, usize)> {
    let counts = row().kinds.iter().zip(std::mem::replace(&mut sip.stage.counted, [0; KIND_COUNT_MAX]));
    counts.filter(|(_, count)| *count > 0).map(|(name, count)| (*name, count)).collect()
}

/// The kinds of one message that a fresh phone says.
fn kinds_of(said: &str) -> Vec<&'static str> {
    let mut sip = phone(Transport::Udp);
    sip.client(said);
    counted(&mut sip).into_iter().map(|(name, _)| name).collect()
}

fn response(code: u32, method: &str) -> String {
    answer(&request(method, "c", 1, ""), code, "", "")
}

#[test]
fn requests_are_counted_by_method() {
    for method in METHODS.split(' ') {
        assert_eq!(kinds_of(&request(method, "c", 1, "")), [method.to_lowercase()], "{method}");
    }
    assert_eq!(kinds_of(&invite("c", "")), ["invite", "call-begun"]);
    assert_eq!(kinds_of(&request("INVITED", "c", 1, "")), ["other-request"]);
    assert_eq!(kinds_of(&request("invite", "c", 1, "")), ["other-request"], "methods have one case");
}

#[test]
fn responses_are_counted_by_code_and_the_good_ones_by_method() {
    for (code, method, kind) in RESPONSES {
        assert_eq!(kinds_of(&response(code, method)), [kind], "{code} to {method}");
    }
}

#[test]
fn what_cannot_be_read_is_counted_too() {
    for (said, kind) in UNREAD {
        assert_eq!(kinds_of(said), [kind], "{said:?}");
    }
    assert_eq!(kinds_of("OPTIONS sip:b SIP/2.0\r\nCSeq: 1 OPTIONS\r\n\r\n"), ["options", "no-call-id"]);
}

#[test]
fn a_call_begins_and_ends_once_however_often_it_is_said() {
    let mut sip = phone(Transport::Udp);
    let offer = invite("c1", &own(&audio(5004)));
    sip.client(&offer);
    sip.client(&offer);
    assert_eq!(counted(&mut sip), [("invite", 2), ("call-begun", 1)]);
    for _ in 0..2 {
        sip.server(answer(&offer, 200, CONTACT, &described("198.51.100.7", &audio(0))));
    }
    assert_eq!(counted(&mut sip), [("200-to-invite", 2), ("media-port-zero", 2)]);
    let bye = request("BYE", "c1", 2, "");
    sip.client(&bye);
    sip.server(answer(&bye, 200, "", ""));
    sip.server(answer(&bye, 200, "", ""));
    assert_eq!(counted(&mut sip), [("bye", 1), ("200-to-bye", 2), ("call-ended", 1)]);
    let offer = invite("c2", &own(&audio(5004)));
    sip.client(&offer);
    sip.server(answer(&offer, 486, "", ""));
    sip.server(answer(&offer, 486, "", ""));
    assert_eq!(counted(&mut sip), [("invite", 1), ("4xx", 2), ("call-begun", 1), ("call-refused", 1)]);
}

#[test]
fn a_registration_is_counted_when_it_is_granted() {
    let mut sip = phone(Transport::Udp);
    let register = |number: u32, expires: u32| {
        let headers = format!(
            "From: <sip:a@example.com>;tag=a\r\nTo: <sip:a@example.com>\r\nCall-ID: r\r\nCSeq: {number} REGISTER\r\n\
             Contact: <sip:a@10.0.0.2:5060>\r\nExpires: {expires}\r\n"
        );
        message("REGISTER sip:example.com SIP/2.0", &headers, "")
    };
    sip.client(register(1, 60));
    sip.server(answer(&register(1, 60), 401, "", ""));
    assert_eq!(counted(&mut sip), [("register", 1), ("4xx", 1)]);
    sip.client(register(2, 60));
    sip.server(answer(&register(2, 60), 200, "<sip:a@203.0.113.1:6060>;expires=60", ""));
    assert_eq!(counted(&mut sip), [("register", 1), ("200-to-register", 1), ("registered", 1)]);
    sip.client(register(3, 0));
    sip.server(answer(&register(3, 0), 200, "", ""));
    assert_eq!(counted(&mut sip), [("register", 1), ("200-to-register", 1), ("unregistered", 1)]);
}

/// What the tests above have counted is all that there is to count.
#[test]
fn no_kind_is_told_that_nothing_counts() {
    let of_calls = ["invite", "other-request", "call-begun", "call-ended", "call-refused", "media-port-zero"];
    let of_others = ["no-call-id", "registered", "unregistered"];
    let mut tried: Vec<String> = METHODS.to_lowercase().split(' ').map(String::from).collect();
    tried.extend(RESPONSES.iter().map(|(.., kind)| kind.to_string()));
    tried.extend(UNREAD.iter().map(|(_, kind)| kind.to_string()));
    tried.extend(of_calls.iter().chain(&of_others).map(|kind| kind.to_string()));
    let untried: Vec<&&str> = row().kinds.iter().filter(|kind| !tried.contains(&kind.to_string())).collect();
    assert!(untried.is_empty(), "{untried:?}");
}
