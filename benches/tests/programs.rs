//! The measuring programs still measure: each runs once with little to do. What they find is not looked at, as nothing
//! says how busy the machine is; they end with an error themselves where packets or sessions are wrong.

use std::process::Command;

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().expect("the program runs");
    let (said, complained) =
        (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && !said.is_empty(), "{program}: {}\n{said}{complained}", output.status);
}

#[test]
fn path() {
    run(
        env!("CARGO_BIN_EXE_path"),
        &["--sessions", "1,4096", "--packets", "20000", "--runs", "1", "--tries", "1"],
    );
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
