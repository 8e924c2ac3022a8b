//! Open connections: their number is bounded, and where it is reached the one that has waited longest makes room.
//!
//! A bound that refuses new connections would let anybody with a few hundred idle ones lock the probes out. So nobody who only
//! holds a connection keeps it: a request that is being answered stays, whoever sends nothing or reads nothing goes.

use rustix::process::{Resource, getrlimit};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// Most connections.
pub(super) const MAX_CONNECTIONS: usize = 256;
/// Descriptors of the process for each connection that the server may have: most are for the clients of Kafka and the store.
const DESCRIPTORS_PER_CONNECTION: u64 = 4;

/// Most connections, with as many descriptors as this process may have.
pub(super) fn max_connections() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    let share = usize::try_from(descriptors / DESCRIPTORS_PER_CONNECTION).unwrap_or(usize::MAX);
    share.clamp(1, MAX_CONNECTIONS)
}

/// The open connections.
#[derive(Debug)]
pub(super) struct Connections {
    max: usize,
    open: Mutex<Open>,
    closed: Notify,
}

#[derive(Debug, Default)]
struct Open {
    /// Counts changes: orders the connections by how long they have been waiting.
    clock: u64,
    by_id: HashMap<u64, Connection>,
}

#[derive(Debug)]
struct Connection {
    /// When it began to wait for its client.
    waits_since: u64,
    /// Whether a request of it is being answered.
    busy: bool,
    task: Option<AbortHandle>,
}

impl Connections {
    pub(super) fn new(max: usize) -> Arc<Self> {
        Arc::new(Connections { max, open: Mutex::default(), closed: Notify::new() })
    }

    fn open(&self) -> MutexGuard<'_, Open> {
        // No code panics while it holds the lock; if it did, the counts would still be usable.
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more connection; `None` if all are busy.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Ticket> {
        let mut open = self.open();
        if open.by_id.len() >= self.max && !open.close_longest_waiting() {
            return None;
        }
        open.clock += 1;
        let id = open.clock;
        open.by_id.insert(id, Connection { waits_since: id, busy: false, task: None });
        Some(Ticket { id, connections: Arc::clone(self) })
    }

    /// Which task serves the connection `id`, so that it can be closed.
    pub(super) fn set_task(&self, id: u64, task: AbortHandle) {
        // It may have ended by now.
        if let Some(connection) = self.open().by_id.get_mut(&id) {
            connection.task = Some(task);
        }
    }

    /// Closes one that waits, where the process has no descriptors left.
    pub(super) fn make_room(&self) {
        self.open().close_longest_waiting();
    }

    /// Waits until none is left.
    pub(super) async fn all_closed(&self) {
        loop {
            let closed = self.closed.notified();
            if self.open().by_id.is_empty() {
                return;
            }
            closed.await;
        }
    }

    /// Closes all at once.
    pub(super) fn close_all(&self) {
        self.open().by_id.drain().filter_map(|(_, connection)| connection.task).for_each(|task| task.abort());
    }
}

impl Open {
    /// Closes the connection that has been waiting for its client longest; false if none waits.
    fn close_longest_waiting(&mut self) -> bool {
        let waiting =
            self.by_id.iter().filter(|(_, connection)| !connection.busy && connection.task.is_some());
        let longest = waiting.min_by_key(|(_, connection)| connection.waits_since).map(|(id, _)| *id);
        let Some(connection) = longest.and_then(|id| self.by_id.remove(&id)) else { return false };
        if let Some(task) = connection.task {
            task.abort();
        }
        true
    }
}

/// The place of a connection; free again when dropped.
#[derive(Debug)]
pub(super) struct Ticket {
    pub(super) id: u64,
    connections: Arc<Connections>,
}

impl Ticket {
    /// A request of it is being answered until the value is dropped.
    pub(super) fn busy(self: &Arc<Self>) -> Busy {
        self.set(true);
        Busy(Arc::clone(self))
    }

    fn set(&self, busy: bool) {
        let mut open = self.connections.open();
        open.clock += 1;
        let now = open.clock;
        if let Some(connection) = open.by_id.get_mut(&self.id) {
            (connection.busy, connection.waits_since) = (busy, now);
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.connections.open().by_id.remove(&self.id);
        self.connections.closed.notify_waiters();
    }
}

/// A request that is being answered.
pub(super) struct Busy(Arc<Ticket>);

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.set(false);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_longest_makes_room_and_who_is_answered_stays() {
        let connections = Connections::new(2);
        let connect = || {
            let ticket = Arc::new(connections.admit()?);
            let task = tokio::spawn(std::future::pending::<()>());
            connections.set_task(ticket.id, task.abort_handle());
            Some((ticket, task))
        };
        let (first, first_task) = connect().unwrap();
        let (second, second_task) = connect().unwrap();
        let busy = first.busy();
        let (third, _third_task) = connect().unwrap();
        assert!(second_task.await.unwrap_err().is_cancelled(), "the first one is busy");
        let _busy = third.busy();
        assert!(connect().is_none(), "all are busy");
        drop(busy);
        let _fourth = connect().unwrap();
        assert!(first_task.await.unwrap_err().is_cancelled());
        drop((first, second));
        assert_eq!(connections.open().by_id.len(), 2);
    }
}
