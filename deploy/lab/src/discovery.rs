//! What a host finds out about the NAT before it, with coturn's natdiscovery and a STUN server (RFC 5780).

use crate::namespace::Namespace;
use anyhow::{Context, Result, ensure};
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

/// natdiscovery waits three seconds for each answer that a filter keeps out.
const DISCOVERY_LIMIT: Duration = Duration::from_secs(120);

/// What a mapping or a filter depends on (RFC 4787 sections 4.1 and 5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dependence {
    /// On the inside endpoint alone.
    EndpointIndependent,
    /// Also on the outside address.
    AddressDependent,
    /// Also on the outside address and port.
    AddressAndPortDependent,
}

const DEPENDENCES: [(&str, Dependence); 3] = [
    ("Endpoint Independent", Dependence::EndpointIndependent),
    ("Address Dependent", Dependence::AddressDependent),
    ("Address and Port Dependent", Dependence::AddressAndPortDependent),
];

/// What [`discover`] reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Behaviour {
    /// How global endpoints are chosen.
    pub mapping: Dependence,
    /// Who outside may send to them.
    pub filtering: Dependence,
}

/// Mapping and filtering of `local`, a UDP endpoint of `from`, as it finds them with the STUN server `server`.
pub fn discover(from: &Namespace, server: Ipv4Addr, local: SocketAddrV4) -> Result<Behaviour> {
    let text = natdiscovery(from, &["-m", "-f"], server, local)?;
    Ok(Behaviour { mapping: verdict(&text, "Mapping")?, filtering: verdict(&text, "Filtering")? })
}

/// The mapping alone, which takes no time.
pub fn mapping(from: &Namespace, server: Ipv4Addr, local: SocketAddrV4) -> Result<Dependence> {
    verdict(&natdiscovery(from, &["-m"], server, local)?, "Mapping")
}

/// The global endpoint of `local`, a UDP endpoint of `from`, as the STUN server sees it.
pub fn reflexive(from: &Namespace, server: Ipv4Addr, local: SocketAddrV4) -> Result<SocketAddrV4> {
    let text = natdiscovery(from, &["-m"], server, local)?;
    reflexive_of(&text)
}

/// Whether a request that `from` sends to the global endpoint of `local`, its own, comes back to it.
pub fn has_hairpinning(from: &Namespace, server: Ipv4Addr, local: SocketAddrV4) -> Result<bool> {
    let text = natdiscovery(from, &["-H"], server, local)?;
    reflexive_of(&text)?;
    Ok(text.contains("successful hairpinning"))
}

fn natdiscovery(from: &Namespace, tests: &[&str], server: Ipv4Addr, local: SocketAddrV4) -> Result<String> {
    let server = server.to_string();
    let (address, port) = (local.ip().to_string(), local.port().to_string());
    let argv = [&["turnutils_natdiscovery"], tests, &["-L", &address, "-l", &port, &server]].concat();
    // Its exit status says nothing about what it found.
    let outcome = from.outcome(DISCOVERY_LIMIT, &argv)?;
    let text = outcome.stdout + &outcome.stderr;
    ensure!(text.contains("RFC 5780 response"), "`{}` had no answer:\n{text}", argv.join(" "));
    Ok(text)
}

/// The verdict in a line such as "NAT with Address Dependent Filtering!".
fn verdict(text: &str, subject: &str) -> Result<Dependence> {
    let found = DEPENDENCES.iter().find(|(name, _)| text.contains(&format!("NAT with {name} {subject}!")));
    found.map(|found| found.1).with_context(|| format!("no verdict on {subject} in\n{text}"))
}

fn reflexive_of(text: &str) -> Result<SocketAddrV4> {
    let line = text.lines().find_map(|line| line.split("UDP reflexive addr: ").nth(1));
    let line = line.with_context(|| format!("no reflexive address in\n{text}"))?;
    line.trim().parse().with_context(|| format!("{line:?} is no endpoint"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_are_told_apart() {
        for (name, dependence) in DEPENDENCES {
            let text = format!("====\nNAT with {name} Filtering!\n====\n");
            assert_eq!(verdict(&text, "Filtering").expect("a verdict"), dependence);
            assert!(verdict(&text, "Mapping").is_err());
        }
    }
}
