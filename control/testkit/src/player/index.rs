//! The index of a folder of captures. For each capture it names the inside hosts, what the gateway must rewrite, and the
//! *doors*: endpoints that messages announce, and that the NAT must make reachable.
//!
//! ```text
//! ## ftp (5 files, 417 packets)
//! ### ftp/pasv_and_port_v4.pcap
//! - inside: 10.0.0.2
//! - rewrite: PORT 10,0,0,2,19,136; 227 Entering Passive Mode (198,51,100,7,4,1)
//! - doors: PORT tcp 10.0.0.2:5000; 227 tcp 198.51.100.7:1025
//! ```
//!
//! Items of a line are separated by semicolons. A door is `[WORDS] [tcp|udp] HOST:PORT [(+PORT)] [from ADDRESS ...]`,
//! where HOST is an address, `client` or `server`; or `udp client PORT-PORT`. A door without a transport is a UDP door, as
//! media lines name none. Anything else on the line is a remark for people. So is a door marked `(outbound)`: the NAT opens
//! nothing for it.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;

use alg::Transport;

/// Who is to be placed inside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Inside {
    /// These hosts.
    Hosts(Vec<Ipv4Addr>),
    /// Either end: the capture is played twice.
    EitherEnd,
    /// A host with an IPv6 address.
    Ipv6,
}

/// The host that a door leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Host {
    /// The host with this address.
    Addr(Ipv4Addr),
    /// The host that opened the control session.
    Client,
    /// The other host of the control session.
    Server,
}

/// An endpoint that a message announces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announced {
    /// What the index calls it: `PORT`, `audio`.
    pub tag: String,
    /// The transport protocol of the announced connection.
    pub transport: Transport,
    /// The host that the endpoint belongs to.
    pub host: Host,
    /// The ports that are announced together, in order.
    pub ports: Vec<u16>,
    /// The address that will connect to it, if the index names one.
    pub from: Option<Ipv4Addr>,
}

/// What the index says of a capture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The line of its heading.
    pub line: usize,
    /// Its path in the folder.
    pub path: String,
    /// Who is inside.
    pub inside: Inside,
    /// What must change.
    pub rewrite: String,
    /// The announced endpoints: the doors that must open, and endpoints of other hosts.
    pub doors: Vec<Announced>,
    /// Items of the `doors` line that are remarks.
    pub remarks: Vec<String>,
}

impl Entry {
    /// The protocol: the folder's name.
    pub fn protocol(&self) -> &str {
        self.path.split('/').next().unwrap_or_default()
    }

    /// The IPv4 addresses in the `rewrite` line, written with dots or with commas.
    pub fn rewritten(&self) -> Vec<Ipv4Addr> {
        let words = self.rewrite.split(|c: char| !c.is_ascii_digit() && c != '.' && c != ',');
        words.filter_map(leading_address).collect()
    }

    /// The endpoints in the `rewrite` line, written `ADDRESS:PORT`.
    pub fn endpoints(&self) -> Vec<SocketAddrV4> {
        let words = self.rewrite.split(|c: char| !c.is_ascii_digit() && c != '.' && c != ':');
        words.filter_map(|word| word.parse().ok()).collect()
    }
}

/// The address that a word begins with, `1.2.3.4` or `1,2,3,4,5,6`.
fn leading_address(word: &str) -> Option<Ipv4Addr> {
    let dotted = word.replace(',', ".");
    let octets: Vec<&str> = dotted.split('.').take(4).collect();
    octets.join(".").parse().ok()
}

/// Reads the index of a folder.
///
/// # Errors
/// Its file and what is wrong with it.
pub fn read(folder: &Path) -> Result<Vec<Entry>, String> {
    let path = folder.join("INDEX.md");
    let text = std::fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    parse(&text).map_err(|why| format!("{}:{why}", path.display()))
}

/// Reads an index.
///
/// # Errors
/// Lines that cannot be understood, as `LINE: why`.
pub fn parse(text: &str) -> Result<Vec<Entry>, String> {
    let mut entries: Vec<Entry> = Vec::new();
    let mut missing: Vec<&str> = Vec::new();
    let complete = |entries: &[Entry], missing: &[&str]| match (entries.last(), missing) {
        (Some(entry), [key, ..]) => Err(format!("{}: {} has no line '- {key}:'", entry.line, entry.path)),
        _ => Ok(()),
    };
    for (n, line) in text.lines().enumerate() {
        let of = |why: String| format!("{}: {why}", n + 1);
        if let Some(path) = line.strip_prefix("### ") {
            complete(&entries, &missing)?;
            missing = vec!["inside", "rewrite", "doors"];
            entries.push(Entry {
                line: n + 1,
                path: path.trim().to_string(),
                inside: Inside::EitherEnd,
                rewrite: String::new(),
                doors: Vec::new(),
                remarks: Vec::new(),
            });
            continue;
        }
        let Some((key, value)) = line.strip_prefix("- ").and_then(|item| item.split_once(": ")) else {
            continue;
        };
        let (Some(entry), true) = (entries.last_mut(), !value.is_empty()) else { continue };
        if ["inside", "rewrite", "doors"].contains(&key) && !missing.contains(&key) {
            return Err(of(format!("{} has '- {key}:' twice", entry.path)));
        }
        missing.retain(|wanted| *wanted != key);
        match key {
            "inside" => entry.inside = inside(value).map_err(of)?,
            "rewrite" => entry.rewrite = value.to_string(),
            "doors" => {
                for item in value.split(';').map(str::trim) {
                    match announced(item).map_err(of)? {
                        Some(door) => entry.doors.push(door),
                        None => entry.remarks.push(item.to_string()),
                    }
                }
            }
            _ => {}
        }
    }
    complete(&entries, &missing)?;
    Ok(entries)
}

fn inside(value: &str) -> Result<Inside, String> {
    if value.starts_with("either end") {
        return Ok(Inside::EitherEnd);
    }
    if value.parse::<std::net::Ipv6Addr>().is_ok() {
        return Ok(Inside::Ipv6);
    }
    let hosts = value.split(',').map(|host| host.trim().parse().map_err(|_| host.trim().to_string()));
    let hosts: Result<Vec<Ipv4Addr>, String> = hosts.collect();
    hosts.map(Inside::Hosts).map_err(|host| format!("'{host}' is no address"))
}

/// The endpoint that an item announces; none if the item is a remark.
fn announced(item: &str) -> Result<Option<Announced>, String> {
    let words: Vec<&str> = item.split_whitespace().collect();
    let is_endpoint = |word: &&str| endpoint(word).is_some();
    let Some(at) = words.iter().position(is_endpoint).or_else(|| range_at(&words)) else {
        return Ok(None);
    };
    let (before, rest) = (&words[..at], &words[at + 1..]);
    if before.contains(&"(outbound)") {
        return Ok(None);
    }
    let transport = match before.iter().find(|word| ["tcp", "udp"].contains(word)) {
        Some(&"tcp") => Transport::Tcp,
        _ => Transport::Udp,
    };
    let tag = before.iter().copied().filter(|word| !["tcp", "udp", "client"].contains(word));
    let tag = tag.collect::<Vec<_>>().join(" ");
    let from = rest.iter().position(|word| *word == "from").and_then(|n| rest.get(n + 1));
    let from = from.map(|addr| addr.parse().map_err(|_| format!("'{addr}' is no address"))).transpose()?;
    let (host, mut ports) = match endpoint(words[at]) {
        Some((host, port)) => (host, vec![port]),
        None => (Host::Client, words[at].split('-').filter_map(|port| port.parse().ok()).collect()),
    };
    let neighbour = rest.first().and_then(|word| word.strip_prefix("(+")?.strip_suffix(')'));
    if let Some(port) = neighbour {
        ports.push(port.parse().map_err(|_| format!("'{port}' is no port"))?);
    }
    Ok(Some(Announced { tag, transport, host, ports, from }))
}

fn endpoint(word: &str) -> Option<(Host, u16)> {
    if let Ok(endpoint) = word.parse::<SocketAddrV4>() {
        return Some((Host::Addr(*endpoint.ip()), endpoint.port()));
    }
    let (host, port) = word.split_once(':')?;
    let host = match host {
        "server" => Host::Server,
        "client" => Host::Client,
        _ => return None,
    };
    Some((host, port.parse().ok()?))
}

/// The position of the word `PORT-PORT` after `client`.
fn range_at(words: &[&str]) -> Option<usize> {
    let at = words.iter().position(|word| *word == "client")? + 1;
    let (first, last) = words.get(at)?.split_once('-')?;
    (first.parse::<u16>().is_ok() && last.parse::<u16>().is_ok()).then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(lines: &str) -> Entry {
        parse(&format!("# x\n## ftp (1 files)\n\n### ftp/a.pcap\n{lines}\n")).expect("an index").remove(0)
    }

    #[test]
    fn doors_are_read_and_remarks_stay_remarks() {
        let entry = entry(
            "- inside: 10.0.0.2\n- rewrite: PORT 10,0,0,2,19,136; Via 10.0.0.3:5060\n- doors: PORT tcp 10.0.0.2:5000; \
             audio 10.0.0.2:6000 (+6001); udp client 1024-1025; 229 tcp server:9; \
             udp 10.0.0.2:7 from 198.51.100.7 any port; GRE v1; (outbound) tcp 1.2.3.4:5",
        );
        let udp = |tag: &str, host, ports: &[u16]| Announced {
            tag: tag.into(),
            transport: Transport::Udp,
            host,
            ports: ports.to_vec(),
            from: None,
        };
        let own = Host::Addr(Ipv4Addr::new(10, 0, 0, 2));
        assert_eq!(entry.doors[0], Announced { transport: Transport::Tcp, ..udp("PORT", own, &[5000]) });
        assert_eq!(entry.doors[1], udp("audio", own, &[6000, 6001]));
        assert_eq!(entry.doors[2], udp("", Host::Client, &[1024, 1025]));
        assert_eq!(entry.doors[3], Announced { transport: Transport::Tcp, ..udp("229", Host::Server, &[9]) });
        let from = Some(Ipv4Addr::new(198, 51, 100, 7));
        assert_eq!(entry.doors[4], Announced { from, ..udp("", own, &[7]) });
        assert_eq!(entry.remarks, ["GRE v1", "(outbound) tcp 1.2.3.4:5"]);
        assert_eq!(entry.rewritten(), [Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 3)]);
        assert_eq!(entry.endpoints(), [SocketAddrV4::new(Ipv4Addr::new(10, 0, 0, 3), 5060)]);
        assert_eq!(entry.protocol(), "ftp");
    }

    #[test]
    fn what_is_wrong_has_a_place() {
        let wrong = |lines: &str| parse(&format!("### a/b.pcap\n{lines}\n")).expect_err("not an index");
        assert_eq!(wrong("- inside: 1.2.3\n"), "2: '1.2.3' is no address");
        assert_eq!(wrong("- inside: 1.2.3.4\n- rewrite: x\n"), "1: a/b.pcap has no line '- doors:'");
        assert_eq!(wrong("- rewrite: x\n- rewrite: x\n"), "3: a/b.pcap has '- rewrite:' twice");
        assert_eq!(
            wrong("- inside: 1.2.3.4\n- rewrite: x\n- doors: tcp 1.2.3.4:5 from x\n"),
            "4: 'x' is no address"
        );
    }
}
