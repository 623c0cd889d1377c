//! An ssh server whose users get one program, as those of a router get its console.

use crate::namespace::{Namespace, host_run};
use crate::process::Process;
use anyhow::Result;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

const READY_LIMIT: Duration = Duration::from_secs(300);

/// The port of an [`SshServer`], at its namespace's loopback address.
pub const SSH_PORT: u16 = 2222;

/// An sshd that lets root in by a key.
pub struct SshServer {
    _process: Process,
    key: PathBuf,
}

impl SshServer {
    /// Starts sshd in `namespace`, whose users get `command`; its files lie in `directory/sshd`.
    pub fn start(namespace: &Namespace, directory: &Path, command: &str) -> Result<SshServer> {
        let home = directory.join("sshd");
        fs::create_dir_all(&home)?;
        let (key, host_key) = (home.join("key"), home.join("host_key"));
        for path in [&key, &host_key] {
            let path = path.to_string_lossy();
            host_run(&["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", &path])?;
        }
        fs::rename(home.join("key.pub"), home.join("authorized_keys"))?;
        let home = home.to_string_lossy();
        let settings = format!(
            "Port {SSH_PORT}\nListenAddress 127.0.0.1\nHostKey {home}/host_key\nPidFile none\n\
             AuthorizedKeysFile {home}/authorized_keys\nStrictModes no\nPermitRootLogin prohibit-password\n\
             PasswordAuthentication no\nUsePAM no\nUseDNS no\nForceCommand {command}\n"
        );
        fs::write(format!("{home}/sshd_config"), settings)?;
        // What the machine's own shell reads when it starts is no matter of ours, and its users are not either.
        let passwd =
            format!("root:*:0:0:root:{home}:/bin/sh\nsshd:*:65534:65534::/run/sshd:/usr/sbin/nologin\n");
        fs::write(format!("{home}/passwd"), passwd)?;
        fs::write(format!("{home}/shadow"), "root:*:19000:0:99999:7:::\n")?;
        fs::write(
            format!("{home}/nsswitch.conf"),
            "passwd: files\nshadow: files\ngroup: files\nhosts: files\n",
        )?;
        // `ip netns exec` gives the program mounts of its own.
        let mounts = ["passwd", "shadow", "nsswitch.conf"]
            .map(|what| format!("mount --bind {home}/{what} /etc/{what}"));
        let script = format!(
            "mkdir -p /run/sshd && {} && exec /usr/sbin/sshd -D -e -f {home}/sshd_config",
            mounts.join(" && ")
        );
        let mut process = Process::spawn(namespace, directory, "sshd", &["sh", "-c", &script])?;
        process.wait_for_port(namespace, SSH_PORT, READY_LIMIT)?;
        Ok(SshServer { _process: process, key })
    }

    /// The file of the key that it lets in.
    pub fn key(&self) -> &Path {
        &self.key
    }
}
