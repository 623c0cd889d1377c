//! What `ip nat service` switches.

use super::{Place, PortProtocol};

/// `ip nat service ...` or `no ip nat service ...`, where it differs from the default.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceSwitch {
    /// Where it stands.
    pub place: Place,
    /// What is switched; no two switches have the same.
    pub key: ServiceKey,
    /// Whether it is on.
    pub on: bool,
}

/// What `ip nat service` can switch on and off by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceKey {
    /// The keyword.
    pub service: Service,
    /// The transport, of services that are switched for each one.
    pub protocol: Option<PortProtocol>,
    /// The server's port, of services that look at several; for `fullrange` the local port.
    pub port: Option<u16>,
    /// `list ACL`: the hosts it is for.
    pub access_list: Option<String>,
}

impl ServiceKey {
    /// A service without list or port.
    pub fn new(service: Service, protocol: Option<PortProtocol>) -> ServiceKey {
        ServiceKey { service, protocol, port: None, access_list: None }
    }

    /// Whether it is on unless switched off.
    pub fn default_on(&self) -> bool {
        let row = self.service.row();
        row.default_on && self.access_list.is_none() && self.port == row.port
    }
}

/// The keywords of `ip nat service`, in the order of [`SERVICES`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the table beside it says what each is")]
pub enum Service {
    Dns,
    Ftp,
    H225,
    Ras,
    Ldap,
    Msrpc,
    Sunrpc,
    NetbiosNs,
    NetbiosDgm,
    NetbiosSsn,
    Pptp,
    Rcmd,
    Rtsp,
    Sip,
    Skinny,
    Tftp,
    DnsResetTtl,
    Gatekeeper,
    Fullrange,
    IpsecEsp,
    EspSpiMatch,
    IkePreservePort,
    ModifyInProgress,
    MultiWanLink,
    AllowH323EvenRtpPorts,
    AllowH323Keepalive,
    AllowSipEvenRtpPorts,
    AllowSkinnyEvenRtpPorts,
    AllowMultipart,
    AppendLdapSearchRes,
    EnableMib,
    EnableSymPort,
    Mgcp,
    Nbar,
    PortRandomization,
}

/// A row of [`SERVICES`].
#[derive(Clone, Copy, Debug)]
pub struct ServiceRow {
    /// The service.
    pub service: Service,
    /// Its keyword, as it is printed.
    pub keyword: &'static str,
    /// What follows the keyword, its transport and port.
    pub suffix: &'static str,
    /// The transports that are switched by themselves; empty if the line names none.
    pub protocols: &'static [PortProtocol],
    /// The port that is looked at unless switched off, of services that may look at several.
    pub port: Option<u16>,
    /// Whether it is on unless switched off.
    pub default_on: bool,
    /// Whether it is an ALG, which `ip nat service all-algs` switches with the others.
    pub is_alg: bool,
}

const TCP: &[PortProtocol] = &[PortProtocol::Tcp];
const BOTH: &[PortProtocol] = &[PortProtocol::Tcp, PortProtocol::Udp];

const fn alg(
    service: Service,
    keyword: &'static str,
    protocols: &'static [PortProtocol],
    port: Option<u16>,
) -> ServiceRow {
    ServiceRow { service, keyword, suffix: "", protocols, port, default_on: true, is_alg: true }
}

const fn option(
    service: Service,
    keyword: &'static str,
    suffix: &'static str,
    default_on: bool,
) -> ServiceRow {
    ServiceRow { service, keyword, suffix, protocols: &[], port: None, default_on, is_alg: false }
}

/// Every service: the ALGs, then what else the keyword switches, then what only classic IOS has.
#[rustfmt::skip]
pub const SERVICES: [ServiceRow; 35] = [
    alg(Service::Dns, "dns", BOTH, None),
    alg(Service::Ftp, "ftp", &[], None),
    alg(Service::H225, "H225", &[], None),
    alg(Service::Ras, "ras", &[], None),
    alg(Service::Ldap, "ldap", &[], None),
    alg(Service::Msrpc, "msrpc", TCP, None),
    alg(Service::Sunrpc, "sunrpc", BOTH, None),
    alg(Service::NetbiosNs, "netbios-ns", BOTH, None),
    alg(Service::NetbiosDgm, "netbios-dgm", &[], None),
    alg(Service::NetbiosSsn, "netbios-ssn", &[], None),
    alg(Service::Pptp, "pptp", &[], None),
    alg(Service::Rcmd, "rcmd", &[], None),
    alg(Service::Rtsp, "rtsp", BOTH, None),
    alg(Service::Sip, "sip", BOTH, Some(5060)),
    alg(Service::Skinny, "skinny", TCP, Some(2000)),
    alg(Service::Tftp, "tftp", &[], None),
    option(Service::DnsResetTtl, "dns-reset-ttl", "", false),
    option(Service::Gatekeeper, "gatekeeper", "", true),
    option(Service::Fullrange, "fullrange", "", false),
    option(Service::IpsecEsp, "ipsec-esp", " enable", false),
    option(Service::EspSpiMatch, "ESP", " spi-match", false),
    option(Service::IkePreservePort, "IKE", " preserve-port", false),
    option(Service::ModifyInProgress, "modify-in-progress", " drop", false),
    option(Service::MultiWanLink, "multi-wan-link", "", false),
    option(Service::AllowH323EvenRtpPorts, "allow-h323-even-rtp-ports", "", true),
    option(Service::AllowH323Keepalive, "allow-h323-keepalive", "", false),
    option(Service::AllowSipEvenRtpPorts, "allow-sip-even-rtp-ports", "", true),
    option(Service::AllowSkinnyEvenRtpPorts, "allow-skinny-even-rtp-ports", "", true),
    option(Service::AllowMultipart, "allow-multipart", "", false),
    option(Service::AppendLdapSearchRes, "append-ldap-search-res", "", false),
    option(Service::EnableMib, "enable-mib", "", false),
    option(Service::EnableSymPort, "enable-sym-port", "", false),
    option(Service::Mgcp, "mgcp", "", false),
    option(Service::Nbar, "nbar", "", false),
    option(Service::PortRandomization, "port-randomization", "", false),
];

impl Service {
    /// Its row of the table.
    pub fn row(self) -> &'static ServiceRow {
        &SERVICES[self as usize]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_order_of_the_services() {
        for (position, row) in SERVICES.iter().enumerate() {
            assert_eq!(row.service as usize, position, "{}", row.keyword);
        }
    }
}
