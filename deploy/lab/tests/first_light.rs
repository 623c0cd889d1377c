//! First light: every kind of session a subscriber has, through the gateway.
//!
//! Each scenario runs around the appliance and around the kernel's NAT; the second proves the lab itself.

use lab::{Lab, Peer, Plan, Rules, scenario, turn};

/// Runs a scenario around a gateway.
fn play(peer: Peer, rules: Rules, scenario: fn(&Lab)) {
    let _turn = turn();
    scenario(&Lab::build(&Plan { rules, ..Plan::new(peer) }).expect("the lab"));
}

#[test]
fn pings_pass_both_ways() {
    play(Peer::Portico, Rules::routed_pool(), scenario::ping_both_ways);
}

#[test]
fn large_transfers_arrive_unchanged() {
    play(Peer::Portico, Rules::routed_pool(), scenario::large_transfers);
}

#[test]
fn parallel_clients_all_succeed() {
    play(Peer::Portico, Rules::routed_pool(), scenario::parallel_clients);
}

#[test]
fn names_resolve() {
    play(Peer::Portico, Rules::routed_pool(), scenario::name_resolution);
}

#[test]
fn static_port_is_reached() {
    play(Peer::Portico, Rules::routed_pool(), scenario::static_port);
}

#[test]
fn sources_are_global_addresses_of_every_kind_of_pool() {
    for rules in [Rules::routed_pool(), Rules::connected_pool(), Rules::interface_overload()] {
        play(Peer::Portico, rules, scenario::source_addresses);
    }
}

#[test]
fn everything_recovers_after_clear() {
    play(Peer::Portico, Rules::routed_pool(), scenario::recovery_after_clear);
}

/// The lab is sound when the kernel's NAT passes every scenario.
#[test]
fn kernel_nat_passes_every_scenario() {
    play(Peer::Nftables, Rules::routed_pool(), |lab| scenario::ALL.iter().for_each(|play| play(lab)));
    for rules in [Rules::connected_pool(), Rules::interface_overload()] {
        play(Peer::Nftables, rules, scenario::source_addresses);
    }
}
