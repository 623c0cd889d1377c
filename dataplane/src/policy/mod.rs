//! The policy: everything the configuration says about packets, compiled into one immutable value.
//!
//! The control thread makes it and hands it to each worker by message. Indexes into it (interfaces, rules,
//! access lists) are given out by the control thread and mean the same thing in the next policy as long as
//! the line they come from stays, so that sessions can hold them.

mod acl;
mod pool;
mod statics;
mod timeouts;

use std::net::Ipv4Addr;

use crate::tuple::Vrf;

pub use acl::{Acl, AclEntry, AclKey, AddressMatch};
pub use pool::Pool;
pub use statics::{StaticRule, Statics};
pub use timeouts::{IdleClass, Timeouts};

/// The most interfaces, sub-interfaces included, that one appliance has.
pub const INTERFACE_COUNT_MAX: usize = 1024;

/// An interface by its index in [`Policy::interfaces`].
pub type InterfaceIndex = u16;
/// An access list by its index in [`Policy::acls`].
pub type AclIndex = u16;
/// A rule by its number, kept over reloads while its line stays.
pub type RuleId = u16;

/// Everything the configuration says about packets.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Counts policies up; a cached decision is valid while its generation is the policy's.
    pub generation: u32,
    /// Layer 3 interfaces. A removed one leaves a hole that is down and has no name.
    pub interfaces: Vec<Interface>,
    /// The interface of each port's untagged and tagged frames.
    pub attachments: Attachments,
    /// Access lists.
    pub acls: Vec<Acl>,
    /// Address pools, and one for each interface that a rule overloads.
    pub pools: Vec<Pool>,
    /// Dynamic rules of `ip nat inside source`, in the order they are tried.
    pub rules: Vec<SourceRule>,
    /// Static rules of `ip nat inside source static`.
    pub statics: Statics,
    /// Idle times after which sessions end.
    pub timeouts: Timeouts,
}

/// Which interface a frame belongs to, by port and VLAN.
#[derive(Clone, Debug, Default)]
pub struct Attachments(Vec<PortAttachments>);

#[derive(Clone, Debug, Default)]
struct PortAttachments {
    untagged: Option<InterfaceIndex>,
    /// By VLAN; empty while the port has none.
    tagged: Vec<Option<InterfaceIndex>>,
}

impl Attachments {
    /// Gives the frames of a port, untagged or of one VLAN, to an interface.
    pub fn attach(&mut self, port: u16, vlan: Option<u16>, interface: InterfaceIndex) {
        let port = usize::from(port);
        if self.0.len() <= port {
            self.0.resize_with(port + 1, PortAttachments::default);
        }
        let attachments = &mut self.0[port];
        match vlan {
            None => attachments.untagged = Some(interface),
            Some(vlan) => {
                attachments.tagged.resize(4096, None);
                attachments.tagged[usize::from(vlan & 0x0fff)] = Some(interface);
            }
        }
    }

    /// The interface of a frame.
    #[inline]
    pub fn find(&self, port: usize, vlan: Option<u16>) -> Option<InterfaceIndex> {
        let attachments = self.0.get(port)?;
        match vlan {
            None => attachments.untagged,
            Some(vlan) => *attachments.tagged.get(usize::from(vlan))?,
        }
    }
}

/// Which side of the NAT an interface is on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Domain {
    /// Neither: its packets are routed only.
    #[default]
    None,
    /// `ip nat inside`.
    Inside,
    /// `ip nat outside`.
    Outside,
}

/// A layer 3 interface: a port, or one VLAN of it.
#[derive(Clone, Debug, Default)]
pub struct Interface {
    /// Name in its long form.
    pub name: String,
    /// The port its frames travel through.
    pub port: u16,
    /// The VLAN its frames are tagged with.
    pub vlan: Option<u16>,
    /// Station address.
    pub mac: [u8; 6],
    /// Primary address, then secondary ones, each with its prefix length.
    pub addresses: Vec<(Ipv4Addr, u8)>,
    /// NAT side.
    pub domain: Domain,
    /// Routing table.
    pub vrf: Vrf,
    /// Longest IPv4 packet it sends, in bytes.
    pub mtu: u16,
    /// Largest TCP segment announced through it, 0 for no limit (`ip tcp adjust-mss`).
    pub mss_max: u16,
    /// Not shut down.
    pub is_up: bool,
    /// Access list for packets that arrive.
    pub acl_in: Option<AclIndex>,
    /// Access list for packets that leave.
    pub acl_out: Option<AclIndex>,
}

/// A dynamic rule: who is translated, and from what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceRule {
    /// The rule's number.
    pub id: RuleId,
    /// Inside local sources it applies to; none when the list does not exist, which matches nothing.
    pub acl: Option<AclIndex>,
    /// Index into [`Policy::pools`].
    pub pool: u16,
    /// Share addresses by port (PAT); otherwise one global address per inside host.
    pub overload: bool,
}

impl Policy {
    /// Whether packets to this address belong to the NAT: it is in a pool or a static's global side.
    pub fn is_global(&self, addr: Ipv4Addr) -> bool {
        self.pools.iter().any(|pool| pool.contains(addr)) || self.statics.is_global(addr)
    }

    /// Whether sessions that a rule gave this global address may stay: the rule still exists, and hands the
    /// address out.
    pub fn keeps(&self, rule: RuleId, global: Ipv4Addr) -> bool {
        let of_rule = |dynamic: &&SourceRule| dynamic.id == rule;
        match self.rules.iter().find(of_rule) {
            Some(dynamic) => {
                self.pools.get(usize::from(dynamic.pool)).is_some_and(|pool| pool.contains(global))
            }
            None => self.statics.rules().iter().any(|fixed| fixed.id == rule && fixed.is_global(global)),
        }
    }
}
