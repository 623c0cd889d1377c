//! RTSP: descriptions, set-ups in both versions and all kinds of transports, frames of media in between, teardowns.

use rand::RngExt;
use rand::rngs::SmallRng;

use super::Parties;
use super::conversation::{Conversation, Form, Framing, Known, Part, UDP, said};
use crate::leak::Row;

const CLIENT: usize = 0;
const SERVER: usize = 1;

/// The port of servers, which URLs may leave out.
pub const PORT: u16 = 554;

struct Rtsp<'a> {
    parties: &'a Parties,
    generator: &'a mut SmallRng,
    talk: Conversation,
    number: u32,
    version: &'static str,
    /// The next even port of the inside host.
    port: u16,
    /// The server's first even port.
    server_port: u16,
    /// Frames of media may be between messages.
    is_interleaved: bool,
    /// The client's next request does not wait for the response to the last one.
    is_hasty: bool,
}

/// A random conversation.
pub fn conversation(parties: &Parties, generator: &mut SmallRng) -> Conversation {
    let port = parties.shared_port.unwrap_or_else(|| generator.random_range(512..30_000) * 2);
    let server_port = generator.random_range(512..30_000) * 2;
    let version = if generator.random_bool(0.3) { "RTSP/2.0" } else { "RTSP/1.0" };
    let (talk, number) = (Conversation::default(), generator.random_range(1..100));
    let mut rtsp = Rtsp {
        parties,
        generator,
        talk,
        number,
        version,
        port,
        server_port,
        is_interleaved: false,
        is_hasty: false,
    };
    if rtsp.chance(0.7) {
        rtsp.options();
    }
    let is_recording = rtsp.chance(0.2);
    if is_recording {
        rtsp.announce()
    } else {
        rtsp.describe()
    }
    for track in 0..rtsp.generator.random_range(1..5) {
        rtsp.set_up(track, is_recording);
    }
    rtsp.simple(if is_recording { "RECORD" } else { "PLAY" });
    rtsp.frames();
    for _ in 0..rtsp.generator.random_range(0..3) {
        rtsp.simple("GET_PARAMETER");
        rtsp.frames();
        if rtsp.chance(0.2) {
            rtsp.asked_by_server();
        }
    }
    if rtsp.chance(0.8) {
        rtsp.simple("TEARDOWN");
    }
    rtsp.talk
}

impl Rtsp<'_> {
    fn chance(&mut self, share: f64) -> bool {
        self.generator.random_bool(share)
    }

    /// The server's host in the URLs that clients write: of their own realm.
    fn url_for_client(&self) -> String {
        match self.parties.client_is_inside {
            true => format!("rtsp://{}/movie", self.parties.outside),
            false => format!("rtsp://{}:{}/movie", self.parties.global.0, self.parties.global.1),
        }
    }

    /// The same in what the server says.
    fn url_of_server(&mut self) -> Vec<Part> {
        let has_port = self.chance(0.3);
        let port = if has_port { format!(":{PORT}") } else { String::new() };
        match self.parties.client_is_inside {
            true => vec![Part::text(format!("rtsp://{}{port}/movie", self.parties.outside))],
            false => vec![Part::text("rtsp://"), Part::OwnUrl(PORT, has_port), Part::text("/movie")],
        }
    }

    /// A message's head and body. `who` says it.
    fn message(&mut self, who: usize, first: String, headers: Vec<Part>, body: Vec<Part>) {
        let mut parts = vec![Part::text(format!("{first}\r\n"))];
        parts.push(Part::text(format!("{}: {}\r\n", self.name("CSeq"), self.number)));
        if self.chance(0.3) {
            let note = "X-Note: client_port=1-2; 10.0.0.2\r\n  and more of it\r\n";
            parts.push(Part::passing(Row::Words, note));
        }
        parts.extend(headers);
        if !body.is_empty() {
            parts.push(Part::text(format!("{}: ", self.name("Content-Length"))));
            parts.push(Part::LengthOf(body.clone()));
            parts.push(Part::text("\r\n"));
        }
        parts.push(Part::text("\r\n"));
        parts.extend(body);
        match std::mem::take(&mut self.is_hasty) {
            true => self.talk.add(who, Framing::Head, parts),
            false => self.talk.say(who, Framing::Head, parts),
        }
    }

    fn name(&mut self, name: &str) -> String {
        if self.chance(0.2) { name.to_ascii_lowercase() } else { name.to_string() }
    }

    fn request(&mut self, method: &str, headers: Vec<Part>, body: Vec<Part>) {
        self.number += 1;
        let first = format!("{method} {} {}", self.url_for_client(), self.version);
        self.message(CLIENT, first, headers, body);
    }

    fn response(&mut self, code: &str, headers: Vec<Part>, body: Vec<Part>) {
        let first = format!("{} {code}", self.version);
        self.message(SERVER, first, headers, body);
    }

    fn options(&mut self) {
        self.request("OPTIONS", vec![], vec![]);
        self.response("200 OK", vec![Part::text("Public: DESCRIBE, SETUP, PLAY, TEARDOWN\r\n")], vec![]);
    }

    /// A description by `who`. Its addresses are its own, nobody's, or the reader's.
    fn description(&mut self, who: usize) -> Vec<Part> {
        let is_inside = (who == CLIENT) == self.parties.client_is_inside;
        let own = |rtsp: &Self| match is_inside {
            true => Part::Own,
            false => Part::text(rtsp.parties.outside.to_string()),
        };
        let connection = match self.generator.random_range(0..3) {
            0 => own(self),
            1 if !is_inside => Part::OwnGlobal,
            _ => Part::text("0.0.0.0"),
        };
        let mut parts =
            vec![Part::text("v=0\r\no=- 17 1 IN IP4 "), own(self), Part::text("\r\ns=A movie\r\n")];
        parts.extend([Part::text("c=IN IP4 "), connection, Part::text("\r\nt=0 0\r\n")]);
        for track in 0..self.generator.random_range(1..3) {
            parts.push(Part::text(format!("m=video 0 RTP/AVP {}\r\na=control:", 96 + track)));
            if who == SERVER && self.chance(0.3) {
                parts.extend(self.url_of_server());
            }
            parts.push(Part::text(format!("/track{track}\r\n")));
        }
        parts
    }

    fn describe(&mut self) {
        self.request("DESCRIBE", vec![Part::text("Accept: application/sdp\r\n")], vec![]);
        let mut headers = vec![Part::text("Content-Type: application/sdp\r\n")];
        if self.chance(0.6) {
            headers.push(Part::text("Content-Base: "));
            headers.extend(self.url_of_server());
            headers.push(Part::text("/\r\n"));
        }
        let body = self.description(SERVER);
        self.response("200 OK", headers, body);
    }

    fn announce(&mut self) {
        let body = self.description(CLIENT);
        self.request("ANNOUNCE", vec![Part::text("Content-Type: application/sdp\r\n")], body);
        self.response("200 OK", vec![], vec![]);
    }

    fn next_port(&mut self) -> u16 {
        // Often the same pair again, for another track.
        if self.chance(0.6) {
            return self.port;
        }
        self.port =
            if self.port < 62_000 { self.port + 2 * self.generator.random_range(1..20) } else { 1024 };
        self.port
    }

    fn session(&self) -> Part {
        Part::text("Session: 4711;timeout=60\r\n")
    }

    fn set_up(&mut self, track: u32, is_recording: bool) {
        // Many servers have one pair for all.
        let server_track = if self.chance(0.6) { 0 } else { track as u16 };
        let (ports, servers) = (self.next_port(), self.server_port + 2 * server_track);
        let mode = if is_recording { ";mode=record" } else { "" };
        let is_listed = self.version == "RTSP/2.0" && self.chance(0.7);
        let (question, answer) = match self.generator.random_range(0..10) {
            0 => self.interleaved(track),
            1 => self.single(ports),
            _ if is_listed => self.listed(ports, servers),
            _ => self.plain(ports, servers),
        };
        let mut request = vec![Part::text("Transport: ")];
        request.extend(question);
        request.push(Part::text(format!("{mode}\r\n")));
        // Who does not wait for the first response knows of no session (RFC 7826 section 18.33).
        self.is_hasty = track > 0 && self.chance(0.2);
        if track > 0 && !self.is_hasty {
            request.push(self.session());
        }
        self.request("SETUP", request, vec![]);
        if track > 0 && self.chance(0.05) {
            return self.response("461 Unsupported transport", vec![], vec![]);
        }
        let mut response = vec![self.session(), Part::text("Transport: ")];
        response.extend(answer);
        response.push(Part::text("\r\n"));
        self.response("200 OK", response, vec![]);
    }

    fn interleaved(&mut self, track: u32) -> (Vec<Part>, Vec<Part>) {
        self.is_interleaved = true;
        let spec = Part::text(format!("RTP/AVP/TCP;unicast;interleaved={}-{}", 2 * track, 2 * track + 1));
        (vec![spec.clone()], vec![spec])
    }

    /// The client's ports: `Announced` if it is inside.
    fn clients(&self, port: u16, form: Form) -> Part {
        match self.parties.client_is_inside {
            true => Part::Door(UDP, port, form),
            false => Part::text(form.write((self.parties.outside, port))),
        }
    }

    /// The same, as the server repeats them.
    fn repeated(&self, port: u16, form: Form) -> Part {
        match self.parties.client_is_inside {
            true => Part::Echo(UDP, port, form),
            false => Part::text(form.write((self.parties.outside, port))),
        }
    }

    fn servers(&self, port: u16, form: Form) -> Part {
        match self.parties.client_is_inside {
            true => Part::text(form.write((self.parties.outside, port))),
            false => Part::Door(UDP, port, form),
        }
    }

    /// One port, without the one behind it.
    fn single(&mut self, port: u16) -> (Vec<Part>, Vec<Part>) {
        let text = "x-real-rdt/udp;client_port=";
        let question = vec![Part::text(text), self.clients(port, Form::Port)];
        (question, vec![Part::text(text), self.repeated(port, Form::Port)])
    }

    fn plain(&mut self, port: u16, server: u16) -> (Vec<Part>, Vec<Part>) {
        let text = "RTP/AVP;unicast;client_port=";
        let (p, dash) = (Form::Port, || Part::text("-"));
        let mut question = Vec::new();
        let has_choice = self.chance(0.15);
        if has_choice {
            question.push(Part::text("RTP/AVP/TCP;unicast;interleaved=0-1, "));
        }
        question.extend([Part::text(text), self.clients(port, p), dash(), self.clients(port + 1, p)]);
        if self.chance(0.15) {
            question.push(Part::text(";destination="));
            question.push(match self.parties.client_is_inside {
                true => Part::Own,
                false => Part::text(self.parties.outside.to_string()),
            });
        }
        let mut answer = vec![Part::text(text), self.repeated(port, p), dash(), self.repeated(port + 1, p)];
        if self.chance(0.15) {
            answer.push(Part::text(";destination="));
            answer.push(match self.parties.client_is_inside {
                true => Part::OwnGlobal,
                false => Part::text(self.parties.outside.to_string()),
            });
        }
        // Each inside port once: the server's own are apart from the client's, as only one of them is inside.
        let ports = [self.servers(server, p), dash(), self.servers(server + 1, p)];
        answer.push(Part::text(";server_port="));
        answer.extend(ports);
        if self.chance(0.5) {
            answer.push(Part::text(";source="));
            answer.push(match self.parties.client_is_inside {
                true => Part::text(self.parties.outside.to_string()),
                false => Part::Own,
            });
        }
        answer.push(Part::text(";ssrc=1234ABCD"));
        (question, answer)
    }

    /// As RTSP 2.0 writes it.
    fn listed(&mut self, port: u16, server: u16) -> (Vec<Part>, Vec<Part>) {
        let is_named = self.chance(0.5);
        let (form, colon) = if is_named { (Form::Marked(':'), "") } else { (Form::Port, ":") };
        let between = || Part::text(format!("\"/\"{colon}"));
        let start = |name: &str| Part::text(format!("{name}=\"{colon}"));
        let mut question = vec![Part::text("RTP/AVP/UDP;unicast;"), start("dest_addr")];
        question.extend([
            self.clients(port, form),
            between(),
            self.clients(port + 1, form),
            Part::text("\""),
        ]);
        let mut answer = vec![Part::text("RTP/AVP/UDP;unicast;"), start("dest_addr")];
        answer.extend([
            self.repeated(port, form),
            between(),
            self.repeated(port + 1, form),
            Part::text("\";"),
        ]);
        answer.push(start("src_addr"));
        answer.extend([
            self.servers(server, form),
            between(),
            self.servers(server + 1, form),
            Part::text("\""),
        ]);
        (question, answer)
    }

    fn simple(&mut self, method: &str) {
        let session = self.session();
        self.request(method, vec![session.clone()], vec![]);
        let mut headers = vec![session];
        if method == "PLAY" && self.chance(0.5) {
            headers.push(Part::text("RTP-Info: url="));
            headers.extend(self.url_of_server());
            headers.push(Part::text("/track0;seq=1, url="));
            headers.extend(self.url_of_server());
            headers.push(Part::text("/track1;seq=2\r\n"));
        }
        self.response("200 OK", headers, vec![]);
    }

    /// The server asks, too.
    fn asked_by_server(&mut self) {
        self.number += 1;
        let first = format!("SET_PARAMETER * {}", self.version);
        self.message(SERVER, first, vec![], vec![Part::passing(Row::Words, "10.0.0.2 client_port=5000\r\n")]);
        self.message(CLIENT, format!("{} 200 OK", self.version), vec![], vec![]);
    }

    /// Frames of media, whose bytes are nobody's business, and empty lines that keep the connection alive.
    fn frames(&mut self) {
        if self.is_interleaved {
            for _ in 0..self.generator.random_range(0..4) {
                let who = if self.chance(0.8) { SERVER } else { CLIENT };
                let media =
                    "SETUP rtsp://x RTSP/1.0\r\nTransport: RTP/AVP;unicast;client_port=9000\r\n\r\n$\u{0}";
                let media = &media[..self.generator.random_range(0..media.len())];
                let mut frame = vec![b'$', self.generator.random_range(0..4)];
                frame.extend((media.len() as u16).to_be_bytes());
                frame.extend(media.as_bytes());
                let framing = Framing::Bytes(frame.len());
                self.talk.say(who, framing, vec![Part::Plain(frame)]);
            }
        }
        if self.chance(0.1) {
            self.talk.say(CLIENT, Framing::Bytes(2), vec![Part::text("\r\n")]);
        }
    }
}

/// Whether a message tears its session down.
pub fn is_teardown(parts: &[Part], known: &Known) -> bool {
    said(parts, known).starts_with(b"TEARDOWN")
}
