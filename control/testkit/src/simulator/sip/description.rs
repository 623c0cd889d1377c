//! Session descriptions, as one side writes them and the other reads them (RFC 4566, RFC 3264).

use std::fmt::Write;
use std::net::Ipv4Addr;

use super::message::Endpoint;

/// What a line of media is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Speech.
    Audio,
    /// Pictures.
    Video,
    /// A fax (T.38 over UDPTL).
    Fax,
}

/// Where RTCP goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rtcp {
    /// To the port behind.
    Behind,
    /// To a port of its own (RFC 3605).
    At(u16),
    /// To the same port (RFC 5761).
    Same,
}

/// A line of media.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it is.
    pub kind: Kind,
    /// Its port; 0 refuses it.
    pub port: u16,
    /// Where RTCP goes.
    pub rtcp: Rtcp,
    /// Whether its writer sends, and receives.
    pub flows: [bool; 2],
}

/// What one side says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Counts a side's descriptions in a call, from 1.
    pub version: u32,
    /// Where media goes.
    pub addr: Ipv4Addr,
    /// Held as was done before RFC 3264: the address is 0.0.0.0.
    pub is_nowhere: bool,
    /// The address stands at each line, not above all.
    pub is_by_line: bool,
    /// Lines of media.
    pub lines: Vec<Line>,
}

/// A line as the other side reads it.
#[derive(Clone, Debug)]
pub struct ReadLine {
    /// What it is.
    pub kind: Kind,
    /// Whether it is refused.
    pub is_refused: bool,
    /// Where RTP and RTCP go, if anywhere.
    pub ends: [Option<Endpoint>; 2],
    /// Whether the other side sends, and receives.
    pub flows: [bool; 2],
    /// Both go to the same port.
    pub is_same: bool,
}

/// What the other side says of itself.
#[derive(Clone, Debug)]
pub struct ReadDescription {
    /// Its version.
    pub version: u32,
    /// Its lines.
    pub lines: Vec<ReadLine>,
}

impl Line {
    /// The ports of RTP and RTCP.
    pub fn ports(&self) -> [Option<u16>; 2] {
        let rtp = Some(self.port).filter(|port| *port != 0);
        let rtcp = match (self.kind, self.rtcp) {
            (Kind::Fax, _) | (_, Rtcp::Same) => None,
            (_, Rtcp::Behind) => Some(self.port + 1),
            (_, Rtcp::At(port)) => Some(port),
        };
        [rtp, rtp.and(rtcp)]
    }
}

impl Description {
    /// Its text.
    pub fn text(&self, user: &str) -> String {
        let mut text = String::new();
        let addr = if self.is_nowhere { Ipv4Addr::UNSPECIFIED } else { self.addr };
        let c = format!("c=IN IP4 {addr}\r\n");
        let above = if self.is_by_line { "" } else { &c };
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "v=0\r\no={user} 7 {} IN IP4 {}\r\ns=-\r\n{above}t=0 0\r\n",
            self.version, self.addr
        );
        for line in &self.lines {
            let format = match line.kind {
                Kind::Audio => "audio {} RTP/AVP 8 101",
                Kind::Video => "video {} RTP/AVP 31",
                Kind::Fax => "image {} udptl t38",
            };
            let _ = write!(text, "m={}\r\n", format.replace("{}", &line.port.to_string()));
            if self.is_by_line {
                text.push_str(&c);
            }
            match line.rtcp {
                _ if line.kind == Kind::Fax || line.port == 0 => continue,
                Rtcp::Behind => {}
                Rtcp::At(port) => {
                    let _ = write!(text, "a=rtcp:{port}\r\n");
                }
                Rtcp::Same => text.push_str("a=rtcp-mux\r\n"),
            }
            let flows = match line.flows {
                [true, true] => continue,
                [true, false] => "sendonly",
                [false, true] => "recvonly",
                [false, false] => "inactive",
            };
            let _ = write!(text, "a={flows}\r\n");
        }
        text
    }
}

impl ReadDescription {
    /// Reads a description.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn read(text: &[u8]) -> Result<ReadDescription, String> {
        let text = std::str::from_utf8(text).map_err(|error| error.to_string())?;
        let mut read = ReadDescription { version: 0, lines: Vec::new() };
        let mut above = None;
        for line in text.split_terminator("\r\n") {
            let (kind, value) = line.split_once('=').ok_or(format!("no line of SDP: {line}"))?;
            let wrong = || format!("a wrong line of SDP: {line}");
            let words: Vec<&str> = value.split(' ').collect();
            match (kind, read.lines.last_mut()) {
                ("o", _) => read.version = words.get(2).and_then(|it| it.parse().ok()).ok_or_else(wrong)?,
                ("c", own) => {
                    let addr: Ipv4Addr = words.get(2).and_then(|it| it.parse().ok()).ok_or_else(wrong)?;
                    match own {
                        None => above = Some(addr),
                        Some(own) => own.ends.iter_mut().flatten().for_each(|end| end.0 = addr),
                    }
                }
                ("m", _) => read.lines.push(ReadLine::read(&words, above).ok_or_else(wrong)?),
                ("a", Some(own)) => own.attribute(value).ok_or_else(wrong)?,
                _ => {}
            }
        }
        for line in &mut read.lines {
            for end in &mut line.ends {
                *end = end.filter(|(addr, _)| !addr.is_unspecified());
            }
        }
        Ok(read)
    }
}

impl ReadLine {
    fn read(words: &[&str], above: Option<Ipv4Addr>) -> Option<ReadLine> {
        let kind = match *words.first()? {
            "audio" => Kind::Audio,
            "video" => Kind::Video,
            "image" => Kind::Fax,
            _ => return None,
        };
        let port: u16 = words.get(1)?.parse().ok()?;
        let end = |port: u16| Some((above.unwrap_or(Ipv4Addr::UNSPECIFIED), port));
        let is_refused = port == 0;
        let behind = port.checked_add(1).filter(|_| kind != Kind::Fax && !is_refused);
        let rtcp = behind.and_then(end);
        let rtp = if is_refused { None } else { end(port) };
        Some(ReadLine { kind, is_refused, ends: [rtp, rtcp], flows: [true; 2], is_same: false })
    }

    fn attribute(&mut self, value: &str) -> Option<()> {
        match value.split_once(':') {
            Some(("rtcp", place)) => {
                let words: Vec<&str> = place.split(' ').collect();
                let (rtp_addr, port) = (self.ends[0]?.0, words.first()?.parse().ok()?);
                let addr = words.get(3).map_or(Some(rtp_addr), |addr| addr.parse().ok())?;
                // With a=rtcp-mux it names the one port there is.
                if !self.is_same {
                    self.ends[1] = Some((addr, port));
                }
            }
            None if value == "rtcp-mux" => {
                self.is_same = true;
                self.ends[1] = None;
            }
            None => match value {
                "sendonly" => self.flows = [true, false],
                "recvonly" => self.flows = [false, true],
                "inactive" => self.flows = [false, false],
                _ => {}
            },
            Some(_) => {}
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_side_writes_the_other_reads() {
        let addr = Ipv4Addr::new(10, 0, 4, 2);
        let line = |kind, port, rtcp, flows| Line { kind, port, rtcp, flows };
        let lines = vec![
            line(Kind::Audio, 4000, Rtcp::Behind, [true, false]),
            line(Kind::Video, 4002, Rtcp::At(4010), [true, true]),
            line(Kind::Video, 4004, Rtcp::Same, [false, false]),
            line(Kind::Fax, 4006, Rtcp::Behind, [true, true]),
            line(Kind::Audio, 0, Rtcp::Behind, [true, true]),
        ];
        for is_by_line in [false, true] {
            let written =
                Description { version: 3, addr, is_nowhere: false, is_by_line, lines: lines.clone() };
            let read = ReadDescription::read(written.text("a").as_bytes()).expect("a description");
            assert_eq!(read.version, 3);
            for (line, own) in read.lines.iter().zip(&lines) {
                assert_eq!((line.kind, line.flows), (own.kind, own.flows));
                assert_eq!(line.ends, own.ports().map(|port| port.map(|port| (addr, port))));
            }
            let nowhere = Description { is_nowhere: true, ..written };
            let read = ReadDescription::read(nowhere.text("a").as_bytes()).expect("a description");
            assert!(read.lines.iter().all(|line| line.ends == [None, None]));
        }
    }
}
