//! From the configuration to what workers need: policy, forwarding tables, and what ARP answers for.
//!
//! Each family of statements adds its part, stage by stage. Indexes that sessions hold (interfaces, rules) keep their
//! meaning from one configuration to the next: an interface's by its name, a rule's by its canonical line.

pub(crate) mod compiler;

use std::net::Ipv4Addr;

use alg::Side;
use dataplane::policy::{Interface, StaticRule};
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

/// What ARP answers for on an interface besides its own addresses: NAT addresses on its subnets, and there outside hosts that the
/// inside knows by static lines.
pub fn is_alias(compiled: &Compiled, interface: &Interface, addr: Ipv4Addr) -> bool {
    let is_on_subnet = interface
        .addresses
        .iter()
        .any(|&(own, prefix_len)| Ipv4Net::new(own, prefix_len).is_ok_and(|subnet| subnet.contains(&addr)));
    let policy = &compiled.policy;
    let is_outside_host = |rule: &StaticRule| {
        (rule.inside_vrf, rule.local.addr, rule.prefix_len) == (interface.vrf, addr, 32)
            && !rule.is_identity()
    };
    let is_known = policy.is_global(interface.vrf, addr)
        || interface.nat == Some(Side::Inside) && policy.outside_statics.rules().iter().any(is_outside_host);
    is_on_subnet && is_known && !compiled.no_alias.contains(&addr)
}
