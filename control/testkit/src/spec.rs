//! What the notation says about a packet: its shape, and the fields that are named.

use std::collections::BTreeMap;

/// What kind of packet it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// `udp`
    Udp,
    /// `tcp`
    Tcp,
    /// `icmp`
    Icmp,
    /// `ip`: a packet whose transport is given as bytes.
    Ip,
    /// `arp`
    Arp,
    /// `raw`: a whole frame as bytes.
    Raw,
}

/// What is said about a number.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    /// It is this.
    Is(u64),
    /// `*`: it may be anything. Only where packets are expected.
    Any,
    /// `$name`: what it was where the name was seen first.
    Name(String),
    /// `1-5`: one packet for each.
    Each(u64, u64),
    /// `bad`: not the right checksum.
    Wrong,
}

/// What an ICMP error quotes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Quote {
    /// `{ PACKET }`
    Packet(Box<PacketSpec>),
    /// `in` or `[label]`: a packet that was sent before, as it was sent; without label the last one.
    Sent(Option<String>),
    /// These bytes.
    Bytes(Vec<u8>),
}

/// A packet as the notation describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PacketSpec {
    /// Its kind.
    pub shape: Shape,
    /// Fields by the name that [`crate::dissect`] has for them.
    pub settings: Vec<(&'static str, Value)>,
    /// IPv4 options, padded to whole words.
    pub ip_options: Option<Vec<u8>>,
    /// TCP options, padded to whole words.
    pub tcp_options: Option<Vec<u8>>,
    /// Payload.
    pub data: Option<Vec<u8>>,
    /// What an ICMP error quotes.
    pub quote: Option<Quote>,
    /// Keep this many bytes only: of the frame, or of the quote.
    pub cut: Option<usize>,
    /// Bytes of Ethernet padding.
    pub pad: usize,
    /// Bytes overwritten at last, by their position in the frame or in the quote.
    pub patches: Vec<(usize, Vec<u8>)>,
    /// The next hop whose station a frame goes to, where the routes do not say so.
    pub via: Option<u32>,
}

/// What numbers the names of a conversation stand for.
pub type Names = BTreeMap<String, u64>;

impl PacketSpec {
    /// A packet of which nothing is said yet.
    pub fn new(shape: Shape) -> PacketSpec {
        PacketSpec {
            shape,
            settings: Vec::new(),
            ip_options: None,
            tcp_options: None,
            data: None,
            quote: None,
            cut: None,
            pad: 0,
            patches: Vec::new(),
            via: None,
        }
    }

    /// What is said about a field.
    pub fn setting(&self, name: &str) -> Option<&Value> {
        self.settings.iter().find(|(known, _)| *known == name).map(|(_, value)| value)
    }

    /// The number a field is said to be.
    pub fn number(&self, name: &str) -> Option<u64> {
        match self.setting(name) {
            Some(Value::Is(value)) => Some(*value),
            _ => None,
        }
    }

    /// One packet for each number of the range it has, itself where it has none.
    pub fn expand(&self) -> Vec<PacketSpec> {
        let ranged = self.settings.iter().position(|(_, value)| matches!(value, Value::Each(..)));
        let Some(position) = ranged else { return vec![self.clone()] };
        let Value::Each(low, high) = self.settings[position].1 else { return Vec::new() };
        let one = |value| {
            let mut packet = self.clone();
            packet.settings[position].1 = Value::Is(value);
            packet
        };
        (low..=high).flat_map(|value| one(value).expand()).collect()
    }

    /// The packet with numbers in place of the names that are known, and of what may be anything: `actual` tells
    /// a field's number by depth and name.
    pub fn filled(&self, names: &Names, actual: &dyn Fn(u8, &str) -> Option<u64>, depth: u8) -> PacketSpec {
        let mut filled = self.clone();
        for (name, value) in &mut filled.settings {
            let known = match value {
                Value::Name(variable) => names.get(variable).copied().or_else(|| actual(depth, name)),
                Value::Any => actual(depth, name),
                _ => None,
            };
            if let Some(known) = known {
                *value = Value::Is(known);
            }
        }
        if let Some(Quote::Packet(quoted)) = &self.quote {
            filled.quote = Some(Quote::Packet(Box::new(quoted.filled(names, actual, depth + 1))));
        }
        filled
    }

    /// Takes down what the names that are new stand for in an actual packet.
    pub fn learn(&self, names: &mut Names, actual: &dyn Fn(u8, &str) -> Option<u64>, depth: u8) {
        for (name, value) in &self.settings {
            if let (Value::Name(variable), Some(number)) = (value, actual(depth, name)) {
                names.entry(variable.clone()).or_insert(number);
            }
        }
        if let Some(Quote::Packet(quoted)) = &self.quote {
            quoted.learn(names, actual, depth + 1);
        }
    }

    /// A number that is still not known, by the name the notation has for it.
    pub fn unknown(&self) -> Option<&'static str> {
        let open = |value: &Value| matches!(value, Value::Any | Value::Name(_));
        let own = self.settings.iter().find(|(_, value)| open(value)).map(|(name, _)| *name);
        own.or_else(|| match &self.quote {
            Some(Quote::Packet(quoted)) => quoted.unknown(),
            _ => None,
        })
    }
}
