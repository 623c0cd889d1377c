//! Prometheus metrics: the counters as they stand, in the text exposition format.

mod family;
mod gateways;
mod parts;
mod pools;

use dataplane::message::{Usage, WorkerMessage};
use dataplane::port::device::DeviceStatistics;
use prometheus::{Encoder, TextEncoder};

use crate::appliance::Appliance;
use crate::cli::{Answer, Progress};
use crate::question::Question;

/// The page that Prometheus scrapes. The counters are read where they stand; how much of the pools is in use is asked
/// of the workers, and missing from the page when one does not answer.
pub struct Page {
    question: Option<Question<Usage>>,
    is_done: bool,
}

impl Page {
    /// A page to be rendered once the workers answered.
    pub fn ask(appliance: &Appliance) -> Page {
        Page { question: Question::ask(appliance, WorkerMessage::Usage).ok(), is_done: false }
    }
}

impl Answer for Page {
    fn advance(&mut self, appliance: &mut Appliance) -> Progress {
        if self.is_done {
            return Progress::Done;
        }
        let now_ms = appliance.operation.now_ms;
        let usages = match self.question.as_mut().map(|question| question.poll(now_ms)) {
            Some(Ok(None)) => return Progress::Waiting,
            Some(Ok(Some(usages))) => Some(usages),
            Some(Err(_)) | None => None,
        };
        self.is_done = true;
        let devices = appliance.operation.devices.iter();
        let devices = devices.map(|open| (open.interface.to_string(), open.device.statistics())).collect();
        Progress::Piece(render(appliance, &Readings { usages, devices }))
    }
}

/// What is not found in the appliance's own state.
#[derive(Debug, Default)]
pub struct Readings {
    /// How much of the NAT each worker has in use; none when one does not answer.
    pub usages: Option<Vec<Usage>>,
    /// What each interface's device counted.
    pub devices: Vec<(String, DeviceStatistics)>,
}

/// The page's text.
pub fn render(appliance: &Appliance, readings: &Readings) -> String {
    let mut families = parts::families(appliance);
    families.extend(gateways::families(appliance));
    families.extend(parts::devices(&readings.devices));
    families.extend(readings.usages.iter().flat_map(|usages| pools::families(appliance, usages)));
    // The format has no place for a family without samples.
    families.retain(|family| !family.get_metric().is_empty());
    let mut text = Vec::new();
    match TextEncoder::new().encode(&families, &mut text) {
        Ok(()) => String::from_utf8_lossy(&text).into_owned(),
        Err(error) => format!("# {error}\n"),
    }
}
