//! Frames through DPDK's virtual devices, without privileges, huge pages or interfaces.

use std::sync::OnceLock;
use std::time::{Duration, Instant};
use std::{env, fs, process, thread};

use dataplane::port::device::Device as _;
use dataplane::port::{BURST, Burst, Port};
use dataplane_dpdk::{Device, DeviceOptions, Eal, EalOptions, Mempool};
use mem::Slab;

fn eal() -> Eal {
    static EAL: OnceLock<Eal> = OnceLock::new();
    let options = EalOptions { memory_mib: 256, hugepages: false, ..EalOptions::default() };
    *EAL.get_or_init(|| Eal::start(&options).expect("EAL starts without huge pages"))
}

fn mempool(count: usize) -> Mempool {
    Mempool::create(eal(), count, Some(0)).unwrap()
}

fn open(devargs: &str, mempool: &Mempool) -> Device {
    let options = DeviceOptions { mempools: vec![mempool.clone()], mac: None };
    Device::open(eal(), devargs, &options).unwrap()
}

fn frame(number: usize, len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + number) as u8).collect()
}

/// A file in the temporary directory, removed when dropped.
struct Scratch(String);

impl Scratch {
    fn new(name: &str) -> Scratch {
        Scratch(format!("{}/portico-{}-{name}", env::temp_dir().display(), process::id()))
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn write_pcap(path: &str, frames: &[Vec<u8>]) {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 4 << 16 | 2, 0, 0, 65535, 1] {
        file.extend(word.to_ne_bytes());
    }
    for frame in frames {
        let len = frame.len() as u32;
        for word in [0, 0, len, len] {
            file.extend(word.to_ne_bytes());
        }
        file.extend(frame);
    }
    fs::write(path, file).unwrap();
}

fn read_pcap(path: &str) -> Vec<Vec<u8>> {
    let file = fs::read(path).unwrap();
    let mut rest = &file[24..];
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let len = u32::from_ne_bytes(rest[8..12].try_into().unwrap()) as usize;
        frames.push(rest[16..16 + len].to_vec());
        rest = &rest[16 + len..];
    }
    frames
}

/// The deadline only ends a run that hangs.
fn wait_until(condition: impl Fn() -> bool) {
    let began = Instant::now();
    while !condition() {
        assert!(began.elapsed() < Duration::from_secs(20), "it does not come");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Receives until `count` frames are there. The deadline only ends a run that hangs.
fn receive(port: &mut impl Port, count: usize) -> Burst {
    let (mut burst, began) = (Burst::new(), Instant::now());
    while burst.len() < count {
        assert!(began.elapsed() < Duration::from_secs(20), "{} of {count} frames came", burst.len());
        port.receive(&mut burst);
    }
    burst
}

#[test]
fn mempools_fit_as_counted() {
    let count = Mempool::count_for(eal(), 8);
    assert!(count > 4000, "{count} buffers for each of eight workers in 256 MiB");
    assert_eq!(mempool(count).available(), count);
}

#[test]
fn frames_are_edited_on_their_way_between_ports() {
    let (input, output) = (Scratch::new("edit-in"), Scratch::new("edit-out"));
    let frames: Vec<_> = (0..20).map(|number| frame(number, 60 + number * 70)).collect();
    write_pcap(&input.0, &frames);
    let pool = mempool(2048);
    let source = open(&format!("net_pcap0,rx_pcap={}", input.0), &pool);
    let ring = open("net_ring0", &pool);
    let sink = open(&format!("net_pcap1,tx_pcap={}", output.0), &pool);
    {
        let mut source = source.queue(0, &pool, 5).unwrap();
        let mut ring = ring.queue(0, &pool, 6).unwrap();
        let mut sink = sink.queue(0, &pool, 7).unwrap();

        let mut burst = receive(&mut source, 20);
        for (packet, frame) in burst.iter_mut().zip(&frames) {
            assert_eq!((packet.bytes(), packet.port()), (&frame[..], 5));
            assert!(packet.shift_front(-4) && packet.shift_front(14));
            let len = packet.len() - 3;
            assert!(packet.resize(len));
            packet.bytes_mut()[0] = 0xee;
        }
        ring.transmit(&mut burst);
        assert!(burst.is_empty());

        let mut burst = receive(&mut ring, 20);
        for packet in &mut burst {
            assert_eq!(packet.port(), 6);
            assert!(packet.shift_front(-2), "the head room survives the ring");
            packet.bytes_mut()[..2].copy_from_slice(&[1, 2]);
            let len = packet.len() + 4;
            assert!(packet.resize(len));
            packet.bytes_mut()[len - 4..].copy_from_slice(b"tail");
        }
        sink.transmit(&mut burst);
        assert!(burst.is_empty());
    }
    assert_eq!((source.statistics().received, sink.statistics().sent), (20, 20));
    drop((source, ring, sink));

    let expected: Vec<_> =
        frames.iter().map(|frame| [&[1, 2, 0xee], &frame[11..frame.len() - 3], b"tail"].concat()).collect();
    assert_eq!(read_pcap(&output.0), expected);
    assert_eq!(pool.available(), pool.count());
}

#[test]
fn a_full_device_leaves_the_rest_in_order() {
    let pool = mempool(2048);
    let device = open("net_ring1", &pool);
    let mut port = device.queue(0, &pool, 0).unwrap();
    let (mut sent, mut burst) = (0usize, Burst::new());
    while burst.is_empty() {
        for number in sent..sent + BURST {
            let mut packet = port.allocate().unwrap();
            assert!(packet.resize(60));
            packet.bytes_mut()[..8].copy_from_slice(&number.to_ne_bytes());
            burst.push(packet);
        }
        port.transmit(&mut burst);
        sent += BURST - burst.len();
    }
    let number = |bytes: &[u8]| usize::from_ne_bytes(bytes[..8].try_into().unwrap());
    let left: Vec<_> = burst.iter().map(|packet| number(packet.bytes())).collect();
    assert_eq!(left, (sent..sent + left.len()).collect::<Vec<_>>());
    burst.clear();

    let mut received = 0;
    while received < sent {
        port.receive(&mut burst);
        assert!(!burst.is_empty(), "{received} of {sent} frames came back");
        for packet in burst.drain(..) {
            assert_eq!(number(packet.bytes()), received);
            received += 1;
        }
    }
    assert_eq!(pool.available(), pool.count());
}

#[test]
fn a_slab_packet_is_copied_and_goes_home() {
    let pool = mempool(256);
    let slab = Slab::new(3, 1514);
    let device = open("net_ring2", &pool);
    let mut port = device.queue(0, &pool, 0).unwrap();
    let frames = [frame(1, 64), frame(2, 1514), frame(3, 1514 + 100)];
    let mut burst = Burst::new();
    for frame in &frames {
        let mut packet = slab.allocate(0).unwrap();
        let excess = frame.len().saturating_sub(1514);
        assert!(packet.shift_front(-(excess as isize)) && packet.resize(frame.len()));
        packet.bytes_mut().copy_from_slice(frame);
        burst.push(packet);
        let mut own = port.allocate().unwrap();
        assert!(own.resize(60));
        burst.push(own);
    }
    port.transmit(&mut burst);
    assert!(burst.is_empty());
    assert_eq!((slab.available(), pool.available()), (3, pool.count() - 6));
    let burst = receive(&mut port, 6);
    for (packet, frame) in burst.iter().step_by(2).zip(&frames) {
        assert_eq!(packet.bytes(), frame);
    }
    drop(burst);
    assert_eq!(pool.available(), pool.count());
}

#[test]
fn without_buffers_a_slab_packet_stays() {
    let pool = mempool(31);
    let slab = Slab::new(1, 1514);
    let device = open("net_ring3", &pool);
    let mut port = device.queue(0, &pool, 0).unwrap();
    let hoard: Vec<_> = std::iter::from_fn(|| port.allocate()).collect();
    assert_eq!((hoard.len(), pool.available()), (31, 0));
    let mut burst = Burst::new();
    burst.push(slab.copy_of(b"stays", 0).unwrap());
    port.transmit(&mut burst);
    assert_eq!(burst[0].bytes(), b"stays");
    drop(hoard);
    port.transmit(&mut burst);
    assert!(burst.is_empty());
    assert_eq!(receive(&mut port, 1)[0].bytes(), b"stays");
}

#[test]
fn packets_are_released_on_another_thread() {
    let pool = mempool(2048);
    let device = open("net_null0,size=64", &pool);
    let mut port = device.queue(0, &pool, 0).unwrap();
    let (sender, receiver) = std::sync::mpsc::sync_channel::<Burst>(4);
    let worker = thread::spawn(move || {
        let _registered = eal().register_worker_thread().unwrap();
        receiver.iter().map(|burst| burst.len()).sum::<usize>()
    });
    let mut sent = 0;
    for _ in 0..500 {
        let mut burst = Burst::new();
        port.receive(&mut burst);
        assert!(burst.iter().all(|packet| packet.len() == 64));
        sent += burst.len();
        sender.send(burst).unwrap();
    }
    drop(sender);
    assert_eq!(worker.join().unwrap(), sent);
    assert!(sent > pool.count(), "buffers went round: {sent}");
    assert_eq!(pool.available(), pool.count());
}

#[test]
fn a_frame_in_segments_is_dropped_and_counted() {
    let input = Scratch::new("segments");
    let frames = [frame(1, 60), frame(2, 3000), frame(3, 100)];
    write_pcap(&input.0, &frames);
    let pool = mempool(1024);
    let device = open(&format!("net_pcap2,rx_pcap={}", input.0), &pool);
    let mut port = device.queue(0, &pool, 0).unwrap();
    let burst = receive(&mut port, 2);
    assert_eq!((burst[0].bytes(), burst[1].bytes()), (&frames[0][..], &frames[2][..]));
    assert_eq!(device.statistics().unusable, 1);
    drop(burst);
    assert_eq!(pool.available(), pool.count());
}

#[test]
fn a_queue_has_one_port_at_a_time_and_keeps_its_device_open() {
    let pool = mempool(1024);
    let options = DeviceOptions { mempools: vec![pool.clone(); 2], mac: Some([2, 0, 0, 0, 0, 9]) };
    let device = Device::open(eal(), "net_null1", &options).unwrap();
    assert_eq!((device.queue_count(), device.mac()), (2, [2, 0, 0, 0, 0, 9]));
    assert!(device.link_is_up());
    let first = device.queue(0, &pool, 0).unwrap();
    let mut second = device.queue(1, &pool, 0).unwrap();
    assert!(device.queue(0, &pool, 0).is_none() && device.queue(2, &pool, 0).is_none());
    drop(first);
    assert!(device.queue(0, &pool, 0).is_some());
    drop(device);
    assert_eq!(receive(&mut second, BURST).len(), BURST);
}

#[test]
fn two_memif_devices_reach_each_other() {
    let pool = mempool(4096);
    let socket = format!("socket=/portico-{},id=7", process::id());
    let server = open(&format!("net_memif0,role=server,{socket}"), &pool);
    let client = open(&format!("net_memif1,role=client,{socket}"), &pool);
    wait_until(|| server.link_is_up() && client.link_is_up());
    {
        let mut server = server.queue(0, &pool, 1).unwrap();
        let mut client = client.queue(0, &pool, 2).unwrap();
        let frames: Vec<_> = (0..8).map(|number| frame(number, 60 + number * 200)).collect();
        let mut burst = Burst::new();
        for frame in &frames {
            let mut packet = client.allocate().unwrap();
            assert!(packet.resize(frame.len()));
            packet.bytes_mut().copy_from_slice(frame);
            burst.push(packet);
        }
        client.transmit(&mut burst);
        assert!(burst.is_empty());
        let mut burst = receive(&mut server, frames.len());
        assert!(burst.iter().zip(&frames).all(|(packet, frame)| packet.bytes() == frame));

        // The client has posted no buffers for the server to fill until it first receives.
        let mut back = Burst::new();
        client.receive(&mut back);
        server.transmit(&mut burst);
        assert!(back.is_empty() && burst.is_empty());
        let burst = receive(&mut client, frames.len());
        assert!(burst.iter().zip(&frames).all(|(packet, frame)| packet.bytes() == frame));
    }
    // One after the other: the driver's own clean-up is not made for both ends at once.
    drop(client);
    wait_until(|| !server.link_is_up());
    drop(server);
    assert_eq!(pool.available(), pool.count());
}
