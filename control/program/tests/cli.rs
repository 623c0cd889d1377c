//! The program's command line: what `check` says and how it ends, and that nothing starts from a broken file.

mod program;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;

use program::{Ended, Scratch};

const SOUND: &str = "\
interface GigabitEthernet0/0/0
 ip address 10.0.0.1 255.255.255.0
 ip nat inside
 ip verify unicast source reachable-via rx
interface GigabitEthernet0/0/1
 ip address 198.51.100.1 255.255.255.0
 ip nat outside
access-list 10 permit 10.0.0.0 0.0.0.255
ip nat inside source list 10 interface GigabitEthernet0/0/1 overload
";

fn check(scratch: &Scratch, text: &str) -> Ended {
    scratch.write("nat.conf", text);
    scratch.run(&["check", "nat.conf"])
}

fn ended(code: i32, stdout: &str, stderr: &str) -> Ended {
    Ended { code: Some(code), stdout: stdout.into(), stderr: stderr.into() }
}

#[test]
fn a_sound_file_is_passed_with_what_it_has() {
    let expected = "nat.conf: 2 interfaces, 1 dynamic rule, 1 access list\n";
    assert_eq!(check(&Scratch::new(), SOUND), ended(0, expected, ""));
}

#[test]
fn lines_of_other_features_are_passed_over_unless_the_check_is_strict() {
    let scratch = Scratch::new();
    let text = format!("aaa new-model\nline vty 0 4\n login local\n{SOUND}");
    let expected = "\
nat.conf:1:1: warning: \"aaa new-model\" is passed over: not a matter of NAT
nat.conf:2:1: warning: \"line vty 0 4\" and the lines under it are passed over: not a matter of NAT
nat.conf: 2 interfaces, 1 dynamic rule, 1 access list, 3 lines passed over, 2 warnings
";
    assert_eq!(check(&scratch, &text), ended(0, expected, ""));
    let strict = scratch.run(&["check", "--strict", "nat.conf"]);
    let last = strict.stdout.lines().last();
    assert_eq!((strict.code, last), (Some(1), Some("nat.conf: 3 errors")), "{}", strict.stdout);
}

#[test]
fn mistakes_are_told_with_file_line_column_and_the_nearest_keyword() {
    let text = SOUND.replace(" ip nat inside\n", " ip nta inside\n").replace("overload", "overlaod");
    let found = check(&Scratch::new(), &text);
    assert_eq!((found.code, found.stderr.as_str()), (Some(1), ""));
    let lines: Vec<&str> = found.stdout.lines().collect();
    assert_eq!(lines.len(), 3, "{}", found.stdout);
    assert_eq!(lines[2], "nat.conf: 2 errors");
    for (line, place, suggestion) in [
        (lines[0], "nat.conf:3:5: error: expected ", "; did you mean \"nat\"?"),
        (lines[1], "nat.conf:9:61: error: expected ", "; did you mean \"overload\"?"),
    ] {
        assert!(line.starts_with(place) && line.ends_with(suggestion), "{line}");
    }
}

#[test]
fn warnings_do_not_fail_the_check() {
    let text = SOUND.to_string() + "ip nat inside source list 11 pool NOWHERE overload\n";
    let expected = "\
nat.conf:10:1: warning: access list \"11\" is not defined
nat.conf:10:1: warning: pool \"NOWHERE\" is not defined
nat.conf: 2 interfaces, 2 dynamic rules, 1 access list, 2 warnings
";
    assert_eq!(check(&Scratch::new(), &text), ended(0, expected, ""));
}

#[test]
fn an_error_among_warnings_fails_the_check() {
    let text = SOUND.to_string() + "no ip route 192.0.2.0 255.255.255.0 Null0\nhostnam\n";
    let found = check(&Scratch::new(), &text);
    let severities: Vec<&str> = found.stdout.lines().filter_map(|line| line.split(' ').nth(1)).collect();
    assert_eq!((found.code, severities), (Some(1), vec!["warning:", "error:", "1"]), "{}", found.stdout);
}

#[test]
fn what_a_start_would_refuse_fails_the_check() {
    let scratch = Scratch::new();
    for (line, expected) in [
        ("workers 65", "nat.conf:1:1: error: at most 64 workers\n"),
        (
            "max-sessions 4000000000",
            "nat.conf:1:1: error: 4000000000 sessions need about 915527 MiB and packets 0 MiB, and ",
        ),
    ] {
        let found = check(&scratch, &format!("platform dpdk\n {line}\n{SOUND}"));
        assert_eq!((found.code, found.stderr.as_str()), (Some(1), ""), "{line}");
        assert!(found.stdout.starts_with(expected), "{line}: {}", found.stdout);
    }
}

#[test]
fn a_file_that_cannot_be_read_is_named() {
    let scratch = Scratch::new();
    let found = scratch.run(&["check", "absent.conf"]);
    assert_eq!((found.code, found.stdout.as_str()), (Some(1), ""));
    assert!(
        found.stderr.starts_with("portico: cannot read the configuration absent.conf: "),
        "{}",
        found.stderr
    );
}

#[test]
fn a_broken_file_starts_nothing() {
    let scratch = Scratch::new();
    // Both would be the first things to be opened, and each would fail with a message of its own if it were tried.
    let exporter = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = exporter.local_addr().expect("bound").port();
    let text = format!("prometheus exporter 127.0.0.1 {port}\n{}ip nat pol P\n", SOUND);
    scratch.write("nat.conf", text);
    let found = scratch.run(&["run", "--config", "nat.conf", "--socket", "portico.sock"]);
    assert_eq!((found.code, found.stdout.as_str()), (Some(1), ""), "{}", found.stderr);
    let (mistake, summary) = found.stderr.trim_end().rsplit_once('\n').expect("two lines");
    assert!(mistake.contains("nat.conf:11:8: error: expected "), "{}", found.stderr);
    assert_eq!(summary, "portico: nat.conf: not usable as it stands; nothing of it is applied");
    assert!(!scratch.path("portico.sock").exists(), "no command socket is opened");
}

#[test]
fn a_second_instance_on_the_same_socket_is_refused() {
    let scratch = Scratch::new();
    scratch.write("nat.conf", SOUND);
    let _first = UnixListener::bind(scratch.path("portico.sock")).expect("a socket");
    let anybody = std::os::unix::fs::PermissionsExt::from_mode(0o777);
    std::fs::set_permissions(scratch.path("portico.sock"), anybody).expect("a socket for anybody");
    let found = scratch.run(&["run", "--config", "nat.conf", "--socket", "portico.sock"]);
    assert_eq!((found.code, found.stdout.as_str()), (Some(1), ""), "{}", found.stderr);
    let message = "portico: another portico is running on the socket portico.sock; stop it, or give --socket another path";
    assert_eq!(found.stderr.lines().last(), Some(message));
}

#[test]
fn exec_without_an_appliance_says_so() {
    let found = Scratch::new().run(&["exec", "--socket", "portico.sock", "show version"]);
    assert_eq!((found.code, found.stdout.as_str()), (Some(1), ""));
    let message = "portico: no portico answers on portico.sock; is it running, and on this --socket?";
    assert!(found.stderr.starts_with(message), "{}", found.stderr);
}

/// The program runs without privileges in these tests, if they have any.
fn has_privileges(scratch: &Scratch) -> bool {
    scratch.write("mine", "");
    std::fs::metadata(scratch.path("mine")).is_ok_and(|file| std::os::unix::fs::MetadataExt::uid(&file) == 0)
}

#[test]
fn a_socket_of_another_user_is_not_called_absent() {
    let scratch = Scratch::new();
    if !has_privileges(&scratch) {
        eprintln!("the tests run without privileges: there is no other user, and nothing is tested");
        return;
    }
    scratch.write("nat.conf", SOUND);
    let _theirs = UnixListener::bind(scratch.path("portico.sock")).expect("a socket");
    let theirs = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(scratch.path("portico.sock"), theirs).expect("a socket for its owner alone");
    let denied = "portico: may not use the socket portico.sock";
    let found = scratch.run(&["exec", "--socket", "portico.sock", "show version"]);
    assert_eq!((found.code, found.stdout.as_str()), (Some(1), ""));
    assert!(
        found.stderr.starts_with(denied) && found.stderr.contains("Permission denied"),
        "{}",
        found.stderr
    );
    let found = scratch.run(&["run", "--config", "nat.conf", "--socket", "portico.sock"]);
    assert_eq!((found.code, found.stdout.as_str()), (Some(1), ""));
    let last = found.stderr.lines().last().unwrap_or_default();
    assert!(last.starts_with(denied) && last.contains("Permission denied"), "{}", found.stderr);
    assert!(scratch.path("portico.sock").exists(), "it is not taken for one that was left behind");
}

#[test]
fn a_port_that_may_not_be_opened_is_not_called_taken() {
    let scratch = Scratch::new();
    let first = std::fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").unwrap_or_default();
    if !first.trim().parse().is_ok_and(|first: u16| first > 79) {
        eprintln!("anybody may open port 79 here, and nothing is tested");
        return;
    }
    scratch.write("nat.conf", format!("{SOUND}prometheus exporter 127.0.0.1 79\n"));
    let found = scratch.run(&["run", "--config", "nat.conf", "--socket", "portico.sock"]);
    assert_eq!((found.code, found.stdout.as_str()), (Some(1), ""));
    let last = found.stderr.lines().last().unwrap_or_default();
    assert!(last.contains("Permission denied") && last.ends_with("a port above 1023"), "{}", found.stderr);
}
