//! The kernel's NAT as the gateway: forwarding and an nftables ruleset of the same rules. The lab is proven with it,
//! and the appliance compared to it.

use crate::address::{OUTSIDE_GATEWAY, ROUTER};
use crate::ftp::EXTRA_PORT;
use crate::namespace::Namespace;
use crate::rules::{Rules, Source, Static};
use anyhow::Result;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;

/// The kernel's NAT in a namespace whose devices are `inside` and `outside`.
pub struct KernelNat;

impl KernelNat {
    /// Configures `namespace` to forward and translate.
    pub fn start(namespace: &Namespace, directory: &Path, rules: &Rules) -> Result<KernelNat> {
        for (device, address) in Rules::interfaces() {
            namespace.ip(&format!("addr add {address}/24 dev {device}"))?;
        }
        for global in global_addresses(rules) {
            // An address of the outside subnet is answered for; one that is routed here must not be routed back.
            let words = match same_subnet(global, OUTSIDE_GATEWAY) {
                true if global == OUTSIDE_GATEWAY => continue,
                true => format!("addr add {global}/32 dev outside"),
                false => format!("route add blackhole {global}/32"),
            };
            namespace.ip(&words)?;
        }
        namespace.ip(&format!("route add default via {ROUTER}"))?;
        if let Some(mtu) = rules.inside_mtu {
            narrow(namespace, "10.0.0.0/24 dev inside", mtu)?;
        }
        if let Some(mtu) = rules.outside_mtu {
            narrow(namespace, "198.51.100.0/24 dev outside", mtu)?;
            narrow(namespace, &format!("default via {ROUTER}"), mtu)?;
        }
        namespace.run(&["sysctl", "-qw", "net.ipv4.ip_forward=1"])?;
        let file = directory.join("nftables.conf");
        fs::write(&file, ruleset(rules))?;
        namespace.run(&["nft", "-f", &file.to_string_lossy()])?;
        Ok(KernelNat)
    }

    /// Forgets all translations.
    pub fn clear_translations(&self, namespace: &Namespace) -> Result<()> {
        namespace.run(&["conntrack", "-F"]).map(drop)
    }

    /// The kernel's table of connections.
    pub fn translations(&self, namespace: &Namespace) -> Result<String> {
        namespace.run(&["conntrack", "-L"])
    }
}

/// Limits what is sent along a route. A narrow device would also refuse to receive, which a real link does not.
fn narrow(namespace: &Namespace, route: &str, mtu: u16) -> Result<()> {
    namespace.ip(&format!("route change {route} mtu {mtu}")).map(drop)
}

fn global_addresses(rules: &Rules) -> Vec<Ipv4Addr> {
    let mut addresses: Vec<Ipv4Addr> = match rules.source {
        Source::Pool(first, last) => (u32::from(first)..=u32::from(last)).map(Ipv4Addr::from).collect(),
        Source::Interface => Vec::new(),
    };
    addresses.extend(rules.statics.iter().map(|rule| match rule {
        Static::Address(_, global) => *global,
        Static::Port(_, _, global) => *global.ip(),
    }));
    addresses.sort();
    addresses.dedup();
    addresses
}

fn same_subnet(a: Ipv4Addr, b: Ipv4Addr) -> bool {
    a.octets()[..3] == b.octets()[..3]
}

fn ruleset(rules: &Rules) -> String {
    let mut prerouting = String::new();
    let mut postrouting = String::new();
    for rule in &rules.statics {
        match rule {
            Static::Address(local, global) => {
                prerouting += &format!("    iif outside ip daddr {global} dnat to {local}\n");
                postrouting += &format!("    oif outside ip saddr {local} snat to {global}\n");
            }
            Static::Port(protocol, local, global) => {
                let (address, port) = (global.ip(), global.port());
                prerouting +=
                    &format!("    iif outside ip daddr {address} {protocol} dport {port} dnat to {local}\n");
            }
        }
    }
    for (global, local) in &rules.outside_statics {
        prerouting += &format!("    iif inside ip daddr {local} dnat to {global}\n");
        postrouting += &format!("    oif inside ip saddr {global} snat to {local}\n");
    }
    let inside = "oif outside ip saddr 10.0.0.0/24";
    postrouting += &match rules.source {
        Source::Pool(first, last) => format!("    {inside} snat to {first}-{last} persistent\n"),
        Source::Interface => format!("    {inside} masquerade\n"),
    };
    let nat = format!(
        "table ip nat {{\n  chain prerouting {{\n    type nat hook prerouting priority dstnat\n{prerouting}  }}\n  \
         chain postrouting {{\n    type nat hook postrouting priority srcnat\n{postrouting}  }}\n}}\n"
    );
    if rules.has_helpers { nat + &helpers() } else { nat }
}

/// The helpers of the protocols that the kernel reads, for the ports that the lab's servers use; they are chosen before
/// destinations are translated.
fn helpers() -> String {
    format!(
        "table ip helpers {{\n  ct helper ftp {{ type \"ftp\" protocol tcp; }}\n  \
         ct helper tftp {{ type \"tftp\" protocol udp; }}\n  \
         chain prerouting {{\n    type filter hook prerouting priority dstnat - 10\n    \
         tcp dport {{ 21, {EXTRA_PORT} }} ct helper set \"ftp\"\n    \
         udp dport 69 ct helper set \"tftp\"\n  }}\n}}\n"
    )
}
