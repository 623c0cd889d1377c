//! Names of interfaces, always in their long form.

use std::fmt;
use std::str::FromStr;

/// Interface types and the abbreviations that stand for them where a prefix alone would be ambiguous.
#[rustfmt::skip]
const TYPES: &[(&str, &str)] = &[
    ("GigabitEthernet", "Gi"), ("TenGigabitEthernet", "Te"), ("TwoGigabitEthernet", "Tw"),
    ("FiveGigabitEthernet", "Fi"), ("TwentyFiveGigE", "Twe"), ("FortyGigabitEthernet", "Fo"),
    ("HundredGigE", "Hu"), ("FastEthernet", "Fa"), ("Ethernet", "Et"), ("Loopback", "Lo"), ("Null", "Nu"),
    ("Port-channel", "Po"), ("Tunnel", "Tu"), ("Vlan", "Vl"), ("BDI", "BDI"),
];

/// An interface's name in its long form, such as `GigabitEthernet0/0/0` or `TenGigabitEthernet0/1/0.100`.
///
/// Reading one takes the long form, any unambiguous prefix of the type and IOS's own abbreviations, in either case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct InterfaceName(String);

impl InterfaceName {
    /// Joins a type, abbreviated or not, and a unit such as `0/0/0.100`.
    pub fn new(kind: &str, unit: &str) -> Option<InterfaceName> {
        Some(InterfaceName(format!("{}{}", long_type(kind)?, canonical_unit(unit)?)))
    }

    /// The name in its long form.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The interface that a sub-interface belongs to; `None` for any other interface.
    pub fn parent(&self) -> Option<InterfaceName> {
        self.0.split_once('.').map(|(parent, _)| InterfaceName(parent.to_string()))
    }

    /// Whether this is `Null0`, where packets vanish.
    pub fn is_null(&self) -> bool {
        self.0.starts_with("Null")
    }

    /// Whether the interface exists in software only and needs no device.
    pub fn is_loopback(&self) -> bool {
        self.0.starts_with("Loopback")
    }
}

impl fmt::Display for InterfaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for InterfaceName {
    type Err = ();

    fn from_str(text: &str) -> Result<InterfaceName, ()> {
        let unit = text.find(|c: char| c.is_ascii_digit()).ok_or(())?;
        InterfaceName::new(&text[..unit], &text[unit..]).ok_or(())
    }
}

/// The long form of an interface type.
pub(super) fn long_type(text: &str) -> Option<&'static str> {
    let abbreviates =
        |long: &str| long.get(..text.len()).is_some_and(|start| start.eq_ignore_ascii_case(text));
    let mut fitting = TYPES.iter().filter(|(long, _)| !text.is_empty() && abbreviates(long));
    match (fitting.next(), fitting.next()) {
        (Some((long, _)), None) => Some(long),
        _ => TYPES.iter().find(|(_, short)| short.eq_ignore_ascii_case(text)).map(|(long, _)| *long),
    }
}

/// `slot/bay/port.sub` of one to four numbers, without leading zeros.
pub(super) fn canonical_unit(text: &str) -> Option<String> {
    let (port, sub) = text.split_once('.').map_or((text, None), |(port, sub)| (port, Some(sub)));
    let number = |digits: &str| {
        let plain = digits.bytes().all(|byte| byte.is_ascii_digit());
        digits.parse::<u32>().ok().filter(|_| plain).map(|number| number.to_string())
    };
    let slots =
        port.split('/').map(number).collect::<Option<Vec<String>>>().filter(|slots| slots.len() <= 4)?;
    match sub {
        None => Some(slots.join("/")),
        Some(sub) => Some(format!("{}.{}", slots.join("/"), number(sub)?)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_becomes_the_long_form() {
        for (text, long) in [
            ("GigabitEthernet0/0/0", "GigabitEthernet0/0/0"),
            ("gi0/0/1", "GigabitEthernet0/0/1"),
            ("GIG00/0/01", "GigabitEthernet0/0/1"),
            ("Te0/1/0.100", "TenGigabitEthernet0/1/0.100"),
            ("Tw1/0/8", "TwoGigabitEthernet1/0/8"),
            ("Twe1/0/8", "TwentyFiveGigE1/0/8"),
            ("lo0", "Loopback0"),
            ("e0", "Ethernet0"),
            ("Po1.20", "Port-channel1.20"),
            ("bdi30", "BDI30"),
        ] {
            assert_eq!(text.parse::<InterfaceName>().unwrap().as_str(), long, "{text}");
        }
    }

    #[test]
    fn what_is_no_interface_is_refused() {
        for text in
            ["", "0/0/0", "Gi", "T0/0/0", "Gi0/0/", "Gi0//0", "Gi0/0/0.", "Gi+1", "eth0x", "Gi1/2/3/4/5"]
        {
            assert!(text.parse::<InterfaceName>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_sub_interface_knows_its_parent() {
        let name = "Gi0/0/0.100".parse::<InterfaceName>().unwrap();
        assert_eq!(name.parent(), Some("Gi0/0/0".parse().unwrap()));
        assert_eq!(name.parent().unwrap().parent(), None);
    }
}
