//! Real servers: nginx, which also takes uploads, named with a zone of its own, and coturn as a STUN server.

use crate::address::{CLIENT, FAR_SERVER, SERVER, STATIC_GLOBAL};
use crate::namespace::{Namespace, host_run};
use crate::process::Process;
use anyhow::Result;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

const READY_LIMIT: Duration = Duration::from_secs(300);

/// A directory of documents that a server has, which any namespace sees.
pub struct Documents(PathBuf);

impl Documents {
    /// A new directory.
    pub fn create(path: PathBuf) -> Result<Documents> {
        fs::create_dir_all(&path)?;
        Ok(Documents(path))
    }

    /// Adds a document of `size_mib` random mebibytes.
    pub fn add_blob(&self, name: &str, size_mib: u32) -> Result<Blob> {
        let path = self.path(name);
        let count = format!("count={size_mib}");
        host_run(&["dd", "if=/dev/urandom", &format!("of={path}"), "bs=1M", &count, "status=none"])?;
        Ok(Blob { name: name.to_owned(), size_mib, sha256: self.sha256(name)? })
    }

    /// The SHA-256 of a document, in hexadecimal.
    pub fn sha256(&self, name: &str) -> Result<String> {
        Ok(host_run(&["sha256sum", &self.path(name)])?.chars().take(64).collect())
    }

    /// The path of a document.
    pub fn path(&self, name: &str) -> String {
        self.0.join(name).to_string_lossy().into_owned()
    }
}

/// An nginx on port 80. It serves its documents, stores what is PUT, and answers `/address` with the address and port
/// it sees the client at.
pub struct WebServer {
    _process: Process,
    documents: Documents,
}

/// A document of random bytes.
pub struct Blob {
    /// Its name on the server.
    pub name: String,
    /// Its length.
    pub size_mib: u32,
    /// Its SHA-256 in hexadecimal.
    pub sha256: String,
}

impl WebServer {
    /// Starts nginx in `namespace`; its files lie in `directory/NAME`.
    pub fn start(namespace: &Namespace, directory: &Path, name: &str) -> Result<WebServer> {
        let home = directory.join(name);
        let documents = Documents::create(home.join("documents"))?;
        fs::write(documents.path("index.html"), format!("hello from {name}\n"))?;
        let configuration = home.join("nginx.conf");
        fs::write(&configuration, nginx_configuration(&home))?;
        let argv =
            ["nginx", "-e", "stderr", "-p", &home.to_string_lossy(), "-c", &configuration.to_string_lossy()];
        let mut process = Process::spawn(namespace, directory, name, &argv)?;
        process.wait_for_port(namespace, 80, READY_LIMIT)?;
        Ok(WebServer { _process: process, documents })
    }

    /// Adds a document of `size_mib` random mebibytes.
    pub fn add_blob(&self, name: &str, size_mib: u32) -> Result<Blob> {
        self.documents.add_blob(name, size_mib)
    }

    /// The SHA-256 of a document, in hexadecimal.
    pub fn sha256(&self, name: &str) -> Result<String> {
        self.documents.sha256(name)
    }

    /// The path of a document, which any namespace sees.
    pub fn path(&self, name: &str) -> String {
        self.documents.path(name)
    }
}

fn nginx_configuration(home: &Path) -> String {
    let home = home.display();
    format!(
        "user root;\nworker_processes 1;\ndaemon off;\npid {home}/nginx.pid;\nerror_log stderr;\n\
         events {{ worker_connections 2048; }}\n\
         http {{\n  access_log off;\n  default_type application/octet-stream;\n  client_max_body_size 0;\n  \
         client_body_temp_path {home}/body;\n  proxy_temp_path {home}/proxy;\n  fastcgi_temp_path {home}/fastcgi;\n  \
         uwsgi_temp_path {home}/uwsgi;\n  scgi_temp_path {home}/scgi;\n  sendfile on;\n  \
         send_timeout 600s;\n  client_body_timeout 600s;\n  client_header_timeout 600s;\n  \
         server {{\n    listen 80 backlog=1024;\n    root {home}/documents;\n    \
         location / {{ dav_methods PUT; }}\n    \
         location = /address {{ return 200 \"$remote_addr $remote_port\\n\"; }}\n  }}\n}}\n"
    )
}

/// A zone of names.
pub struct Zone {
    /// What names in it end with.
    pub origin: &'static str,
    /// Its records, a line each, but for SOA and NS.
    pub records: String,
}

/// A named that is the authority for some zones.
pub struct NameServer {
    _process: Process,
}

impl NameServer {
    /// Starts named in `namespace`; its files lie in `directory/NAME`.
    pub fn start(namespace: &Namespace, directory: &Path, name: &str, zones: &[Zone]) -> Result<NameServer> {
        let home = directory.join(name);
        fs::create_dir_all(&home)?;
        let configuration = home.join("named.conf");
        fs::write(&configuration, named_configuration(&home, zones))?;
        for zone in zones {
            let top =
                "$TTL 300\n@ SOA ns.lab.example. hostmaster 1 3600 600 86400 300\n@ NS ns.lab.example.\n";
            fs::write(home.join(zone.origin), format!("{top}{}", zone.records))?;
        }
        let argv = ["named", "-g", "-n", "1", "-c", &configuration.to_string_lossy()];
        let mut process = Process::spawn(namespace, directory, name, &argv)?;
        process.wait_until(READY_LIMIT, "all zones loaded", |process| {
            process.stderr().lines().any(|line| line.ends_with(" running"))
        })?;
        Ok(NameServer { _process: process })
    }
}

fn named_configuration(home: &Path, zones: &[Zone]) -> String {
    let home = home.display();
    let zones: String = zones
        .iter()
        .map(|Zone { origin, .. }| {
            format!("zone \"{origin}\" {{ type primary; file \"{home}/{origin}\"; }};\n")
        })
        .collect();
    format!(
        "options {{\n  directory \"{home}\";\n  max-udp-size 4096;\n  pid-file \"{home}/named.pid\";\n  \
         session-keyfile \"{home}/session.key\";\n  \
         listen-on {{ any; }};\n  listen-on-v6 {{ none; }};\n  recursion no;\n  dnssec-validation no;\n  \
         allow-query {{ any; }};\n  allow-transfer {{ any; }};\n}};\ncontrols {{ }};\n{zones}"
    )
}

/// What the outside server knows. `long` holds a record of 4,000 bytes, which does not fit a UDP answer and makes the
/// resolver turn to TCP; `published` is the inside host that has a global address of its own.
pub(crate) fn outside_zones() -> [Zone; 2] {
    let long: String = (0..20).map(|_| format!(" \"{}\"", "x".repeat(199))).collect();
    let records = format!(
        "ns A {SERVER}\nwww A {SERVER}\nclient A {CLIENT}\nfar A {FAR_SERVER}\npublished A {STATIC_GLOBAL}\n\
         long TXT{long}\n"
    );
    let reverse = format!(
        "{} PTR www.lab.example.\n{} PTR client.lab.example.\n",
        SERVER.octets()[3],
        CLIENT.octets()[3]
    );
    [Zone { origin: "lab.example", records }, Zone { origin: "100.51.198.in-addr.arpa", records: reverse }]
}

/// A turnserver that is a STUN server only, on ports 3478 and 3479 of two addresses, so that it can answer from another
/// address and port than it was asked at (RFC 5780).
pub struct StunServer {
    _process: Process,
}

/// The port a [`StunServer`] is asked at.
pub const STUN_PORT: u16 = 3478;

impl StunServer {
    /// Starts turnserver in `namespace`, which has the two addresses; its files lie in `directory/turnserver`.
    pub fn start(namespace: &Namespace, directory: &Path, addresses: [Ipv4Addr; 2]) -> Result<StunServer> {
        let home = directory.join("turnserver");
        fs::create_dir_all(&home)?;
        let file = |option, name| format!("--{option}={}", home.join(name).display());
        let (database, pid) = (file("db", "database"), file("pidfile", "pid"));
        let [first, second] = addresses.map(|address| format!("--listening-ip={address}"));
        let argv = ["turnserver", "-n", "--stun-only", "--no-cli", "--no-tcp", "--no-tls", "--no-dtls"];
        let argv = [&argv[..], &["--log-file=stdout", &database, &pid, &first, &second]].concat();
        let mut process = Process::spawn(namespace, directory, "turnserver", &argv)?;
        process.wait_for_port(namespace, STUN_PORT + 1, READY_LIMIT)?;
        Ok(StunServer { _process: process })
    }
}
