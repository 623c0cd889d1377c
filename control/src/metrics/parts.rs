//! What the control side knows without asking: the program, workers, interfaces, devices, drops, neighbours, routes.

use std::sync::Arc;

use dataplane::counters::{INTERFACE_METRICS, WORKER_METRICS};
use dataplane::drops::DropReason;
use dataplane::policy::Interface;
use dataplane::port::device::DeviceStatistics;
use dataplane::route::fib::Route;
use prometheus::proto::MetricFamily;

use super::family::{Labels, counters, gauges, table};
use crate::appliance::Appliance;
use crate::fault;
use crate::interface_state::{InterfaceState, live};
use crate::log::Log;

pub(super) fn families(appliance: &Appliance) -> Vec<MetricFamily> {
    let mut families = program(appliance);
    families.extend(workers(appliance));
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
        counters(
            "portico_panics_total",
            "Panics of threads that do not forward; the thread goes on",
            one(fault::count() as f64),
        ),
    ]
}

fn workers(appliance: &Appliance) -> Vec<MetricFamily> {
    let counters = appliance.counters.iter().map(Arc::as_ref).enumerate();
    let subjects: Vec<_> = counters.map(|(index, counters)| (worker(index), vec![counters])).collect();
    table(WORKER_METRICS, &subjects)
}

fn worker(index: usize) -> Labels {
    vec![("worker", index.to_string())]
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
    let busy_ns = appliance.counters.iter().map(|counters| counters.poll.busy_ns.value());
    let busy_s = busy_ns.enumerate().map(|(index, busy_ns)| (worker(index), busy_ns as f64 / 1e9));
    let stalls = loads().map(|(index, load)| (worker(index), load.stall_count as f64));
    [
        counters("portico_worker_busy_seconds_total", "Time spent in rounds that had packets", busy_s),
        gauges("portico_worker_busy_ratio", "Share of time spent in rounds that had packets", ratios),
        counters("portico_worker_stalls_total", "Times that a round took over a second", stalls),
    ]
}

fn interfaces(appliance: &Appliance) -> Vec<MetricFamily> {
    let name = |interface: &Interface| vec![("interface", interface.name.clone())];
    let all = || live(&appliance.compiled.policy.interfaces);
    let counted = |(index, interface)| {
        (name(interface), appliance.counters.iter().map(|counters| counters.interface(index)).collect())
    };
    let subjects: Vec<_> = all().map(counted).collect();
    let up = all().map(|(_, interface)| {
        let is_up = InterfaceState::of(appliance, interface) == InterfaceState::Up;
        (name(interface), f64::from(u8::from(is_up)))
    });
    let mut families = table(INTERFACE_METRICS, &subjects);
    families.push(gauges("portico_interface_up", "Whether the interface forwards", up));
    families
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
    ("portico_device_giant_frames_total", "Frames dropped because they were longer than a packet buffer", |s| s.giants),
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
        let count: u64 = appliance.counters.iter().map(|counters| counters.drops(reason).value()).sum();
        (
            vec![("reason", reason.label().to_string()), ("cause", reason.blame().label().to_string())],
            count as f64,
        )
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
