//! Whether the appliance can do what a configuration asks for, before anything begins: the same for `check` and for a start.
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use anyhow::anyhow;
use control::compile::{Compiled, PortBinding, compile};
use control::config::model::{Config, Place};
use control::config::{Diagnostic, InterfaceName, Severity};
use control::log::say;
use control::means::{MEMORY_MIB_DEFAULT, Means};
use dataplane_dpdk::Device;

/// What a session takes in all tables together, in bytes, rounded up.
const SESSION_BYTES: u64 = 240;
/// A MAC address where there is no device that has one.
const SOME_MAC: [u8; 6] = [2, 0, 0, 0, 0, 0];

/// What is left of the memory beside sessions, and packets where they are not in huge pages, which are counted where they are
/// reserved. The kernel would grant more than it has, and end the program when it is used.
///
/// # Errors
/// When there is not even memory for those.
fn left_bytes(config: &Config, purpose: Purpose, available: u64) -> Result<u64, Diagnostic> {
    let platform = &config.platform;
    let sessions = config.platform.sessions();
    let session_bytes = u64::from(sessions) * SESSION_BYTES;
    let buffers_mib = if platform.hugepages || purpose == Purpose::Replay {
        0
    } else {
        u64::from(platform.memory_mib.unwrap_or(MEMORY_MIB_DEFAULT))
    };
    available.checked_sub(session_bytes + (buffers_mib << 20)).ok_or_else(|| {
        let text = format!(
            "{sessions} sessions need about {} MiB and packets {buffers_mib} MiB, and {} MiB are available; lower \
             'max-sessions' or 'memory' under 'platform dpdk'",
            session_bytes >> 20,
            available >> 20
        );
        error(config, platform.place, text)
    })
}

/// What a configuration is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To forward between devices.
    Run,
    /// To be fed captures: one worker does, without devices.
    Replay,
}

/// What is wrong with a configuration for a purpose, with so much memory; none is counted where there is no figure.
pub fn refusals(config: &Config, purpose: Purpose, available: Option<u64>) -> Vec<Diagnostic> {
    let left = available.map(|available| left_bytes(config, purpose, available));
    let free_bytes = match left.transpose() {
        Ok(free_bytes) => free_bytes,
        Err(shortage) => return vec![shortage],
    };
    let workers = config.platform.workers.filter(|_| purpose == Purpose::Run);
    let worker_count = usize::from(workers.unwrap_or(1)).max(1);
    let mut found =
        compiled(config, &Means { free_bytes, ..Means::uncounted(worker_count) }).err().unwrap_or_default();
    if purpose == Purpose::Run {
        found.extend(of_devices(config));
    }
    found
}

/// Devices that no machine has, or that are of two interfaces.
fn of_devices(config: &Config) -> Vec<Diagnostic> {
    let mut owners: HashMap<String, &InterfaceName> = HashMap::new();
    let mut found = Vec::new();
    for interface in &config.interfaces {
        let Some(device) = &interface.device else { continue };
        let refused = match Device::name_of(device) {
            Err(error) => Some(error.to_string()),
            Ok(name) => match owners.entry(name) {
                Entry::Occupied(owner) => {
                    Some(format!("device {} is interface {}'s already", owner.key(), owner.get()))
                }
                Entry::Vacant(place) => {
                    place.insert(&interface.name);
                    None
                }
            },
        };
        let at_interface =
            |text| error(config, interface.place, format!("interface {}: {text}", interface.name));
        found.extend(refused.map(at_interface));
    }
    found
}

fn error(config: &Config, place: Place, text: String) -> Diagnostic {
    let (file, severity) = (config.source.file.clone(), Severity::Error);
    Diagnostic { file, line: place.line, column: place.column, severity, text }
}

/// Tells why a configuration of this file cannot be used: one reason stands for itself, several come before the word.
pub fn refused(errors: &[Diagnostic], file: &str) -> anyhow::Error {
    if let [error] = errors {
        return anyhow!("{error}");
    }
    errors.iter().for_each(say);
    anyhow!("{file}: cannot be used on this system; nothing of it is applied")
}

/// Compiles a configuration as if each of its devices were there.
fn compiled(config: &Config, means: &Means) -> Result<Compiled, Vec<Diagnostic>> {
    let devices = config.interfaces.iter().filter(|interface| interface.device.is_some());
    let binding = |name| PortBinding { interface: name, mac: Some(SOME_MAC), has_link: true };
    let ports: Vec<PortBinding> = devices.map(|interface| binding(interface.name.clone())).collect();
    compile(config, &ports, None, means)
}

#[cfg(test)]
mod tests {
    use super::*;
    use control::config::parse;

    fn config(pool: &str, platform: &str) -> Config {
        let text = format!(
            "platform dpdk\n no hugepages\n memory 64\n{platform}\
             interface GigabitEthernet0/0/0\n device net_null0\n ip nat inside\n ip address 10.0.0.1 255.255.255.0\n\
             access-list 1 permit any\nip nat pool SMALL 192.0.2.1 192.0.2.9 prefix-length 24\n\
             ip nat pool LARGE {pool}\nip nat inside source list 1 pool LARGE overload\n"
        );
        parse("test", &text).expect("a configuration").config
    }

    fn refused(config: &Config, mib: u64) -> String {
        let found = refusals(config, Purpose::Run, Some(mib << 20));
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn a_pool_is_refused_with_what_it_needs_and_what_there_is() {
        let of_8 = config("20.0.0.0 20.255.255.255 prefix-length 8", "");
        let text = refused(&of_8, 600);
        assert!(text.starts_with("test:10:1: error: pool \"LARGE\" has 16777214 addresses: "), "{text}");
        for part in [" with 1 worker(s) may take ", "(476 MiB) are free; make the pool smaller"] {
            assert!(text.contains(part), "{text}");
        }
        assert_eq!(refused(&of_8, 900), "");
        let of_two = config("20.0.0.0 20.255.255.255 prefix-length 8", " workers 2\n");
        assert!(
            refused(&of_two, 16_000).contains(" with 2 worker(s) may take 18077"),
            "16 GiB of owners of groups of ports"
        );
        assert_eq!(refusals(&of_two, Purpose::Replay, Some(900 << 20)), [], "one worker replays");
        let of_12 = config("20.0.0.0 20.15.255.255 prefix-length 12", "");
        assert_eq!(refused(&of_12, 700), "");
        assert!(refused(&of_12, 600).starts_with("test:10:1: error: pool \"LARGE\" has 1048574 addresses: "));
    }

    #[test]
    fn sessions_and_packets_are_counted_first() {
        let text = refused(&config("203.0.113.1 203.0.113.14 prefix-length 28", ""), 100);
        let expected = "test:1:1: error: 262144 sessions need about 60 MiB and packets 64 MiB, and 100 MiB are available";
        assert!(text.starts_with(expected), "{text}");
    }

    #[test]
    fn a_reload_is_asked_for_what_it_needs_more() {
        let start = |text: &str, previous: Option<&Compiled>, free| {
            let means = Means { free_bytes: Some(free), ..Means::uncounted(1) };
            compile(&config(text, ""), &[], previous, &means)
        };
        let of_24 = start("20.0.0.0 20.0.0.255 prefix-length 24", None, 10 << 20).unwrap();
        assert!(start("20.0.0.0 20.0.0.255 prefix-length 24", Some(&of_24), 0).is_ok(), "it has that");
        assert!(start("20.0.0.0 20.0.255.255 prefix-length 16", Some(&of_24), 10 << 20).is_err());
        let of_16 = start("20.0.0.0 20.0.255.255 prefix-length 16", Some(&of_24), 1 << 30).unwrap();
        assert!(of_16.tables.granted_bytes > of_24.tables.granted_bytes);
        assert!(start("20.0.0.0 20.0.0.255 prefix-length 24", Some(&of_16), 0).is_ok());
    }

    #[test]
    fn what_a_start_refuses_is_refused() {
        let too_many = config("203.0.113.1 203.0.113.14 prefix-length 28", " workers 65\n");
        assert!(refused(&too_many, 1000).contains("test:1:1: error: at most 64 workers"));
    }

    #[test]
    fn devices_that_cannot_be_are_refused() {
        let text = |first: &str, second: &str| {
            format!(
                "interface GigabitEthernet0/0/0\n device {first}\ninterface GigabitEthernet0/0/1\n device {second}\n"
            )
        };
        let refused = |first: &str, second: &str| {
            let config = parse("test", &text(first, second)).expect("a configuration").config;
            let found = refusals(&config, Purpose::Run, None);
            found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
        };
        assert_eq!(refused("net_null0", "0000:04:00.0"), "");
        for (first, second, expected) in [
            (
                "net_af_packet0",
                "net_null0",
                "test:1:1: error: interface GigabitEthernet0/0/0: device net_af_packet0: ",
            ),
            ("net_null0", "net-null", "test:3:1: error: interface GigabitEthernet0/0/1: device net-null: "),
            (
                "net_null0",
                "net_null0,size=64",
                "test:3:1: error: interface GigabitEthernet0/0/1: device net_null0 is interface GigabitEthernet0/0/0's already",
            ),
        ] {
            let text = refused(first, second);
            assert!(text.starts_with(expected), "{text}");
        }
    }

    /// The last numbers are given once each; they were given to all that came behind.
    #[test]
    fn rules_have_numbers_of_their_own_or_are_refused() {
        let lines = |count: u32| {
            let line = |n: u32| {
                let host = std::net::Ipv4Addr::from_bits(0x0a00_0000 + n);
                format!("ip nat inside source static tcp {host} 80 192.0.2.1 {n} extendable\n")
            };
            parse("test", &(1..=count).map(line).collect::<String>()).expect("a configuration").config
        };
        let most =
            compile(&lines(65_534), &[], None, &Means::uncounted(1)).expect("as many as there are numbers");
        let numbers: std::collections::HashSet<_> = most.rule_lines.values().collect();
        assert_eq!(numbers.len(), 65_534);
        let text = refused(&lines(65_535), 1000);
        let expected = "test:65535:1: error: more than 65534 rules, those that go with this reload included";
        assert_eq!(text, expected);
    }
}
