//! Messages of SIP as user agents write and read them (RFC 3261 sections 7 and 25).

use std::net::Ipv4Addr;

/// An address and a port.
pub type Endpoint = (Ipv4Addr, u16);

/// The port of whoever names none.
pub const PORT: u16 = 5060;

/// Between the parts of a body.
const BOUNDARY: &str = "part";

/// Names that have a short form.
const COMPACT: [(&str, &str); 8] = [
    ("Call-ID", "i"),
    ("Contact", "m"),
    ("Content-Length", "l"),
    ("Content-Type", "c"),
    ("From", "f"),
    ("Supported", "k"),
    ("To", "t"),
    ("Via", "v"),
];

/// Headers of several values, which may stand in one line.
const LISTS: [&str; 5] = ["Via", "Route", "Record-Route", "Contact", "Path"];

/// How an agent likes to write.
#[derive(Clone, Copy, Debug, Default)]
pub struct Style {
    /// Short names.
    pub is_compact: bool,
    /// Values of one header in one line.
    pub is_joined: bool,
    /// Long lines are folded.
    pub is_folded: bool,
    /// Names in small letters.
    pub is_lower: bool,
    /// Over UDP the length is left out.
    pub omits_length: bool,
    /// Descriptions are one of several parts of a body.
    pub is_multipart: bool,
}

/// A message.
#[derive(Clone, Debug, Default)]
pub struct Message {
    /// Its first line.
    pub first: String,
    /// Its headers by their long names, a value each, without folding.
    pub headers: Vec<(String, String)>,
    /// Its body.
    pub body: Vec<u8>,
}

impl Message {
    /// A message with nothing but its first line.
    pub fn new(first: impl Into<String>) -> Message {
        Message { first: first.into(), ..Message::default() }
    }

    /// Appends a header.
    pub fn add(&mut self, name: &str, value: impl Into<String>) {
        self.headers.push((name.to_string(), value.into()));
    }

    /// The first value of a header; nothing if there is none.
    pub fn get(&self, name: &str) -> &str {
        let own = self.headers.iter().find(|(own, _)| own.eq_ignore_ascii_case(name));
        own.map_or("", |(_, value)| value.as_str())
    }

    /// All values of a header.
    pub fn all<'m>(&'m self, name: &'m str) -> impl Iterator<Item = &'m str> {
        let own = self.headers.iter().filter(move |(own, _)| own.eq_ignore_ascii_case(name));
        own.map(|(_, value)| value.as_str())
    }

    /// Copies all values of these headers.
    pub fn copy(&mut self, other: &Message, names: &[&str]) {
        for name in names {
            other.all(name).for_each(|value| self.add(name, value));
        }
    }

    /// Gives it a description as its body.
    pub fn describe(&mut self, text: &str, style: &Style) {
        if !style.is_multipart {
            self.add("Content-Type", "application/sdp");
            self.body = text.as_bytes().to_vec();
            return;
        }
        self.add("Content-Type", format!("multipart/mixed;boundary={BOUNDARY}"));
        let parts = [("application/isup", "no description"), ("application/sdp", text)];
        let parts =
            parts.map(|(kind, text)| format!("--{BOUNDARY}\r\nContent-Type: {kind}\r\n\r\n{text}\r\n"));
        self.body = format!("{}--{BOUNDARY}--\r\n", parts.concat()).into_bytes();
    }

    /// The description in its body; empty if there is none.
    pub fn description(&self) -> &[u8] {
        if !self.get("Content-Type").starts_with("multipart/") {
            return &self.body;
        }
        let text = std::str::from_utf8(&self.body).unwrap_or("");
        let mark = format!("\r\n--{BOUNDARY}");
        let part = text.split_once("application/sdp\r\n\r\n").and_then(|(_, rest)| rest.split_once(&mark));
        part.map_or(&[], |(part, _)| part.as_bytes())
    }

    /// Whether it is a response.
    pub fn is_response(&self) -> bool {
        self.first.starts_with("SIP/2.0 ")
    }

    /// A response's code, or 0.
    pub fn status(&self) -> u16 {
        let code = self.first.strip_prefix("SIP/2.0 ").and_then(|rest| rest.get(..3));
        code.and_then(|code| code.parse().ok()).unwrap_or(0)
    }

    /// A request's method.
    pub fn method(&self) -> &str {
        self.first.split(' ').next().unwrap_or("")
    }

    /// A request's URI.
    pub fn uri(&self) -> &str {
        self.first.split(' ').nth(1).unwrap_or("")
    }

    /// Sequence number and method of CSeq.
    pub fn cseq(&self) -> (u32, &str) {
        let value = self.get("CSeq");
        let (number, method) = value.split_once(' ').unwrap_or((value, ""));
        (number.parse().unwrap_or(0), method.trim())
    }

    /// Its bytes.
    pub fn bytes(&self, style: &Style, is_datagram: bool) -> Vec<u8> {
        let mut text = format!("{}\r\n", self.first);
        let mut last = "";
        for (name, value) in &self.headers {
            if style.is_joined && last == name && LISTS.contains(&name.as_str()) {
                text.truncate(text.len() - 2);
                text.push_str(", ");
            } else {
                text.push_str(&style.name(name));
                text.push_str(": ");
            }
            match value.rfind(';').filter(|_| style.is_folded && name == "Via") {
                Some(at) => text.push_str(&format!("{}\r\n {}\r\n", &value[..at], &value[at..])),
                None => text.push_str(&format!("{value}\r\n")),
            }
            last = name;
        }
        let is_left_out = self.body.is_empty() && is_datagram && style.omits_length;
        if !is_left_out {
            text.push_str(&format!("{}: {}\r\n", style.name("Content-Length"), self.body.len()));
        }
        text.push_str("\r\n");
        [text.as_bytes(), &self.body].concat()
    }

    /// Reads a whole message.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(bytes: &[u8]) -> Result<Message, String> {
        let head_len = head_len(bytes).ok_or("no end of the head")?;
        let head = std::str::from_utf8(&bytes[..head_len - 4]).map_err(|error| error.to_string())?;
        let head = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        let mut lines = head.split("\r\n");
        let mut message = Message::new(lines.next().unwrap_or(""));
        for line in lines {
            let (name, value) = line.split_once(':').ok_or(format!("no header: {line}"))?;
            let name = long_name(name.trim());
            let values = match LISTS.contains(&name.as_str()) {
                true => split(value, ',').into_iter().map(normal).collect(),
                false => vec![normal(value)],
            };
            values.into_iter().for_each(|value| message.add(&name, value));
        }
        message.body = bytes[head_len..].to_vec();
        let lengths: Vec<&str> = message.all("Content-Length").collect();
        match lengths.as_slice() {
            [] => {}
            [length] if length.parse() == Ok(message.body.len()) => {}
            other => return Err(format!("a body of {} bytes, not {other:?}", message.body.len())),
        }
        message.headers.retain(|(name, _)| name != "Content-Length");
        Ok(message)
    }
}

impl Style {
    fn name(&self, name: &str) -> String {
        let compact = COMPACT.iter().find(|(long, _)| *long == name).filter(|_| self.is_compact);
        let name = compact.map_or(name, |(_, compact)| compact);
        if self.is_lower { name.to_ascii_lowercase() } else { name.to_string() }
    }
}

fn long_name(name: &str) -> String {
    let known = COMPACT
        .iter()
        .find(|(long, short)| short.eq_ignore_ascii_case(name) || long.eq_ignore_ascii_case(name));
    let list = || LISTS.iter().find(|long| long.eq_ignore_ascii_case(name)).copied();
    known.map(|(long, _)| *long).or_else(list).unwrap_or(name).to_string()
}

fn head_len(bytes: &[u8]) -> Option<usize> {
    Some(bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4)
}

/// How many bytes of a stream are line ends before the first message, and how long that is, if it is whole.
pub fn frame(bytes: &[u8]) -> (usize, Option<usize>) {
    let blank = bytes.iter().take_while(|byte| b"\r\n".contains(byte)).count();
    let rest = &bytes[blank..];
    let len = head_len(rest).and_then(|head_len| {
        let head = String::from_utf8_lossy(&rest[..head_len]).to_ascii_lowercase();
        let lines = head.lines().filter_map(|line| line.split_once(':'));
        let mut lengths = lines.filter(|(name, _)| ["content-length", "l"].contains(&name.trim()));
        let body_len = lengths.next().and_then(|(_, value)| value.trim().parse().ok()).unwrap_or(0);
        Some(head_len + body_len).filter(|len| rest.len() >= *len)
    });
    (blank, len)
}

/// Splits at marks that stand neither in quotes nor in angles.
fn split(text: &str, mark: char) -> Vec<&str> {
    let (mut parts, mut start, mut depth, mut is_quoted) = (Vec::new(), 0, 0, false);
    for (at, letter) in text.char_indices() {
        match letter {
            '"' => is_quoted = !is_quoted,
            '<' if !is_quoted => depth += 1,
            '>' if !is_quoted => depth -= 1,
            _ if letter == mark && !is_quoted && depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// A value without the white space that may stand around it and its parameters.
fn normal(value: &str) -> String {
    split(value, ';').iter().map(|part| part.trim()).collect::<Vec<_>>().join(";")
}

/// The URI of a value that is a name or an address.
pub fn uri_of(value: &str) -> &str {
    match value.split_once('<') {
        Some((_, rest)) => rest.split('>').next().unwrap_or(""),
        None => value.split(';').next().unwrap_or(""),
    }
}

/// A parameter of a value; empty if it is there without a value of its own.
pub fn parameter<'v>(value: &'v str, name: &str) -> Option<&'v str> {
    split(value, ';').into_iter().skip(1).find_map(|part| {
        let (own, rest) = part.split_once('=').unwrap_or((part, ""));
        own.eq_ignore_ascii_case(name).then_some(rest)
    })
}

/// A value without some of its parameters.
pub fn without(value: &str, names: &[&str]) -> String {
    let is_kept = |part: &&str| !names.contains(&part.split('=').next().unwrap_or(""));
    split(value, ';').into_iter().filter(is_kept).collect::<Vec<_>>().join(";")
}

/// The host and port at the beginning of a text.
fn host_port(text: &str) -> Option<Endpoint> {
    let text = text.split([';', '>', '?', ' ']).next()?;
    let (host, port) = text.split_once(':').unwrap_or((text, ""));
    let port = if port.is_empty() { PORT } else { port.parse().ok()? };
    Some((host.parse().ok()?, port))
}

/// Where a URI leads to.
pub fn endpoint(uri: &str) -> Option<Endpoint> {
    let rest = uri.strip_prefix("sip:")?;
    host_port(rest.split_once('@').map_or(rest, |(_, host)| host))
}

/// The user of a URI.
pub fn user(uri: &str) -> &str {
    let rest = uri.strip_prefix("sip:").unwrap_or(uri);
    rest.split_once('@').map_or("", |(user, _)| user)
}

/// Who a Via says it is of.
pub fn sent_by(via: &str) -> Option<Endpoint> {
    host_port(via.split(' ').nth(1)?)
}

/// Adds to a request's topmost Via where it came from, if that is due (RFC 3261 section 18.2.1, RFC 3581).
pub fn receive(message: &mut Message, from: Endpoint) {
    let Some((_, via)) = message.headers.iter_mut().find(|(name, _)| name == "Via") else { return };
    let differs = sent_by(via).is_none_or(|(host, _)| host != from.0);
    let has_rport = parameter(via, "rport") == Some("");
    if has_rport {
        *via = via.replacen(";rport", &format!(";rport={}", from.1), 1);
    }
    if differs || has_rport {
        via.push_str(&format!(";received={}", from.0));
    }
}

/// Where a response goes by its topmost Via (RFC 3261 section 18.2.2, RFC 3581).
pub fn way_back(via: &str) -> Option<Endpoint> {
    let (host, port) = sent_by(via)?;
    let host = parameter(via, "received").and_then(|host| host.parse().ok()).unwrap_or(host);
    let port = parameter(via, "rport").and_then(|port| port.parse().ok()).unwrap_or(port);
    Some((host, port))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_in_any_style_reads_the_same() {
        let mut message = Message::new("INVITE sip:bob@198.18.0.2 SIP/2.0");
        message.add("Via", "SIP/2.0/UDP 10.0.4.2:5062;rport;branch=z9hG4bK1");
        message.add("Via", "SIP/2.0/UDP 10.0.4.3;branch=z9hG4bK2");
        message.add("Contact", "\"A, B\" <sip:a@10.0.4.2;x=1,2>;expires=30");
        message.body = b"v=0\r\n".to_vec();
        for bits in 0..16 {
            let is = |bit: u32| bits >> bit & 1 == 1;
            let style = Style {
                is_compact: is(0),
                is_joined: is(1),
                is_folded: is(2),
                is_lower: is(3),
                omits_length: true,
                is_multipart: false,
            };
            let bytes = message.bytes(&style, true);
            assert_eq!(frame(&bytes), (0, Some(bytes.len())));
            let read = Message::read(&bytes).expect("a message");
            assert_eq!((&read.headers, &read.body), (&message.headers, &message.body));
        }
        for is_multipart in [false, true] {
            let mut message = Message::default();
            message.describe("v=0\r\ns=-\r\n", &Style { is_multipart, ..Style::default() });
            assert_eq!(message.description().trim_ascii_end(), b"v=0\r\ns=-");
        }
        assert!(Message::read(b"OPTIONS sip:a@b SIP/2.0\r\nContent-Length: 1\r\n\r\n").is_err());
    }

    #[test]
    fn responses_go_where_requests_came_from() {
        let mut message = Message::new("BYE sip:b@198.18.0.2 SIP/2.0");
        message.add("Via", "SIP/2.0/UDP 10.0.4.2:5062;rport;branch=z9hG4bK1");
        let own = Ipv4Addr::new(10, 0, 4, 2);
        assert_eq!(way_back(message.get("Via")), Some((own, 5062)));
        let from = (Ipv4Addr::new(203, 0, 113, 1), 1024);
        receive(&mut message, from);
        assert_eq!(way_back(message.get("Via")), Some(from));
        assert_eq!(
            without(message.get("Via"), &["rport", "received"]),
            "SIP/2.0/UDP 10.0.4.2:5062;branch=z9hG4bK1"
        );
        assert_eq!(uri_of("\"x\" <sip:a@10.0.4.2>;tag=1"), "sip:a@10.0.4.2");
        assert_eq!((endpoint("sip:a@10.0.4.2;lr"), user("sip:a@10.0.4.2")), (Some((own, PORT)), "a"));
    }
}
