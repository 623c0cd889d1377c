//! The page that Prometheus scrapes: what its values look like.
use control::appliance::Appliance;
use control::config::parse;
use control::metrics::{self, Readings};
use dataplane::message::Usage;
use dataplane::port::Ports;

const POOLS: &str = "ip nat pool UNUSED 192.0.2.1 192.0.2.1 prefix-length 24\n\
                     ip nat pool SHARED 192.0.2.2 192.0.2.3 prefix-length 24\n\
                     ip nat inside source list 1 pool SHARED overload\n\
                     ip nat pool WHOLE 192.0.2.4 192.0.2.5 prefix-length 24\n\
                     ip nat inside source list 2 pool WHOLE\n";

#[test]
fn what_is_not_used_is_nought_and_not_less() {
    let config = parse("test", POOLS).expect("a configuration").config;
    let (appliance, _workers) =
        Appliance::new(config, Vec::new(), vec![Ports::new()], [1, 2]).expect("sound");
    let readings = Readings { usages: Some(vec![Usage::default()]), devices: Vec::new() };
    let page = metrics::render(&appliance, &readings);
    let samples: Vec<&str> = page.lines().filter(|line| !line.starts_with('#')).collect();
    assert!(samples.contains(&"portico_nat_pool_ports_in_use{pool=\"SHARED\"} 0"), "{page}");
    let negative: Vec<&&str> = samples.iter().filter(|line| line.contains(" -")).collect();
    assert!(negative.is_empty(), "{negative:#?}");
}
