//! The kernel's own NAT: nftables in a namespace between two veth pairs, whose other ends are in a namespace of the
//! load generator.

use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// Two namespaces, deleted with everything in them when dropped.
pub struct Namespaces {
    router: String,
    generator: String,
}

impl Namespaces {
    /// Makes them; the kernel is asked to route on `core`, between the load generator's veths.
    ///
    /// # Errors
    /// When the kernel or a tool cannot do it.
    pub fn create(core: usize, pool: [&str; 2]) -> Result<Namespaces> {
        let name = |role: &str| format!("pbench-{role}-{}", std::process::id());
        let spaces = Namespaces { router: name("r"), generator: name("g") };
        let (router, generator) = (&spaces.router, &spaces.generator);
        ip(&format!("netns add {router}"))?;
        ip(&format!("netns add {generator}"))?;
        for (at, inside_or_outside) in ["in", "out"].into_iter().enumerate() {
            let (ours, theirs) = (format!("g{inside_or_outside}"), format!("r{inside_or_outside}"));
            let (our_mac, their_mac) = (["0a", "0b"][at], ["01", "02"][at]);
            ip(&format!(
                "link add {theirs} netns {router} address 02:00:00:00:00:{their_mac} type veth \
                 peer name {ours} netns {generator} address 02:00:00:00:00:{our_mac}"
            ))?;
            ip(&format!("-n {router} link set {theirs} up"))?;
            ip(&format!("-n {generator} link set {ours} up"))?;
            let (address, next) = [("10.0.0.1/24", "10.0.0.2"), ("192.0.2.1/24", "192.0.2.254")][at];
            ip(&format!("-n {router} address add {address} dev {theirs}"))?;
            ip(&format!(
                "-n {router} neighbour replace {next} lladdr 02:00:00:00:00:{our_mac} dev {theirs}"
            ))?;
            let mask = 1u64 << core;
            in_namespace(
                router,
                &format!(
                    "echo 0 >/proc/sys/net/ipv4/conf/{theirs}/rp_filter; \
                     echo {mask:x} >/sys/class/net/{theirs}/queues/rx-0/rps_cpus"
                ),
            )?;
        }
        ip(&format!("-n {router} route add 100.64.0.0/10 via 10.0.0.2"))?;
        ip(&format!("-n {router} route add default via 192.0.2.254"))?;
        let [first, last] = pool;
        in_namespace(
            router,
            &format!(
                "echo 0 >/proc/sys/net/ipv4/conf/all/rp_filter; echo 1 >/proc/sys/net/ipv4/ip_forward; \
                 nft 'table ip nat {{ chain out {{ type nat hook postrouting priority srcnat; \
                 oifname \"rout\" snat to {first}-{last}; }}; }}'"
            ),
        )?;
        Ok(spaces)
    }

    /// What to put in front of a program's command line to run it at the other ends.
    pub fn prefix(&self) -> Vec<String> {
        ["ip", "netns", "exec", &self.generator].map(str::to_owned).to_vec()
    }

    /// The load generator's devices. Packet sockets lose what comes too fast, so that flows are set up slowly.
    pub fn devices(&self) -> Vec<String> {
        let device = |at: usize, interface: &str| format!("net_af_packet{at},iface={interface}");
        let mut arguments = vec!["--inside-device".to_owned(), device(0, "gin")];
        arguments.extend(["--outside-device".to_owned(), device(1, "gout")]);
        arguments.extend(["--setup-rate".to_owned(), "50000".to_owned()]);
        arguments
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for namespace in [&self.router, &self.generator] {
            let _ = ip(&format!("netns delete {namespace}"));
        }
    }
}

/// Runs `ip` with these words.
fn ip(words: &str) -> Result<()> {
    run(Command::new("ip").args(words.split_whitespace()), words)
}

fn in_namespace(namespace: &str, script: &str) -> Result<()> {
    run(Command::new("ip").args(["netns", "exec", namespace, "sh", "-ec", script]), script)
}

fn run(command: &mut Command, what: &str) -> Result<()> {
    let output = command.output().context("cannot be run; deploy/setup installs it")?;
    if !output.status.success() {
        bail!("{what}: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}
