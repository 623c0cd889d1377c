//! vsftpd, for anonymous users, in the clear and with TLS.

use crate::namespace::{Namespace, host_run};
use crate::process::Process;
use crate::server::{Blob, Documents};
use anyhow::Result;
use std::fs;
use std::path::Path;
use std::time::Duration;

const READY_LIMIT: Duration = Duration::from_secs(300);
/// Where users may write.
const UPLOADS: &str = "upload";

/// A vsftpd. It takes data connections from the control connection's address only, and connects to no other, as it
/// comes from the distribution.
pub struct FtpServer {
    _process: Process,
    documents: Documents,
}

impl FtpServer {
    /// Starts vsftpd in `namespace` on this port; its files lie in `directory/NAME`.
    pub fn start(namespace: &Namespace, directory: &Path, name: &str, port: u16) -> Result<FtpServer> {
        let home = directory.join(name);
        let documents = Documents::create(home.join("documents"))?;
        fs::create_dir_all(home.join("empty"))?;
        let uploads = documents.path(UPLOADS);
        fs::create_dir_all(&uploads)?;
        host_run(&["chown", "ftp", &uploads])?;
        make_certificate(&home)?;
        let configuration = home.join("vsftpd.conf");
        fs::write(&configuration, vsftpd_configuration(&home, port))?;
        let mut process =
            Process::spawn(namespace, directory, name, &["vsftpd", &configuration.to_string_lossy()])?;
        process.wait_for_port(namespace, port, READY_LIMIT)?;
        Ok(FtpServer { _process: process, documents })
    }

    /// Adds a document of `size_mib` random mebibytes.
    pub fn add_blob(&self, name: &str, size_mib: u32) -> Result<Blob> {
        self.documents.add_blob(name, size_mib)
    }

    /// The path by which users store a document.
    pub(super) fn upload_name(name: &str) -> String {
        format!("{UPLOADS}/{name}")
    }

    /// The SHA-256 of a document, in hexadecimal.
    pub(super) fn sha256(&self, name: &str) -> Result<String> {
        self.documents.sha256(name)
    }
}

fn make_certificate(home: &Path) -> Result<()> {
    let [key, certificate] = ["key.pem", "certificate.pem"].map(|name| home.join(name));
    let (key, certificate) = (key.to_string_lossy(), certificate.to_string_lossy());
    let kind = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    let subject = ["-subj", "/CN=ftp.lab.example", "-keyout", &key, "-out", &certificate];
    host_run(&[&["openssl", "req", "-x509"][..], &kind, &subject].concat()).map(drop)
}

/// A server that waits for a data connection that never comes gives up before its client does.
fn vsftpd_configuration(home: &Path, port: u16) -> String {
    let home = home.display();
    format!(
        "listen=YES\nbackground=NO\nlisten_port={port}\nanonymous_enable=YES\nlocal_enable=NO\n\
         anon_root={home}/documents\nwrite_enable=YES\nanon_upload_enable=YES\n\
         anon_world_readable_only=NO\nanon_umask=022\nsecure_chroot_dir={home}/empty\n\
         seccomp_sandbox=NO\nisolate=NO\nisolate_network=NO\n\
         connect_from_port_20=YES\nconnect_timeout=12\naccept_timeout=12\n\
         xferlog_enable=YES\nxferlog_std_format=NO\nlog_ftp_protocol=YES\nvsftpd_log_file={home}/log\n\
         ssl_enable=YES\nallow_anon_ssl=YES\nforce_anon_logins_ssl=NO\nforce_anon_data_ssl=NO\n\
         require_ssl_reuse=NO\nssl_ciphers=HIGH\n\
         rsa_cert_file={home}/certificate.pem\nrsa_private_key_file={home}/key.pem\n"
    )
}
