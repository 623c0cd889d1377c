//! Captures of real traffic, played through the appliance: each frame once as if from inside and once as if from
//! outside. Nothing crashes, and each frame has one fate.
//!
//! `PORTICO_CAPTURES` names the folder; its subfolders are searched too.

use std::path::Path;

use capture_file::DataLink;
use dataplane::port::pcap::{CaptureError, read_capture};
use testkit::bench::{Bench, Setup};
use testkit::build;
use testkit::player::capture;
use testkit::sides::ON_LINK;
use testkit::spec::PacketSpec;

const CONFIG: &str = "
ip route 10.0.0.0 255.0.0.0 10.0.0.254
ip route 172.16.0.0 255.240.0.0 10.0.0.254
ip route 192.168.0.0 255.255.0.0 10.0.0.254
ip nat pool P 203.0.113.1 203.0.113.2 prefix-length 29
access-list 1 permit any
ip nat inside source list 1 pool P overload
";
/// The longest pause between two frames that is waited out, in milliseconds.
const PAUSE_MAX_MS: u64 = 1000;

/// Plays a capture. Returns how many frames it has and how many were sent on; none for a capture of another link.
fn play(path: &Path) -> Option<(usize, u64)> {
    let frames = match read_capture(path) {
        Ok(frames) => frames,
        Err(CaptureError::NotEthernet { .. }) => return None,
        Err(error) => panic!("{error}"),
    };
    let setup = Setup { buffer_count: 128, frame_len_max: 65_000, ..Setup::default() };
    let mut bench =
        Bench::new("captures", &format!("{ON_LINK}{CONFIG}"), setup).expect("a configuration that is right");
    let broken = |why: String| -> ! { panic!("{}: {why}", path.display()) };
    let mut last_us = frames.first().map_or(0, |frame| frame.at_us);
    for frame in &frames {
        let pause_ms = frame.at_us.saturating_sub(last_us) / 1000;
        last_us = frame.at_us;
        bench.advance(pause_ms.min(PAUSE_MAX_MS)).unwrap_or_else(|why| broken(why));
        for side in ["inside", "outside"] {
            let name = bench.interface(side).expect("an interface").name.clone();
            let mut bytes = frame.bytes.clone();
            // Group addresses stay: that frame was for everyone.
            if let (Some(to), Some((mac, _))) = (bytes.get_mut(..6), bench.link(&name))
                && to[0] & 1 == 0
            {
                to.copy_from_slice(&mac);
            }
            bench.inject(&name, &bytes).unwrap_or_else(|why| broken(why));
            bench.take_all();
        }
    }
    assert_eq!(bench.counter("received"), bench.put_in(), "{}", path.display());
    bench.check_tables().unwrap_or_else(|why| broken(why));
    let sent = bench.counter("sent");
    bench.finish().unwrap_or_else(|why| broken(why));
    Some((frames.len(), sent))
}

/// Writes a small capture: a query, its answer, and a frame that is none of ours.
fn write_capture(path: &Path) {
    let mut frames = vec![vec![0xff; 60]];
    for line in
        ["udp 10.0.0.2:4000 > 198.51.100.7:53 \"query\"", "udp 198.51.100.7:53 > 203.0.113.1:4000 \"answer\""]
    {
        let spec: PacketSpec = line.parse().expect("the notation");
        let packet = build::packet(&spec).expect("a packet");
        frames.push(testkit::stations::frame([2, 0, 0, 0, 9, 9], [2, 0, 0, 0, 9, 8], None, 0x0800, &packet));
    }
    capture::write(path, DataLink::ETHERNET, &frames).expect("a capture that can be written");
}

#[test]
fn a_small_capture_is_played() {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join("small.pcap");
    write_capture(&path);
    let (count, sent) = play(&path).expect("an Ethernet capture");
    assert_eq!(count, 3);
    // The query and its answer find their way; the answer also finds it as an inside packet of its own.
    assert!(sent >= 3, "{sent} frames sent");
}

#[test]
fn captures_are_played() {
    let Some(folder) = capture_file::folder() else { return };
    let captures = capture_file::below(&folder).unwrap_or_else(|error| panic!("{error}"));
    assert!(!captures.is_empty(), "{}: no captures there", folder.display());
    for path in captures {
        match play(&path) {
            Some((count, sent)) => println!("{}: {count} frames, {sent} sent", path.display()),
            None => println!("{}: not Ethernet, passed over", path.display()),
        }
    }
}
