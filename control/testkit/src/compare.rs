//! Two frames, field by field.

use crate::describe;
use crate::dissect::{Dissection, value};

/// What differs between the frame that was expected and the one that came, in lines; empty when they are equal.
pub fn differences(expected: &[u8], came: &[u8]) -> Vec<String> {
    if expected == came {
        return Vec::new();
    }
    let (should, is) = (Dissection::of_frame(expected), Dissection::of_frame(came));
    let mut lines = Vec::new();
    for kind in ["ethertype", "protocol"] {
        let (wanted, found) = (should.value(expected, 0, kind), is.value(came, 0, kind));
        if let (Some(wanted), Some(found)) = (wanted, found)
            && wanted != found
        {
            let (wanted, found) = (describe::number(kind, wanted), describe::number(kind, found));
            return vec![format!("{kind}: expected {wanted}, came {found}")];
        }
    }
    for field in &should.fields {
        let wanted = value(expected, field);
        let found = is.value(came, field.depth, field.name);
        if found != Some(wanted) {
            let name = full_name(field.depth, field.name);
            let wanted = describe::number(field.name, wanted);
            let found = found.map_or("none".into(), |found| describe::number(field.name, found));
            lines.push(format!("{name}: expected {wanted}, came {found}"));
        }
    }
    for field in is.fields.iter().filter(|field| should.field(field.depth, field.name).is_none()) {
        let found = describe::number(field.name, value(came, field));
        lines.push(format!("{}: expected none, came {found}", full_name(field.depth, field.name)));
    }
    for stretch in &should.stretches {
        let wanted = &expected[stretch.range.clone()];
        let found = is.range(stretch.depth, stretch.name).map_or(&[][..], |range| &came[range]);
        if wanted != found {
            let name = full_name(stretch.depth, stretch.name);
            let (wanted, found) = (describe::bytes_text(wanted), describe::bytes_text(found));
            lines.push(format!("{name}: expected {wanted}, came {found}"));
        }
    }
    if lines.is_empty() {
        let at = expected.iter().zip(came).position(|(a, b)| a != b);
        let at = at.unwrap_or(expected.len().min(came.len()));
        lines.push(format!(
            "bytes differ from offset {at} on; lengths {} and {}",
            expected.len(),
            came.len()
        ));
    }
    lines
}

fn full_name(depth: u8, name: &str) -> String {
    if depth == 0 { name.into() } else { format!("quoted {name}") }
}
