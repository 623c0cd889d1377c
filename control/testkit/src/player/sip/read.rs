//! A SIP message: where it names endpoints, and what for (RFC 3261 sections 20 and 25, RFC 3581, RFC 4566, RFC 8839).

use std::net::Ipv4Addr;
use std::ops::Range;

/// What an endpoint is named for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Where answers go; over UDP to just there if there is no `rport`.
    Via {
        /// There is no `rport`.
        is_answered_there: bool,
    },
    /// Where its sender is reached from now on: `Contact`, `Record-Route`, `Path`.
    Contact,
    /// Where a request goes, in its first line.
    RequestUri,
    /// Where something else is reached.
    Target,
    /// Who somebody is.
    Name,
    /// From which address a request came.
    Received,
    /// From which port.
    Rport,
    /// An address of a description.
    Host,
    /// The port of its media line with this number.
    Media(usize),
    /// The port of that line's reports.
    Reports(usize),
    /// One of a description's candidates.
    Candidate,
    /// Behind a media line a line that tells the reports' port may be added.
    MayTellReports(usize),
    /// How long the body is.
    Length,
}

/// A place that may change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// What for.
    pub role: Role,
    /// All of it.
    pub at: Range<usize>,
    /// The address, if there is one here.
    pub host: Option<Range<usize>>,
    /// The port or another number, if there is one here.
    pub number: Option<Range<usize>>,
    /// The address that is meant.
    pub addr: Option<Ipv4Addr>,
    /// The port, if it is written.
    pub port: Option<u16>,
    /// Over TCP.
    pub is_tcp: bool,
}

/// A media line with a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Medium {
    /// Its number.
    pub line: usize,
    /// The address that the media go to.
    pub addr: Option<Ipv4Addr>,
    /// The port that they go to.
    pub port: u16,
    /// The port that their reports go to, if they have one.
    pub reports: Option<u16>,
    /// Over TCP.
    pub is_tcp: bool,
}

/// A message.
#[derive(Clone, Debug)]
pub struct Message<'m> {
    /// All of it.
    pub bytes: &'m [u8],
    /// The code of a response.
    pub code: Option<u16>,
    /// The method, of a response that of its request.
    pub method: String,
    /// Its `Call-ID`.
    pub call: Vec<u8>,
    /// `Expires: 0`.
    pub removes: bool,
    /// In their order.
    pub places: Vec<Place>,
    /// Its media lines.
    pub media: Vec<Medium>,
    body_len: Option<usize>,
    is_tcp: bool,
}

/// How long the first message of a stream is, if all of it is there; a line end between messages is one of its own.
pub fn frame(bytes: &[u8]) -> Option<usize> {
    if matches!(bytes.first()?, b'\r' | b'\n') {
        return Some(1);
    }
    let head_len = head_len(bytes)?;
    let length = headers(bytes, head_len).into_iter().find(|(name, _)| name == "content-length");
    let length = length.and_then(|(_, value)| text(bytes, &value).trim().parse::<usize>().ok());
    Some(head_len + length.unwrap_or(0)).filter(|len| *len <= bytes.len())
}

/// Up to and with the empty line.
fn head_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < bytes.len() {
        let line = bytes[at..].split_inclusive(|byte| *byte == b'\n').next()?;
        at += line.len();
        if line.trim_ascii().is_empty() && line.ends_with(b"\n") {
            return Some(at);
        }
    }
    None
}

fn text<'m>(bytes: &'m [u8], at: &Range<usize>) -> &'m str {
    std::str::from_utf8(&bytes[at.clone()]).unwrap_or_default()
}

/// The range without blanks around it.
fn trimmed(bytes: &[u8], at: Range<usize>) -> Range<usize> {
    let start = at.start + bytes[at.clone()].iter().take_while(|byte| byte.is_ascii_whitespace()).count();
    let blank = bytes[start..at.end].iter().rev().take_while(|byte| byte.is_ascii_whitespace()).count();
    start..at.end - blank
}

/// The lines of a range, without their ends.
fn lines(bytes: &[u8], at: Range<usize>) -> Vec<Range<usize>> {
    let mut start = at.start;
    let mut lines = Vec::new();
    for line in bytes[at].split_inclusive(|byte| *byte == b'\n') {
        let len = line
            .strip_suffix(b"\n")
            .map_or(line.len(), |line| line.strip_suffix(b"\r").unwrap_or(line).len());
        lines.push(start..start + len);
        start += line.len();
    }
    lines
}

/// Headers by their long names, and where their values stand.
fn headers(bytes: &[u8], head_len: usize) -> Vec<(String, Range<usize>)> {
    const COMPACT: &[(&str, &str)] = &[
        ("v", "via"),
        ("m", "contact"),
        ("f", "from"),
        ("t", "to"),
        ("i", "call-id"),
        ("l", "content-length"),
        ("c", "content-type"),
        ("r", "refer-to"),
        ("b", "referred-by"),
    ];
    let mut headers: Vec<(String, Range<usize>)> = Vec::new();
    for line in lines(bytes, 0..head_len).into_iter().skip(1) {
        if let (Some(b' ' | b'\t'), Some(last)) = (bytes[line.clone()].first(), headers.last_mut()) {
            last.1.end = line.end;
            continue;
        }
        let Some(colon) = bytes[line.clone()].iter().position(|byte| *byte == b':') else { continue };
        let name = text(bytes, &(line.start..line.start + colon)).trim().to_ascii_lowercase();
        let long = COMPACT.iter().find(|(compact, _)| *compact == name).map(|(_, long)| (*long).to_string());
        headers.push((long.unwrap_or(name), line.start + colon + 1..line.end));
    }
    headers
}

/// Pieces of a range between marks outside of quotes and, if need be, of angle brackets.
fn pieces(bytes: &[u8], at: Range<usize>, mark: u8, minds_brackets: bool) -> Vec<Range<usize>> {
    let (mut pieces, mut start) = (Vec::new(), at.start);
    let (mut is_quoted, mut is_escaped, mut is_bracketed) = (false, false, false);
    for n in at.clone() {
        let byte = bytes[n];
        if std::mem::take(&mut is_escaped) {
            continue;
        }
        if byte == mark && !is_quoted && !is_bracketed {
            pieces.push(start..n);
            start = n + 1;
            continue;
        }
        match byte {
            b'\\' => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b'<' if !is_quoted && minds_brackets => is_bracketed = true,
            b'>' if !is_quoted => is_bracketed = false,
            _ => {}
        }
    }
    pieces.push(start..at.end);
    pieces
}

/// What an address is read as; none if these bytes are no address.
fn address(bytes: &[u8], at: &Range<usize>) -> Option<Ipv4Addr> {
    text(bytes, at).parse().ok()
}

impl<'m> Message<'m> {
    /// Reads a message; none if it does not begin like one.
    pub fn read(bytes: &'m [u8], is_tcp: bool) -> Option<Message<'m>> {
        // What is no text stands for itself, and does not keep the rest from being read.
        let plain: Vec<u8> = bytes.iter().map(|byte| if byte.is_ascii() { *byte } else { b'?' }).collect();
        let Message { code, method, call, removes, places, media, body_len, .. } =
            Message::read_text(&plain, is_tcp)?;
        Some(Message { bytes, code, method, call, removes, places, media, body_len, is_tcp })
    }

    fn read_text(bytes: &'m [u8], is_tcp: bool) -> Option<Message<'m>> {
        let start = lines(bytes, 0..bytes.len()).into_iter().next()?;
        let words: Vec<&str> = text(bytes, &start).split(' ').collect();
        let is_response = words[0] == "SIP/2.0";
        if !is_response && words.last() != Some(&"SIP/2.0") {
            return None;
        }
        let code = if is_response { Some(words.get(1)?.parse().ok()?) } else { None };
        let head_len = head_len(bytes).unwrap_or(bytes.len());
        let mut message = Message {
            bytes,
            code,
            method: words[0].to_string(),
            call: Vec::new(),
            removes: false,
            places: Vec::new(),
            media: Vec::new(),
            body_len: None,
            is_tcp,
        };
        if !is_response {
            let target = start.start + words[0].len() + 1..start.end - "SIP/2.0".len();
            message.uri(trimmed(bytes, target), Role::RequestUri);
        }
        let mut kind = None;
        for (name, value) in headers(bytes, head_len) {
            message.header(&name, value.clone());
            kind = kind.or((name == "content-type").then_some(value));
        }
        if let Some(kind) = kind {
            // What is behind the body is none of it (RFC 3261 section 18.3).
            let end =
                message.body_len.map_or(bytes.len(), |len| bytes.len().min(head_len.saturating_add(len)));
            message.body(text(bytes, &kind).trim(), head_len..end);
        }
        message.places.sort_by_key(|place| place.at.start);
        Some(message)
    }

    fn header(&mut self, name: &str, value: Range<usize>) {
        let words = text(self.bytes, &value);
        match name {
            "call-id" => self.call = words.trim().into(),
            "cseq" if self.code.is_some() => {
                self.method = words.split_whitespace().nth(1).unwrap_or_default().to_string();
            }
            "expires" => self.removes = words.trim() == "0",
            "content-length" => {
                let at = trimmed(self.bytes, value);
                let is_number = !at.is_empty() && self.bytes[at.clone()].iter().all(u8::is_ascii_digit);
                if is_number {
                    self.body_len = words.trim().parse().ok();
                    self.put(Role::Length, None, Some(at));
                }
            }
            "via" => {
                for element in pieces(self.bytes, value, b',', false) {
                    self.via(element);
                }
            }
            "warning" => {
                for element in pieces(self.bytes, value, b',', false) {
                    let words = pieces(self.bytes, trimmed(self.bytes, element), b' ', false);
                    if let Some(agent) = words.get(1) {
                        self.endpoint(agent.clone(), Role::Name, self.is_tcp);
                    }
                }
            }
            _ => {
                let role = match name {
                    "contact" | "record-route" | "path" => Role::Contact,
                    "route" | "service-route" | "refer-to" => Role::Target,
                    "from"
                    | "to"
                    | "referred-by"
                    | "reply-to"
                    | "p-asserted-identity"
                    | "p-preferred-identity"
                    | "p-called-party-id"
                    | "remote-party-id"
                    | "diversion"
                    | "history-info" => Role::Name,
                    _ => return,
                };
                for element in pieces(self.bytes, value, b',', true) {
                    self.uri_of(element, role);
                }
            }
        }
    }

    fn via(&mut self, element: Range<usize>) {
        let mut parts = pieces(self.bytes, element, b';', false).into_iter();
        let Some(sent) = parts.next().map(|part| trimmed(self.bytes, part)) else { return };
        let Some(blank) = self.bytes[sent.clone()].iter().rposition(|byte| *byte == b' ') else { return };
        let carried = text(self.bytes, &(sent.start..sent.start + blank)).trim().to_ascii_uppercase();
        let is_tcp = carried.ends_with("TCP");
        let parameters: Vec<(String, Option<Range<usize>>)> = parts
            .map(|part| {
                let mut words = pieces(self.bytes, part, b'=', false).into_iter();
                let name = words.next().map(|name| text(self.bytes, &name).trim().to_ascii_lowercase());
                (name.unwrap_or_default(), words.next().map(|value| trimmed(self.bytes, value)))
            })
            .collect();
        let has_rport = parameters.iter().any(|(name, _)| name == "rport");
        let role = Role::Via { is_answered_there: !is_tcp && !has_rport };
        self.endpoint(sent.start + blank + 1..sent.end, role, is_tcp);
        for (name, value) in parameters {
            match (&*name, value) {
                ("received", Some(at)) => self.put(Role::Received, Some(at), None),
                ("rport", Some(at)) if !at.is_empty() => self.put(Role::Rport, None, Some(at)),
                _ => {}
            }
        }
    }

    /// A URI, in angle brackets or up to the first `;`.
    fn uri_of(&mut self, element: Range<usize>, role: Role) {
        let opened = pieces(self.bytes, element.clone(), b'<', false);
        let uri = match opened.get(1) {
            Some(behind) => pieces(self.bytes, behind.start..element.end, b'>', false)[0].clone(),
            None => pieces(self.bytes, element, b';', false)[0].clone(),
        };
        self.uri(trimmed(self.bytes, uri), role);
    }

    fn uri(&mut self, uri: Range<usize>, role: Role) {
        let words = text(self.bytes, &uri);
        if !words.get(..4).is_some_and(|scheme| scheme.eq_ignore_ascii_case("sip:")) {
            return;
        }
        let start = words.rfind('@').map_or(4, |at| at + 1);
        let len = words[start..].find([';', '?']).unwrap_or(words.len() - start);
        let parameters = words[start + len..].to_ascii_lowercase();
        let is_tcp = if parameters.contains("transport=tcp") {
            true
        } else {
            self.is_tcp && !parameters.contains("transport=udp")
        };
        self.endpoint(uri.start + start..uri.start + start + len, role, is_tcp);
    }

    /// A host, and a port behind a colon.
    fn endpoint(&mut self, at: Range<usize>, role: Role, is_tcp: bool) {
        let mut parts = pieces(self.bytes, trimmed(self.bytes, at), b':', false).into_iter();
        let (host, number) = (parts.next().unwrap_or_default(), parts.next());
        let is_tcp_before = std::mem::replace(&mut self.is_tcp, is_tcp);
        self.put(role, Some(trimmed(self.bytes, host)), number);
        self.is_tcp = is_tcp_before;
    }

    fn put(&mut self, role: Role, host: Option<Range<usize>>, number: Option<Range<usize>>) {
        let addr = host.as_ref().and_then(|host| address(self.bytes, host));
        let port = number.as_ref().and_then(|at| text(self.bytes, at).parse().ok());
        if host.is_some() && addr.is_none() || number.is_some() && port.is_none() && role != Role::Length {
            return;
        }
        let start = host.as_ref().or(number.as_ref()).map_or(0, |at| at.start);
        let end = number.as_ref().or(host.as_ref()).map_or(0, |at| at.end);
        self.places.push(Place { role, at: start..end, host, number, addr, port, is_tcp: self.is_tcp });
    }

    /// The descriptions of a body: all of it, or parts of it.
    fn body(&mut self, kind: &str, at: Range<usize>) {
        let kind_lower = kind.to_ascii_lowercase();
        if kind_lower.starts_with("application/sdp") {
            return self.description(at);
        }
        let boundary = kind_lower.find("boundary=").map(|n| &kind[n + "boundary=".len()..]);
        let boundary = boundary.map(|rest| rest.split(';').next().unwrap_or(rest).trim().trim_matches('"'));
        let (Some(boundary), true) = (boundary, kind_lower.starts_with("multipart/")) else { return };
        let delimiter = format!("--{boundary}");
        let (mut is_sdp, mut start) = (false, None);
        for line in lines(self.bytes, at.clone()) {
            let words = text(self.bytes, &line).to_string();
            if words.starts_with(&delimiter) {
                if let (true, Some(start)) = (is_sdp, start) {
                    self.description(start..line.start);
                }
                (is_sdp, start) = (false, None);
            } else if start.is_none() && words.is_empty() {
                start = lines(self.bytes, line.start..at.end).get(1).map(|next| next.start);
            } else if start.is_none() {
                is_sdp |=
                    words.to_ascii_lowercase().replace(' ', "").starts_with("content-type:application/sdp");
            }
        }
    }

    fn description(&mut self, at: Range<usize>) {
        let mut sections: Vec<Vec<Range<usize>>> = vec![Vec::new()];
        for line in lines(self.bytes, at.clone()) {
            if self.bytes[line.clone()].starts_with(b"m=") {
                sections.push(Vec::new());
            }
            sections.last_mut().expect("one at least").push(line);
        }
        let session = self.connection(&sections[0]).flatten();
        let ends: Vec<usize> =
            sections.iter().skip(1).map(|section| section[0].start).chain([at.end]).collect();
        for (n, section) in sections.iter().enumerate() {
            let addr = self.connection(section).unwrap_or(session);
            for line in section {
                self.description_line(line.clone(), n, addr);
            }
            if n > 0 {
                self.medium(n - 1, section, addr, ends[n]);
            }
        }
    }

    /// The address of a section's connection, if it has one: none of another family.
    fn connection(&self, section: &[Range<usize>]) -> Option<Option<Ipv4Addr>> {
        let line = section.iter().find(|line| self.bytes[(*line).clone()].starts_with(b"c="))?;
        Some(
            text(self.bytes, line)
                .split(' ')
                .nth(2)
                .and_then(|word| word.split('/').next()?.trim().parse().ok()),
        )
    }

    fn description_line(&mut self, line: Range<usize>, section: usize, addr: Option<Ipv4Addr>) {
        let words = pieces(self.bytes, line.clone(), b' ', false);
        let word = |n: usize| words.get(n).cloned().filter(|word| !word.is_empty());
        let start = text(self.bytes, &line).to_ascii_lowercase();
        if start.starts_with("c=") {
            self.host(word(2));
        } else if start.starts_with("o=") {
            self.host(word(5));
        } else if let Some(rest) = start.strip_prefix("a=rtcp:") {
            let len = rest.bytes().take_while(u8::is_ascii_digit).count();
            let at = line.start + "a=rtcp:".len();
            self.number(Role::Reports(section.saturating_sub(1)), at..at + len, addr);
            self.host(word(3));
        } else if start.starts_with("a=candidate:") {
            self.put(Role::Candidate, word(4), word(5));
        } else if start.starts_with("m=")
            && let Some(port) = word(1)
        {
            let len = self.bytes[port.clone()].iter().take_while(|byte| byte.is_ascii_digit()).count();
            self.number(Role::Media(section - 1), port.start..port.start + len, addr);
        }
    }

    fn host(&mut self, word: Option<Range<usize>>) {
        let Some(word) = word else { return };
        let len = self.bytes[word.clone()].iter().take_while(|byte| **byte != b'/').count();
        self.put(Role::Host, Some(word.start..word.start + len), None);
    }

    fn number(&mut self, role: Role, at: Range<usize>, addr: Option<Ipv4Addr>) {
        let count = self.places.len();
        self.put(role, None, Some(at));
        self.places[count..].iter_mut().for_each(|place| place.addr = addr);
    }

    fn medium(&mut self, line: usize, section: &[Range<usize>], addr: Option<Ipv4Addr>, end: usize) {
        let words: Vec<String> =
            text(self.bytes, &section[0]).split(' ').map(str::to_ascii_lowercase).collect();
        let port = words.get(1).and_then(|word| word.split('/').next()?.parse::<u16>().ok()).unwrap_or(0);
        let protocol = words.get(2).cloned().unwrap_or_default();
        let is_tcp = protocol.split('/').any(|word| word == "tcp");
        if port == 0 || is_tcp && port == 9 {
            return;
        }
        let says = |what: &str| section.iter().any(|line| text(self.bytes, line).starts_with(what));
        let has_reports = protocol.starts_with("rtp/") && !says("a=rtcp-mux");
        let told = section.iter().find_map(|line| text(self.bytes, line).strip_prefix("a=rtcp:"));
        let told = told.map(|words| words.split(' ').next().and_then(|port| port.trim().parse().ok()));
        let reports = told.unwrap_or(port.checked_add(1)).filter(|_| has_reports);
        self.media.push(Medium { line, addr, port, reports, is_tcp });
        if reports.is_some() && told.is_none() {
            let role = Role::MayTellReports(line);
            self.places.push(Place {
                role,
                at: end..end,
                host: None,
                number: None,
                addr,
                port: None,
                is_tcp,
            });
        }
    }
}
