//! The ways in which messages write an endpoint, and what stands in its place at the other side.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::ops::Range;

use super::align::{Alignment, Form};

/// An address that a message writes, or a port, or both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The address's place.
    pub address: Option<Range<usize>>,
    /// The port's places, each with what it is worth.
    pub ports: Vec<(Range<usize>, Number)>,
    /// All of it.
    pub whole: Range<usize>,
}

/// An address, if one is written, and a port, if one is.
pub type Read = (Option<Ipv4Addr>, Option<u16>);

/// How a number is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Number {
    /// In decimal, times this.
    Decimal(u32),
    /// In two bytes, the high one first.
    Bytes,
}

/// A way to write an endpoint: its bytes, and where in them is what.
struct Pattern {
    bytes: Vec<u8>,
    address: Option<Range<usize>>,
    ports: Vec<(Range<usize>, Number)>,
}

/// Text whose parts are an address (`Some(text)`), a port, or neither.
enum Part {
    Plain(String),
    Address(String),
    Port(String, Number),
}

fn pattern(parts: Vec<Part>) -> Pattern {
    let mut pattern = Pattern { bytes: Vec::new(), address: None, ports: Vec::new() };
    for part in parts {
        let start = pattern.bytes.len();
        let (Part::Plain(text) | Part::Address(text) | Part::Port(text, _)) = &part;
        pattern.bytes.extend(text.bytes());
        let range = start..pattern.bytes.len();
        match part {
            Part::Plain(_) => {}
            Part::Address(_) => pattern.address = Some(range),
            Part::Port(_, number) => pattern.ports.push((range, number)),
        }
    }
    pattern
}

/// All ways to write an announced endpoint, one of `together` ports that are announced in one go.
fn patterns(endpoint: SocketAddrV4, tag: &str, together: &[u16]) -> Vec<Pattern> {
    let (dotted, port) = (endpoint.ip().to_string(), endpoint.port());
    let plain = |text: &str| Part::Plain(text.to_string());
    let decimal = || Part::Port(port.to_string(), Number::Decimal(1));
    let mut client_ports = vec![plain("client_port=")];
    for (n, other) in together.iter().enumerate() {
        client_ports.extend((n > 0).then(|| plain("-")));
        let is_own = *other == port;
        client_ports.push(if is_own { decimal() } else { Part::Plain(other.to_string()) });
    }
    let binary = Pattern {
        bytes: [&endpoint.ip().octets()[..], &port.to_be_bytes()].concat(),
        address: Some(0..4),
        ports: vec![(4..6, Number::Bytes)],
    };
    vec![
        // PORT and 227 (RFC 959).
        pattern(vec![
            Part::Address(dotted.replace('.', ",")),
            plain(","),
            Part::Port((port >> 8).to_string(), Number::Decimal(256)),
            plain(","),
            Part::Port((port & 255).to_string(), Number::Decimal(1)),
        ]),
        // 229 and EPRT (RFC 2428).
        pattern(vec![plain("(|||"), decimal(), plain("|)")]),
        pattern(vec![plain("|1|"), Part::Address(dotted.clone()), plain("|"), decimal(), plain("|")]),
        // RTSP's Transport (RFC 2326).
        pattern(client_ports),
        // SIP's Via and Contact; media lines (RFC 4566).
        pattern(vec![Part::Address(dotted), plain(":"), decimal()]),
        pattern(vec![plain(&format!("m={tag} ")), decimal(), plain(" ")]),
        // rcmd's port for the standard error.
        pattern(vec![decimal(), plain("\0")]),
        binary,
    ]
}

/// Where a message announces an endpoint.
pub fn endpoints(said: &[u8], endpoint: SocketAddrV4, tag: &str, together: &[u16]) -> Vec<Spot> {
    patterns(endpoint, tag, together).iter().flat_map(|pattern| find(said, pattern)).collect()
}

/// Where a message has an address and nothing else.
pub fn addresses(said: &[u8], form: Form, addr: Ipv4Addr) -> Vec<Spot> {
    let text = |text: String| pattern(vec![Part::Address(text)]);
    let patterns = match form {
        Form::Text | Form::Sip { .. } => {
            vec![text(addr.to_string()), text(addr.to_string().replace('.', ","))]
        }
        Form::InPlace => {
            vec![Pattern { bytes: addr.octets().to_vec(), address: Some(0..4), ports: Vec::new() }]
        }
    };
    patterns.iter().flat_map(|pattern| find(said, pattern)).collect()
}

fn find(said: &[u8], pattern: &Pattern) -> Vec<Spot> {
    let len = pattern.bytes.len();
    let is_digit = |at: Option<usize>| at.and_then(|at| said.get(at)).is_some_and(u8::is_ascii_digit);
    let (first, last) = (pattern.bytes[0].is_ascii_digit(), pattern.bytes[len - 1].is_ascii_digit());
    let is_text =
        pattern.ports.iter().all(|(_, number)| *number != Number::Bytes) && pattern.bytes.is_ascii();
    // A number that goes on is another number.
    let is_cut =
        |at: usize| is_text && (first && is_digit(at.checked_sub(1)) || last && is_digit(Some(at + len)));
    let at_all = said.windows(len.max(1)).enumerate().filter(|(_, window)| *window == &pattern.bytes[..]);
    let moved = |range: &Range<usize>, at: usize| range.start + at..range.end + at;
    let spot = |at: usize| Spot {
        address: pattern.address.as_ref().map(|range| moved(range, at)),
        ports: pattern.ports.iter().map(|(range, number)| (moved(range, at), *number)).collect(),
        whole: at..at + len,
    };
    at_all.map(|(at, _)| at).filter(|at| !is_cut(*at)).map(spot).collect()
}

impl Spot {
    /// What the other side reads here: the address, if one is written, and the port, if one is. None if it is not
    /// there yet; an error if it makes no sense.
    pub fn read(&self, heard: &[u8], alignment: &Alignment) -> Option<Result<Read, String>> {
        alignment.heard(&self.whole)?;
        let text = |range: &Range<usize>| Some(&heard[alignment.heard(range)?]);
        let addr = match &self.address {
            Some(range) => Some(read_address(text(range)?)),
            None => None,
        };
        let mut port: Option<u32> = None;
        for (range, number) in &self.ports {
            let value = read_number(text(range)?, *number);
            port = Some(port.unwrap_or(0) + value.unwrap_or(u32::from(u16::MAX) + 1));
        }
        let port = port.map(u16::try_from).transpose();
        Some(match (addr, port) {
            (Some(None), _) | (_, Err(_)) => Err(format!(
                "'{}' is no endpoint",
                super::shown::excerpt(&heard[alignment.heard(&self.whole)?])
            )),
            (addr, Ok(port)) => Ok((addr.flatten(), port)),
        })
    }

    /// Whether a change of these bytes is one of this spot.
    pub fn covers(&self, said: &Range<usize>) -> bool {
        let ports = self.ports.iter().map(|(range, _)| range);
        self.address.iter().chain(ports).any(|range| range.start <= said.start && said.end <= range.end)
    }
}

fn read_address(bytes: &[u8]) -> Option<Ipv4Addr> {
    if let Some(&octets) = bytes.first_chunk::<4>().filter(|_| bytes.len() == 4) {
        return Some(octets.into());
    }
    std::str::from_utf8(bytes).ok()?.replace(',', ".").parse().ok()
}

fn read_number(bytes: &[u8], number: Number) -> Option<u32> {
    match number {
        Number::Bytes => Some(u32::from(u16::from_be_bytes([*bytes.first()?, *bytes.get(1)?]))),
        Number::Decimal(times) => {
            let value: u32 = std::str::from_utf8(bytes).ok()?.parse().ok()?;
            value.checked_mul(times)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(said: &str, became: &str, port: u16, together: &[u16]) -> Vec<(Option<Ipv4Addr>, Option<u16>)> {
        let alignment = Alignment::of(Form::Text, said.as_bytes(), became.as_bytes()).expect("aligned");
        let endpoint = SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 2), port);
        let spots = endpoints(said.as_bytes(), endpoint, "audio", together);
        let read =
            |spot: &Spot| spot.read(became.as_bytes(), &alignment).expect("there").expect("an endpoint");
        spots.iter().map(read).collect()
    }

    #[test]
    fn what_the_other_side_reads() {
        let global = Some(Ipv4Addr::new(203, 0, 113, 1));
        let port = heard("PORT 10,0,0,2,19,136\r\n", "PORT 203,0,113,1,4,7\r\n", 5000, &[5000]);
        assert_eq!(port, [(global, Some(1031))]);
        let (said, became) =
            ("client_port=5000-5001;server_port=5000-5001", "client_port=70-71;server_port=5000-5001");
        assert_eq!(heard(said, became, 5001, &[5000, 5001]), [(None, Some(71))]);
        assert_eq!(heard("m=audio 5000 RTP\r\n", "m=audio 6 RTP\r\n", 5000, &[5000]), [(None, Some(6))]);
        assert_eq!(heard("EPRT |1|10.0.0.2|5000|\r\n", "EPRT |1|203.0.113.1|6|\r\n", 5000, &[5000]).len(), 1);
        assert!(heard("110.0.0.2:5000", "110.0.0.2:5000", 5000, &[]).is_empty());
    }
}
