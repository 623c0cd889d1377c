//! From the configuration to what workers need: policy, forwarding tables, and what ARP answers for.
//!
//! Each family of statements adds its part, stage by stage. Indexes that sessions hold (interfaces, rules) keep their
//! meaning from one configuration to the next: an interface's by its name, a rule's by its canonical line.

pub(crate) mod compiler;

use std::net::Ipv4Addr;

use dataplane::policy::Interface;
use ipnet::Ipv4Net;

use crate::config::Diagnostic;
use crate::config::family::FAMILIES;
use crate::config::family::row::Stage;
use crate::config::model::Config;
use crate::means::Means;
use compiler::Compiler;

pub use compiler::{Compiled, PortBinding, RouteEntry};

/// Compiles a configuration for these ports. Numbers are kept from `previous`, and what was taken at its start.
///
/// # Errors
/// What the configuration asks for and the appliance cannot do.
pub fn compile(
    config: &Config,
    ports: &[PortBinding],
    previous: Option<&Compiled>,
    means: &Means,
) -> Result<Compiled, Vec<Diagnostic>> {
    let mut compiler = Compiler::new(config, ports, previous, means.time_of_day);
    for stage in Stage::ALL {
        let of_families = FAMILIES.iter().flat_map(|family| family.compile);
        for (_, add) in of_families.filter(|(of, _)| *of == stage) {
            add(&mut compiler);
        }
    }
    compiler.out.policy.note_gateways();
    compiler.out.policy.note_rules();
    compiler.claimable(previous, means);
    if compiler.errors.is_empty() { Ok(compiler.out) } else { Err(compiler.errors) }
}

/// What ARP answers for on an interface besides its own addresses: NAT addresses on its subnets.
pub fn is_alias(compiled: &Compiled, interface: &Interface, addr: Ipv4Addr) -> bool {
    let is_on_subnet = interface
        .addresses
        .iter()
        .any(|&(own, prefix_len)| Ipv4Net::new(own, prefix_len).is_ok_and(|subnet| subnet.contains(&addr)));
    is_on_subnet && compiled.policy.is_global(interface.vrf, addr) && !compiled.no_alias.contains(&addr)
}
