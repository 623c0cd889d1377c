//! Numbers and addresses as text: read strictly, written without allocating.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddrV4};

use arrayvec::ArrayString;
use nom::character::complete::{char, digit1};
use nom::combinator::map_opt;
use nom::{IResult, Parser};

use crate::Span;

/// Text that replaces some of a message.
pub type Written = ArrayString<64>;

/// A decimal number up to `max`, without sign, of no more digits than `max` has.
pub fn decimal(max: u32) -> impl Fn(&[u8]) -> IResult<&[u8], u32> {
    move |input| map_opt(digit1, |digits: &[u8]| value(digits, max)).parse(input)
}

fn value(digits: &[u8], max: u32) -> Option<u32> {
    if digits.len() > max.checked_ilog10().unwrap_or(0) as usize + 1 {
        return None;
    }
    let value = digits.iter().fold(0u64, |value, digit| value * 10 + u64::from(digit - b'0'));
    u32::try_from(value).ok().filter(|value| *value <= max)
}

/// A port.
pub fn port(input: &[u8]) -> IResult<&[u8], u16> {
    map_opt(decimal(u32::from(u16::MAX)), |value| u16::try_from(value).ok()).parse(input)
}

/// `N` numbers up to 255 with `separator` between them.
pub fn octets<const N: usize>(separator: u8) -> impl Fn(&[u8]) -> IResult<&[u8], [u8; N]> {
    move |input| {
        let (mut rest, mut octets) = (input, [0; N]);
        for (n, octet) in octets.iter_mut().enumerate() {
            if n > 0 {
                (rest, _) = char(char::from(separator)).parse(rest)?;
            }
            let value;
            (rest, value) = map_opt(decimal(255), |value| u8::try_from(value).ok()).parse(rest)?;
            *octet = value;
        }
        Ok((rest, octets))
    }
}

/// An address in dots.
pub fn address(input: &[u8]) -> IResult<&[u8], Ipv4Addr> {
    octets::<4>(b'.').map(Ipv4Addr::from).parse(input)
}

/// An address in dots, and nothing else.
pub fn whole_address(input: &[u8]) -> Option<Ipv4Addr> {
    address(input).ok().filter(|(rest, _)| rest.is_empty()).map(|(_, addr)| addr)
}

/// An endpoint as six numbers between commas, as in `PORT`: four of the address, two of the port.
pub fn endpoint_of(six: [u8; 6]) -> SocketAddrV4 {
    let [a, b, c, d, high, low] = six;
    SocketAddrV4::new(Ipv4Addr::new(a, b, c, d), u16::from_be_bytes([high, low]))
}

/// Writes what fits; everything that gateways write does.
pub fn written(arguments: std::fmt::Arguments) -> Written {
    let mut text = Written::new();
    let _ = text.write_fmt(arguments);
    text
}

/// The span from where `start` begins up to where `end` begins; both are tails of `whole`.
pub fn between(whole: &[u8], start: &[u8], end: &[u8]) -> Span {
    Span { start: whole.len().saturating_sub(start.len()), end: whole.len().saturating_sub(end.len()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_strict() {
        for (text, max, value) in [("0", 255, Some(0)), ("255", 255, Some(255)), ("010", 255, Some(10))] {
            assert_eq!(decimal(max)(text.as_bytes()).ok().map(|(_, v)| v), value, "{text}");
        }
        for (text, max) in [("256", 255), ("0255", 255), ("", 255), ("-1", 255), ("4294967296", u32::MAX)] {
            assert!(decimal(max)(text.as_bytes()).is_err(), "{text}");
        }
        assert!(port(b"65536").is_err());
    }

    #[test]
    fn addresses_are_whole() {
        assert_eq!(whole_address(b"10.0.0.2"), Some(Ipv4Addr::new(10, 0, 0, 2)));
        for text in ["10.0.0", "10.0.0.2.", "10.0.0.256", "10.0.0.2 ", "10.0.0.-2", ""] {
            assert_eq!(whole_address(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn spans_are_positions() {
        assert_eq!(between(b"PORT 1", b"T 1", b"1"), Span { start: 3, end: 5 });
    }
}
