//! A device as a file of frames.

use anyhow::{Context, Result};
use lab::End;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::{AddressFamily, LinkAddr, SockFlag, SockProtocol, SockType, bind, socket};
use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;

/// Longer than any frame.
pub const FRAME_LEN_MAX: usize = 2048;

/// What a device is on its link, for a thread in its namespace.
pub fn link_of(end: End) -> Result<LinkAddr> {
    getifaddrs()?
        .filter(|device| device.interface_name == end.device)
        .find_map(|device| device.address?.as_link_addr().copied())
        .with_context(|| format!("no device {}", end.device))
}

/// All frames of a device, as a file to read and write them.
pub fn open(end: End) -> Result<File> {
    end.namespace.within(|| {
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let socket = socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll)?;
        bind(socket.as_raw_fd(), &link_of(end)?)?;
        let mut file = File::from(socket);
        // Before it was bound it may have heard others.
        while file.read(&mut [0; FRAME_LEN_MAX]).is_ok() {}
        Ok(file)
    })?
}
