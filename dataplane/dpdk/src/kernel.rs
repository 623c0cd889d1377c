//! Kernel interfaces, through packet sockets of our own rather than DPDK's: see decision 17.

use std::io;
use std::mem::{size_of, zeroed};
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;
use std::sync::atomic::{AtomicU64, Ordering};

use dataplane::port::device::DeviceStatistics;
use dataplane::port::{BURST, Burst};
use mem::Packet;
use nix::errno::Errno;
use nix::libc;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socket};

use crate::DpdkError;
use crate::devargs::Devargs;

/// What the kernel takes for a frame of full size that waits, about.
const FRAME_BYTES: usize = 2304;
/// Frames that may wait for each queue pair unless `framecnt` says otherwise.
const FRAMES_DEFAULT: usize = 4096;
const VLAN_TAG_BYTES: usize = 4;
const ETHERTYPE_AT: usize = 12;

/// A kernel interface and a packet socket for each queue pair.
#[derive(Debug)]
pub(crate) struct KernelInterface {
    index: i32,
    mac: [u8; 6],
    queues: Vec<Queue>,
}

#[derive(Debug)]
struct Queue {
    socket: OwnedFd,
    received: AtomicU64,
    received_bytes: AtomicU64,
    sent: AtomicU64,
    sent_bytes: AtomicU64,
    /// What the kernel told so far: it forgets when asked.
    missed: AtomicU64,
    giants: AtomicU64,
    no_buffer: AtomicU64,
    transmit_errors: AtomicU64,
}

/// What the kernel says beside a frame.
#[repr(C)]
#[derive(Clone, Copy)]
struct Notes {
    header: libc::cmsghdr,
    auxiliary: libc::tpacket_auxdata,
}

impl KernelInterface {
    /// Opens the interface that the devargs name, with `qpairs` queue pairs and `queues_max` at most.
    pub fn open(devargs: &Devargs, queues_max: usize) -> Result<KernelInterface, DpdkError> {
        let wrong = |reason| DpdkError::Devargs { device: devargs.device.clone(), reason };
        if !devargs.arguments().all(|(key, _)| ["iface", "qpairs", "framecnt"].contains(&key)) {
            return Err(wrong("it takes iface=NAME, qpairs=N and framecnt=N"));
        }
        let number = |key, default| match devargs.argument(key).map(str::parse) {
            None => Ok(default),
            Some(Ok(number @ 1..=1_000_000)) => Ok(number),
            Some(_) => Err(wrong("qpairs and framecnt are numbers from 1 on")),
        };
        let (queues, frames) = (number("qpairs", 1)?.min(queues_max), number("framecnt", FRAMES_DEFAULT)?);
        let interface = devargs.argument("iface").ok_or_else(|| wrong("it needs iface=NAME"))?;
        let opened = || -> io::Result<KernelInterface> {
            let index = nix::net::if_::if_nametoindex(interface)? as i32;
            let queues: Vec<Queue> =
                (0..queues).map(|_| Queue::open(index, frames)).collect::<io::Result<_>>()?;
            if queues.len() > 1 {
                queues.iter().try_for_each(|queue| queue.share(index))?;
            }
            Ok(KernelInterface { index, mac: queues[0].mac()?, queues })
        };
        opened().map_err(|cause| devargs.failed(cause))
    }

    /// The interface's own address.
    pub fn mac(&self) -> [u8; 6] {
        self.mac
    }

    pub fn queue_count(&self) -> usize {
        self.queues.len()
    }

    /// Has the interface take frames for any address, for as long as it is open.
    pub fn receive_all(&self) -> io::Result<()> {
        let request = libc::packet_mreq {
            mr_ifindex: self.index,
            mr_type: libc::PACKET_MR_PROMISC as u16,
            mr_alen: 0,
            mr_address: [0; 8],
        };
        set(&self.queues[0].socket, libc::SOL_PACKET, libc::PACKET_ADD_MEMBERSHIP, &request)
    }

    pub fn statistics(&self) -> DeviceStatistics {
        let mut sum = DeviceStatistics::default();
        for queue in &self.queues {
            queue.ask_for_losses();
            let value = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
            sum.received += value(&queue.received);
            sum.received_bytes += value(&queue.received_bytes);
            sum.sent += value(&queue.sent);
            sum.sent_bytes += value(&queue.sent_bytes);
            sum.missed += value(&queue.missed);
            sum.giants += value(&queue.giants);
            sum.no_buffer += value(&queue.no_buffer);
            sum.transmit_errors += value(&queue.transmit_errors);
        }
        sum
    }

    /// Receives into the `empty` packets, each as long as its buffer; what a frame was received into moves to `burst`.
    pub fn receive(&self, queue: u16, empty: &mut Burst, burst: &mut Burst) {
        let queue = &self.queues[usize::from(queue)];
        let count = empty.len().min(burst.remaining_capacity());
        if count == 0 {
            add(&queue.no_buffer, u64::from(burst.remaining_capacity() > 0));
            return;
        }
        // SAFETY: plain C data, for which zero is valid.
        let (mut notes, mut parts, mut messages): ([Notes; BURST], _, _) = unsafe { zeroed() };
        let spans = empty[..count].iter_mut().map(|packet| packet.bytes_mut());
        describe(spans.map(|bytes| (bytes.as_mut_ptr(), bytes.len())), &mut parts, &mut messages);
        for (message, notes) in messages.iter_mut().zip(&mut notes) {
            message.msg_hdr.msg_control = ptr::from_mut(notes).cast();
            message.msg_hdr.msg_controllen = size_of::<Notes>() as _;
        }
        let (flags, wait) = (libc::MSG_DONTWAIT, ptr::null_mut());
        // SAFETY: the first `count` messages name live buffers, which nothing else uses meanwhile, and notes.
        let received = unsafe {
            libc::recvmmsg(queue.socket.as_raw_fd(), messages.as_mut_ptr(), count as u32, flags as _, wait)
        };
        // Nothing waits, or the interface is down.
        let Ok(received @ 1..) = usize::try_from(received) else { return };
        let mut bytes = 0;
        let before = burst.len();
        for ((mut packet, message), notes) in empty.drain(..received).zip(&messages).zip(&notes) {
            let is_cut = message.msg_hdr.msg_flags & libc::MSG_TRUNC != 0;
            if !is_cut && packet.resize(message.msg_len as usize) && notes.restore_tag(&mut packet) {
                bytes += packet.len() as u64;
                burst.push(packet);
            }
        }
        let taken = burst.len() - before;
        add(&queue.received, taken as u64);
        add(&queue.received_bytes, bytes);
        add(&queue.giants, (received - taken) as u64);
    }

    /// Sends from the front of `burst` what the kernel has room for.
    pub fn transmit(&self, queue: u16, burst: &mut Burst) {
        let queue = &self.queues[usize::from(queue)];
        while !burst.is_empty() {
            // SAFETY: plain C data, for which zero is valid.
            let (mut parts, mut messages) = unsafe { zeroed() };
            let spans = burst.iter_mut().map(|packet| packet.bytes_mut());
            describe(spans.map(|bytes| (bytes.as_mut_ptr(), bytes.len())), &mut parts, &mut messages);
            let (count, flags) = (burst.len() as u32, libc::MSG_DONTWAIT);
            // SAFETY: the first `count` messages name live buffers, which are only read.
            let sent =
                unsafe { libc::sendmmsg(queue.socket.as_raw_fd(), messages.as_mut_ptr(), count, flags as _) };
            match usize::try_from(sent) {
                Ok(sent) => {
                    let bytes = burst.drain(..sent).map(|packet| packet.len() as u64).sum();
                    add(&queue.sent, sent as u64);
                    add(&queue.sent_bytes, bytes);
                }
                Err(_) => match Errno::last() {
                    Errno::EAGAIN | Errno::ENOBUFS => return,
                    // Such as a frame above the interface's MTU.
                    _ => {
                        drop(burst.remove(0));
                        add(&queue.transmit_errors, 1);
                    }
                },
            }
        }
    }
}

impl Queue {
    fn open(index: i32, frames: usize) -> io::Result<Queue> {
        // Without a protocol it receives nothing before it is bound.
        let socket = socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, None)?;
        // The kernel takes twice what is asked for.
        let room = (frames * FRAME_BYTES / 2) as i32;
        for (force, within_limits) in
            [(libc::SO_RCVBUFFORCE, libc::SO_RCVBUF), (libc::SO_SNDBUFFORCE, libc::SO_SNDBUF)]
        {
            set(&socket, libc::SOL_SOCKET, force, &room)
                .or_else(|_| set(&socket, libc::SOL_SOCKET, within_limits, &room))?;
        }
        set(&socket, libc::SOL_PACKET, libc::PACKET_AUXDATA, &1i32)?;
        // What the kernel itself sends there is not ours to see.
        set(&socket, libc::SOL_PACKET, libc::PACKET_IGNORE_OUTGOING, &1i32)?;
        // SAFETY: plain C data, for which zero is valid.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
        address.sll_ifindex = index;
        // SAFETY: the address is one of a packet socket, of the length given.
        let bound = unsafe {
            let length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
            libc::bind(socket.as_raw_fd(), ptr::from_ref(&address).cast(), length)
        };
        Errno::result(bound)?;
        Ok(Queue {
            socket,
            received: AtomicU64::new(0),
            received_bytes: AtomicU64::new(0),
            sent: AtomicU64::new(0),
            sent_bytes: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            giants: AtomicU64::new(0),
            no_buffer: AtomicU64::new(0),
            transmit_errors: AtomicU64::new(0),
        })
    }

    /// The address of the interface that the socket is bound to.
    fn mac(&self) -> io::Result<[u8; 6]> {
        // SAFETY: plain C data, for which zero is valid.
        let mut address: libc::sockaddr_ll = unsafe { zeroed() };
        let mut length = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the address is one of a packet socket, of the length given, and ours to write.
        let told = unsafe {
            let address = ptr::from_mut(&mut address).cast();
            libc::getsockname(self.socket.as_raw_fd(), address, &raw mut length)
        };
        Errno::result(told)?;
        let [a, b, c, d, e, f, _, _] = address.sll_addr;
        Ok([a, b, c, d, e, f])
    }

    /// Shares the interface's frames with its other queues, by addresses and ports; fragments stay fragments.
    fn share(&self, index: i32) -> io::Result<()> {
        let group = (std::process::id() as i32 ^ index) & 0xffff;
        set(
            &self.socket,
            libc::SOL_PACKET,
            libc::PACKET_FANOUT,
            &(group | (libc::PACKET_FANOUT_HASH as i32) << 16),
        )
    }

    /// Adds what was lost since the kernel was asked last, for want of room.
    fn ask_for_losses(&self) {
        // SAFETY: plain C data, for which zero is valid.
        let mut losses: libc::tpacket_stats = unsafe { zeroed() };
        let mut length = size_of::<libc::tpacket_stats>() as libc::socklen_t;
        // SAFETY: the structure is the option's, and ours to write.
        let result = unsafe {
            let value = ptr::from_mut(&mut losses).cast();
            libc::getsockopt(
                self.socket.as_raw_fd(),
                libc::SOL_PACKET,
                libc::PACKET_STATISTICS,
                value,
                &raw mut length,
            )
        };
        if result == 0 {
            add(&self.missed, u64::from(losses.tp_drops));
        }
    }
}

impl Notes {
    /// Puts the outer tag back, which the kernel takes off and tells beside the frame. False where there is no room.
    fn restore_tag(&self, packet: &mut Packet) -> bool {
        let is_told =
            self.header.cmsg_level == libc::SOL_PACKET && self.header.cmsg_type == libc::PACKET_AUXDATA;
        if !is_told || self.auxiliary.tp_status & libc::TP_STATUS_VLAN_VALID == 0 {
            return true;
        }
        if packet.len() < ETHERTYPE_AT || !packet.shift_front(-(VLAN_TAG_BYTES as isize)) {
            return false;
        }
        let protocol = match self.auxiliary.tp_status & libc::TP_STATUS_VLAN_TPID_VALID {
            0 => libc::ETH_P_8021Q as u16,
            _ => self.auxiliary.tp_vlan_tpid,
        };
        let frame = packet.bytes_mut();
        frame.copy_within(VLAN_TAG_BYTES..VLAN_TAG_BYTES + ETHERTYPE_AT, 0);
        frame[ETHERTYPE_AT..ETHERTYPE_AT + 2].copy_from_slice(&protocol.to_be_bytes());
        frame[ETHERTYPE_AT + 2..ETHERTYPE_AT + 4].copy_from_slice(&self.auxiliary.tp_vlan_tci.to_be_bytes());
        true
    }
}

/// One message of one part for each span of bytes.
fn describe(
    spans: impl Iterator<Item = (*mut u8, usize)>,
    parts: &mut [libc::iovec; BURST],
    messages: &mut [libc::mmsghdr; BURST],
) {
    for ((span, part), message) in spans.zip(parts).zip(messages) {
        (part.iov_base, part.iov_len) = (span.0.cast(), span.1);
        (message.msg_hdr.msg_iov, message.msg_hdr.msg_iovlen) = (part, 1);
    }
}

/// A counter that one worker adds to.
fn add(counter: &AtomicU64, more: u64) {
    if more > 0 {
        counter.fetch_add(more, Ordering::Relaxed);
    }
}

/// Sets an option, whose value has the type that the kernel expects.
fn set<T>(socket: &OwnedFd, level: i32, option: i32, value: &T) -> io::Result<()> {
    // SAFETY: the value is live and of the length given; the kernel only reads it.
    let result = unsafe {
        let length = size_of::<T>() as libc::socklen_t;
        libc::setsockopt(socket.as_raw_fd(), level, option, ptr::from_ref(value).cast(), length)
    };
    Ok(Errno::result(result).map(drop)?)
}
