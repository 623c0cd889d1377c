//! Packets of other attacks, mutated.

use rand::{Rng, RngExt};
use testkit::checksum::seal;
use testkit::dissect::{Dissection, set};
use testkit::network::Side;

use super::field::Field;

/// What a packet buffer holds, in bytes.
const FRAME_LEN_MAX: usize = 2048;

pub fn frame(field: &mut Field) {
    if field.recent.is_empty() {
        return super::floods::syns(field);
    }
    let number = field.below(field.recent.len() as u32) as usize;
    let (side, packet) = field.recent[number].clone();
    let mut frame = vec![2, 0, 0, 0, 0, side as u8 + 1, 2, 0, 0, 0, 0, 0xa + side as u8, 8, 0];
    frame.extend(packet);
    for _ in 0..1 + field.below(3) {
        mutate(field, &mut frame);
    }
    // What has a wrong checksum goes no further: most are made right again.
    if field.below(5) > 0 {
        let layout = Dissection::of_frame(&frame);
        seal(&mut frame, &layout.sites);
    }
    frame.truncate(FRAME_LEN_MAX);
    let is_turned = field.below(20) == 0;
    let side = match side {
        Side::Inside if is_turned => Side::Outside,
        Side::Outside if is_turned => Side::Inside,
        side => side,
    };
    field.network.send_frame(side, &frame);
}

fn mutate(field: &mut Field, frame: &mut Vec<u8>) {
    let kind = field.below(8);
    let random = &mut field.network.random;
    let at = random.random_range(14..frame.len().max(15)).min(frame.len().saturating_sub(1));
    match kind {
        0 => frame[at] ^= 1 << random.random_range(0..8),
        1 => frame[at] = random.random(),
        2 => frame.truncate(at.max(14)),
        3 => {
            let mut tail = vec![0; random.random_range(1..100)];
            random.fill_bytes(&mut tail);
            frame.extend(tail);
        }
        4 => frame[at] = [0, 1, 0x7f, 0x80, 0xff][random.random_range(0..5)],
        _ => {
            let layout = Dissection::of_frame(frame);
            let fields: Vec<_> = layout.fields.iter().skip(3).collect();
            if !fields.is_empty() {
                let one = fields[random.random_range(0..fields.len())];
                set(frame, one, random.random::<u64>() >> random.random_range(0..64));
            }
        }
    }
}
