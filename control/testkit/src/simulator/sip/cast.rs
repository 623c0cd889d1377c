//! Who takes part, and the appliance's configuration.

use std::net::Ipv4Addr;

use rand::RngExt;
use rand::rngs::SmallRng;

use super::agent::Setup;
use super::message::{Endpoint, PORT, Style};
use super::parcel::Transport;
use super::plan::Plan;

/// Idle connections are gone after so many seconds.
pub const TCP_IDLE_S: u64 = 1800;
/// Mappings of UDP are gone after so many seconds, which calls and registrations outlive.
pub const UDP_IDLE_S: u64 = 60;

/// The proxy.
pub const PROXY: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 2);
/// The inside exchange, and as it is known outside.
const EXCHANGE: [Ipv4Addr; 2] = [Ipv4Addr::new(10, 0, 1, 2), Ipv4Addr::new(203, 0, 114, 2)];

const CONFIGURATION: &str = "interface GigabitEthernet0/0/0
 ip address 10.0.0.1 255.255.0.0
 ip nat inside
interface GigabitEthernet0/0/1
 ip address 198.18.0.1 255.255.0.0
 ip nat outside
access-list 1 permit 10.0.0.0 0.0.255.255
ip nat pool P 203.0.113.1 203.0.113.4 prefix-length 24
ip nat inside source list 1 pool P overload
ip nat inside source static network 10.0.1.0 203.0.114.0 255.255.255.0
";

/// The configuration; the timeouts of a crowd if it is not to be the defaults.
pub fn configuration(is_short: bool, is_cgn: bool) -> String {
    let mut text = CONFIGURATION.to_string();
    if is_short {
        text.push_str(&format!(
            "ip nat translation udp-timeout {UDP_IDLE_S}\nip nat translation tcp-timeout {TCP_IDLE_S}\n\
             ip nat translation finrst-timeout 240\n"
        ));
    }
    if is_cgn {
        text.push_str("ip nat settings mode cgn\n");
    }
    text
}

/// What an agent is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// An inside phone.
    Phone,
    /// The inside exchange, with an address of its own and many calls.
    Exchange,
    /// An outside phone.
    Outside,
}

/// An agent of a role.
pub fn setup(number: usize, role: Role, transport: Transport, generator: &mut SmallRng) -> Setup {
    let last = number as u8 + 3;
    let is_phone = role == Role::Phone;
    let (ip, media_ip) = match role {
        Role::Phone => (Ipv4Addr::new(10, 0, 4, last), Ipv4Addr::new(10, 0, 4, last)),
        Role::Exchange => (EXCHANGE[0], EXCHANGE[0]),
        Role::Outside => {
            let signalling = Ipv4Addr::new(198, 18, 1, last);
            let media = Ipv4Addr::new(198, 18, 2, last);
            (signalling, if generator.random_bool(0.5) { media } else { signalling })
        }
    };
    let port = match role {
        Role::Phone if generator.random_bool(0.4) => generator.random_range(5062..9000),
        _ => PORT,
    };
    let is_uneven = is_phone && transport == Transport::Udp && generator.random_bool(0.15);
    let mut is = |share: f64| generator.random_bool(share);
    Setup {
        number,
        user: format!("u{number}"),
        ip,
        media_ip,
        port,
        source_port: if is_uneven { port + 1 } else { port },
        transport,
        writes_port: is(0.5),
        asks_rport: is(0.5),
        has_own_name: is(0.3) && role != Role::Outside,
        has_own_ids: is(0.1) && role != Role::Outside,
        keeps_alive: is(0.2),
        style: Style {
            is_compact: is(0.2),
            is_joined: is(0.3),
            is_folded: is(0.2),
            is_lower: is(0.1),
            omits_length: is(0.3),
            is_multipart: is(0.1),
        },
        proxy: (PROXY, PORT),
        registers_s: is_phone.then(|| [60, 120, 300, 3600][generator.random_range(0..4)]),
        // Connections over bad links take long to bring a message (section 17.1.1.1 lets T1 be larger).
        t1_ms: if transport == Transport::Tcp { 2000 } else { 500 },
    }
}

/// The agents of a crowd: of either transport as many.
pub fn setups(phone_count: usize, outside_count: usize, generator: &mut SmallRng) -> Vec<(Role, Setup)> {
    let mut roles = vec![Role::Phone; phone_count];
    roles.push(Role::Exchange);
    roles.extend(vec![Role::Outside; outside_count]);
    let exchange = [Transport::Udp, Transport::Tcp][generator.random_range(0..2)];
    let setups = roles.into_iter().enumerate().map(|(number, role)| {
        let transport = match role {
            Role::Exchange => exchange,
            _ => [Transport::Udp, Transport::Tcp][number % 2],
        };
        (role, setup(number, role, transport, generator))
    });
    setups.collect()
}

/// A call of random agents; `trunk` is the share of the exchange.
pub fn plan(agents: &[(Role, Setup)], start_ms: u64, trunk: f64, generator: &mut SmallRng) -> Plan {
    let pick = |generator: &mut SmallRng, fits: &dyn Fn(&(Role, Setup)) -> bool| {
        let fitting: Vec<usize> = (0..agents.len()).filter(|at| fits(&agents[*at])).collect();
        fitting[generator.random_range(0..fitting.len())]
    };
    let uses_exchange = generator.random_bool(trunk);
    let inside_role = if uses_exchange { Role::Exchange } else { Role::Phone };
    let inside = pick(generator, &|(role, _)| *role == inside_role);
    let transport = agents[inside].1.transport;
    let is_hairpin = inside_role == Role::Phone && generator.random_bool(0.1);
    let other_role = if is_hairpin { Role::Phone } else { Role::Outside };
    let other = pick(generator, &|(role, setup)| {
        *role == other_role && setup.transport == transport && setup.number != inside
    });
    let is_outbound = generator.random_bool(0.5);
    let parties = if is_outbound { [inside, other] } else { [other, inside] };
    // Phones are reached by the proxy alone.
    let can_be_direct = !is_hairpin && (is_outbound || uses_exchange);
    let is_direct = can_be_direct && generator.random_bool(0.25);
    let mut plan = Plan::random(parties, is_direct, start_ms, generator);
    let is_unrecorded = is_outbound && transport == Transport::Udp && generator.random_bool(0.15);
    plan.is_recorded = is_hairpin || !is_unrecorded;
    plan
}

/// Where an agent is called.
pub fn target((role, setup): &(Role, Setup), is_direct: bool, is_translated: bool) -> String {
    match (is_direct, role) {
        (false, _) => format!("sip:{}@{PROXY}", setup.user),
        (true, Role::Exchange) => format!("sip:{}@{}", setup.user, EXCHANGE[usize::from(is_translated)]),
        (true, _) => setup.contact(),
    }
}

/// Where the proxy finds who does not register.
pub fn known((role, setup): &(Role, Setup), is_translated: bool) -> Option<String> {
    match role {
        Role::Phone => None,
        Role::Exchange => Some(format!("sip:{}@{}", setup.user, EXCHANGE[usize::from(is_translated)])),
        Role::Outside => Some(setup.contact()),
    }
}

/// The addresses of an agent.
pub fn addresses(setup: &Setup) -> [Ipv4Addr; 2] {
    [setup.ip, setup.media_ip]
}

/// The ports of signalling.
pub fn is_signalling(setup: &Setup, at: Endpoint) -> bool {
    at.0 == setup.ip && [setup.port, setup.source_port].contains(&at.1)
}
