//! Kernel interfaces, over veth pairs between two network namespaces that
//! exist as long as a test's thread does. Needs root.

use std::fs::File;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;
use std::process::{self, Command};
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use dataplane::port::device::Device as _;
use dataplane::port::{Burst, Port};
use dataplane_dpdk::{Device, DeviceOptions, DpdkPort, Eal, EalOptions, Mempool};
use mem::Packet;
use nix::sched::{CloneFlags, setns, unshare};

const NEAR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 1];
const FAR_MAC: [u8; 6] = [2, 0, 0, 0, 0, 2];

fn eal() -> Eal {
    static EAL: OnceLock<Eal> = OnceLock::new();
    let options = EalOptions { memory_mib: 128, hugepages: false, ..EalOptions::default() };
    *EAL.get_or_init(|| Eal::start(&options).expect("EAL starts without huge pages"))
}

/// A network namespace, removed by the kernel when nothing is left in it.
struct Namespace(File);

impl Namespace {
    /// Makes a namespace and moves the calling thread into it.
    fn create() -> Namespace {
        unshare(CloneFlags::CLONE_NEWNET).expect("this test makes network namespaces: run it as root");
        Namespace(File::open("/proc/thread-self/ns/net").unwrap())
    }

    fn enter(&self) {
        setns(&self.0, CloneFlags::CLONE_NEWNET).unwrap();
    }

    /// The namespace as `ip` takes it.
    fn path(&self) -> String {
        format!("/proc/{}/fd/{}", process::id(), self.0.as_raw_fd())
    }
}

/// Runs `ip` in the calling thread's namespace.
fn ip(arguments: &str) {
    let status = Command::new("ip").args(arguments.split(' ')).status().expect("ip (package iproute2) runs");
    assert!(status.success(), "ip {arguments}");
}

/// Two namespaces joined by a veth pair, `near` in the first and `far` in the second; the calling thread is
/// in the first.
fn veth_pair(mtu: usize) -> (Namespace, Namespace) {
    let far = Namespace::create();
    let near = Namespace::create();
    let ends = format!("mtu {mtu} address 02:00:00:00:00:01 type veth peer name far");
    ip(&format!("link add near {ends} mtu {mtu} address 02:00:00:00:00:02 netns {}", far.path()));
    for (namespace, end) in [(&far, "far"), (&near, "near")] {
        namespace.enter();
        ip(&format!("link set {end} addrgenmode none"));
        ip(&format!("link set {end} up"));
    }
    (near, far)
}

fn open(devargs: &str, mac: Option<[u8; 6]>) -> (Device, DpdkPort, Mempool) {
    let pool = Mempool::create(eal(), 4096, None).unwrap();
    let options = DeviceOptions { mempools: vec![pool.clone()], mac };
    let device = Device::open(eal(), devargs, &options).unwrap();
    let port = device.queue(0, &pool, 3).unwrap();
    (device, port, pool)
}

/// The first frame received that `wanted` takes. The deadline only ends a run that hangs.
fn receive(port: &mut DpdkPort, wanted: impl Fn(&[u8]) -> bool) -> Packet {
    let began = Instant::now();
    loop {
        let mut burst = Burst::new();
        port.receive(&mut burst);
        if let Some(packet) = burst.drain(..).find(|packet| wanted(packet.bytes())) {
            return packet;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "no such frame came");
        thread::sleep(Duration::from_millis(1));
    }
}

fn send(port: &mut DpdkPort, packet: Packet) {
    let mut burst = Burst::new();
    burst.push(packet);
    port.transmit(&mut burst);
    assert!(burst.is_empty());
}

#[test]
fn the_kernel_and_a_port_exchange_datagrams() {
    let (near, far) = veth_pair(1500);
    near.enter();
    // The appliance has an address of its own, which the kernel's interface does not.
    let mac = [2, 0, 0, 0, 0, 9];
    let (device, mut port, pool) = open("net_af_packet0,iface=near", Some(mac));
    assert_eq!(device.mac(), mac);

    far.enter();
    ip("address add 192.0.2.1/24 dev far");
    ip("neighbour add 192.0.2.9 lladdr 02:00:00:00:00:09 dev far");
    let socket = UdpSocket::bind("192.0.2.1:4000").unwrap();
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket.send_to(b"a question", "192.0.2.9:7").unwrap();

    let mut packet = receive(&mut port, |frame| frame.ends_with(b"a question"));
    assert_eq!(packet.port(), 3);
    assert_eq!((&packet.bytes()[..6], &packet.bytes()[6..12]), (&mac[..], &FAR_MAC[..]));
    // Turned round and one byte shorter: addresses, ports, lengths and the UDP checksum, here none.
    let len = packet.len() - 1;
    assert!(packet.resize(len));
    let frame = packet.bytes_mut();
    for (from, to, width) in [(0, 6, 6), (26, 30, 4), (34, 36, 2)] {
        let (left, right) = frame.split_at_mut(to);
        left[from..from + width].swap_with_slice(&mut right[..width]);
    }
    frame[38..42].copy_from_slice(&[0, 8 + 9, 0, 0]);
    frame[42..].copy_from_slice(b"an answer");
    fix_ipv4_length(frame);
    send(&mut port, packet);

    let mut answer = [0; 100];
    let (len, from) = socket.recv_from(&mut answer).expect("the kernel takes the port's frame");
    assert_eq!((&answer[..len], from), (&b"an answer"[..], "192.0.2.9:7".parse().unwrap()));
    assert_eq!(device.statistics().sent, 1);
    drop((port, device));
    assert_eq!(pool.available(), pool.count());
}

/// Sets the IPv4 header's length and checksum to the frame's.
fn fix_ipv4_length(frame: &mut [u8]) {
    let total = (frame.len() - 14) as u16;
    frame[16..18].copy_from_slice(&total.to_be_bytes());
    frame[24..26].fill(0);
    let words = frame[14..34].chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    frame[24..26].copy_from_slice(&(!(sum as u16)).to_be_bytes());
}

#[test]
fn frames_cross_unchanged_with_and_without_tags() {
    let (near, far) = veth_pair(1508);
    far.enter();
    let (_far_device, mut far_port, far_pool) = open("net_af_packet1,iface=far", None);
    near.enter();
    let (near_device, mut near_port, near_pool) = open("net_af_packet2,iface=near", None);
    assert_eq!(near_device.mac(), NEAR_MAC);

    // The kernel takes the outer tag off, and the port puts it back.
    let tags: [&[u8]; 4] =
        [&[], &[0x81, 0, 0x20, 100], &[0x88, 0xa8, 0, 7], &[0x81, 0, 0, 7, 0x81, 0, 0, 42]];
    for tags in tags {
        for payload in [46, 1000, 1500] {
            let body: Vec<u8> = (0..payload).map(|at| (at * 11 + tags.len()) as u8).collect();
            let frame = [&FAR_MAC[..], &NEAR_MAC, tags, &[0x88, 0xb5], &body].concat();
            let mut packet = near_port.allocate().unwrap();
            assert!(packet.resize(frame.len()));
            packet.bytes_mut().copy_from_slice(&frame);
            send(&mut near_port, packet);
            let packet = receive(&mut far_port, |frame| frame[..6] == FAR_MAC);
            assert_eq!(packet.bytes(), frame, "{} bytes of tags, {payload} of payload", tags.len());

            let mut packet = packet;
            packet.bytes_mut()[..6].copy_from_slice(&NEAR_MAC);
            send(&mut far_port, packet);
            let back = receive(&mut near_port, |frame| frame[..6] == NEAR_MAC);
            assert_eq!(back.bytes()[6..], frame[6..]);
        }
    }
    drop((near_port, far_port));
    assert_eq!((near_pool.available(), far_pool.available()), (near_pool.count(), far_pool.count()));
}

/// A socket of the kernel's at the far end, for a port's at the near end that has the address 192.0.2.9 by its MAC.
fn far_socket(far: &Namespace) -> UdpSocket {
    far.enter();
    ip("address add 192.0.2.1/24 dev far");
    ip("neighbour add 192.0.2.9 lladdr 02:00:00:00:00:01 dev far");
    UdpSocket::bind("192.0.2.1:4000").unwrap()
}

fn is_ipv4(frame: &[u8]) -> bool {
    frame[12..14] == [8, 0]
}

#[test]
fn fragments_stay_fragments() {
    for queues in [1, 2] {
        let (near, far) = veth_pair(1500);
        near.enter();
        let pool = Mempool::create(eal(), 2048, None).unwrap();
        let options = DeviceOptions { mempools: vec![pool.clone(); queues], mac: None };
        let devargs = format!("net_af_packet_f{queues},iface=near,qpairs=2");
        let device = Device::open(eal(), &devargs, &options).unwrap();
        let mut ports: Vec<DpdkPort> =
            (0..queues).map(|queue| device.queue(queue, &pool, 0).unwrap()).collect();
        assert_eq!(device.queue_count(), queues);
        let datagram: Vec<u8> = (0..6000u32).map(|at| (at % 251) as u8).collect();
        far_socket(&far).send_to(&datagram, "192.0.2.9:7").unwrap();

        let (mut found, began) = (vec![0; 8 + datagram.len()], Instant::now());
        let mut missing = found.len();
        while missing > 0 {
            for port in &mut ports {
                let mut burst = Burst::new();
                port.receive(&mut burst);
                for packet in burst.iter().filter(|packet| is_ipv4(packet.bytes())) {
                    let frame = packet.bytes();
                    let word = |at: usize| usize::from(u16::from_be_bytes([frame[at], frame[at + 1]]));
                    assert!(
                        frame.len() <= 14 + 1500 && word(16) == frame.len() - 14,
                        "{} bytes",
                        frame.len()
                    );
                    let at = (word(20) & 0x1fff) * 8;
                    found[at..at + frame.len() - 34].copy_from_slice(&frame[34..]);
                    missing -= frame.len() - 34;
                }
            }
            assert!(began.elapsed() < Duration::from_secs(20), "{missing} bytes did not come");
        }
        assert_eq!(found[8..], datagram);
        assert_eq!(device.statistics().giants, 0);
    }
}

#[test]
fn frames_longer_than_a_buffer_are_counted() {
    let (near, far) = veth_pair(9000);
    near.enter();
    let (device, mut port, pool) = open("net_af_packet_giants,iface=near", None);
    let socket = far_socket(&far);
    for length in [4000, 2000, 8000] {
        socket.send_to(&vec![7; length], "192.0.2.9:7").unwrap();
    }
    socket.send_to(b"the last", "192.0.2.9:7").unwrap();
    let (mut lengths, began) = (Vec::new(), Instant::now());
    while lengths.len() < 2 {
        let mut burst = Burst::new();
        port.receive(&mut burst);
        lengths.extend(burst.iter().filter(|packet| is_ipv4(packet.bytes())).map(Packet::len));
        assert!(began.elapsed() < Duration::from_secs(20), "{lengths:?}");
    }
    assert_eq!(lengths, [14 + 28 + 2000, 14 + 28 + 8], "what fits is whole");
    assert_eq!(device.statistics().giants, 2);
    drop(port);
    assert_eq!(pool.available(), pool.count());
}

#[test]
fn frames_without_room_are_counted() {
    const COUNT: u64 = 1000;
    let (near, far) = veth_pair(1500);
    near.enter();
    let (device, mut port, _pool) = open("net_af_packet_losses,iface=near,framecnt=16", None);
    let socket = far_socket(&far);
    for _ in 0..COUNT {
        socket.send_to(&[7; 1000], "192.0.2.9:7").unwrap();
    }
    let (mut received, began) = (0, Instant::now());
    let statistics = loop {
        let mut burst = Burst::new();
        port.receive(&mut burst);
        received += burst.len() as u64;
        let statistics = device.statistics();
        if received + statistics.missed >= COUNT {
            break statistics;
        }
        assert!(began.elapsed() < Duration::from_secs(20), "{received} received, {statistics:?}");
    };
    assert_eq!(statistics.received, received);
    assert!(received > 0 && statistics.missed > 0, "{statistics:?}");
    assert_eq!(device.statistics().missed, statistics.missed, "losses are told once");
}

#[test]
fn frames_that_the_interface_refuses_are_counted() {
    let (near, _far) = veth_pair(1500);
    near.enter();
    let (device, mut port, pool) = open("net_af_packet_refused,iface=near", None);
    let mut burst = Burst::new();
    for length in [1600, 100, 1700] {
        let mut packet = port.allocate().unwrap();
        assert!(packet.resize(length));
        packet.bytes_mut().fill(0);
        burst.push(packet);
    }
    port.transmit(&mut burst);
    assert!(burst.is_empty());
    let statistics = device.statistics();
    assert_eq!((statistics.sent, statistics.sent_bytes, statistics.transmit_errors), (1, 100, 2));
    assert_eq!(pool.available(), pool.count());
}
