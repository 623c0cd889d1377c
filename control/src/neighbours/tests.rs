use std::net::Ipv4Addr;

use super::*;
use crate::compile::compile;
use crate::config::parse;
use crate::means::Means;

const CONFIG: &str = "interface GigabitEthernet0/0/0\n ip address 10.0.0.1 255.255.0.0\n\
                      interface GigabitEthernet0/0/1\n ip address 192.0.2.1 255.255.255.0\n";

/// A host's ARP packet, as it has it from the hardware type on.
fn packet(operation: u16, mac: [u8; 6], sender: [u8; 4], target: [u8; 4]) -> [u8; arp::LEN] {
    let mut bytes = [0; arp::LEN];
    bytes[..6].copy_from_slice(&[0, 1, 8, 0, 6, 4]);
    bytes[6..8].copy_from_slice(&operation.to_be_bytes());
    bytes[8..14].copy_from_slice(&mac);
    bytes[14..18].copy_from_slice(&sender);
    bytes[24..28].copy_from_slice(&target);
    bytes
}

/// Two interfaces that are up, and their neighbours.
fn network() -> (Compiled, Neighbours) {
    let config = parse("test", CONFIG).expect("a configuration").config;
    let ports: Vec<_> = config
        .interfaces
        .iter()
        .map(|interface| crate::compile::PortBinding {
            interface: interface.name.clone(),
            mac: Some([2, 0, 0, 0, 0, 1]),
            has_link: true,
        })
        .collect();
    (compile(&config, &ports, None, &Means::uncounted(1)).expect("sound"), Neighbours::default())
}

#[test]
fn a_flood_on_one_interface_takes_its_part_and_no_confirmed_neighbour() {
    let (compiled, mut neighbours) = network();
    let up = compiled.policy.interfaces.iter().filter(|interface| interface.is_up).count();
    assert_eq!(up, 2, "both interfaces are up");
    let mut orders = Vec::new();
    let honest = NextHop { interface: 0, addr: Ipv4Addr::new(10, 0, 0, 2) };
    neighbours.resolve(&compiled, honest, 0, &mut orders);
    let answer = packet(REPLY, [2, 0, 0, 0, 0, 2], [10, 0, 0, 2], [10, 0, 0, 1]);
    neighbours.receive(&compiled, 0, &answer, 1, &mut orders);
    for number in 300..65_300_u32 {
        let [.., c, d] = number.to_be_bytes();
        // Neither do replies that nobody asked for prove anything.
        let operation = if number % 2 == 0 { REQUEST } else { REPLY };
        let asked = packet(operation, [2, 0x66, 0, 0, c, d], [10, 0, c, d], [10, 0, 0, 1]);
        neighbours.receive(&compiled, 0, &asked, 2, &mut orders);
    }
    let rows = neighbours.rows(2);
    assert_eq!(rows.len(), NEIGHBOURS_MAX / 2);
    assert!(rows.iter().any(|row| row.next_hop == honest), "who has answered stays");
    let other = NextHop { interface: 1, addr: Ipv4Addr::new(192, 0, 2, 9) };
    orders.clear();
    neighbours.resolve(&compiled, other, 3, &mut orders);
    assert!(matches!(orders[..], [Order::Send(1, _)]), "the other interface has room: {orders:?}");
    // Those who do not answer go, and everything is as it was.
    (0..310).for_each(|second| {
        // The honest one answers when it is asked again.
        if second == 301 {
            neighbours.receive(&compiled, 0, &answer, second * 1000, &mut orders);
        }
        neighbours.tick(&compiled, second * 1000, &mut orders);
    });
    let left: Vec<_> = neighbours.rows(310_000).into_iter().map(|row| row.next_hop).collect();
    assert_eq!(left, [honest]);
}
