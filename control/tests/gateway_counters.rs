//! What gateways counted, as commands and metrics tell it: summed over workers, by reason, and anew after `clear`.
use alg::Refusal;
use alg::registry::ROWS;
use control::appliance::{Answering, Appliance};
use control::cli;
use control::config::parse;
use control::metrics::{self, Readings};
use dataplane::policy::gateway_named;
use dataplane::port::Ports;
use dataplane::worker::Worker;

const STATISTICS: &str = "show platform hardware qfp active feature alg statistics";

/// An appliance whose workers have nothing to do but to answer.
struct Bench {
    appliance: Appliance,
    workers: Workers,
}

struct Workers(Vec<Worker>);

impl Answering for Workers {
    fn let_work(&mut self) -> u64 {
        for worker in &mut self.0 {
            worker.round(0);
        }
        1
    }
}

impl Bench {
    fn new() -> Bench {
        let config = parse("test", "platform dpdk\n max-sessions 64\n").expect("a configuration").config;
        let queues = vec![Ports::new(), Ports::new()];
        let (appliance, setups) = Appliance::new(config, Vec::new(), queues, [1, 2]).expect("sound");
        let workers = setups.into_iter().map(|setup| Worker::new(setup, 0)).collect();
        Bench { appliance, workers: Workers(workers) }
    }

    fn exec(&mut self, command: &str) -> Result<String, String> {
        let Bench { appliance, workers } = self;
        cli::execute(&mut cli::Context { appliance, answering: workers, now_ms: 1 }, command)
    }

    /// Each worker counts the same about FTP.
    fn count(&self) {
        let ftp = usize::from(gateway_named("ftp").expect("a row"));
        for counters in &self.appliance.counters {
            let ftp = &counters.gateways[ftp];
            ftp.attached.add(3);
            ftp.reading.set(2);
            ftp.messages.add(20);
            ftp.edited.add(4);
            ftp.refused[Refusal::LowPort as usize].add(1);
            ftp.refused[Refusal::Malformed as usize].add(1);
            ftp.detached[Refusal::Malformed as usize].add(1);
            ftp.detached_stream.add(5);
            ftp.doors_opened.add(4);
            ftp.doors_used.add(3);
            counters.doors.set(1);
        }
    }
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}

/// The count on the line that starts with this title.
fn count_of(text: &str, title: &str) -> u64 {
    let rest = text.lines().find_map(|line| line.trim_start().strip_prefix(title));
    let rest = rest.unwrap_or_else(|| panic!("no {title:?} in\n{text}"));
    words(rest)[0].parse().unwrap_or_else(|_| panic!("{rest:?} after {title:?}"))
}

#[test]
fn each_gateway_has_a_line() {
    let mut bench = Bench::new();
    bench.workers.let_work();
    bench.count();
    let summary = bench.exec(STATISTICS).expect("an answer");
    let lines: Vec<Vec<&str>> = summary.lines().map(words).collect();
    assert_eq!(lines[0], ["ALG", "counters:"]);
    assert_eq!(lines[1], ["ALG", "Cntrl-Pkt", "Parser-Err&Drop", "Parser-No-Act"]);
    for (row, line) in ROWS.iter().zip(&lines[2..]) {
        // Refused: twice a low port; let go of: twice what was malformed. Neither is among the unchanged.
        let counts = if row.name == "ftp" { ["40", "4", "28"] } else { ["0", "0", "0"] };
        assert_eq!(line[..], [&[row.label][..], &counts].concat(), "{summary}");
    }
    // The places of the tables that gateways share, of all workers.
    let left = |table: &str| -> u64 {
        let levels = bench.appliance.counters.iter().flat_map(|counters| counters.levels.iter());
        levels.filter(|(name, ..)| *name == table).map(|(_, taken, all)| all - taken).sum()
    };
    let expected = format!(
        "\nALG chunk pool:\nPool-Name Used-Entries Free-Entries\nControl session pool 0 {}\nCall pool 0 {}\nDoor pool 0 {}\n\n\
         Common ALG chunk pool:\nPool-Name Used-Entries Free-Entries\nStream pool 0 {}\nHeld segment pool 0 {}",
        left("control-sessions"),
        left("calls"),
        left("doors"),
        left("streams"),
        left("held-segments"),
    );
    let shown: Vec<String> = lines[2 + ROWS.len()..].iter().map(|line| line.join(" ")).collect();
    assert!(left("doors") > 0 && left("streams") > 0, "the workers have told how full they are");
    assert_eq!(shown.join("\n"), expected, "{summary}");
    assert_eq!(bench.exec("sh pl h q a f a s"), Ok(summary), "as IOS abbreviates");
    let line = format!("{STATISTICS} ");
    let words: Vec<String> = cli::complete(&line, line.len()).into_iter().map(|word| word.word).collect();
    for row in ROWS {
        assert!(words.iter().any(|word| word == row.name), "{} in {words:?}", row.name);
    }
}

#[test]
fn one_gateway_tells_all_it_counted() {
    let mut bench = Bench::new();
    bench.count();
    let detail = bench.exec(&format!("{STATISTICS} FTP")).expect("an answer");
    assert_eq!(bench.exec(&format!("{STATISTICS} ftp")).as_ref(), Ok(&detail));
    assert_eq!(detail.lines().next(), Some("FTP ALG counters:"));
    for (title, count) in [
        ("Control sessions attached", 6),
        ("Control sessions read now", 4),
        ("Control sessions without room to be read", 0),
        ("Messages read", 40),
        ("Messages changed", 8),
        ("Messages without need of change", 28),
        ("Messages refused, which passed unchanged", 4),
        ("low-port", 2),
        ("Control sessions let go of, for good", 12),
        ("stream", 10),
        ("Doors opened", 8),
        ("Doors used", 6),
        ("Doors closed unused", 0),
    ] {
        assert_eq!(count_of(&detail, title), count, "{title}\n{detail}");
    }
    assert_eq!(detail.matches("malformed ").count(), 2, "refused and let go of\n{detail}");
    assert!(!detail.contains("no-port"), "only reasons that occurred\n{detail}");
}

#[test]
fn clear_shows_once_more_and_counts_anew() {
    let mut bench = Bench::new();
    bench.count();
    let [summary, detail] = [STATISTICS.to_string(), format!("{STATISTICS} ftp")];
    let before = bench.exec(&detail).expect("an answer");
    let cleared = bench.exec(&format!("{detail} clear")).expect("an answer");
    assert_eq!(cleared, format!("{before}\nFTP ALG counters cleared after display.\n"));
    let after = bench.exec(&detail).expect("an answer");
    assert_eq!(count_of(&after, "Messages read"), 0);
    assert_eq!(count_of(&after, "Control sessions read now"), 4, "these are not counted but there");
    bench.count();
    assert_eq!(count_of(&bench.exec(&detail).expect("an answer"), "Messages read"), 40);
    let cleared = bench.exec(&format!("{summary} clear")).expect("an answer");
    assert!(cleared.ends_with("\nALG counters cleared after display.\n"), "{cleared}");
    assert_eq!(count_of(&bench.exec(&summary).expect("an answer"), "FTP"), 0);
}

#[test]
fn what_cannot_be_shown_is_refused() {
    let mut bench = Bench::new();
    let refusal = bench.exec(&format!("{STATISTICS} tftpp")).expect_err("no such gateway");
    assert!(
        refusal
            .contains("expected an ALG, \"clear\" or end of line, found \"tftpp\"; did you mean \"tftp\"?"),
        "{refusal}"
    );
    let refusal = bench.exec(&STATISTICS.replace("active", "standby")).expect_err("no standby");
    assert_eq!(refusal, "% There is no standby; ask the active one");
    let error = bench.exec("show ip nat dors").expect_err("a wrong word");
    assert!(error.contains("; did you mean \"doors\"?"), "{error}");
    let error = bench.exec("clear ipp").expect_err("a wrong word");
    assert_eq!(
        error.matches("\"ip\"").count(),
        1 + error.matches("mean \"ip\"").count(),
        "told once: {error}"
    );
}

#[test]
fn doors_are_listed_and_counted() {
    let mut bench = Bench::new();
    bench.count();
    let table = bench.exec("show ip nat doors").expect("an answer");
    let lines: Vec<Vec<&str>> = table.lines().map(words).collect();
    let header = ["Pro", "Inside", "global", "Inside", "local", "Outside", "ALG", "Child", "Uses", "Left"];
    assert_eq!(lines, [&header[..], &[], &["Total", "number", "of", "doors:", "0"]]);
    let statistics = bench.exec("show ip nat statistics").expect("an answer");
    // The workers answered the question before, and told that they have none.
    let doors = ["Total doors: 0", "Appl doors: 0", "Normal doors: 0", "Queued Packets: 0"];
    assert!(statistics.contains(&(doors.join("\n") + "\n")), "{statistics}");
}

#[test]
fn metrics_have_the_gateways_name_and_the_reason() {
    let bench = Bench::new();
    bench.count();
    let page = metrics::render(&bench.appliance, &Readings::default());
    for sample in [
        "portico_alg_sessions_total{alg=\"ftp\"} 6",
        "portico_alg_sessions{alg=\"ftp\"} 4",
        "portico_alg_messages_total{alg=\"ftp\"} 40",
        "portico_alg_edited_messages_total{alg=\"ftp\"} 8",
        "portico_alg_refused_messages_total{alg=\"ftp\",reason=\"low-port\"} 2",
        "portico_alg_refused_messages_total{alg=\"ftp\",reason=\"no-port\"} 0",
        "portico_alg_detached_sessions_total{alg=\"ftp\",reason=\"malformed\"} 2",
        "portico_alg_detached_sessions_total{alg=\"ftp\",reason=\"stream\"} 10",
        "portico_alg_doors_opened_total{alg=\"ftp\"} 8",
        "portico_alg_doors_used_total{alg=\"ftp\"} 6",
        "portico_nat_doors{worker=\"1\"} 1",
    ] {
        assert!(page.lines().any(|line| line == sample), "no {sample} in\n{page}");
    }
    for row in ROWS {
        let sample = format!("portico_alg_messages_total{{alg=\"{}\"}} ", row.name);
        assert!(page.contains(&sample), "no {sample}");
    }
}
