//! Consoles: what each may do, what it is shown, and what becomes of the configuration that one of them changes.

use control::appliance::Appliance;
use control::change::Wanted;
use control::cli::{self, Progress};
use control::config::{difference, parse};
use control::vty::Role;
use dataplane::port::Ports;

const NOW_MS: u64 = 1000;

fn appliance() -> Appliance {
    let config = parse("test", "hostname edge\nplatform dpdk\n max-sessions 64\n").expect("sound").config;
    let mut appliance = Appliance::new(config, Vec::new(), vec![Ports::new()], [1, 2]).expect("sound").0;
    appliance.operation.now_ms = NOW_MS;
    appliance.vtys.open(1, "ann".into(), Role::Change, NOW_MS);
    appliance.vtys.open(2, "bob".into(), Role::View, NOW_MS);
    appliance
}

/// What a console answers to a line; changes are made as the control thread makes them, but at once.
fn say(appliance: &mut Appliance, id: u64, line: &str) -> Result<String, String> {
    let mut answer = cli::start_at(appliance, id, line)?;
    let mut out = String::new();
    loop {
        match answer.advance(appliance) {
            Progress::Waiting => {
                let change = appliance.operation.changes.pop_front().expect("nothing else is waited for");
                let Wanted::Config(config) = change.wanted else { panic!("no file is read here") };
                assert!(change.by.starts_with("console by "), "{}", change.by);
                let outcome = appliance.reconfigure(*config).map(|()| vec!["% it is so".to_string()]);
                let outcome = outcome.map_err(|errors| errors.iter().map(ToString::to_string).collect());
                change.reply.expect("somebody waits").send(outcome).expect("he is there");
            }
            Progress::Piece(piece) => out += &piece,
            Progress::Done => return Ok(out),
            Progress::Refused(refusal) => return Err(refusal),
        }
    }
}

fn prompt(appliance: &Appliance, id: u64) -> String {
    appliance.vtys.get(id).expect("open").prompt(&appliance.config)
}

#[test]
fn who_looks_changes_nothing() {
    let mut appliance = appliance();
    assert_eq!((prompt(&appliance, 1).as_str(), prompt(&appliance, 2).as_str()), ("edge#", "edge>"));
    for line in
        ["enable", "configure terminal", "clear ip nat statistics", "write memory", "cl arp", "show startup"]
    {
        let refusal = say(&mut appliance, 2, line).expect_err(line);
        assert_eq!(refusal, "% Access denied: this socket is for looking", "{line}");
    }
    assert_eq!(say(&mut appliance, 2, "terminal length 0").as_deref(), Ok(""));
    assert_eq!(appliance.vtys.get(2).expect("open").length, Some(0));
    assert_eq!(say(&mut appliance, 1, "disable").as_deref(), Ok(""));
    assert_eq!(prompt(&appliance, 1), "edge>");
    let refusal = say(&mut appliance, 1, "configure terminal").expect_err("not enabled");
    assert_eq!(refusal, "% Access denied: 'enable' allows it");
    assert_eq!(say(&mut appliance, 1, "en").as_deref(), Ok(""));
    assert!(say(&mut appliance, 1, "clear ip nat statistics").is_ok());
}

#[test]
fn one_changes_the_configuration_at_a_time() {
    let mut appliance = appliance();
    appliance.vtys.open(3, "cora".into(), Role::Change, NOW_MS);
    say(&mut appliance, 1, "conf t").expect("entered");
    assert_eq!(prompt(&appliance, 1), "edge(config)#");
    let refusal = say(&mut appliance, 3, "conf t").expect_err("locked");
    assert!(refusal.starts_with("% Configuration mode is locked by ann on vty 1"), "{refusal}");
    say(&mut appliance, 3, "clear configuration lock").expect("freed");
    assert_eq!(prompt(&appliance, 1), "edge#");
    say(&mut appliance, 3, "conf t").expect("entered");
    // Who goes frees it, and what he typed is gone.
    say(&mut appliance, 3, "hostname gone").expect("typed");
    appliance.vtys.close(3);
    say(&mut appliance, 1, "conf t").expect("entered");
    assert_eq!(appliance.config.hostname.as_deref(), Some("edge"));
}

#[test]
fn changes_are_in_force_at_the_end() {
    let mut appliance = appliance();
    say(&mut appliance, 1, "conf t").expect("entered");
    say(&mut appliance, 1, "access-list 7 permit 10.7.0.0 0.0.255.255").expect("typed");
    assert!(appliance.config.access_lists.is_empty());
    assert_eq!(say(&mut appliance, 1, "commit").as_deref(), Ok("% it is so\n"));
    assert_eq!((appliance.config.access_lists.len(), prompt(&appliance, 1).as_str()), (1, "edge(config)#"));
    say(&mut appliance, 1, "hostname core").expect("typed");
    let diff = say(&mut appliance, 1, "show configuration diff").expect("shown");
    assert_eq!(diff, "-hostname edge\n+hostname core\n");
    // A reload in between: what was typed was meant for another configuration.
    let other = parse("test", "platform dpdk\n max-sessions 64\n").expect("sound").config;
    appliance.reconfigure(other.clone()).expect("sound");
    let refusal = say(&mut appliance, 1, "end").expect_err("another configuration");
    assert!(refusal.starts_with("% Another configuration came into force meanwhile"), "{refusal}");
    say(&mut appliance, 1, "abort").expect("given up");
    assert!(difference(&other, &appliance.config).is_empty());
    // Nothing to change is nothing to do.
    say(&mut appliance, 1, "conf t").expect("entered");
    let number = appliance.config_number;
    assert_eq!(say(&mut appliance, 1, "end").as_deref(), Ok(""));
    assert_eq!((appliance.config_number, prompt(&appliance, 1).as_str()), (number, "portico#"));
}

#[test]
fn modes_are_left_one_by_one() {
    let mut appliance = appliance();
    for (line, shown) in [
        ("conf t", "edge(config)#"),
        ("interface GigabitEthernet0/0/0", "edge(config-if)#"),
        ("exit", "edge(config)#"),
        ("ip access-list standard A", "edge(config-std-nacl)#"),
        ("route-map R permit 10", "edge(config-route-map)#"),
        ("do show clock", "edge(config-route-map)#"),
        ("exit", "edge(config)#"),
        ("exit", "edge#"),
        ("exit", "edge#"),
    ] {
        say(&mut appliance, 1, line).unwrap_or_else(|refusal| panic!("{line}: {refusal}"));
        assert_eq!(prompt(&appliance, 1), shown, "{line}");
    }
    assert!(appliance.vtys.get(1).expect("open").is_over);
}

#[test]
fn help_knows_where_it_is() {
    let mut appliance = appliance();
    let words = |appliance: &Appliance, line: &str| -> Vec<String> {
        cli::complete_at(appliance, 1, line).into_iter().map(|found| found.word).collect()
    };
    assert_eq!(words(&appliance, "conf"), ["configure"]);
    say(&mut appliance, 1, "conf t").expect("entered");
    assert!(words(&appliance, "comm").contains(&"commit".to_string()));
    assert_eq!(words(&appliance, "hostn"), ["hostname"]);
    assert_eq!(words(&appliance, "do show vers"), ["version"]);
}

#[test]
fn history_is_short_and_users_are_told_apart() {
    let mut appliance = appliance();
    for number in 0..30 {
        say(&mut appliance, 1, &format!("terminal width {number}")).expect("said");
    }
    let history = say(&mut appliance, 1, "show history").expect("shown");
    assert_eq!(history.lines().count(), 20);
    assert!(history.ends_with("  terminal width 29\n  show history\n"), "{history}");
    let users = say(&mut appliance, 2, "show users").expect("shown");
    assert!(users.contains("   1 vty 1    ann ") && users.contains("*  2 vty 2    bob "), "{users}");
}
