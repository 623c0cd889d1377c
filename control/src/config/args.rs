//! What a line said: the keywords and values that matched its row.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::interface_name::InterfaceName;
use super::kind::Value;
use super::model::{MacAddress, PortRange};

/// A keyword or value of a matched line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Argument {
    /// The scope of the phrase it stands in, or nothing.
    pub(super) scope: &'static str,
    /// The keyword, or the parameter's name.
    pub(super) name: &'static str,
    pub(super) value: Value,
    pub(super) column: usize,
}

/// The keywords and values of a matched line, in its order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Args(pub(super) Vec<Argument>);

impl Args {
    /// Whether the keyword, or a parameter of this name, is there.
    pub fn has(&self, name: &str) -> bool {
        self.find(name).is_some()
    }

    /// The value of a parameter, if it is there.
    pub fn optional<T: FromValue>(&self, name: &str) -> Option<T> {
        self.all(name).next()
    }

    /// The value of a parameter that every line of the row has.
    ///
    /// # Panics
    /// If the row has no such parameter, which is a mistake in its table.
    pub fn required<T: FromValue>(&self, name: &str) -> T {
        self.optional(name).unwrap_or_else(|| panic!("the syntax has no <{name}> of this type"))
    }

    /// The values of a parameter that may be repeated.
    pub fn all<'a, T: FromValue>(&'a self, name: &'a str) -> impl Iterator<Item = T> + 'a {
        self.0.iter().filter(move |arg| arg.is(name)).filter_map(|arg| T::from_value(&arg.value))
    }

    /// What a phrase captured under this scope.
    pub fn within(&self, scope: &str) -> Args {
        let inner = self.0.iter().filter(|arg| arg.scope == scope);
        Args(inner.map(|arg| Argument { scope: "", ..arg.clone() }).collect())
    }

    /// The column of a parameter or keyword, or of the line's first word if it is not there.
    pub fn column(&self, name: &str) -> usize {
        let parameter = self.0.iter().find(|arg| arg.is(name) && arg.value != Value::Keyword);
        parameter.or(self.find(name)).or(self.0.first()).map_or(1, |arg| arg.column)
    }

    fn find(&self, name: &str) -> Option<&Argument> {
        self.0.iter().find(|arg| arg.is(name))
    }
}

impl Argument {
    fn is(&self, name: &str) -> bool {
        self.scope.is_empty() && self.name == name
    }
}

/// Types that a value can be taken as.
pub trait FromValue: Sized {
    /// The value as this type; `None` if it is of another kind or does not fit.
    fn from_value(value: &Value) -> Option<Self>;
}

impl FromValue for String {
    fn from_value(value: &Value) -> Option<String> {
        match value {
            Value::Text(text) => Some(text.clone()),
            Value::Integer(number) => Some(number.to_string()),
            _ => None,
        }
    }
}

impl FromValue for u32 {
    fn from_value(value: &Value) -> Option<u32> {
        match value {
            Value::Integer(number) => Some(*number),
            _ => None,
        }
    }
}

impl FromValue for u16 {
    fn from_value(value: &Value) -> Option<u16> {
        u32::from_value(value)?.try_into().ok()
    }
}

impl FromValue for u8 {
    fn from_value(value: &Value) -> Option<u8> {
        u32::from_value(value)?.try_into().ok()
    }
}

impl FromValue for Ipv4Addr {
    fn from_value(value: &Value) -> Option<Ipv4Addr> {
        match value {
            Value::Address(address) => Some(*address),
            _ => None,
        }
    }
}

impl FromValue for Ipv4Net {
    fn from_value(value: &Value) -> Option<Ipv4Net> {
        match value {
            Value::Prefix(prefix) => Some(*prefix),
            _ => None,
        }
    }
}

impl FromValue for InterfaceName {
    fn from_value(value: &Value) -> Option<InterfaceName> {
        match value {
            Value::Interface(name) => Some(name.clone()),
            _ => None,
        }
    }
}

impl FromValue for MacAddress {
    fn from_value(value: &Value) -> Option<MacAddress> {
        match value {
            Value::Mac(mac) => Some(*mac),
            _ => None,
        }
    }
}

impl FromValue for Vec<u16> {
    fn from_value(value: &Value) -> Option<Vec<u16>> {
        match value {
            Value::Cores(cores) => Some(cores.clone()),
            _ => None,
        }
    }
}

impl FromValue for Vec<PortRange> {
    fn from_value(value: &Value) -> Option<Vec<PortRange>> {
        match value {
            Value::Ports(ranges) => Some(ranges.clone()),
            _ => None,
        }
    }
}
