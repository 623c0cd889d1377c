//! Ethernet addresses.

use std::fmt;
use std::str::FromStr;

/// An Ethernet address, written `0200.0000.0001`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct MacAddress(pub [u8; 6]);

impl fmt::Display for MacAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}{b:02x}.{c:02x}{d:02x}.{e:02x}{g:02x}")
    }
}

impl FromStr for MacAddress {
    type Err = ();

    fn from_str(text: &str) -> Result<MacAddress, ()> {
        let mut bytes = [0; 6];
        let mut groups = text.split('.');
        for pair in bytes.chunks_exact_mut(2) {
            let group = groups.next().filter(|group| group.bytes().all(|byte| byte.is_ascii_hexdigit()));
            let group = group.filter(|group| group.len() <= 4).ok_or(())?;
            pair.copy_from_slice(&u16::from_str_radix(group, 16).map_err(|_| ())?.to_be_bytes());
        }
        if groups.next().is_some() { Err(()) } else { Ok(MacAddress(bytes)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mac_address_is_three_groups_of_hex() {
        let mac = MacAddress([2, 0, 0, 0xab, 0, 0xfe]);
        assert_eq!("0200.00AB.00fe".parse(), Ok(mac));
        assert_eq!("200.ab.fe".parse(), Ok(mac));
        assert_eq!(mac.to_string(), "0200.00ab.00fe");
        for text in
            ["", "0200.0000", "0200.0000.0001.0002", "02000.0.0", "0200..1", "+200.0.1", "02:00:00:00:00:01"]
        {
            assert_eq!(text.parse::<MacAddress>(), Err(()), "{text}");
        }
    }
}
