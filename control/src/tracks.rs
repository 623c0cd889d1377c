//! How tracked objects have fared since they are tracked.

use std::collections::HashMap;

use crate::compile::Compiled;
use crate::config::Config;
use crate::config::model::Track;

/// Tracked objects, by their numbers.
#[derive(Debug, Default)]
pub struct Tracks(HashMap<u16, Tracked>);

/// A tracked object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tracked {
    track: Track,
    /// Whether it is up.
    pub is_up: bool,
    /// How often it went up or down, which it also did when it came to be tracked.
    pub change_count: u64,
    /// When it did last, in milliseconds since the appliance started.
    pub changed_ms: u64,
}

impl Tracks {
    /// The object of a number, if there is one.
    pub fn get(&self, number: u16) -> Option<&Tracked> {
        self.0.get(&number)
    }

    /// Takes note of what is in force now, and logs which objects have gone up or down.
    pub fn note(&mut self, config: &Config, compiled: &Compiled, now_ms: u64) {
        let mut before = std::mem::take(&mut self.0);
        for track in &config.tracks {
            let is_up = compiled.tracks.get(&track.number).copied().unwrap_or_default();
            let known = before.remove(&track.number).filter(|known| known.track == *track);
            let tracked = match known {
                Some(known) if known.is_up == is_up => known,
                Some(known) => {
                    let word = |is_up| if is_up { "Up" } else { "Down" };
                    tracing::info!(
                        mnemonic = "TRACK-6-STATE",
                        "{} {} {} -> {}",
                        track.number,
                        track.object,
                        word(known.is_up),
                        word(is_up)
                    );
                    let change_count = known.change_count + 1;
                    Tracked { is_up, change_count, changed_ms: now_ms, ..known }
                }
                None => Tracked { track: track.clone(), is_up, change_count: 1, changed_ms: now_ms },
            };
            self.0.insert(track.number, tracked);
        }
    }
}
