//! The load generator's command line.

use std::net::Ipv4Addr;
use std::ops::RangeInclusive;

use anyhow::{Result, anyhow, bail};
use benches::drive::Load;
use benches::flows::Flows;
use benches::frames::Protocol;
use clap::{Parser, ValueEnum};

/// Offers flows to an appliance between two ports and verifies what comes back. Frames to the appliance go to
/// 0200.0000.0001 inside and 0200.0000.0002 outside, and come from 0200.0000.000a and 0200.0000.000b.
#[derive(Parser)]
pub struct Arguments {
    /// The socket of the appliance's memif servers, id 0 inside and id 1 outside.
    #[arg(long, default_value = "/tmp/portico-bench.sock")]
    pub socket: String,
    /// DPDK's devargs of the inside port, instead of a memif client.
    #[arg(long, requires = "outside_device")]
    pub inside_device: Option<String>,
    /// DPDK's devargs of the outside port, instead of a memif client.
    #[arg(long, requires = "inside_device")]
    pub outside_device: Option<String>,
    /// Inside hosts.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..))]
    pub subscribers: u32,
    /// Flows of each host.
    #[arg(long, default_value_t = 256, value_parser = clap::value_parser!(u32).range(1..=64_000))]
    pub flows: u32,
    /// Peers of each inside endpoint.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub peers: u32,
    /// The first inside host.
    #[arg(long, default_value = "100.64.1.0")]
    pub inside: Ipv4Addr,
    /// The first peer.
    #[arg(long, default_value = "198.51.100.7")]
    pub peer: Ipv4Addr,
    /// Global addresses, FIRST-LAST, that sources must come from; without, nothing may be translated.
    #[arg(long, value_parser = parse_pool)]
    pub pool: Option<RangeInclusive<u32>>,
    /// What the packets are.
    #[arg(long, value_enum, default_value_t = Protocol::Udp)]
    pub protocol: Protocol,
    /// Frame size in bytes with the frame check sequence, 64 to 1518, or imix.
    #[arg(long, default_value = "64", value_parser = parse_size)]
    pub size: Size,
    /// The order of flows.
    #[arg(long, value_enum, default_value_t = Order::Random)]
    pub order: Order,
    /// The seed of the random order; drawn and printed otherwise.
    #[arg(long)]
    pub seed: Option<u64>,
    /// What to measure after setting all flows up.
    #[arg(long, value_enum, value_delimiter = ',', default_values_t = [Phase::Out, Phase::In, Phase::Both])]
    pub phases: Vec<Phase>,
    /// Measured seconds of each phase.
    #[arg(long, default_value_t = 3.0)]
    pub seconds: f64,
    /// Seconds of each phase that are not measured.
    #[arg(long, default_value_t = 0.5)]
    pub warm_up: f64,
    /// Millions of packets a second in each direction; as many as the appliance takes if 0.
    #[arg(long, default_value_t = 0.0)]
    pub rate: f64,
    /// Flows a second to set up at; as many as the appliance takes if 0.
    #[arg(long, default_value_t = 0.0)]
    pub setup_rate: f64,
    /// New flows a second while measuring, each in the place of the oldest.
    #[arg(long, default_value_t = 0.0)]
    pub churn: f64,
    /// One of so many data packets is verified; of set-up packets, each is.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub sample: u32,
    /// The core to run on.
    #[arg(long, default_value_t = 0)]
    pub core: usize,
    /// The worker to observe, PID:THREAD, as in 4711:worker-0.
    #[arg(long, value_parser = parse_watch)]
    pub watch: Option<(u32, String)>,
    /// Do without huge pages, and so copy every frame.
    #[arg(long)]
    pub no_huge: bool,
}

/// A way to load the appliance.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Phase {
    /// From inside.
    Out,
    /// From outside, to the translations seen.
    In,
    /// Both at once.
    Both,
}

/// The order of flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Order {
    /// Each packet of any flow.
    Random,
    /// One flow after the other.
    Sequential,
}

/// Sizes of frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    Bytes(usize),
    Imix,
}

fn parse_size(text: &str) -> Result<Size> {
    match (text, text.parse()) {
        ("imix", _) => Ok(Size::Imix),
        (_, Ok(bytes @ 64..=1518)) => Ok(Size::Bytes(bytes)),
        _ => Err(anyhow!("neither imix nor from 64 to 1518")),
    }
}

fn parse_pool(text: &str) -> Result<RangeInclusive<u32>> {
    let (first, last) = text.split_once('-').ok_or_else(|| anyhow!("not FIRST-LAST"))?;
    let (first, last): (Ipv4Addr, Ipv4Addr) = (first.parse()?, last.parse()?);
    Ok(first.to_bits()..=last.to_bits())
}

fn parse_watch(text: &str) -> Result<(u32, String)> {
    let (pid, name) = text.split_once(':').ok_or_else(|| anyhow!("not PID:THREAD"))?;
    Ok((pid.parse()?, name.to_owned()))
}

impl Arguments {
    /// DPDK's devargs of the inside and the outside port.
    pub fn devices(&self) -> [String; 2] {
        let memif = |id: usize| {
            let copies = if self.no_huge { "no" } else { "yes" };
            let socket = &self.socket;
            format!("net_memif{id},role=client,id={id},socket={socket},socket-abstract=no,zero-copy={copies}")
        };
        [
            self.inside_device.clone().unwrap_or_else(|| memif(0)),
            self.outside_device.clone().unwrap_or_else(|| memif(1)),
        ]
    }

    /// The flows of the run.
    ///
    /// # Errors
    /// When they are too many.
    pub fn flows(&self) -> Result<Flows> {
        let window = self.subscribers.checked_mul(self.flows);
        if window.is_none_or(|window| window > 1 << 28) {
            bail!(
                "{} subscribers with {} flows are more than 268 million flows",
                self.subscribers,
                self.flows
            );
        }
        let (inside, peer) = (self.inside, self.peer);
        Ok(Flows {
            subscribers: self.subscribers,
            per_subscriber: self.flows,
            peers: self.peers,
            inside,
            peer,
        })
    }

    /// What a phase sends.
    pub fn load(&self, phase: Phase) -> Load {
        Load {
            out: phase != Phase::In,
            inbound: phase != Phase::Out,
            rate: self.rate * 1e6,
            churn: self.churn,
        }
    }
}
