//! What `ip nat service` can switch: the table of its keywords.

use alg::registry::{Port, ROWS};

use crate::config::model::PortProtocol;

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

    /// What switches a gateway on the port of its row.
    pub fn of_port(gateway: &alg::Row, port: &Port) -> Option<ServiceKey> {
        let mut words = gateway.keyword.split(' ');
        let service = Service::named(words.next()?)?;
        let protocol = words.any(|word| word == "{}").then(|| port.transport.into());
        Some(ServiceKey { port: service.row().port, ..ServiceKey::new(service, protocol) })
    }

    /// The switch of all default ports of a service, of a key that is for one port of a service that has such a switch.
    pub(super) fn general(&self) -> Option<ServiceKey> {
        let row = self.service.row();
        self.port.filter(|_| row.is_alg && row.port.is_none())?;
        let protocol = self.protocol.filter(|_| !row.protocols.is_empty());
        Some(ServiceKey::new(self.service, protocol))
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
    /// Why it has no effect; empty if it has one.
    pub why_not: &'static str,
}

const TCP: &[PortProtocol] = &[PortProtocol::Tcp];

const BOTH: &[PortProtocol] = &[PortProtocol::Tcp, PortProtocol::Udp];

const fn alg(
    service: Service,
    keyword: &'static str,
    protocols: &'static [PortProtocol],
    port: Option<u16>,
) -> ServiceRow {
    let why_not = "this ALG is not built yet";
    ServiceRow { service, keyword, suffix: "", protocols, port, default_on: true, is_alg: true, why_not }
}

const fn option(
    service: Service,
    keyword: &'static str,
    suffix: &'static str,
    default_on: bool,
    why_not: &'static str,
) -> ServiceRow {
    ServiceRow { service, keyword, suffix, protocols: &[], port: None, default_on, is_alg: false, why_not }
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
    option(Service::DnsResetTtl, "dns-reset-ttl", "", false, ""),
    option(Service::Gatekeeper, "gatekeeper", "", true, "there is no such cache"),
    option(Service::Fullrange, "fullrange", "", false, "a low port gets a low port"),
    option(Service::IpsecEsp, "ipsec-esp", " enable", false, "ESP passes where a host has an address for itself"),
    option(Service::EspSpiMatch, "ESP", " spi-match", false, "SPIs are not matched yet"),
    option(Service::IkePreservePort, "IKE", " preserve-port", false, "port 500 gets one of 512 to 1023"),
    option(Service::ModifyInProgress, "modify-in-progress", " drop", false, "rules change between two packets"),
    option(Service::MultiWanLink, "multi-wan-link", "", false, "several outside interfaces need no switch"),
    option(Service::AllowH323EvenRtpPorts, "allow-h323-even-rtp-ports", "", true, "the ALG of H.323 is not built yet"),
    option(Service::AllowH323Keepalive, "allow-h323-keepalive", "", false, "the ALG of H.323 is not built yet"),
    option(Service::AllowSipEvenRtpPorts, "allow-sip-even-rtp-ports", "", true, "RTP always gets an even port, RTCP the next one"),
    option(Service::AllowSkinnyEvenRtpPorts, "allow-skinny-even-rtp-ports", "", true, "the ALG of SCCP is not built yet"),
    option(Service::AllowMultipart, "allow-multipart", "", false, "parts of multipart bodies are always read"),
    option(Service::AppendLdapSearchRes, "append-ldap-search-res", "", false, "the ALG of LDAP is not built yet"),
    option(Service::EnableMib, "enable-mib", "", false, "there is no SNMP"),
    option(Service::EnableSymPort, "enable-sym-port", "", false, "there is no ALG that asks for it"),
    option(Service::Mgcp, "mgcp", "", false, "there is no ALG of MGCP"),
    option(Service::Nbar, "nbar", "", false, "ALGs know their protocols by what they read"),
    option(Service::PortRandomization, "port-randomization", "", false, "see \"ip nat settings port choice random\""),
];

impl Service {
    /// Its row of the table.
    pub fn row(self) -> &'static ServiceRow {
        &SERVICES[self as usize]
    }

    /// The service of a keyword, in whatever case.
    pub fn named(keyword: &str) -> Option<Service> {
        let row = SERVICES.iter().find(|row| row.keyword.eq_ignore_ascii_case(keyword));
        row.map(|row| row.service)
    }

    /// Its gateways, by their positions in the registry.
    pub fn gateways(self) -> impl Iterator<Item = (usize, &'static alg::Row)> {
        self.gateways_of(ROWS)
    }

    fn gateways_of(self, rows: &[alg::Row]) -> impl Iterator<Item = (usize, &alg::Row)> {
        rows.iter().enumerate().filter(move |(_, gateway)| Service::of(gateway) == Some(self))
    }

    /// The service that switches a gateway.
    pub fn of(gateway: &alg::Row) -> Option<Service> {
        gateway.keyword.split(' ').next().and_then(Service::named)
    }

    /// The first of its gateways that reads sessions over a transport at whichever port, by its position.
    pub fn gateway_over(self, protocol: PortProtocol) -> Option<usize> {
        let runs = |gateway: &alg::Row| {
            gateway.ports().iter().any(|at| PortProtocol::from(at.transport) == protocol)
        };
        self.gateways().find(|(_, gateway)| runs(gateway)).map(|(position, _)| position)
    }

    /// Why its switches do nothing, if they do nothing: there is no gateway for it yet, or no choice.
    pub fn without_effect(self) -> Option<&'static str> {
        Some(self.row().why_not).filter(|why_not| !why_not.is_empty() && self.gateways().next().is_none())
    }

    pub(super) fn is_ietf(self) -> bool {
        self.gateways().any(|(_, gateway)| gateway.is_ietf)
    }

    /// Whether one of its gateways has this port in its row.
    pub(super) fn listens_to(self, protocol: Option<PortProtocol>, port: Option<u16>) -> bool {
        let mut ports = self.gateways().flat_map(|(_, gateway)| gateway.ports());
        ports.any(|at| Some(PortProtocol::from(at.transport)) == protocol && Some(at.port) == port)
    }
}

#[cfg(test)]
mod tests {
    use alg::registry::Attach;

    use super::*;

    #[test]
    fn the_table_has_the_order_of_the_services() {
        for (position, row) in SERVICES.iter().enumerate() {
            assert_eq!(row.service as usize, position, "{}", row.keyword);
        }
    }

    #[test]
    fn rows_that_share_a_keyword_are_of_one_service() {
        let by_port = alg::Row { name: "signalling", keyword: "H225", ..ROWS[0] };
        let by_door = alg::Row { name: "control", attach: Attach::Door, ..by_port };
        let rows = [by_port, ROWS[1], by_door];
        let of = |service: Service| service.gateways_of(&rows).map(|(_, row)| row.name).collect::<Vec<_>>();
        assert_eq!(of(Service::H225), ["signalling", "control"]);
        assert_eq!(of(Service::Ras), [""; 0]);
    }

    #[test]
    fn every_gateway_has_its_service() {
        for gateway in ROWS {
            assert!(Service::of(gateway).is_some(), "{} has no keyword", gateway.name);
            for port in gateway.ports() {
                let key = ServiceKey::of_port(gateway, port);
                let key = key.unwrap_or_else(|| panic!("{} has no keyword", gateway.name));
                let protocols: Vec<_> = key.service.row().protocols.iter().copied().map(Some).collect();
                let is_general = key.protocol.is_none() && protocols.is_empty();
                assert!(is_general || protocols.contains(&key.protocol), "{} over {key:?}", gateway.name);
            }
        }
    }
}
