//! What phones and servers of SIP say, with right lengths, and phones on a stage.
//!
//! Every test binary includes this module and uses a part of it.
#![allow(dead_code)]

use std::net::Ipv4Addr;

use alg::{Door, Ports, Row, Session, Side, Transport, registry};

use super::stage::{Conversation, FakeContext, INSIDE_GLOBAL, INSIDE_LOCAL, OUTSIDE, endpoint};

/// The gateway.
pub fn row() -> &'static Row {
    registry::ROWS.iter().find(|row| row.name == "sip").expect("a row for sip")
}

/// A session of a phone at port 5060, or from port 40000 over TCP, whose global ports are 1000 above the local ones.
pub fn phone_session(transport: Transport) -> Session {
    let port = if transport == Transport::Udp { 5060 } else { 40000 };
    Session {
        transport,
        inside_local: endpoint(INSIDE_LOCAL, port),
        inside_global: endpoint(INSIDE_GLOBAL, port + 1000),
        outside_local: endpoint(OUTSIDE, 5060),
        outside_global: endpoint(OUTSIDE, 5060),
        through: None,
    }
}

/// That phone's conversation with its server. It is the client.
pub fn phone(transport: Transport) -> Conversation<'static> {
    let mut stage = FakeContext::new(phone_session(transport));
    stage.port_shift = 1000;
    Conversation::new(row(), stage, Side::Inside)
}

/// A server inside at port 5060, which is its global one too, and an outside client at port 40000.
pub fn server(transport: Transport) -> Conversation<'static> {
    let mut stage = FakeContext::new(super::stage::session(transport, Side::Outside, 5060));
    stage.port_shift = 1000;
    Conversation::new(row(), stage, Side::Outside)
}

/// Text of bytes.
pub fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("text")
}

/// A message: its first line, its other lines each with its end, and its body. The last header tells its length.
pub fn message(start: &str, headers: &str, body: &str) -> String {
    format!("{start}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// A message with the length of the body that it has.
pub fn relength(said: &str) -> String {
    let (head, body) = said.split_once("\r\n\r\n").expect("an empty line");
    let of_line = |line: &str| match line.strip_prefix("Content-Length: ") {
        Some(_) => format!("Content-Length: {}", body.len()),
        None => line.to_string(),
    };
    let head: Vec<String> = head.split("\r\n").map(of_line).collect();
    format!("{}\r\n\r\n{body}", head.join("\r\n"))
}

/// What the outside is to hear of what a phone says: its endpoint and its address, and these ports, are global ones.
pub fn announced(said: &str, ports: &[u16]) -> String {
    let mut heard = said.to_string();
    for port in [5060, 40000].iter().chain(ports) {
        heard = heard.replace(&format!("10.0.0.2:{port}"), &format!("203.0.113.1:{}", port + 1000));
    }
    heard = heard.replace("10.0.0.2", "203.0.113.1");
    for port in ports {
        for mark in ["audio ", "video ", "image ", "text ", "application ", "message ", "a=rtcp:"] {
            heard = heard.replace(&format!("{mark}{port}"), &format!("{mark}{}", port + 1000));
        }
    }
    relength(&heard)
}

/// A description: its address, and its lines of media.
pub fn described(addr: &str, media: &str) -> String {
    format!("v=0\r\no=- 1 1 IN IP4 {addr}\r\ns=-\r\nc=IN IP4 {addr}\r\nt=0 0\r\n{media}")
}

/// One line of audio.
pub fn audio(port: u16) -> String {
    format!("m=audio {port} RTP/AVP 0\r\n")
}

/// A description of the inside phone's.
pub fn own(media: &str) -> String {
    described("10.0.0.2", media)
}

/// A request of a phone's in a call, with its Contact and perhaps a description.
pub fn request(method: &str, call: &str, number: u32, body: &str) -> String {
    let kind = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
    let headers = format!(
        "Via: SIP/2.0/UDP 10.0.0.2:5060;branch=z9hG4bK{call}{number}\r\nFrom: <sip:alice@example.com>;tag=a\r\n\
         To: <sip:bob@example.com>\r\nCall-ID: {call}\r\nCSeq: {number} {method}\r\n\
         Contact: <sip:alice@10.0.0.2:5060>\r\n{kind}"
    );
    message(&format!("{method} sip:bob@198.51.100.7 SIP/2.0"), &headers, body)
}

/// A call's first request.
pub fn invite(call: &str, body: &str) -> String {
    request("INVITE", call, 1, body)
}

/// The answer of whoever heard a request.
pub fn answer(request: &str, code: u32, contact: &str, body: &str) -> String {
    let kept = ["Via:", "From:", "To:", "Call-ID:", "CSeq:"];
    let lines = request.lines().take_while(|line| !line.is_empty());
    let mut headers = String::new();
    for line in lines.filter(|line| kept.iter().any(|name| line.starts_with(name))) {
        let tag = if line.starts_with("To:") && !line.contains(";tag=") { ";tag=b" } else { "" };
        headers += &format!("{line}{tag}\r\n");
    }
    if !contact.is_empty() {
        headers += &format!("Contact: {contact}\r\n");
    }
    if !body.is_empty() {
        headers += "Content-Type: application/sdp\r\n";
    }
    message(&format!("SIP/2.0 {code} So"), &headers, body)
}

/// The port of signalling doors.
const SIGNALLING: u16 = 5060;

fn is_media(door: &Door) -> bool {
    door.inside.port() != SIGNALLING
}

/// The doors that are not for signalling, in the order of their ports.
pub fn media(sip: &Conversation) -> Vec<(u16, Ports)> {
    let doors = sip.stage.doors.iter().map(|(door, _)| door).filter(|door| is_media(door));
    let mut ports: Vec<(u16, Ports)> = doors.map(|door| (door.inside.port(), door.ports)).collect();
    ports.sort_by_key(|(port, _)| *port);
    ports
}

/// Who may send to the doors that are not for signalling.
pub fn media_peers(sip: &Conversation) -> Vec<Option<Ipv4Addr>> {
    sip.stage.doors.iter().map(|(door, _)| door).filter(|door| is_media(door)).map(|door| door.peer).collect()
}

/// A door to this endpoint of the inside host's.
pub fn door_to<'s>(sip: &'s Conversation, transport: Transport, port: u16) -> Option<&'s Door> {
    let mut doors = sip.stage.doors.iter().map(|(door, _)| door);
    doors.find(|door| door.transport == transport && door.inside.port() == port)
}

/// A message that asks for doors to what no test announces otherwise.
pub const WANTED: u16 = 7777;

/// That message, over TCP.
pub fn wanted() -> String {
    message(
        "REGISTER sip:example.com SIP/2.0",
        "Via: SIP/2.0/TCP 10.0.0.2:40000;branch=z9\r\nFrom: <sip:x@example.com>;tag=x\r\nTo: <sip:x@example.com>\r\n\
         Call-ID: x\r\nCSeq: 1 REGISTER\r\nContact: <sip:x@10.0.0.2:7777>\r\n",
        "",
    )
}

/// Whether that message was obeyed.
pub fn is_open(sip: &Conversation) -> bool {
    sip.stage.asks.iter().any(|door| door.inside.port() == WANTED)
}

/// A request over TCP.
pub fn over_tcp(said: &str) -> String {
    said.replace("10.0.0.2:5060", "10.0.0.2:40000").replace("/UDP", "/TCP")
}

/// A registration with so many contacts, each of which changes its length in its own way.
pub fn crowd(count: usize, contact: impl Fn(usize) -> String) -> String {
    let contacts: Vec<String> = (0..count).map(|n| format!("Contact: {}\r\n", contact(n))).collect();
    let headers = format!(
        "Via: SIP/2.0/TCP 10.0.0.2:40000;branch=z9\r\nFrom: <sip:a@example.com>;tag=a\r\nTo: <sip:a@example.com>\r\n\
         Call-ID: r\r\nCSeq: 1 REGISTER\r\n{}",
        contacts.concat()
    );
    message("REGISTER sip:example.com SIP/2.0", &headers, "")
}
