//! `clear ip nat translation` of tables that take long.
use control::appliance::Appliance;
use control::cli::{self, Progress};
use control::config::parse;
use control::question::ANSWER_WITHIN;
use dataplane::port::Ports;
use dataplane::worker::Worker;

/// What a round of the workers takes on their clock.
const ROUND_MS: u64 = 40;

/// Each clear is answered, though none within the time that a worker may be silent: it says how far it is.
#[test]
fn clears_of_a_large_table_are_all_answered() {
    let config = parse("test", "platform dpdk\n max-sessions 524288\n").expect("a configuration").config;
    let queues = vec![Ports::new(), Ports::new()];
    let (mut appliance, setups) = Appliance::new(config, Vec::new(), queues, [1, 2]).expect("sound");
    let mut workers: Vec<Worker> = setups.into_iter().map(|setup| Worker::new(setup, 0)).collect();
    let clear = |appliance: &mut Appliance| {
        cli::start(appliance, None, "clear ip nat translation *").expect("a clear")
    };
    let mut answers = [clear(&mut appliance), clear(&mut appliance)];
    let mut said = [const { String::new() }; 2];
    let mut is_done = [false; 2];
    let mut now_ms = 0;
    while is_done != [true; 2] {
        now_ms += ROUND_MS;
        assert!(now_ms < 600_000, "they end");
        appliance.step(now_ms);
        workers.iter_mut().for_each(|worker| _ = worker.round(now_ms as u32));
        for (number, answer) in answers.iter_mut().enumerate() {
            match answer.advance(&mut appliance) {
                Progress::Waiting => {}
                Progress::Piece(text) => said[number] += &text,
                Progress::Done => is_done[number] = true,
                Progress::Refused(refusal) => panic!("{refusal} after {now_ms} ms"),
            }
        }
    }
    assert_eq!(said, ["0 translations cleared\n"; 2]);
    assert!(u128::from(now_ms) > ANSWER_WITHIN.as_millis(), "it took only {now_ms} ms");
}
