//! Packets in words.

use std::net::Ipv4Addr;
use std::str::FromStr;

use crate::notation::names::{FLAGS, ICMP_TYPES, PROTOCOLS};
use crate::notation::{Cursor, Token};
use crate::spec::{PacketSpec, Quote, Shape, Value};

/// Numbers that are set by a word and a value, with the shapes they belong to and the largest they may be.
const NUMBERS: &[(&str, &[Shape], u64)] = &[
    ("ttl", IPV4, 255),
    ("tos", IPV4, 255),
    ("ip-id", IPV4, 0xffff),
    ("frag", IPV4, 0x1fff),
    ("version", IPV4, 15),
    ("ihl", IPV4, 15),
    ("total-length", IPV4, 0xffff),
    ("ip-checksum", IPV4, 0xffff),
    ("checksum", &[Shape::Udp, Shape::Tcp, Shape::Icmp], 0xffff),
    ("udp-length", &[Shape::Udp], 0xffff),
    ("seq", &[Shape::Tcp], 0xffff_ffff),
    ("seq", &[Shape::Icmp], 0xffff),
    ("ack", &[Shape::Tcp], 0xffff_ffff),
    ("win", &[Shape::Tcp], 0xffff),
    ("urg", &[Shape::Tcp], 0xffff),
    ("tcp-offset", &[Shape::Tcp], 15),
    ("tcp-reserved", &[Shape::Tcp], 15),
    ("id", &[Shape::Icmp], 0xffff),
    ("mtu", &[Shape::Icmp], 0xffff),
    ("pointer", &[Shape::Icmp], 0xff),
    ("unused", &[Shape::Icmp], 0xff_ffff),
    ("rest", &[Shape::Icmp], 0xffff_ffff),
    ("vlan", ANY, 4095),
];
const IPV4: &[Shape] = &[Shape::Udp, Shape::Tcp, Shape::Icmp, Shape::Ip];
const ANY: &[Shape] = &[Shape::Udp, Shape::Tcp, Shape::Icmp, Shape::Ip, Shape::Arp, Shape::Raw];

impl FromStr for PacketSpec {
    type Err = String;

    /// Reads a packet in the notation.
    fn from_str(text: &str) -> Result<PacketSpec, String> {
        let mut line = Cursor::new(text)?;
        let spec = packet(&mut line)?;
        if line.is_done() { Ok(spec) } else { Err(format!("something is left over in '{text}'")) }
    }
}

/// Reads a packet up to the line's end or the brace that closes it.
///
/// # Errors
/// What cannot be understood.
pub fn packet(line: &mut Cursor) -> Result<PacketSpec, String> {
    let shape = line.word("a packet")?;
    let mut spec = match shape.as_str() {
        "udp" => with_ports(line, Shape::Udp)?,
        "tcp" => with_ports(line, Shape::Tcp)?,
        "icmp" => icmp(line)?,
        "ip" => {
            let word = line.word("a protocol")?;
            let named =
                PROTOCOLS.iter().find(|(name, _)| *name == word).map(|&(_, number)| u64::from(number));
            let mut spec = PacketSpec::new(Shape::Ip);
            spec.settings.push(("protocol", named.map_or_else(|| number(&word, 255), |n| Ok(Value::Is(n)))?));
            addresses(line, spec)?
        }
        "arp" => arp(line)?,
        "raw" => {
            let mut spec = PacketSpec::new(Shape::Raw);
            spec.data = Some(hex(&line.word("hexadecimal digits")?)?);
            spec
        }
        other => return Err(format!("'{other}' is not a packet: udp, tcp, icmp, ip, arp or raw")),
    };
    while line.peek().is_some_and(|token| *token != Token::Word("}".into())) && !line.is_at("x") {
        detail(line, &mut spec)?;
    }
    pad_options(&mut spec.ip_options);
    pad_options(&mut spec.tcp_options);
    Ok(spec)
}

fn with_ports(line: &mut Cursor, shape: Shape) -> Result<PacketSpec, String> {
    let mut spec = PacketSpec::new(shape);
    for (separator, addr, port) in [("", "src", "sport"), (">", "dst", "dport")] {
        if !separator.is_empty() {
            line.expect(separator)?;
        }
        let word = line.word("ADDRESS:PORT")?;
        let (left, right) = word.split_once(':').ok_or(format!("'{word}' should be ADDRESS:PORT"))?;
        spec.settings.push((addr, address(left)?));
        spec.settings.push((port, number(right, 0xffff)?));
    }
    Ok(spec)
}

fn addresses(line: &mut Cursor, mut spec: PacketSpec) -> Result<PacketSpec, String> {
    spec.settings.push(("src", address(&line.word("an address")?)?));
    line.expect(">")?;
    spec.settings.push(("dst", address(&line.word("an address")?)?));
    Ok(spec)
}

fn icmp(line: &mut Cursor) -> Result<PacketSpec, String> {
    let word = line.word("an ICMP type")?;
    let named = ICMP_TYPES.iter().find(|(name, ..)| *name == word).map(|&(_, kind, code)| (kind, code));
    let numbers = || {
        let (kind, code) = word.split_once('/')?;
        Some((kind.parse().ok()?, code.parse().ok()?))
    };
    let (kind, code) = named.or_else(numbers).ok_or(format!("'{word}' is no ICMP type, nor TYPE/CODE"))?;
    let mut spec = PacketSpec::new(Shape::Icmp);
    spec.settings.push(("type", Value::Is(u64::from(kind))));
    spec.settings.push(("code", Value::Is(u64::from(code))));
    addresses(line, spec)
}

fn arp(line: &mut Cursor) -> Result<PacketSpec, String> {
    let mut spec = PacketSpec::new(Shape::Arp);
    if line.take_if("who-has") {
        spec.settings.push(("operation", Value::Is(1)));
        spec.settings.push(("target", address(&line.word("an address")?)?));
        line.expect("tell")?;
        spec.settings.push(("sender", address(&line.word("an address")?)?));
        return Ok(spec);
    }
    spec.settings.push(("operation", Value::Is(2)));
    spec.settings.push(("sender", address(&line.word("'who-has' or an address")?)?));
    line.expect("is-at")?;
    spec.settings.push(("sender-mac", Value::Is(mac(&line.word("an Ethernet address")?)?)));
    line.expect("tell")?;
    spec.settings.push(("target", address(&line.word("an address")?)?));
    Ok(spec)
}

/// One word, with its value, of what follows the endpoints.
fn detail(line: &mut Cursor, spec: &mut PacketSpec) -> Result<(), String> {
    let word = match line.take() {
        Some(Token::Text(bytes)) => return once(&mut spec.data, bytes, "payload"),
        Some(Token::Word(word)) => word,
        None => return Ok(()),
    };
    if spec.shape == Shape::Tcp
        && let Some(flags) = flags(&word)
        && (word != "ack" || !next_is_number(line))
        && (word != "urg" || !next_is_number(line))
    {
        return set(spec, "flags", Value::Is(flags));
    }
    let known = NUMBERS.iter().filter(|(name, ..)| *name == word);
    if let Some(&(name, _, max)) = known.clone().find(|(_, shapes, _)| shapes.contains(&spec.shape)) {
        let value = line.word(&format!("a value of {name}"))?;
        return match (name, value.as_str()) {
            ("vlan", "none") => set(spec, name, Value::Is(NO_VLAN)),
            ("checksum", "none") => set(spec, name, Value::Is(0)),
            ("checksum" | "ip-checksum", "bad") => set(spec, name, Value::Wrong),
            _ => set(spec, name, number(&value, max)?),
        };
    }
    if known.count() > 0 {
        return Err(format!("a {} packet has no {word}", format!("{:?}", spec.shape).to_lowercase()));
    }
    match word.as_str() {
        "df" | "mf" | "reserved" if IPV4.contains(&spec.shape) => {
            let name = ["df", "mf", "reserved"].into_iter().find(|name| *name == word).unwrap_or("df");
            set(spec, name, Value::Is(1))
        }
        "to" => set(spec, "to", Value::Is(mac(&line.word("an Ethernet address")?)?)),
        "from" => set(spec, "from", Value::Is(mac(&line.word("an Ethernet address")?)?)),
        "ethertype" => {
            let digits = line.word("hexadecimal digits")?;
            let value =
                u64::from_str_radix(&digits, 16).map_err(|_| format!("'{digits}' is not hexadecimal"))?;
            set(spec, "ethertype", Value::Is(value & 0xffff))
        }
        "via" => match address(&line.word("an address")?)? {
            Value::Is(addr) => once(&mut spec.via, addr as u32, "via"),
            _ => Err("via needs an address".into()),
        },
        _ => bytes_detail(line, spec, &word),
    }
}

/// The value that stands for no VLAN tag.
pub const NO_VLAN: u64 = u64::MAX;

fn next_is_number(line: &Cursor) -> bool {
    matches!(line.peek(), Some(Token::Word(word)) if word.starts_with(|c: char| c.is_ascii_digit() || "*$".contains(c)))
}

fn bytes_detail(line: &mut Cursor, spec: &mut PacketSpec, word: &str) -> Result<(), String> {
    match word {
        "hex" => once(&mut spec.data, hex(&line.word("hexadecimal digits")?)?, "payload"),
        "bytes" => {
            let count = plain(line)?;
            once(&mut spec.data, (0..count).map(|n| n as u8).collect(), "payload")
        }
        "cut" => {
            let count = plain(line)?;
            once(&mut spec.cut, count as usize, "cut")
        }
        "pad" => {
            spec.pad = plain(line)? as usize;
            Ok(())
        }
        "at" => {
            let at = plain(line)?;
            line.expect("=")?;
            spec.patches.push((at as usize, hex(&line.word("hexadecimal digits")?)?));
            Ok(())
        }
        "quote" if spec.shape == Shape::Icmp => {
            let quote = quote(line)?;
            once(&mut spec.quote, quote, "quote")
        }
        "ip-options" | "record-route" | "loose-route" | "strict-route" if IPV4.contains(&spec.shape) => {
            let option = ip_option(line, word)?;
            append(&mut spec.ip_options, &option);
            Ok(())
        }
        "mss" | "wscale" | "sack-ok" | "sack" | "timestamps" | "nop" | "tcp-options"
            if spec.shape == Shape::Tcp =>
        {
            let option = tcp_option(line, word)?;
            append(&mut spec.tcp_options, &option);
            Ok(())
        }
        _ => Err(format!("'{word}' means nothing here")),
    }
}

fn quote(line: &mut Cursor) -> Result<Quote, String> {
    if let Some(label) = line.label()? {
        return Ok(Quote::Sent(Some(label)));
    }
    if line.take_if("in") {
        return Ok(Quote::Sent(None));
    }
    line.expect("{")?;
    let quoted = packet(line)?;
    line.expect("}")?;
    Ok(Quote::Packet(Box::new(quoted)))
}

fn ip_option(line: &mut Cursor, word: &str) -> Result<Vec<u8>, String> {
    let route = |kind: u8, addresses: &[u8]| {
        let mut option = vec![kind, 3 + addresses.len() as u8, 4];
        option.extend(addresses);
        option
    };
    match word {
        "record-route" => Ok(route(7, &vec![0; plain(line)?.min(9) as usize * 4])),
        "loose-route" | "strict-route" => {
            let hop: Ipv4Addr = line.word("an address")?.parse().map_err(|_| "a route needs an address")?;
            Ok(route(if word == "loose-route" { 131 } else { 137 }, &hop.octets()))
        }
        _ => hex(&line.word("hexadecimal digits")?),
    }
}

fn tcp_option(line: &mut Cursor, word: &str) -> Result<Vec<u8>, String> {
    let long = |value: u64| (value as u32).to_be_bytes();
    let mut option = Vec::new();
    match word {
        "mss" => {
            option.extend([2, 4]);
            option.extend((plain(line)? as u16).to_be_bytes());
        }
        "wscale" => option.extend([3, 3, plain(line)? as u8]),
        "sack-ok" => option.extend([4, 2]),
        "sack" => {
            let block = line.word("FROM-TO")?;
            let ends = block.split_once('-').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
            let (from, to) = ends.ok_or(format!("'{block}' should be FROM-TO"))?;
            option.extend([5, 10]);
            option.extend(long(from));
            option.extend(long(to));
        }
        "timestamps" => {
            option.extend([8, 10]);
            option.extend(long(plain(line)?));
            option.extend(long(plain(line)?));
        }
        "nop" => option.push(1),
        _ => option = hex(&line.word("hexadecimal digits")?)?,
    }
    Ok(option)
}

fn append(options: &mut Option<Vec<u8>>, option: &[u8]) {
    options.get_or_insert_default().extend(option);
}

/// Fills options up to whole words.
fn pad_options(options: &mut Option<Vec<u8>>) {
    if let Some(bytes) = options {
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
}

fn set(spec: &mut PacketSpec, name: &'static str, value: Value) -> Result<(), String> {
    if spec.setting(name).is_some() {
        return Err(format!("{name} is given twice"));
    }
    spec.settings.push((name, value));
    Ok(())
}

fn once<T>(slot: &mut Option<T>, value: T, what: &str) -> Result<(), String> {
    if slot.is_some() {
        return Err(format!("{what} is given twice"));
    }
    *slot = Some(value);
    Ok(())
}

fn flags(word: &str) -> Option<u64> {
    if word == "no-flags" {
        return Some(0);
    }
    let one = |name: &str| FLAGS.iter().find(|(known, _)| *known == name).map(|&(_, bit)| bit);
    word.split(',').try_fold(0, |flags, name| Some(flags | one(name)?))
}

/// A number, `*`, `$name` or a range.
fn number(word: &str, max: u64) -> Result<Value, String> {
    if word == "*" {
        return Ok(Value::Any);
    }
    if let Some(name) = word.strip_prefix('$').filter(|name| !name.is_empty()) {
        return Ok(Value::Name(name.into()));
    }
    let parse = |text: &str| {
        let value = match text.strip_prefix("0x") {
            Some(digits) => u64::from_str_radix(digits, 16).ok(),
            None => text.parse().ok(),
        };
        value.filter(|value| *value <= max).ok_or(format!("'{text}' is not a number from 0 to {max}"))
    };
    match word.split_once('-') {
        None => Ok(Value::Is(parse(word)?)),
        Some((low, high)) => Ok(Value::Each(parse(low)?, parse(high)?)),
    }
}

fn plain(line: &mut Cursor) -> Result<u64, String> {
    let word = line.word("a number")?;
    match number(&word, 0xffff_ffff)? {
        Value::Is(value) => Ok(value),
        _ => Err(format!("'{word}' should be a plain number")),
    }
}

fn address(word: &str) -> Result<Value, String> {
    match word.parse::<Ipv4Addr>() {
        Ok(addr) => Ok(Value::Is(u64::from(addr.to_bits()))),
        Err(_) if word == "*" || word.starts_with('$') => number(word, 0),
        Err(_) => Err(format!("'{word}' is not an IPv4 address")),
    }
}

/// An Ethernet address, `0200.0000.0001`, or `broadcast`.
fn mac(word: &str) -> Result<u64, String> {
    if word == "broadcast" {
        return Ok(0xffff_ffff_ffff);
    }
    let groups: Vec<&str> = word.split('.').collect();
    let value = |group: &str| (group.len() == 4).then(|| u64::from_str_radix(group, 16).ok()).flatten();
    let values: Option<Vec<u64>> = groups.iter().map(|group| value(group)).collect();
    match values.as_deref() {
        Some([a, b, c]) => Ok(a << 32 | b << 16 | c),
        _ => Err(format!("'{word}' is not an Ethernet address, as 0200.0000.0001")),
    }
}

fn hex(word: &str) -> Result<Vec<u8>, String> {
    let pair = |at: usize| word.get(at..at + 2).and_then(|pair| u8::from_str_radix(pair, 16).ok());
    let bytes: Option<Vec<u8>> = (0..word.len()).step_by(2).map(pair).collect();
    bytes.ok_or(format!("'{word}' is not pairs of hexadecimal digits"))
}
