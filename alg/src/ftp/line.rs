//! Lines of FTP, read to positions.

use std::net::SocketAddrV4;

use nom::bytes::complete::take_while;
use nom::character::complete::{char, satisfy};
use nom::sequence::delimited;
use nom::{IResult, Parser};

use crate::text::{self, Written, between, decimal, octets, written};
use crate::{Refusal, Span};

/// Commands that a client may begin with, all that there are (RFC 959, 1639, 2228, 2389, 2428, 2640, 3659, 7151).
const VERBS: &[&str] = &[
    "ABOR", "ACCT", "ADAT", "ALLO", "APPE", "AUTH", "CCC", "CDUP", "CLNT", "CONF", "CSID", "CWD", "DELE",
    "ENC", "EPRT", "EPSV", "FEAT", "HELP", "HOST", "LANG", "LIST", "LPRT", "LPSV", "MDTM", "MFCT", "MFF",
    "MFMT", "MIC", "MKD", "MLSD", "MLST", "MODE", "NLST", "NOOP", "OPTS", "PASS", "PASV", "PBSZ", "PORT",
    "PROT", "PWD", "QUIT", "REIN", "REST", "RETR", "RMD", "RNFR", "RNTO", "SITE", "SIZE", "SMNT", "STAT",
    "STOR", "STOU", "STRU", "SYST", "TYPE", "USER", "XCUP", "XCWD", "XMKD", "XPWD", "XRMD",
];

/// No command has a longer name.
const VERB_LEN_MAX: usize = 16;

/// How an endpoint is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `h1,h2,h3,h4,p1,p2`: of `PORT` and 227.
    Six,
    /// `4,4,h1,h2,h3,h4,2,p1,p2`: of `LPRT` and 228.
    Long,
    /// An address in dots, this delimiter, a port: of `EPRT`.
    Delimited(char),
}

impl Form {
    /// The endpoint in this form.
    pub fn write(self, endpoint: SocketAddrV4) -> Written {
        let [a, b, c, d] = endpoint.ip().octets();
        let [high, low] = endpoint.port().to_be_bytes();
        match self {
            Form::Six => written(format_args!("{a},{b},{c},{d},{high},{low}")),
            Form::Long => written(format_args!("4,4,{a},{b},{c},{d},2,{high},{low}")),
            Form::Delimited(mark) => written(format_args!("{a}.{b}.{c}.{d}{mark}{}", endpoint.port())),
        }
    }
}

/// An endpoint that a line names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Named {
    /// Its place.
    pub span: Span,
    /// Itself.
    pub endpoint: SocketAddrV4,
    /// How it is written.
    pub form: Form,
}

/// The length of the Telnet commands that `bytes` begins with, or none if the last has not arrived whole.
pub fn telnet_len(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        match bytes.get(at..).unwrap_or_default() {
            [0xff, 0xf0..=0xf9, ..] => at += 2,
            [0xff, 0xfb..=0xfe, _, ..] => at += 3,
            [0xff] | [0xff, 0xfb..=0xfe] => return None,
            _ => return Some(at),
        }
    }
}

/// Whether a line of the client's may begin like this. A first line must be a known command; a later one may be
/// any word, or empty.
pub fn may_be_command(beginning: &[u8], is_first: bool) -> bool {
    let end = beginning.iter().position(|byte| b" \r\n".contains(byte));
    let word = &beginning[..end.unwrap_or(beginning.len())];
    if !is_first {
        let is_wordy = |byte: &u8| byte.is_ascii_alphanumeric() || b"@_-".contains(byte);
        let is_named = word.first().is_none_or(u8::is_ascii_alphabetic);
        return word.len() <= VERB_LEN_MAX && is_named && word.iter().all(is_wordy);
    }
    VERBS.iter().map(|verb| verb.as_bytes()).any(|verb| match end {
        Some(_) => word.eq_ignore_ascii_case(verb),
        None => verb.get(..word.len()).is_some_and(|head| head.eq_ignore_ascii_case(word)),
    })
}

/// Whether a line of the server's, outside of a longer reply, may begin like this.
pub fn may_be_reply(beginning: &[u8], is_first: bool) -> bool {
    if !is_first && matches!(beginning.first(), Some(b'\r' | b'\n')) {
        return true;
    }
    beginning.iter().take(4).enumerate().all(|(n, byte)| match n {
        0 => (b'1'..=b'6').contains(byte),
        1 | 2 => byte.is_ascii_digit(),
        _ => b" -\r\n".contains(byte),
    })
}

/// A command's name and its argument, a tail of the line.
pub fn command(line: &[u8]) -> (&[u8], &[u8]) {
    let end = line.iter().position(|byte| *byte == b' ').unwrap_or(line.len());
    let (verb, rest) = line.split_at(end);
    let argument = rest.iter().position(|byte| *byte != b' ').unwrap_or(rest.len());
    (verb, &rest[argument..])
}

/// A reply's code, and whether the line is the first of several.
pub fn reply(line: &[u8]) -> Option<(u16, bool)> {
    let code = line
        .get(..3)?
        .iter()
        .try_fold(0, |code: u16, byte| byte.is_ascii_digit().then(|| code * 10 + u16::from(byte - b'0')))?;
    Some((code, line.get(3) == Some(&b'-')))
}

/// The argument of `PORT` or `LPRT`.
pub fn numbers(line: &[u8], argument: &[u8], form: Form) -> Result<Named, Refusal> {
    let (rest, endpoint) = endpoint(form, argument).map_err(|_| Refusal::Argument)?;
    if !rest.trim_ascii().is_empty() {
        return Err(Refusal::Argument);
    }
    Ok(Named { span: between(line, argument, rest), endpoint, form })
}

/// The endpoint in a reply's text: it begins with the first number that a comma follows (RFC 1123, 4.1.2.6: the
/// parentheses may be missing). None if there is no such number.
pub fn numbers_within(line: &[u8], text: &[u8], form: Form) -> Result<Option<Named>, Refusal> {
    let mut rest = text.get(4..).unwrap_or_default();
    while let Some(start) = rest.iter().position(u8::is_ascii_digit) {
        let list = &rest[start..];
        let end = list.iter().position(|byte| !byte.is_ascii_digit()).unwrap_or(list.len());
        if list.get(end) != Some(&b',') {
            rest = &list[end..];
            continue;
        }
        let (rest, endpoint) = endpoint(form, list).map_err(|_| Refusal::Argument)?;
        if rest.first() == Some(&b',') {
            return Err(Refusal::Argument);
        }
        return Ok(Some(Named { span: between(line, list, rest), endpoint, form }));
    }
    Ok(None)
}

fn endpoint(form: Form, input: &[u8]) -> IResult<&[u8], SocketAddrV4> {
    if form != Form::Long {
        return octets::<6>(b',').map(text::endpoint_of).parse(input);
    }
    let (rest, nine) = octets::<9>(b',').parse(input)?;
    match nine {
        [4, 4, a, b, c, d, 2, high, low] => Ok((rest, text::endpoint_of([a, b, c, d, high, low]))),
        _ => Err(nom::Err::Error(nom::error::make_error(input, nom::error::ErrorKind::Verify))),
    }
}

/// The argument of `EPRT`; none if it is of another protocol than IPv4.
pub fn extended(line: &[u8], argument: &[u8]) -> Result<Option<Named>, Refusal> {
    let (mark, family, rest) = match family(argument) {
        Ok((rest, (mark, family))) => (mark, family, rest),
        Err(_) => return Err(Refusal::Argument),
    };
    if family != 1 {
        return Ok(None);
    }
    let endpoint: IResult<_, _> = (text::address, char(mark), text::port).parse(rest);
    let (behind, (addr, _, port)) = endpoint.map_err(|_| Refusal::Argument)?;
    match behind.trim_ascii_end() {
        [last] if char::from(*last) == mark => {}
        _ => return Err(Refusal::Argument),
    }
    let span = between(line, rest, behind);
    Ok(Some(Named { span, endpoint: SocketAddrV4::new(addr, port), form: Form::Delimited(mark) }))
}

fn family(argument: &[u8]) -> IResult<&[u8], (char, u32)> {
    let (rest, mark) = satisfy(|c| ('!'..='~').contains(&c)).parse(argument)?;
    let (rest, family) = decimal(255)(rest)?;
    let (rest, _) = char(mark).parse(rest)?;
    Ok((rest, (mark, family)))
}

/// The port of a 229 reply and its place: `(<d><d><d>port<d>)`, where an address may be, too.
pub fn extended_port(line: &[u8]) -> Result<Option<(Span, u16)>, Refusal> {
    let Some(start) = line.iter().position(|byte| *byte == b'(') else { return Ok(None) };
    let parsed = delimited_port(&line[start..]).map_err(|_| Refusal::Argument)?;
    let (rest, (digits, port)) = parsed;
    Ok(Some((between(line, digits, rest), port)))
}

/// Returns what is behind the port, where the port begins, and the port.
fn delimited_port(input: &[u8]) -> IResult<&[u8], (&[u8], u16)> {
    let (rest, _) = char('(').parse(input)?;
    let (_, mark) = satisfy(|c| ('!'..='~').contains(&c)).parse(rest)?;
    let field = |byte: u8| char::from(byte) != mark && byte != b')';
    let (rest, _) = delimited(char(mark), take_while(field), char(mark)).parse(rest)?;
    let (digits, _) = (take_while(field), char(mark)).parse(rest)?;
    let (behind, port) = text::port(digits)?;
    let (_, _) = (char(mark), char(')')).parse(behind)?;
    Ok((behind, (digits, port)))
}
