//! RTSP: GStreamer's server, and GStreamer as the player.

use crate::namespace::Namespace;
use crate::process::Process;
use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use std::fs;
use std::net::SocketAddrV4;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

const READY_LIMIT: Duration = Duration::from_secs(300);
/// A player that hears nothing says so after twenty seconds.
const PLAY_LIMIT: Duration = Duration::from_secs(90);
const STOP_LIMIT: Duration = Duration::from_secs(60);
/// What a player wants: pictures, and pieces of sound as many; there are fifty a second.
const FRAME_COUNT: usize = 100;

/// An RTSP server of one stream with pictures and sound.
pub struct RtspServer {
    _process: Process,
}

impl RtspServer {
    /// Starts it in `namespace` on this port.
    pub fn start(namespace: &Namespace, directory: &Path, name: &str, port: u16) -> Result<RtspServer> {
        let script = directory.join("rtsp-server.py");
        fs::write(&script, include_str!("server.py"))?;
        // The distribution's own Python is the one that has the bindings.
        let argv = ["/usr/bin/python3", &script.to_string_lossy(), &port.to_string()];
        let mut process = Process::spawn(namespace, directory, name, &argv)?;
        process.wait_for_line("ready", READY_LIMIT)?;
        Ok(RtspServer { _process: process })
    }
}

/// How media are carried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Media {
    /// Over UDP, to ports of the player's choice.
    Udp,
    /// Over UDP, to ports from this one on.
    UdpFrom(u16),
    /// Between the messages of the control connection.
    Interleaved,
}

/// Plays the stream of the server at `at` until there are enough pictures and sound, which are counted, then ends the
/// session. The player sends nothing to open a way for media.
pub fn play(from: &Namespace, directory: &Path, at: SocketAddrV4, media: Media) -> Result<()> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("player-{}", NUMBER.fetch_add(1, Ordering::Relaxed));
    let frames = directory.join(format!("{name}-frames"));
    fs::create_dir_all(&frames)?;
    let transport = match media {
        Media::Udp => "protocols=udp".to_owned(),
        Media::UdpFrom(port) => format!("protocols=udp port-range={port}-{}", port + 3),
        Media::Interleaved => "protocols=tcp".to_owned(),
    };
    let sink = |media: &str| format!("multifilesink location={}-%05d", frames.join(media).display());
    let script = format!(
        "rtspsrc name=source location=rtsp://{at}/test {transport} nat-method=none timeout=20000000 \
         source. ! application/x-rtp,media=video ! rtpjpegdepay ! {} \
         source. ! application/x-rtp,media=audio ! rtppcmadepay ! {}",
        sink("video"),
        sink("audio")
    );
    let mut argv = vec!["gst-launch-1.0", "-q"];
    argv.extend(script.split_whitespace());
    let mut player = Process::spawn(from, directory, &name, &argv)?;
    let has_enough = |media| count(&frames, media) >= FRAME_COUNT;
    let enough =
        player.wait_until(PLAY_LIMIT, "enough of the stream", |_| has_enough("video") && has_enough("audio"));
    enough.with_context(|| {
        format!("{} pictures and {} pieces of sound", count(&frames, "video"), count(&frames, "audio"))
    })?;
    player.stop_by(Signal::SIGINT, STOP_LIMIT).map(drop)
}

fn count(frames: &Path, media: &str) -> usize {
    let names = fs::read_dir(frames).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.filter(|name| name.to_string_lossy().starts_with(media)).count()
}
