//! Records that are not due yet: a bounded consumer reads at a pace, and holds what comes too early.

use super::Consumer;
use crate::kafka::batch::Batch;
use crate::kafka::bounds::{Admission, Bounds};
use crate::kafka::error::ClientError;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::Consumer as _;
use rdkafka::message::{BorrowedMessage, Message};
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tracing::debug;

/// A record that is due within this time is waited for; for a later one the partitions are paused, and polled meanwhile.
const MAX_WAIT_FOR_DUE: Duration = Duration::from_millis(200);
/// Longest wait in one poll.
const POLL_INTERVAL: Duration = Duration::from_millis(50);

impl Consumer {
    /// Adds a record to the batch, or to those that are not due.
    pub(super) fn admit<'c>(
        &self,
        batch: &mut Batch<'c>,
        message: BorrowedMessage<'c>,
        bounds: Option<&Bounds>,
    ) {
        let Some(bounds) = bounds else { return batch.push(message) };
        let now = Instant::now();
        match bounds.admit(&message) {
            Admission::Inside(Some(due)) if due > now => batch.held.push((due, message)),
            // Behind a held record all records of its partition are held: order is kept.
            _ if batch.holds(message.partition()) => batch.held.push((now, message)),
            admission => batch.take(message, admission),
        }
    }

    /// Waits a moment if there are records that are not due yet, or if the pacer is closed. Returns whether it waited and
    /// the drain is over. Records that have become due are in the batch.
    pub(super) fn wait_for_due<'c>(
        &'c self,
        batch: &mut Batch<'c>,
        bounds: &Bounds,
    ) -> Result<bool, ClientError> {
        let closed = bounds.pacer.is_closed();
        if batch.held.is_empty() && !closed {
            self.pause_all(false);
            return Ok(false);
        }
        let next = batch.held.iter().map(|(due, _)| *due).min();
        let left = next.map_or(Duration::ZERO, |due| due.saturating_duration_since(Instant::now()));
        if closed || left > MAX_WAIT_FOR_DUE {
            // During a long wait the consumer must poll to stay a member of the group; paused, it gets no records.
            self.pause_all(true);
            match self.consumer.poll(POLL_INTERVAL) {
                Some(Ok(message)) if !self.consume(&message) => {}
                Some(Ok(message)) => {
                    let due = match bounds.admit(&message) {
                        Admission::Inside(Some(due)) => due,
                        _ => Instant::now(),
                    };
                    batch.held.push((due, message));
                }
                Some(Err(error)) => self.absorb(error, batch, Some(bounds))?,
                None => {}
            }
            return Ok(true);
        }
        self.pause_all(false);
        std::thread::sleep(left.min(POLL_INTERVAL));
        // In order within a partition: records behind one that is not due are held with it.
        let now = Instant::now();
        for (due, message) in std::mem::take(&mut batch.held) {
            if due > now || batch.holds(message.partition()) {
                batch.held.push((due, message));
            } else {
                let admission = bounds.admit(&message);
                batch.take(message, admission);
            }
        }
        for partition in std::mem::take(&mut batch.held_to_end) {
            batch.reached_end(partition, bounds);
        }
        Ok(!batch.held.is_empty())
    }

    /// Pauses or resumes all partitions. Records of partitions that cannot be paused are held: nothing is lost.
    fn pause_all(&self, pause: bool) {
        if self.paused.swap(pause, Ordering::Relaxed) == pause && !pause {
            return;
        }
        let done = if pause {
            self.consumer.assignment().and_then(|assignment| self.consumer.pause(&assignment))
        } else {
            // Those that are halted stay paused.
            let mut list = TopicPartitionList::new();
            let positions = self.positions.borrow();
            for partition in self.assigned().into_iter().filter(|&partition| !positions.is_halted(partition))
            {
                list.add_partition(&self.topic, partition);
            }
            self.consumer.resume(&list)
        };
        if let Err(error) = done {
            debug!(%error, pause, "the partitions cannot be paused or resumed");
        }
    }

    /// A batch was committed: partitions that are done are not fetched any further.
    pub(crate) fn retire(&self, finished: &[i32]) {
        if finished.is_empty() {
            return;
        }
        let mut list = TopicPartitionList::new();
        for &partition in finished {
            list.add_partition(&self.topic, partition);
        }
        if let Err(error) = self.consumer.pause(&list) {
            debug!(%error, "partitions that are done cannot be paused; their records are dropped");
        }
    }
}
