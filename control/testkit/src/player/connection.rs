//! Connections of the capture: opened, derived, heard and judged.

use std::net::SocketAddrV4;

use super::align::Form;
use super::changes::{self, Changes};
use super::flow::{Flow, INSIDE, OUTSIDE};
use super::judge::Heard;
use super::message::replaced;
use super::play::Player;
use super::sip::Way;
use crate::packet::{self, ACK, Kind, PSH, RST, SYN, TCP, View};

/// TCP options of a handshake that is made: a segment size of 1460, windows in units of 128, selective acknowledgements.
const OPTIONS: &[u8] = &[2, 4, 5, 0xb4, 1, 3, 3, 7, 1, 1, 4, 2];

impl Player {
    /// A segment came out on a side. Returns whether it is of a connection that is played.
    pub(super) fn hear(&mut self, side: usize, packet: &[u8], view: &View) -> bool {
        let (speaker, key) = if side == INSIDE {
            (OUTSIDE, [view.dst, view.src])
        } else {
            let local = self.locals.get(&(TCP, view.src));
            // The first segment from inside shows its global endpoint.
            let opening = || {
                let is_new = |flow: &&Flow| {
                    flow.ends[1] == view.dst && !self.globals.contains_key(&(TCP, flow.ends[0]))
                };
                self.flows.values().filter(is_new).map(|flow| flow.ends[0]).next()
            };
            let Some(local) = local.copied().or_else(opening) else { return false };
            self.learn(TCP, local, view.src);
            (INSIDE, [local, view.dst])
        };
        let Some(flow) = self.flows.get_mut(&key) else { return false };
        let (is_control, heard) = (flow.is_control, flow.hear(speaker, packet, view));
        if let Err(why) = heard {
            self.complain(format!("{} - {}: {why}", key[0], key[1]));
        }
        if side == INSIDE {
            self.arrive(key[0]);
        } else if is_control {
            self.read_stream(key);
        }
        true
    }

    /// A segment of an outside host, derived.
    pub(super) fn derive_segment(
        &mut self,
        ends: [SocketAddrV4; 2],
        packet: &[u8],
        view: &View,
    ) -> Result<(), String> {
        let global = self.global_of(TCP, ends[INSIDE]);
        let has_data = !view.payload.is_empty();
        let Some(mut flow) = self.flows.remove(&ends) else { return Ok(()) };
        let is_control = flow.is_control;
        let is_sip = is_control && self.scenario.is_sip(view);
        let echo = |bytes: &[u8]| match is_control {
            true if is_sip => {
                let said = self.sip_says(bytes, TCP, ends[INSIDE], global);
                (said.bytes, said.edits)
            }
            true => replaced(bytes, &self.echoes),
            false => (bytes.to_vec(), Vec::new()),
        };
        let derived = flow.outside_sends(packet, view, echo);
        self.flows.insert(ends, flow);
        let mut changes = derived?;
        if is_sip {
            self.sip_peers(&packet[view.payload.clone()], true);
        }
        changes.fields.push(("dst", u64::from(u32::from(*global.ip()))));
        changes.fields.push(("dport", u64::from(global.port())));
        let sent = changes::changed(packet, changes)?;
        self.locals.insert((TCP, global), ends[INSIDE]);
        let rest = self.send(OUTSIDE, &sent)?;
        self.check_unexpected(&rest)?;
        if has_data && is_control { self.try_doors() } else { Ok(()) }
    }

    /// Reads what an outside host has heard of a control connection by now.
    pub(super) fn read_stream(&mut self, key: [SocketAddrV4; 2]) {
        let Some(flow) = self.flows.get_mut(&key) else { return };
        if let Form::Sip { .. } = flow.form {
            let new = flow.alignments[INSIDE].messages[flow.judged..].to_vec();
            flow.judged += new.len();
            let (said, heard) = (flow.said[INSIDE].bytes.clone(), flow.heard[INSIDE].bytes.clone());
            let global = self.global_of(TCP, key[INSIDE]);
            let way = Way { protocol: TCP, local: key[INSIDE], global, outside: *key[OUTSIDE].ip() };
            for (one, other) in new {
                self.sip_heard(way, &said[one], &heard[other]);
            }
            return;
        }
        let (said, heard) = (flow.said[INSIDE].bytes.clone(), flow.heard[INSIDE].bytes.clone());
        let alignment = flow.alignments[INSIDE].clone();
        let own = self.global_of(TCP, key[INSIDE]);
        self.read(
            &Heard { said: &said, heard: &heard, alignment: &alignment },
            *own.ip(),
            *key[OUTSIDE].ip(),
        );
    }

    /// Makes a connection of a segment that belongs to none: by itself if it opens one, else with the handshake that
    /// the capture lacks.
    pub(super) fn open(&mut self, ends: [SocketAddrV4; 2], from: usize, view: &View) -> Result<(), String> {
        let Kind::Segment(seq, ack, flags) = view.kind else { return Ok(()) };
        let is_first = flags & (SYN | ACK) == SYN;
        let known = self.flows.get(&ends);
        if known.is_some_and(|flow| !(is_first && flow.is_reset)) {
            return Ok(());
        }
        if let Some(mut before) = self.flows.remove(&ends) {
            self.judge_flow(&mut before);
        }
        let is_control = self.scenario.is_control(view) && self.scenario.is_judged();
        self.flows.insert(ends, Flow::new(ends, self.scenario.form_of(view), is_control));
        if is_first || flags & RST != 0 {
            return Ok(());
        }
        let client = if self.scenario.is_server(TCP, ends[INSIDE], ends[OUTSIDE]) { OUTSIDE } else { INSIDE };
        let server = 1 - client;
        let mut next = [seq, ack];
        if from == OUTSIDE {
            next.swap(0, 1);
        }
        let prologue = std::mem::take(&mut self.scenario.prologue);
        next[client] = next[client].wrapping_sub(prologue.len() as u32);
        let first = next.map(|next| next.wrapping_sub(1));
        let (one, other) = (ends[client], ends[server]);
        let mut handshake = vec![
            packet::segment((one, other), (first[client], 0, SYN), OPTIONS, &[]),
            packet::segment((other, one), (first[server], next[client], SYN | ACK), OPTIONS, &[]),
            packet::segment((one, other), (next[client], next[server], ACK), &[], &[]),
        ];
        if !prologue.is_empty() {
            handshake.push(packet::segment(
                (one, other),
                (next[client], next[server], PSH | ACK),
                &[],
                &prologue,
            ));
        }
        self.report.made += handshake.len();
        handshake.iter().try_for_each(|packet| self.play(packet))
    }

    /// Hosts acknowledge what they acknowledged in the capture and what has only now reached them.
    pub(super) fn acknowledge(&mut self) -> Result<(), String> {
        let keys: Vec<_> = self.flows.keys().copied().collect();
        for key in keys {
            for host in [INSIDE, OUTSIDE] {
                let Some(packet) = self.flows.get_mut(&key).and_then(|flow| flow.owed(host)) else {
                    continue;
                };
                self.report.made += 1;
                let global = self.global_of(TCP, key[INSIDE]);
                let fields =
                    vec![("dst", u64::from(u32::from(*global.ip()))), ("dport", u64::from(global.port()))];
                let packet = match host {
                    INSIDE => packet,
                    _ => changes::changed(&packet, Changes { fields, ..Changes::default() })?,
                };
                self.send(host, &packet)?;
            }
        }
        Ok(())
    }

    /// Verifies a connection as a whole.
    pub(super) fn judge_flow(&mut self, flow: &mut Flow) {
        let [inside, outside] = flow.ends;
        if let Err(why) = flow.finish() {
            self.complain(format!("{inside} - {outside}: {why}"));
        }
        let (said, heard) = (&flow.said[INSIDE].bytes, &flow.heard[INSIDE].bytes);
        // Messages of SIP were judged as they came.
        if !matches!(flow.form, Form::Sip { .. }) {
            self.judge(&Heard { said, heard, alignment: &flow.alignments[INSIDE] });
        }
        let expected = self.renamed_inside(&flow.captured.bytes);
        if flow.heard[OUTSIDE].bytes != expected && !flow.captured.has_gap() {
            self.complain(format!(
                "{inside} - {outside}: the inside host heard other bytes than in the capture"
            ));
        }
    }
}
