//! What an operator sees of the sessions: rows of the translation table, statistics, drops and metrics.

use lab::address::{SERVER, STATIC_PORT, inside_host};
use lab::table::{self, Row};
use lab::{Lab, Peer, Plan, session, turn};
use std::net::SocketAddrV4;

const WEB: SocketAddrV4 = SocketAddrV4::new(SERVER, 80);

fn build() -> Lab {
    Lab::build(&Plan::new(Peer::Portico)).expect("the lab")
}

fn rows(lab: &Lab) -> Vec<Row> {
    let text = lab.gateway.translations().expect("show ip nat translations");
    table::translations(&text).unwrap_or_else(|error| panic!("{error:#} in\n{text}"))
}

fn is_from_pool(lab: &Lab, endpoint: &str) -> bool {
    endpoint.parse().is_ok_and(|endpoint: SocketAddrV4| lab.rules.is_source(*endpoint.ip()))
}

#[test]
fn statics_stand_in_the_table_from_the_start() {
    let _turn = turn();
    let lab = build();
    let absent = || "---".to_owned();
    let web = lab.rules.web_global().expect("a static port");
    let host = lab.rules.static_global().expect("a one-to-one static");
    assert_eq!(web.port(), STATIC_PORT);
    let rows = rows(&lab);
    for (protocol, inside_global, inside_local) in [
        ("tcp", web.to_string(), format!("{}:80", inside_host(0))),
        ("---", host.to_string(), inside_host(1).to_string()),
    ] {
        let expected = Row {
            protocol: protocol.to_owned(),
            inside_global,
            inside_local,
            outside_local: absent(),
            outside_global: absent(),
        };
        assert!(rows.contains(&expected), "no {expected:?} in {rows:#?}");
    }
}

#[test]
fn sessions_appear_and_clear_removes_them() {
    let _turn = turn();
    let lab = build();
    let host = &lab.hosts[0];
    let seen = session::seen_as(&host.namespace, WEB).expect("fetch");
    session::ping(&host.namespace, SERVER, 2).expect("ping");
    session::resolve(&host.namespace, SERVER, "www.lab.example A", &["+notcp"]).expect("dig");
    let table = rows(&lab);
    let tcp = table.iter().find(|row| row.protocol == "tcp" && row.inside_global == seen.to_string());
    let tcp = tcp.unwrap_or_else(|| panic!("no row for {seen} in {table:#?}"));
    assert!(tcp.inside_local.starts_with(&format!("{}:", host.address)), "{tcp:?}");
    assert_eq!(
        (tcp.outside_local.as_str(), tcp.outside_global.as_str()),
        ("198.51.100.10:80", "198.51.100.10:80")
    );
    for (protocol, outside) in [("udp", "198.51.100.10:53"), ("icmp", "198.51.100.10:")] {
        let is_expected = |row: &&Row| {
            row.protocol == protocol
                && row.outside_global.starts_with(outside)
                && is_from_pool(&lab, &row.inside_global)
        };
        assert!(table.iter().any(|row| is_expected(&row)), "no {protocol} row in {table:#?}");
    }
    lab.gateway.clear_translations().expect("clear");
    let left = rows(&lab);
    assert!(left.iter().all(|row| row.outside_global == "---"), "sessions survive clear *: {left:#?}");
    assert_eq!(left.len(), lab.rules.statics.len(), "the statics stay: {left:#?}");
}

#[test]
fn metrics_follow_the_traffic() {
    let _turn = turn();
    let lab = build();
    let appliance = lab.gateway.appliance();
    let before = table::samples(&appliance.metrics().expect("metrics")).expect("samples");
    session::ping(&lab.hosts[0].namespace, SERVER, 20).expect("ping");
    let after = table::samples(&appliance.metrics().expect("metrics")).expect("samples");
    // Twenty echo requests and their replies pass, and some family of packet counters must say so.
    let grown_by_20 = after.iter().filter(|(series, value)| {
        series.contains("packets") && **value - before.get(*series).copied().unwrap_or(0.0) >= 20.0
    });
    assert!(grown_by_20.count() > 0, "no packet counter grew by 20: {after:#?}");
}

#[test]
fn statistics_and_drops_answer() {
    let _turn = turn();
    let lab = build();
    session::fetch(&lab.hosts[0].namespace, WEB, "").expect("fetch");
    let appliance = lab.gateway.appliance();
    let statistics = appliance.exec("show ip nat statistics").expect("show ip nat statistics");
    for part in
        ["Total active translations: ", "GigabitEthernet0/0/1", "Hits: ", "pool LAB", "access-list 10"]
    {
        assert!(statistics.contains(part), "no \"{part}\" in\n{statistics}");
    }
    appliance.exec("show drops").expect("show drops");
    assert!(appliance.exec("show nonsense").is_err(), "nonsense is refused");
}
