//! What the control side knows without asking: the program, workers, interfaces, devices, drops, neighbours, routes.

use std::sync::Arc;

use dataplane::counters::Counters;
use dataplane::counters::Stage;
use dataplane::drops::DropReason;
use dataplane::lives::EndReason;
use dataplane::route::fib::Route;
use dataplane_dpdk::DeviceStatistics;
use prometheus::proto::MetricFamily;

use super::family::{Labels, counters, gauges};
use crate::appliance::Appliance;
use crate::interface_state::{InterfaceState, live};
use crate::log::Log;

pub(super) fn families(appliance: &Appliance) -> Vec<MetricFamily> {
    let mut families = program(appliance);
    families.extend(WORKER_COUNTERS.iter().map(|(name, help, value)| {
        counters(name, help, by_worker(appliance, |counters| value(counters) as f64))
    }));
    families.extend(WORKER_GAUGES.iter().map(|(name, help, value)| {
        gauges(name, help, by_worker(appliance, |counters| value(counters) as f64))
    }));
    families.push(stages(appliance));
    families.push(sessions_ended(appliance));
    families.extend(loads(appliance));
    families.extend(interfaces(appliance));
    families.push(drops(appliance));
    families.extend([neighbours(appliance), routes(appliance)]);
    families
}

fn program(appliance: &Appliance) -> Vec<MetricFamily> {
    let operation = &appliance.operation;
    let one = |value: f64| [(Labels::new(), value)];
    let version = vec![("version", env!("CARGO_PKG_VERSION").to_string())];
    let reloads = [("success", operation.reloads_done), ("failure", operation.reloads_refused)];
    let reloads = reloads.map(|(result, count)| (vec![("result", result.to_string())], count as f64));
    let lost = operation.log.as_ref().map_or(0, Log::lost);
    vec![
        gauges("portico_build_info", "The version that runs", [(version, 1.0)]),
        gauges("portico_uptime_seconds", "Time since the start", one(operation.now_ms as f64 / 1000.0)),
        counters(
            "portico_config_reloads_total",
            "Configurations taken over or refused since the start",
            reloads,
        ),
        counters("portico_log_messages_lost_total", "Log messages that came too fast", one(lost as f64)),
    ]
}

type Value = fn(&Counters) -> u64;

#[rustfmt::skip]
const WORKER_COUNTERS: &[(&str, &str, Value)] = &[
    ("portico_worker_received_packets_total", "Frames taken from ports", |c| c.fates.received.value()),
    ("portico_worker_taken_over_packets_total", "Packets other workers handed over", |c| c.fates.taken_over.value()),
    ("portico_worker_generated_packets_total", "Packets that Portico made itself", |c| c.fates.generated.value()),
    ("portico_worker_sent_packets_total", "Packets that devices took", |c| c.fates.sent.value()),
    ("portico_worker_consumed_packets_total", "Packets for the box itself", |c| c.fates.consumed.value()),
    ("portico_worker_dropped_packets_total", "Packets dropped", |c| c.fates.dropped.value()),
    ("portico_worker_handed_over_packets_total", "Packets handed to other workers", |c| c.fates.handed_over.value()),
    ("portico_worker_handed_over_inside_packets_total", "Of those, packets from inside hosts of other workers", |c| c.handovers.inside.value()),
    ("portico_worker_handed_over_outside_packets_total", "Of those, packets to global endpoints of other workers", |c| c.handovers.outside.value()),
    ("portico_worker_handed_over_fragments_total", "Of those, fragments", |c| c.handovers.fragments.value()),
    ("portico_worker_handed_over_turned_packets_total", "Of those, packets from inside to a global address", |c| c.handovers.turned_around.value()),
    ("portico_worker_rounds_total", "Rounds of the poll loop", |c| c.poll.rounds.value()),
    ("portico_worker_busy_rounds_total", "Rounds of the poll loop that had packets", |c| c.poll.busy_rounds.value()),
    ("portico_worker_timed_packets_total", "Packets of the bursts whose stages were timed", |c| c.stages.packets.value()),
    ("portico_nat_hits_total", "Packets that found a session", |c| c.nat.hits.value()),
    ("portico_nat_misses_total", "Packets on NAT interfaces that found no session", |c| c.nat.misses.value()),
    ("portico_nat_sessions_created_total", "Sessions made", |c| c.nat.session_lives.begun.value()),
    ("portico_nat_port_sets_taken_total", "Port sets that subscribers took", |c| c.nat.port_set_lives.begun.value()),
    ("portico_nat_port_sets_returned_total", "Port sets that subscribers returned", |c| c.nat.port_set_lives.ended()),
    ("portico_nat_sessions_expired_total", "Sessions that ended by idle time", |c| c.nat.expired()),
];

#[rustfmt::skip]
const WORKER_GAUGES: &[(&str, &str, Value)] = &[
    ("portico_worker_held_packets", "Packets that wait for a next hop", |c| c.fates.held.value()),
    ("portico_nat_sessions", "Sessions now", |c| c.nat.sessions.value()),
    ("portico_nat_sessions_peak", "The most sessions at once", |c| c.nat.sessions_peak.value()),
    ("portico_nat_mappings", "Mappings now", |c| c.nat.mappings.value()),
    ("portico_nat_port_sets", "Port sets of subscribers now", |c| c.nat.port_sets.value()),
    ("portico_nat_doors", "Doors open now", |c| c.doors.value()),
];

fn by_worker(appliance: &Appliance, value: impl Fn(&Counters) -> f64) -> Vec<(Labels, f64)> {
    let sample = |(index, counters): (usize, &Arc<Counters>)| (worker(index), value(counters));
    appliance.counters.iter().enumerate().map(sample).collect()
}

fn worker(index: usize) -> Labels {
    vec![("worker", index.to_string())]
}

fn stages(appliance: &Appliance) -> MetricFamily {
    let samples = Stage::ALL.into_iter().flat_map(|stage| {
        let ticks = by_worker(appliance, |counters| counters.stages.ticks[stage as usize].value() as f64);
        let label = move |(labels, value): (Labels, f64)| {
            ([labels, vec![("stage", stage.label().to_string())]].concat(), value)
        };
        ticks.into_iter().map(label)
    });
    counters(
        "portico_worker_stage_ticks_total",
        "Ticks of the time stamp counter that a stage of the path took for these packets",
        samples,
    )
}

fn sessions_ended(appliance: &Appliance) -> MetricFamily {
    let samples = EndReason::ALL.into_iter().flat_map(|reason| {
        let ended =
            by_worker(appliance, |counters| counters.nat.session_lives.ended[reason as usize].value() as f64);
        let label = move |(labels, value): (Labels, f64)| {
            ([labels, vec![("reason", reason.label().to_string())]].concat(), value)
        };
        ended.into_iter().map(label)
    });
    counters("portico_nat_sessions_ended_total", "Sessions that ended, by reason", samples)
}

fn loads(appliance: &Appliance) -> [MetricFamily; 3] {
    let loads = || appliance.operation.loads.iter().enumerate();
    let windows = [("5s", 5), ("1m", 60)];
    let ratios = loads().flat_map(|(index, load)| {
        windows.map(|(name, seconds)| {
            let labels = [worker(index), vec![("window", name.to_string())]].concat();
            (labels, load.over(seconds).busy_ratio)
        })
    });
    let busy_s = by_worker(appliance, |counters| counters.poll.busy_ns.value() as f64 / 1e9);
    let stalls = loads().map(|(index, load)| (worker(index), load.stall_count as f64));
    [
        counters("portico_worker_busy_seconds_total", "Time spent in rounds that had packets", busy_s),
        gauges("portico_worker_busy_ratio", "Share of time spent in rounds that had packets", ratios),
        counters("portico_worker_stalls_total", "Times that a round took over a second", stalls),
    ]
}

fn interfaces(appliance: &Appliance) -> [MetricFamily; 3] {
    let (mut packets, mut bytes, mut up) = (Vec::new(), Vec::new(), Vec::new());
    for (index, interface) in live(&appliance.compiled.policy.interfaces) {
        let name = vec![("interface", interface.name.clone())];
        for direction in ["in", "out"] {
            let labels = [name.clone(), vec![("direction", direction.to_string())]].concat();
            let mut sums = (0, 0);
            for counters in appliance.counters.iter().map(|counters| counters.interface(index)) {
                let (p, b) = match direction {
                    "in" => (&counters.in_packets, &counters.in_bytes),
                    _ => (&counters.out_packets, &counters.out_bytes),
                };
                sums = (sums.0 + p.value(), sums.1 + b.value());
            }
            packets.push((labels.clone(), sums.0 as f64));
            bytes.push((labels, sums.1 as f64));
        }
        let is_up = InterfaceState::of(appliance, interface) == InterfaceState::Up;
        up.push((name, f64::from(u8::from(is_up))));
    }
    [
        counters("portico_interface_packets_total", "Packets by interface", packets),
        counters("portico_interface_bytes_total", "Bytes by interface", bytes),
        gauges("portico_interface_up", "Whether the interface forwards", up),
    ]
}

type DeviceValue = fn(&DeviceStatistics) -> u64;

#[rustfmt::skip]
const DEVICE_COUNTERS: &[(&str, &str, DeviceValue)] = &[
    ("portico_device_received_frames_total", "Frames the device received", |s| s.received),
    ("portico_device_received_bytes_total", "Bytes the device received", |s| s.received_bytes),
    ("portico_device_sent_frames_total", "Frames the device sent", |s| s.sent),
    ("portico_device_sent_bytes_total", "Bytes the device sent", |s| s.sent_bytes),
    ("portico_device_missed_frames_total", "Frames lost because the receive queue was full", |s| s.missed),
    ("portico_device_receive_errors_total", "Frames received with an error", |s| s.receive_errors),
    ("portico_device_transmit_errors_total", "Frames that failed to be sent", |s| s.transmit_errors),
    ("portico_device_no_buffer_total", "Times there was no buffer to receive into", |s| s.no_buffer),
    ("portico_device_unusable_frames_total", "Frames dropped because they came in several buffers", |s| s.unusable),
];

pub(super) fn devices(read: &[(String, DeviceStatistics)]) -> Vec<MetricFamily> {
    let family = |(name, help, value): &(&str, &str, DeviceValue)| {
        let sample = |(name, read): &(String, DeviceStatistics)| {
            (vec![("interface", name.clone())], value(read) as f64)
        };
        counters(name, help, read.iter().map(sample))
    };
    DEVICE_COUNTERS.iter().map(family).collect()
}

fn drops(appliance: &Appliance) -> MetricFamily {
    let sample = |&reason: &DropReason| {
        let cause = format!("{:?}", reason.blame()).to_lowercase();
        let count: u64 = appliance.counters.iter().map(|counters| counters.drops(reason).value()).sum();
        (vec![("reason", reason.label().to_string()), ("cause", cause)], count as f64)
    };
    counters("portico_drops_total", "Packets dropped by reason", DropReason::ALL.iter().map(sample))
}

fn neighbours(appliance: &Appliance) -> MetricFamily {
    let rows = appliance.neighbours.rows(appliance.operation.now_ms);
    let count = |fits: fn(&crate::neighbours::NeighbourRow) -> bool| {
        rows.iter().filter(|row| fits(row)).count() as f64
    };
    let states = [
        ("static", count(|row| row.age_ms.is_none())),
        ("reachable", count(|row| row.age_ms.is_some() && row.mac.is_some())),
        ("incomplete", count(|row| row.age_ms.is_some() && row.mac.is_none())),
    ];
    let samples = states.map(|(state, count)| (vec![("state", state.to_string())], count));
    gauges("portico_neighbours", "Neighbours by what is known of them", samples)
}

fn routes(appliance: &Appliance) -> MetricFamily {
    let mut counts = [("local", 0.0), ("connected", 0.0), ("static", 0.0)];
    for entry in &appliance.compiled.routes {
        match entry.route {
            Route::Broadcast => {}
            _ if entry.is_static => counts[2].1 += 1.0,
            Route::Local(_) => counts[0].1 += 1.0,
            _ => counts[1].1 += 1.0,
        }
    }
    let samples = counts.map(|(kind, count)| (vec![("kind", kind.to_string())], count));
    gauges("portico_routes", "Routes in force by kind", samples)
}
