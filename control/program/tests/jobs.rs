//! Answers under way: whoever does not take his keeps nobody from theirs.
use control::appliance::Appliance;
use control::cli::{Answer, Progress};
use control::config::parse;
use crossbeam::channel::{Receiver, Sender, TryRecvError, bounded};
use dataplane::port::Ports;
use portico::jobs::{Jobs, READ_WITHIN_MS};
use portico::request::{Piece, pieces};

/// An answer of so many pieces.
struct Long(u32);

impl Answer for Long {
    fn advance(&mut self, _: &mut Appliance) -> Progress {
        match self.0 {
            0 => Progress::Done,
            _ => {
                self.0 -= 1;
                Progress::Piece(format!("{}\n", self.0))
            }
        }
    }
}

fn appliance() -> Appliance {
    let config = parse("test", "hostname nat1\n").expect("a configuration").config;
    Appliance::new(config, Vec::new(), vec![Ports::new()], [1, 2]).expect("sound").0
}

/// An answer of many pieces that nobody takes.
fn begin(jobs: &mut Jobs, now_ms: u64) -> Receiver<Piece> {
    let (sender, receiver) = bounded(2);
    jobs.begin(Box::new(Long(100)), sender, now_ms);
    receiver
}

fn go_on(jobs: &mut Jobs, appliance: &mut Appliance, now_ms: u64) {
    appliance.operation.now_ms = now_ms;
    for _ in 0..300 {
        jobs.advance(appliance);
    }
}

#[test]
fn a_reader_that_is_gone_ends_its_answer() {
    let (mut jobs, mut appliance) = (Jobs::new(2), appliance());
    let reader = begin(&mut jobs, 0);
    go_on(&mut jobs, &mut appliance, 1);
    assert_eq!(jobs.len(), 1, "it waits for its reader");
    drop(reader);
    go_on(&mut jobs, &mut appliance, 2);
    assert!(jobs.is_empty());
}

#[test]
fn who_looks_at_a_page_gives_the_place_up_that_others_need() {
    let (mut jobs, mut appliance) = (Jobs::new(3), appliance());
    let readers: Vec<_> = (0..3).map(|at| begin(&mut jobs, at)).collect();
    go_on(&mut jobs, &mut appliance, 10);
    // The first one reads on; the second has then taken nothing for longest.
    assert_eq!(readers[0].try_recv(), Ok(Piece::Text("99\n".into())));
    go_on(&mut jobs, &mut appliance, 20);
    let (sender, newcomer) = bounded(200);
    jobs.begin(Box::new(Long(100)), sender, 20 + READ_WITHIN_MS);
    go_on(&mut jobs, &mut appliance, 21 + READ_WITHIN_MS);
    assert_eq!(pieces(&newcomer).take_while(|piece| *piece != Piece::End).count(), 100);
    let all: Vec<_> = pieces(&readers[1]).take(3).collect();
    let cut = matches!(&all[2], Piece::Refused(why) if why.starts_with("% Cut short"));
    assert!(cut, "{all:?}");
    // The others are where they were.
    for (reader, next) in [(&readers[0], "98\n"), (&readers[2], "99\n")] {
        assert_eq!(reader.try_recv(), Ok(Piece::Text(next.into())));
    }
}

#[test]
fn readers_that_go_on_keep_their_places() {
    let (mut jobs, mut appliance) = (Jobs::new(2), appliance());
    let readers: Vec<_> = (0..2).map(|_| begin(&mut jobs, 0)).collect();
    go_on(&mut jobs, &mut appliance, READ_WITHIN_MS - 1);
    let newcomer = begin(&mut jobs, READ_WITHIN_MS - 1);
    let refused = matches!(newcomer.try_recv(), Ok(Piece::Refused(why)) if why.starts_with("% 2 commands"));
    assert!(refused, "it is told why");
    for reader in readers {
        assert_eq!(read_all(&reader, &mut jobs, &mut appliance), 100);
    }
}

/// Reads an answer to its end; returns of how many pieces.
fn read_all(reader: &Receiver<Piece>, jobs: &mut Jobs, appliance: &mut Appliance) -> usize {
    let mut count = 0;
    loop {
        match reader.try_recv() {
            Ok(Piece::Text(_)) => count += 1,
            Ok(Piece::End) => return count,
            Ok(Piece::Refused(why)) => panic!("refused: {why}"),
            Err(TryRecvError::Empty) => drop(jobs.advance(appliance)),
            Err(TryRecvError::Disconnected) => panic!("cut short after {count}"),
        }
    }
}

#[test]
fn an_answer_longer_than_its_queue_arrives_whole_and_in_order() {
    let (mut jobs, mut appliance) = (Jobs::new(1), appliance());
    let (sender, reader): (Sender<Piece>, _) = bounded(1);
    jobs.begin(Box::new(Long(50)), sender, 0);
    let mut numbers = Vec::new();
    while jobs.advance(&mut appliance).is_some() {
        if let Ok(Piece::Text(text)) = reader.try_recv() {
            numbers.push(text.trim().parse::<u32>().expect("a number"));
        }
    }
    assert!(numbers.iter().rev().copied().eq(0..50), "{numbers:?}");
}

/// An answer that fails where nobody expects it.
struct Broken;

impl Answer for Broken {
    fn advance(&mut self, _: &mut Appliance) -> Progress {
        panic!("as this test wants it");
    }
}

#[test]
fn an_answer_that_panics_ends_alone() {
    let (mut jobs, mut appliance) = (Jobs::new(2), appliance());
    let sound = begin(&mut jobs, 0);
    let (sender, broken) = bounded(1);
    jobs.begin(Box::new(Broken), sender, 0);
    assert_eq!(read_all(&sound, &mut jobs, &mut appliance), 100);
    assert_eq!(broken.recv(), Ok(Piece::Refused("% Internal error; 'show logging' has it".into())));
    assert!(jobs.is_empty());
}
