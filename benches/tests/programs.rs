//! The measuring programs still measure: each runs once with little to do. What they find is not looked at, as nothing
//! says how busy the machine is; they end with an error themselves where packets or sessions are wrong.

use std::process::Command;

fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().expect("the program runs");
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && !said.is_empty(), "{program}: {}\n{said}{complained}", output.status);
    said.into_owned()
}

#[test]
fn path() {
    let arguments = ["--sessions", "1,4096", "--packets", "20000", "--runs", "1", "--tries", "1"];
    let said = run(env!("CARGO_BIN_EXE_path"), &arguments);
    for row in ["default udp", "default tcp", "cgn udp", "cgn tcp"] {
        let words: Vec<&str> = row.split(' ').collect();
        let phases = said.lines().filter(|line| line.split_whitespace().take(2).eq(words.iter().copied()));
        assert_eq!(phases.count(), 2 * 4, "{row}: {said}");
    }
}

#[test]
fn path_beside_another_build() {
    let program = env!("CARGO_BIN_EXE_path");
    let few = ["--sessions", "64", "--modes", "cgn", "--packets", "20000", "--runs", "1", "--tries", "1"];
    let said = run(program, &[&few[..], &["--beside", program]].concat());
    let ratio = |line: &str| -> f64 {
        let cells: Vec<&str> = line.split_whitespace().collect();
        let ticks = |at: usize| cells[at].parse::<f64>().unwrap_or_else(|_| panic!("{line}"));
        let (ours, other, ratio) = (ticks(5), ticks(6), ticks(7));
        // Ticks are rounded to a tenth, ratios to a thousandth.
        let (least, most) = ((ours - 0.05) / (other + 0.05), (ours + 0.05) / (other - 0.05));
        assert!((least - 0.001..=most + 0.001).contains(&ratio), "{line}");
        ratio
    };
    let lines: Vec<&str> = said.lines().skip(1).collect();
    assert_eq!(lines.len(), 2 * 4, "{said}");
    lines.into_iter().for_each(|line| assert!(ratio(line) > 0.0, "{line}"));
}

#[test]
fn stall() {
    for mode in ["default", "cgn"] {
        let arguments = ["--sessions", "8192", "--walked", "8192", "--runs", "1", "--mode", mode];
        run(env!("CARGO_BIN_EXE_stall"), &arguments);
    }
}

#[test]
fn index() {
    run(env!("CARGO_BIN_EXE_index"), &["--entries", "1024", "--lookups", "4096", "--runs", "1"]);
}

#[test]
fn steering() {
    run(env!("CARGO_BIN_EXE_steering"), &["--subscribers", "1000", "--draws", "2"]);
}

#[test]
fn handover() {
    run(env!("CARGO_BIN_EXE_handover"), &["--bursts", "1000"]);
}
