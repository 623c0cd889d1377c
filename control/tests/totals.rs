//! `show ip nat totals`: what began and ended, by reason, of all workers together.
use control::appliance::{Answering, Appliance};
use control::cli;
use control::config::parse;
use dataplane::lives::EndReason;
use dataplane::port::Ports;

/// Workers that need not be asked.
struct Unasked;

impl Answering for Unasked {
    fn let_work(&mut self) -> u64 {
        unreachable!("the control side knows the answer")
    }
}

fn exec(appliance: &mut Appliance, command: &str) -> Result<String, String> {
    cli::execute(&mut cli::Context { appliance, answering: &mut Unasked, now_ms: 1 }, command)
}

#[test]
fn what_began_is_what_ended_and_what_is_active() {
    let config = parse("test", "platform dpdk\n max-sessions 64\n").expect("a configuration").config;
    let queues = vec![Ports::new(), Ports::new()];
    let (mut appliance, _workers) = Appliance::new(config, Vec::new(), queues, [1, 2]).expect("sound");
    for counters in &appliance.counters {
        let nat = &counters.nat;
        nat.session_lives.begun.set(10);
        nat.session_lives.ended[EndReason::Idle as usize].set(3);
        nat.session_lives.ended[EndReason::Cleared as usize].set(2);
        nat.binding_lives.begun.set(4);
        nat.binding_lives.ended[EndReason::PolicyGone as usize].set(4);
        nat.port_set_lives.begun.set(1);
    }
    let expected = "                           Sessions       Bindings      Port sets
Created                          20              8              2
Ended, idle                       6              0              0
Ended, closed                     0              0              0
Ended, cleared                    4              0              0
Ended, policy-gone                0              8              0
Ended, gave-way                   0              0              0
Active                           10              0              2
";
    assert_eq!(exec(&mut appliance, "show ip nat totals").as_deref(), Ok(expected));
    assert_eq!(exec(&mut appliance, "sh ip nat tot").as_deref(), Ok(expected), "as IOS abbreviates");
    exec(&mut appliance, "clear ip nat statistics").expect("silence");
    assert_eq!(
        exec(&mut appliance, "show ip nat totals").as_deref(),
        Ok(expected),
        "these count from the start"
    );
}

#[test]
fn it_is_completed_and_helped_with() {
    let line = "show ip nat ";
    let found = cli::complete(line, line.len());
    let totals = found.iter().find(|candidate| candidate.word == "totals").expect("a word");
    assert!(totals.help.starts_with("Sessions, bindings and port sets"), "{}", totals.help);
}
