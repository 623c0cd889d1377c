//! The state of an interface, as commands, metrics and the log tell it.

use dataplane::policy::{Interface, InterfaceIndex};

use crate::appliance::Appliance;

/// Why an interface forwards or does not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InterfaceState {
    /// `shutdown`, on it or on the interface it is part of.
    Shutdown,
    /// It has no device, or its device has no link.
    Down,
    /// It forwards.
    Up,
}

impl InterfaceState {
    /// The state of an interface of the policy in force.
    pub fn of(appliance: &Appliance, interface: &Interface) -> InterfaceState {
        let is_shut_down = |name: &str| {
            appliance.config.interfaces.iter().any(|known| known.shutdown && known.name.as_str() == name)
        };
        let parent = interface.name.split('.').next().unwrap_or_default();
        let is_shut = is_shut_down(&interface.name) || is_shut_down(parent);
        match (is_shut, interface.is_up) {
            (true, _) => InterfaceState::Shutdown,
            (false, true) => InterfaceState::Up,
            (false, false) => InterfaceState::Down,
        }
    }

    /// Status and line protocol, as IOS tells them.
    pub fn words(self) -> (&'static str, &'static str) {
        match self {
            InterfaceState::Shutdown => ("administratively down", "down"),
            InterfaceState::Down => ("down", "down"),
            InterfaceState::Up => ("up", "up"),
        }
    }
}

/// Interfaces that are configured: a removed one leaves a hole without addresses or port.
pub fn live(interfaces: &[Interface]) -> impl Iterator<Item = (InterfaceIndex, &Interface)> {
    let numbered = interfaces.iter().enumerate().filter(|(_, interface)| interface.mtu != 0);
    numbered.map(|(index, interface)| (index as InterfaceIndex, interface))
}
