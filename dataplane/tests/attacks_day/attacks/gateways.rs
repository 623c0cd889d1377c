//! What fills the tables of gateways: streams, what they hold, and doors.

use std::net::SocketAddrV4;

use alg::Side;
use testkit::network::Network;
use testkit::packet::{ACK, PSH, SYN};
use testkit::witness::Connection;

use super::field::Field;
use crate::network::PUBLISHED;

const TCP_PORTS: [u16; 4] = [21, 554, 53, 514];
const READ: &[u8] = b"\0\x01boot\0octet\0";

pub fn syns_inwards(field: &mut Field) {
    let port = TCP_PORTS[field.below(4) as usize];
    let stranger = field.stranger();
    field.segment(Side::Outside, (stranger, SocketAddrV4::new(PUBLISHED, port)), SYN);
}

pub fn syns_outwards(field: &mut Field) {
    let port = TCP_PORTS[field.below(4) as usize];
    let peer = SocketAddrV4::new(*field.stranger().ip(), port);
    let own = field.infected();
    field.segment(Side::Inside, (own, peer), SYN);
}

/// A client's order that names one of its ports.
fn order(client: SocketAddrV4, port: u16) -> String {
    let host = client.ip();
    if port.is_multiple_of(2) {
        return format!("EPRT |1|{host}|{port}|\r\n");
    }
    format!("PORT {},{},{}\r\n", host.to_string().replace('.', ","), port >> 8, port & 0xff)
}

/// A server's answer that names one of its ports.
fn passive(server: SocketAddrV4, port: u16) -> String {
    let host = server.ip().to_string().replace('.', ",");
    format!("227 Entering Passive Mode ({host},{},{})\r\n", port >> 8, port & 0xff)
}

fn greeted(new: Option<Connection>, network: &mut Network, server: Side) -> Option<Connection> {
    let mut new = new?;
    new.tell(network, server, b"220 ready\r\n");
    Some(new)
}

pub fn ftp_outwards(field: &mut Field) {
    let port = field.port();
    let open = |field: &mut Field| greeted(field.outwards(21), &mut field.network, Side::Outside);
    field.talk("ftp-doors", open, |one, network| {
        let line = order(one.local, port);
        one.tell(network, Side::Inside, line.as_bytes());
        one.tell(network, Side::Outside, b"200 done\r\n");
    });
}

pub fn ftp_inwards(field: &mut Field) {
    let port = field.port();
    let open = |field: &mut Field| greeted(field.inwards(21, 21), &mut field.network, Side::Inside);
    field.talk("ftp-doors-of-strangers", open, |one, network| {
        let (asks, answers) = match port % 3 {
            0 => ("PASV\r\n".into(), passive(one.local, port)),
            _ => (order(one.peer, port), "200 done\r\n".into()),
        };
        one.tell(network, Side::Outside, asks.as_bytes());
        one.tell(network, Side::Inside, answers.as_bytes());
    });
}

/// Lines that never end, in small pieces.
pub fn ftp_half_lines(field: &mut Field) {
    let open = |field: &mut Field| match field.below(2) {
        0 => greeted(field.outwards(21), &mut field.network, Side::Outside),
        _ => greeted(field.inwards(21, 21), &mut field.network, Side::Inside),
    };
    field.talk("ftp-half-lines", open, |one, network| {
        let client = if one.local.port() == 21 { Side::Outside } else { Side::Inside };
        say(one, network, client, b"STOR x");
        say(one, network, client.other(), b"200-a");
    });
}

/// Data that nobody acknowledges.
fn say(one: &mut Connection, network: &mut Network, by: Side, data: &[u8]) {
    let packet = one.says(by, PSH | ACK, data);
    network.send(by, &packet);
    one.next[by as usize] = one.next[by as usize].wrapping_add(data.len() as u32);
}

/// Bodies whose end never comes, and headers.
pub fn rtsp_never_whole(field: &mut Field) {
    let is_body = field.below(2) == 0;
    let open = |field: &mut Field| match field.below(2) {
        0 => field.outwards(554),
        _ => field.inwards(54, 554),
    };
    field.talk("rtsp-never-whole", open, |one, network| {
        let client = if one.local.port() == 554 { Side::Outside } else { Side::Inside };
        let data: &[u8] = match is_body {
            true => b"ANNOUNCE rtsp://a/b RTSP/1.0\r\nCSeq: 1\r\nContent-Type: application/sdp\r\nContent-Length: 5000\r\n\r\nv=0",
            false => b"OPTIONS * RTSP/1.0\r\nCSeq: ",
        };
        say(one, network, client, data);
    });
}

pub fn rtsp_doors(field: &mut Field) {
    let port = field.port() & !1;
    field.talk("rtsp-doors", |field| field.outwards(554), |one, network| {
        let setup = format!(
            "SETUP rtsp://{}/a RTSP/1.0\r\nCSeq: {port}\r\nTransport: RTP/AVP;unicast;client_port={port}-{}\r\n\r\n",
            one.peer.ip(),
            port + 1
        );
        one.tell(network, Side::Inside, setup.as_bytes());
    });
}

pub fn rcmd_doors(field: &mut Field) {
    let port = 512 + field.below(512);
    let is_inside = field.below(2) == 0;
    let new = if is_inside { field.outwards(514) } else { field.inwards(14, 514) };
    let Some(mut new) = new else { return };
    let client = if is_inside { Side::Inside } else { Side::Outside };
    new.tell(&mut field.network, client, format!("{port}\0").as_bytes());
}

pub fn tftp_inwards(field: &mut Field) {
    let stranger = field.stranger();
    field.datagram(Side::Outside, (stranger, SocketAddrV4::new(PUBLISHED, 69)), READ);
}

pub fn tftp_outwards(field: &mut Field) {
    let peer = SocketAddrV4::new(*field.stranger().ip(), 69);
    let own = field.infected();
    field.datagram(Side::Inside, (own, peer), READ);
}
