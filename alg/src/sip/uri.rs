//! Where the hosts are in header values: in lists of SIP URIs (RFC 3261 sections 19.1 and 20.10), and in `Via`.

use std::net::{Ipv4Addr, SocketAddrV4};

use crate::Transport;
use crate::slice::Slice;
use crate::text;

/// The port of who names none (RFC 3261 section 19.1.2).
pub const SIP_PORT: u16 = 5060;

/// An IPv4 host, and the port behind it.
#[derive(Clone, Copy, Debug)]
pub struct HostPort<'m> {
    /// Both, as they are written.
    pub whole: Slice<'m>,
    /// The host.
    pub host: Slice<'m>,
    /// The host's address.
    pub addr: Ipv4Addr,
    /// What is written behind the colon, if there is one.
    pub port: Option<Slice<'m>>,
}

impl<'m> HostPort<'m> {
    /// Reads a host and the port behind it. None if the host is a name, or of IPv6.
    pub fn read(slice: Slice<'m>) -> Option<HostPort<'m>> {
        let whole = slice.trim();
        let (host, port) = whole.cut(b':');
        let (host, port) = (host.trim(), port.map(Slice::trim));
        Some(HostPort { whole, host, addr: text::whole_address(host.bytes)?, port })
    }

    /// The port that is meant; none if what is written is no port, with zeros ahead for example.
    pub fn named_port(self) -> Option<u16> {
        let Some(port) = self.port else { return Some(SIP_PORT) };
        let (rest, number) = text::port(port.bytes).ok()?;
        (rest.is_empty() && !port.bytes.starts_with(b"0")).then_some(number)
    }

    /// The endpoint that is meant.
    pub fn endpoint(self) -> Option<SocketAddrV4> {
        Some(SocketAddrV4::new(self.addr, self.named_port()?))
    }
}

/// A SIP URI.
#[derive(Clone, Copy, Debug)]
pub struct Uri<'m> {
    /// Its host and port; none if the host is a name, or of IPv6.
    pub at: Option<HostPort<'m>>,
    /// What its parameters say of how it is reached; none if they do not.
    pub transport: Option<Transport>,
    /// The address that it is reached at instead of its host.
    pub maddr: Option<HostPort<'m>>,
}

impl<'m> Uri<'m> {
    /// Reads a URI. None of another scheme (`sips:` is encrypted, `tel:` has no host).
    pub fn read(slice: Slice<'m>) -> Option<Uri<'m>> {
        const SCHEME: &[u8] = b"sip:";
        let slice = slice.trim();
        let is_sip = slice.bytes.get(..SCHEME.len()).is_some_and(|of| of.eq_ignore_ascii_case(SCHEME));
        if !is_sip {
            return None;
        }
        let behind = behind_user(slice.skip(SCHEME.len()));
        let (behind, _) = behind.cut(b'?');
        let (host, parameters) = behind.cut(b';');
        let parameter = |name| parameters.and_then(|parameters| parameter(parameters, name));
        let transport = match parameter("transport") {
            None => None,
            Some(word) if word.is("udp") => Some(Transport::Udp),
            Some(word) if word.is("tcp") => Some(Transport::Tcp),
            // Over anything else its port is nobody's whom messages on this one lead to.
            Some(_) => return None,
        };
        Some(Uri { at: HostPort::read(host), transport, maddr: parameter("maddr").and_then(HostPort::read) })
    }
}

/// What is behind a URI's user, who may have `;` and `?` in his name. Headers behind the host, whose `@` should be escaped, have
/// no user ahead of them.
fn behind_user(slice: Slice) -> Slice {
    let (ahead, headers) = slice.cut(b'?');
    if headers.is_some() && HostPort::read(ahead.cut(b';').0).is_some() {
        return slice;
    }
    let Some(first) = slice.bytes.iter().position(|byte| *byte == b'@') else { return slice };
    let end = slice.skip(first).cut(b'?').0.bytes.len() + first;
    let last = slice.bytes[..end].iter().rposition(|byte| *byte == b'@').unwrap_or(first);
    slice.skip(last + 1)
}

/// The value of a parameter, empty if it has none.
pub fn parameter<'m>(parameters: Slice<'m>, name: &str) -> Option<Slice<'m>> {
    parameters.fields(b';').find_map(|parameter| {
        let (of, value) = parameter.cut(b'=');
        of.trim().is(name).then(|| value.unwrap_or(of.skip(of.bytes.len())).trim())
    })
}

/// The elements of a list: what is between commas outside of quotes and angle brackets.
pub fn elements<'m>(value: Slice<'m>) -> impl Iterator<Item = Slice<'m>> + Clone {
    let mut rest = Some(value);
    std::iter::from_fn(move || {
        let whole = rest?;
        let end = end_of(whole.bytes, b',');
        rest = end.map(|end| whole.skip(end + 1));
        Some(whole.split(end.unwrap_or(whole.bytes.len())).0.trim())
    })
}

/// Where a mark is, outside of quotes and angle brackets.
fn end_of(bytes: &[u8], mark: u8) -> Option<usize> {
    let (mut is_quoted, mut is_escaped, mut is_bracketed) = (false, false, false);
    bytes.iter().position(|&byte| {
        if is_escaped {
            is_escaped = false;
            return false;
        }
        match byte {
            b'\\' if is_quoted => is_escaped = true,
            b'"' => is_quoted = !is_quoted,
            b'<' if !is_quoted && mark != b'<' => is_bracketed = true,
            b'>' if !is_quoted => is_bracketed = false,
            _ => {}
        }
        byte == mark && !is_quoted && !is_bracketed
    })
}

/// An element of a list of addresses.
#[derive(Clone, Copy, Debug)]
pub struct NameAddr<'m> {
    /// The URI.
    pub uri: Slice<'m>,
    /// The header's parameters behind it.
    pub parameters: Slice<'m>,
}

impl<'m> NameAddr<'m> {
    /// Reads an element: a URI in angle brackets, perhaps with a name ahead, or a URI up to the first `;`.
    pub fn read(element: Slice<'m>) -> NameAddr<'m> {
        if let Some(start) = end_of(element.bytes, b'<') {
            let (uri, behind) = element.skip(start + 1).cut(b'>');
            let behind = behind.unwrap_or(uri.skip(uri.bytes.len()));
            return NameAddr { uri, parameters: behind.cut(b';').1.unwrap_or(behind.split(0).0) };
        }
        let (uri, parameters) = element.cut(b';');
        NameAddr { uri, parameters: parameters.unwrap_or(uri.skip(uri.bytes.len())) }
    }
}

/// An element of `Via`.
#[derive(Clone, Copy, Debug)]
pub struct Via<'m> {
    /// What carried the request, if that is UDP or TCP.
    pub transport: Option<Transport>,
    /// Who sent it, as he says himself; none if that is a name, or a host of IPv6.
    pub sent_by: Option<HostPort<'m>>,
    /// `received`, `rport`, `maddr`.
    parameters: Option<Slice<'m>>,
}

impl<'m> Via<'m> {
    /// Reads an element.
    pub fn read(element: Slice<'m>) -> Option<Via<'m>> {
        let (ahead, parameters) = element.cut(b';');
        // `SIP / 2.0 / UDP host : port`.
        let slash = ahead.bytes.iter().rposition(|byte| *byte == b'/')?;
        let behind = ahead.skip(slash + 1).trim();
        let word_len = behind.bytes.iter().position(u8::is_ascii_whitespace)?;
        let (word, sent_by) = behind.split(word_len);
        let transport = [("udp", Transport::Udp), ("tcp", Transport::Tcp)];
        let transport = transport.into_iter().find(|(name, _)| word.is(name)).map(|(_, transport)| transport);
        Some(Via { transport, sent_by: HostPort::read(sent_by), parameters })
    }

    /// The value of a parameter, empty if it has none.
    pub fn parameter(&self, name: &str) -> Option<Slice<'m>> {
        self.parameters.and_then(|parameters| parameter(parameters, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host_of(uri: &str) -> Option<(String, Option<u16>)> {
        let at = Uri::read(Slice::whole(uri.as_bytes()))?.at?;
        Some((String::from_utf8_lossy(at.whole.bytes).into_owned(), at.named_port()))
    }

    #[test]
    fn hosts_are_found_behind_any_user() {
        let found = |text: &str, port| Some((text.to_string(), port));
        for (uri, expected) in [
            ("sip:10.0.0.2", found("10.0.0.2", Some(5060))),
            ("SIP:100@10.0.0.2:5062;transport=udp", found("10.0.0.2:5062", Some(5062))),
            ("sip:10.0.0.9:1@10.0.0.2", found("10.0.0.2", Some(5060))),
            ("sip:a;b=10.0.0.9@10.0.0.2?Replaces=x%40y", found("10.0.0.2", Some(5060))),
            ("sip:a?b@10.0.0.2", found("10.0.0.2", Some(5060))),
            ("sip:10.0.0.2?Replaces=x@10.0.0.9", found("10.0.0.2", Some(5060))),
            ("sip:a@10.0.0.2?Replaces=x@10.0.0.9", found("10.0.0.2", Some(5060))),
            ("sip:a@10.0.0.2:05535", found("10.0.0.2:05535", None)),
            ("sip:a@10.0.0.2:65536", found("10.0.0.2:65536", None)),
            ("sip:a@10.0.0.2:", found("10.0.0.2:", None)),
            ("sip:a@example.com", None),
            ("sip:a@[2001:db8::1]:5060", None),
            ("sips:a@10.0.0.2", None),
            ("sip:a@10.0.0.2;transport=tls", None),
            ("tel:+1", None),
        ] {
            assert_eq!(host_of(uri), expected, "{uri}");
        }
    }

    #[test]
    fn lists_are_cut_outside_of_quotes_and_brackets() {
        let list = br#""A, \"<B>" <sip:a,b@10.0.0.2>;q=1, sip:c@10.0.0.3;q=0 ,<sip:d@h>"#;
        let read = elements(Slice::whole(list)).map(NameAddr::read);
        let uris: Vec<_> = read.map(|element| (element.uri.bytes, element.parameters.bytes)).collect();
        let expected: [(&[u8], &[u8]); 3] =
            [(b"sip:a,b@10.0.0.2", b"q=1"), (b"sip:c@10.0.0.3", b"q=0"), (b"sip:d@h", b"")];
        assert_eq!(uris, expected);
    }

    #[test]
    fn via_is_read_with_its_blanks() {
        for text in ["SIP/2.0/UDP 10.0.0.2:5062;rport;branch=z", "SIP / 2.0 / UDP\r\n 10.0.0.2 : 5062 ;rport"]
        {
            let via = Via::read(Slice::whole(text.as_bytes())).expect("a Via");
            assert_eq!(
                (via.transport, via.sent_by.and_then(HostPort::named_port)),
                (Some(Transport::Udp), Some(5062)),
                "{text}"
            );
            assert_eq!(via.parameter("rport").map(|value| value.bytes), Some(&b""[..]), "{text}");
        }
    }
}
