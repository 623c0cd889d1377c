//! What gateways counted, as commands and metrics tell it: summed over workers, by reason, and anew after `clear`.
use std::path::Path;

use alg::Refusal;
use alg::registry::ROWS;
use control::appliance::{Answering, Appliance};
use control::cli;
use control::config::parse;
use control::metrics::{self, Readings};
use dataplane::policy::gateway_named;
use dataplane::port::Ports;
use dataplane::worker::Worker;
use testkit::case::files;
use testkit::run::{Circumstances, run_watched};

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

/// The page of SIP's messages, of an appliance that all are counted on once, of each of two workers.
fn page_of_kinds(bench: &mut Bench) -> String {
    let sip = usize::from(gateway_named("sip").expect("a row"));
    for counters in &bench.appliance.counters {
        counters.gateways[sip].kinds.iter().for_each(|kind| kind.add(1));
    }
    bench.exec(&format!("{STATISTICS} sip l7data")).expect("an answer")
}

#[test]
fn each_kind_of_message_has_its_place_on_the_page() {
    let mut bench = Bench::new();
    let page = page_of_kinds(&mut bench);
    let titles: Vec<&str> = page.lines().filter(|line| !line.is_empty() && !line.starts_with(' ')).collect();
    let pool = "SIP info pool used chunk entries number: 0";
    assert_eq!(titles, [pool, "RECEIVE", "Events", "Errors", "Writeback Errors"], "{page}");
    let kinds = ROWS.iter().find(|row| row.name == "sip").expect("a row").kinds;
    let twos = page.split_whitespace().filter(|word| *word == "2").count();
    assert_eq!(twos, kinds.len(), "each once:\n{page}");
    assert!(page.lines().any(|line| words(line) == ["Invite:", "2", "->", "200-OK:", "2"]), "{page}");
    let whole = bench.exec(&format!("{STATISTICS} sip")).expect("an answer");
    assert!(whole.starts_with("SIP ALG counters:\n") && whole.ends_with(&format!("\n{page}")), "{whole}");
    let cleared = bench.exec(&format!("{STATISTICS} sip l7data clear")).expect("an answer");
    assert_eq!(cleared, format!("{page}\nSIP ALG counters cleared after display.\n"));
    let after = bench.exec(&format!("{STATISTICS} sip l7data")).expect("an answer");
    assert!(after.split_whitespace().all(|word| word != "2"), "{after}");
    let refusal = bench.exec(&format!("{STATISTICS} ftp l7data clear")).expect_err("no kinds");
    assert_eq!(refusal, "% FTP has no l7data; SIP has");
    let ftp = bench.exec(&format!("{STATISTICS} ftp")).expect("an answer");
    assert!(!ftp.contains("RECEIVE"), "{ftp}");
}

/// What SIP counted when a conversation was over: messages, and their kinds as metrics tell them, of an appliance whose packets
/// come to any worker.
fn counted_in(path: &Path) -> (u64, Vec<(String, u64)>) {
    let text = std::fs::read_to_string(path).expect("a file");
    let case = testkit::notation::read(path, &text).expect("a case");
    let (mut page, mut messages) = (String::new(), 0);
    let look = |bench: &mut testkit::bench::Bench| {
        page = metrics::render(&bench.appliance, &Readings::default());
        let sip = usize::from(gateway_named("sip").expect("a row"));
        let counters = bench.appliance.counters.iter();
        messages = counters.map(|counters| counters.gateways[sip].messages.value()).sum();
        Ok(())
    };
    let circumstances = Circumstances { start_ms: 1000, worker_count: case.worker_count.unwrap_or(3) };
    // Whether it goes as the case says is for another test to tell.
    let _ = run_watched(&case, circumstances, look);
    let prefix = "portico_alg_messages_by_kind_total{alg=\"sip\",kind=\"";
    let samples = page.lines().filter_map(|line| line.strip_prefix(prefix)?.split_once("\"} "));
    let kinds = samples.map(|(kind, count)| (kind.to_string(), count.parse().expect("a number")));
    (messages, kinds.filter(|(_, count)| *count > 0).collect())
}

const CONVERSATIONS: &str = "../dataplane/cases/sip";

#[test]
fn a_call_counts_each_of_its_messages() {
    let of_call = [
        ("invite", 1),
        ("ack", 1),
        ("bye", 1),
        ("200-to-invite", 1),
        ("200-to-bye", 1),
        ("100", 1),
        ("183", 1),
        ("call-begun", 1),
        ("call-ended", 1),
    ];
    let of_declined =
        [("invite", 1), ("ack", 1), ("180", 1), ("6xx", 1), ("call-begun", 1), ("call-refused", 1)];
    for (file, messages, kinds) in [("call.nat", 7, &of_call[..]), ("call_declined.nat", 4, &of_declined[..])]
    {
        let kinds = kinds.iter().map(|(kind, count)| (kind.to_string(), *count)).collect();
        assert_eq!(counted_in(&Path::new(CONVERSATIONS).join(file)), (messages, kinds), "{file}");
    }
}

#[test]
fn every_message_is_of_one_kind() {
    let all = ROWS.iter().find(|row| row.name == "sip").expect("a row").kinds;
    // What is said of messages beside their methods and codes comes behind those.
    let main: Vec<&str> = all.iter().copied().take_while(|kind| *kind != "no-call-id").collect();
    let mut seen: Vec<String> = Vec::new();
    for path in files(Path::new(CONVERSATIONS)) {
        let (messages, kinds) = counted_in(&path);
        let of_main = kinds.iter().filter(|(kind, _)| main.contains(&kind.as_str()));
        assert_eq!(of_main.map(|(_, count)| count).sum::<u64>(), messages, "{}: {kinds:?}", path.display());
        seen.extend(kinds.into_iter().map(|(kind, _)| kind));
    }
    assert!(all.len() / 2 < all.iter().filter(|kind| seen.iter().any(|seen| seen == *kind)).count());
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
