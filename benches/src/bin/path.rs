//! What a packet costs between a port's receive and its transmit, without any device: one worker, ports that
//! copy prepared frames. Each figure stands beside that of the same ports without the path, in the same run.
#![forbid(unsafe_code)]

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use clap::Parser;
use dataplane::port::{Burst, Port};
use dataplane::worker::Worker;
use mem::{Packet, Slab};
use portico::appliance::Appliance;
use portico::compile::PortBinding;
use portico::config;

/// Measures set-up and established packets of UDP flows through the NAT.
#[derive(Parser)]
struct Arguments {
    /// Flow counts to measure.
    #[arg(long, value_delimiter = ',', default_values_t = [1u32, 65_536, 1_048_576])]
    flows: Vec<u32>,
    /// Packets measured at each flow count.
    #[arg(long, default_value_t = 4_000_000)]
    packets: u64,
    /// Measure CGN mode rather than the default one.
    #[arg(long)]
    cgn: bool,
}

const FRAME_LEN: usize = 60;
const FLOWS_PER_HOST: u32 = 256;

/// A port that receives prepared frames, one of `flows` after the other in a scattered order, and counts what
/// is sent.
struct Feed {
    index: usize,
    slab: Slab,
    frame: [u8; FRAME_LEN],
    flows: u32,
    next: u32,
    is_feeding: bool,
    sent: u64,
}

impl Feed {
    fn new(index: usize, slab: &Slab) -> Feed {
        Feed {
            index,
            slab: slab.clone(),
            frame: template(),
            flows: 0,
            next: 0,
            is_feeding: index == 0,
            sent: 0,
        }
    }

    fn aim(&mut self, flow: u32) {
        let host = Ipv4Addr::from_bits(0x0a00_0100 + flow / FLOWS_PER_HOST);
        let port = 10_000 + (flow % FLOWS_PER_HOST) as u16;
        self.frame[26..30].copy_from_slice(&host.octets());
        self.frame[34..36].copy_from_slice(&port.to_be_bytes());
        self.frame[24..26].fill(0);
        let sum = dataplane::checksum::checksum(&self.frame[14..34]);
        self.frame[24..26].copy_from_slice(&sum.to_be_bytes());
    }
}

impl Port for Feed {
    fn receive(&mut self, burst: &mut Burst) {
        while self.is_feeding && self.flows > 0 && !burst.is_full() {
            // An odd stride visits every flow of a power of two, far from the one before.
            self.next = self.next.wrapping_add(0x9e37_79b1) & (self.flows - 1);
            self.aim(self.next);
            match self.slab.copy_of(&self.frame, self.index) {
                Some(packet) => burst.push(packet),
                None => return,
            }
        }
    }

    fn transmit(&mut self, burst: &mut Burst) {
        self.sent += burst.len() as u64;
        burst.clear();
    }

    fn allocate(&mut self) -> Option<Packet> {
        self.slab.allocate(self.index)
    }
}

/// A UDP frame to 198.51.100.7 port 5000, from a host yet to be filled in.
fn template() -> [u8; FRAME_LEN] {
    let mut frame = [0; FRAME_LEN];
    frame[..6].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
    frame[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 9]);
    frame[12..18].copy_from_slice(&[0x08, 0x00, 0x45, 0, 0, 46]);
    (frame[22], frame[23]) = (64, 17);
    frame[30..34].copy_from_slice(&[198, 51, 100, 7]);
    frame[36..38].copy_from_slice(&5000u16.to_be_bytes());
    frame[38..40].copy_from_slice(&26u16.to_be_bytes());
    frame
}

fn configuration(flows: u32, cgn: bool) -> String {
    let mode = if cgn { "ip nat settings mode cgn\n" } else { "" };
    format!(
        "platform dpdk\n max-sessions {}\ninterface GigabitEthernet0/0/0\n mac-address 0200.0000.0001\n \
         ip address 10.0.0.1 255.0.0.0\n ip nat inside\ninterface GigabitEthernet0/0/1\n \
         mac-address 0200.0000.0002\n ip address 192.0.2.1 255.255.255.0\n ip nat outside\n\
         ip nat pool P 203.0.112.1 203.0.113.254 prefix-length 22\nip nat inside source list 1 pool P overload\n\
         access-list 1 permit any\nip route 0.0.0.0 0.0.0.0 192.0.2.254\narp 192.0.2.254 0200.0000.00fe arpa\n{mode}",
        (flows * 2).max(1024)
    )
}

/// A worker over two feeding ports, forwarding.
fn worker(flows: u32, cgn: bool) -> Result<(Appliance, Worker)> {
    let config = config::parse("bench", &configuration(flows, cgn)).map_err(|found| anyhow!("{found:?}"))?;
    let slab = Slab::new(1024, 1514);
    let mut feeds: Vec<Feed> = (0..2).map(|index| Feed::new(index, &slab)).collect();
    feeds[0].flows = flows;
    let binding = |name: &str| PortBinding {
        interface: name.parse().unwrap_or_else(|()| unreachable!("a name of ours")),
        mac: None,
        has_link: true,
    };
    let bindings = vec![binding("GigabitEthernet0/0/0"), binding("GigabitEthernet0/0/1")];
    let queues = vec![feeds.into_iter().map(|feed| Box::new(feed) as Box<dyn Port>).collect()];
    let (appliance, setups) =
        Appliance::new(config, bindings, queues, [7, 11]).map_err(|errors| anyhow!("{errors:?}"))?;
    let setup = setups.into_iter().next().ok_or_else(|| anyhow!("no worker"))?;
    Ok((appliance, Worker::new(setup, 0)))
}

/// Nanoseconds a packet over so many packets.
fn per_packet(packets: u64, mut round: impl FnMut(u32) -> usize) -> f64 {
    let started = Instant::now();
    let mut done = 0;
    while done < packets {
        done += round((started.elapsed().as_millis() / 1000) as u32) as u64;
    }
    started.elapsed().as_secs_f64() * 1e9 / done as f64
}

/// The cost of the ports alone.
fn ports_alone(flows: u32, packets: u64) -> f64 {
    let slab = Slab::new(1024, 1514);
    let (mut from, mut to) = (Feed::new(0, &slab), Feed::new(1, &slab));
    from.flows = flows;
    per_packet(packets, |_| {
        let mut burst = Burst::new();
        from.receive(&mut burst);
        let count = burst.len();
        to.transmit(&mut burst);
        count
    })
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let mode = if arguments.cgn { "cgn" } else { "default" };
    println!(
        "{:<10}{:>12}{:>16}{:>16}{:>16}",
        "mode", "flows", "ports alone ns", "set-up ns", "established ns"
    );
    for flows in arguments.flows {
        let flows = flows.next_power_of_two();
        let ports = ports_alone(flows, arguments.packets);
        let (_appliance, mut worker) = worker(flows, arguments.cgn)?;
        worker.round(0);
        let setup = per_packet(u64::from(flows), |now| worker.round(now));
        let established = per_packet(arguments.packets, |now| worker.round(now));
        let nat = &worker.counters().nat;
        if nat.sessions.value() != u64::from(flows) {
            return Err(anyhow!(
                "{} sessions of {flows} flows: the figures say nothing",
                nat.sessions.value()
            ));
        }
        println!("{mode:<10}{flows:>12}{ports:>16.1}{:>16.1}{:>16.1}", setup - ports, established - ports);
        drop(worker);
        std::thread::sleep(Duration::from_millis(10));
    }
    Ok(())
}
