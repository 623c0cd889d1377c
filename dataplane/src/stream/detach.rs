//! The end of all reading.

use super::{Cause, Means, Sender, Stream};

impl Stream {
    /// Lets go all that is held, as it came. Nothing is read from here on.
    pub(super) fn detach(&mut self, cause: Cause, means: &mut Means) {
        if self.detached.is_some() {
            return;
        }
        self.detached = Some(cause);
        for sender in Sender::ALL {
            let flow = &mut self.flows[sender.index()];
            (flow.stall_due, flow.opaque) = (None, 0);
            loop {
                let index = self.flows[sender.index()].held.first;
                let Some(chunk) = means.chunks.pop(&mut self.flows[sender.index()].held) else { break };
                let fresh = self.fresh.take_if(|fresh| fresh.0 == index).map(|fresh| fresh.1);
                if self.forward(sender, chunk, fresh, means) {
                    self.flows[sender.index()].finish();
                }
            }
            let flow = &mut self.flows[sender.index()];
            let is_waiting = flow.fin.is_some_and(|fin| !super::sequence::is_before(fin, flow.released));
            if let Some(fin) = flow.fin.filter(|_| is_waiting) {
                let seq = fin.wrapping_add(flow.shift_after);
                flow.finish();
                self.send_fin(sender, seq, means);
            }
        }
    }
}
