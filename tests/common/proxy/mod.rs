//! A TCP proxy in front of a broker that keeps requests of transactional producers back and delivers them later, as a
//! network does that breaks a connection whose last packets arrive all the same (KAFKA-17754).
//!
//! The broker advertises its own port; the proxy puts its own into every answer that names it, so that clients who begin
//! at the proxy stay behind it, and any number of proxies can stand before one broker.

pub mod frames;

use frames::{Request, api, error_code, read_frame, readvertise};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Which request's first copy is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// The `EndTxn` that commits.
    Commit,
    /// The `EndTxn` that aborts. So that there is one, the `TxnOffsetCommit` before it is given a generation of the group
    /// that does not exist: the broker refuses it, as after a rebalance.
    Abort,
    /// The `EndTxn` that aborts, whatever it is that the client aborts for.
    AnyAbort,
    /// `TxnOffsetCommit`.
    Offsets,
}

/// What the client notices.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loss {
    /// The connection breaks.
    Cut,
    /// Nothing: no answer comes.
    Silence,
}

/// Where in the next transaction the copy arrives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Point {
    AfterFirstProduce,
    BeforeAddOffsets,
    BeforeOffsets,
    AfterOffsets,
}

impl Point {
    fn key(self) -> i16 {
        match self {
            Point::AfterFirstProduce => api::PRODUCE,
            Point::BeforeAddOffsets => api::ADD_OFFSETS_TO_TXN,
            Point::BeforeOffsets | Point::AfterOffsets => api::TXN_OFFSET_COMMIT,
        }
    }

    fn is_after(self) -> bool {
        matches!(self, Point::AfterFirstProduce | Point::AfterOffsets)
    }
}

/// How far a provocation has come.
#[derive(Clone, Debug)]
enum Phase {
    /// The next `TxnOffsetCommit` is to be refused.
    Spoil,
    /// The next request of the kind is kept.
    Armed,
    /// A copy is kept; the transaction that it belongs to is being ended by the client's repeat.
    Kept(Vec<u8>),
    /// The next transaction has begun.
    Next(Vec<u8>),
    /// The copy is on its way.
    Delivering,
    /// The copy was delivered: the broker's error code, 0 if it was accepted.
    Delivered(i16),
}

struct Provocation {
    held: Held,
    loss: Loss,
    point: Point,
    phase: Phase,
}

#[derive(Default)]
struct State {
    provocation: Option<Provocation>,
    /// Requests of these APIs vanish.
    muted: BTreeSet<i16>,
    /// The answer to the next request of this API is kept for a while.
    delay: Option<(i16, Duration)>,
    /// How often each API was asked for.
    requests: BTreeMap<i16, usize>,
}

struct Shared {
    broker: String,
    broker_port: u16,
    port: u16,
    state: Mutex<State>,
}

/// A running proxy. Its threads end with the process.
#[derive(Clone)]
pub struct Proxy(Arc<Shared>);

impl Proxy {
    /// Before the broker at `broker` (`127.0.0.1:PORT`).
    pub fn start(broker: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (_, broker_port) = broker.rsplit_once(':').expect("host:port");
        let shared = Arc::new(Shared {
            broker: broker.to_owned(),
            broker_port: broker_port.parse().expect("a port"),
            port: listener.local_addr().unwrap().port(),
            state: Mutex::default(),
        });
        std::thread::spawn({
            let shared = Arc::clone(&shared);
            move || listener.incoming().flatten().for_each(|client| shared.connect(client))
        });
        Proxy(shared)
    }

    /// Where clients begin.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.0.port)
    }

    /// Whether a copy is kept, or was.
    pub fn kept(&self) -> bool {
        let state = self.0.lock();
        state
            .provocation
            .as_ref()
            .is_some_and(|provocation| !matches!(provocation.phase, Phase::Spoil | Phase::Armed))
    }

    /// Keeps the next request of the kind, and delivers it in the next transaction. One at a time.
    pub fn provoke(&self, held: Held, loss: Loss, point: Point) {
        let phase = if held == Held::Abort { Phase::Spoil } else { Phase::Armed };
        self.0.lock().provocation = Some(Provocation { held, loss, point, phase });
    }

    /// What the broker said to the copy, once it was delivered.
    pub fn answer(&self) -> Option<i16> {
        match self.0.lock().provocation.as_ref()?.phase {
            Phase::Delivered(code) => Some(code),
            _ => None,
        }
    }

    /// How far the provocation has come, for messages.
    pub fn phase(&self) -> String {
        self.0.lock().provocation.as_ref().map_or_else(String::new, |provocation| match &provocation.phase {
            Phase::Kept(_) => "Kept".to_owned(),
            Phase::Next(_) => "Next".to_owned(),
            phase => format!("{phase:?}"),
        })
    }

    /// Requests of `key` vanish until it is called with `false`.
    pub fn mute(&self, key: i16, muted: bool) {
        let mut state = self.0.lock();
        if muted {
            state.muted.insert(key)
        } else {
            state.muted.remove(&key)
        };
    }

    /// The answer to the next request of `key` comes that much later, and everything behind it on its connection.
    pub fn delay_next(&self, key: i16, time: Duration) {
        self.0.lock().delay = Some((key, time));
    }

    /// Whether the delayed answer was asked for.
    pub fn delay_began(&self) -> bool {
        self.0.lock().delay.is_none()
    }

    /// How many requests of `key` have come.
    pub fn requests(&self, key: i16) -> usize {
        self.0.lock().requests.get(&key).copied().unwrap_or_default()
    }
}

/// What happens to one request.
enum Action {
    Forward,
    Cut,
    Drop,
    /// The copy goes to the broker before this request, or after its answer.
    Deliver(Vec<u8>, bool),
}

/// One client's connection.
struct Connection {
    client: TcpStream,
    broker: TcpStream,
    /// Requests without an answer, and until when the answer is kept.
    waiting: Mutex<BTreeMap<i32, (Request, Option<Duration>)>>,
    answered: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn connect(self: &Arc<Self>, client: TcpStream) {
        let Ok(broker) = TcpStream::connect(&self.broker) else { return };
        client.set_nodelay(true).unwrap();
        broker.set_nodelay(true).unwrap();
        let connection =
            Arc::new(Connection { client, broker, waiting: Mutex::default(), answered: Condvar::new() });
        for requests in [true, false] {
            let (shared, connection) = (Arc::clone(self), Arc::clone(&connection));
            std::thread::spawn(move || {
                // A connection that breaks is what clients have to live with.
                let _ = if requests { shared.requests(&connection) } else { shared.answers(&connection) };
                let _ = connection.client.shutdown(Shutdown::Both);
                let _ = connection.broker.shutdown(Shutdown::Both);
            });
        }
    }

    fn requests(&self, connection: &Connection) -> std::io::Result<()> {
        let (mut client, mut broker) = (&connection.client, &connection.broker);
        while let Some(mut frame) = read_frame(&mut client)? {
            let Some(request) = Request::parse(&frame) else {
                broker.write_all(&frame)?;
                continue;
            };
            let (action, delay) = self.decide(&request, &mut frame);
            let correlation = request.correlation;
            let forward = |request: Request| {
                connection.waiting.lock().unwrap().insert(correlation, (request, delay));
                (&connection.broker).write_all(&frame)
            };
            match action {
                Action::Forward => forward(request)?,
                Action::Drop => {}
                Action::Cut => return Ok(()),
                Action::Deliver(copy, after) => {
                    if after {
                        forward(request.clone())?;
                        let waiting = connection.waiting.lock().unwrap();
                        let limit = Duration::from_secs(10);
                        drop(connection.answered.wait_timeout_while(waiting, limit, |waiting| {
                            waiting.contains_key(&correlation)
                        }));
                    }
                    let code = self.deliver(&copy);
                    if let Some(provocation) = &mut self.lock().provocation {
                        provocation.phase = Phase::Delivered(code);
                    }
                    if !after {
                        forward(request)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// Takes the provocation a step further.
    fn decide(&self, request: &Request, frame: &mut [u8]) -> (Action, Option<Duration>) {
        let mut state = self.lock();
        *state.requests.entry(request.key).or_default() += 1;
        if state.muted.contains(&request.key) {
            return (Action::Drop, None);
        }
        let delay = state.delay.take_if(|(key, _)| *key == request.key).map(|(_, time)| time);
        let (Some(provocation), Some(_)) = (&mut state.provocation, &request.transactional_id) else {
            return (Action::Forward, delay);
        };
        let wanted = match provocation.held {
            Held::Commit => request.committed == Some(true),
            Held::Abort | Held::AnyAbort => request.committed == Some(false),
            Held::Offsets => request.key == api::TXN_OFFSET_COMMIT,
        };
        let action = match std::mem::replace(&mut provocation.phase, Phase::Armed) {
            Phase::Spoil => {
                if let Some(at) = request.generation_at {
                    frame[at..at + 4].copy_from_slice(&1_000_000i32.to_be_bytes());
                } else {
                    provocation.phase = Phase::Spoil;
                }
                Action::Forward
            }
            Phase::Armed if wanted => {
                provocation.phase = Phase::Kept(frame.to_vec());
                if provocation.loss == Loss::Cut { Action::Cut } else { Action::Drop }
            }
            Phase::Armed => Action::Forward,
            Phase::Kept(copy) if request.key == api::ADD_PARTITIONS_TO_TXN => {
                provocation.phase = Phase::Next(copy);
                Action::Forward
            }
            Phase::Next(copy) if request.key == provocation.point.key() => {
                provocation.phase = Phase::Delivering;
                Action::Deliver(copy, provocation.point.is_after())
            }
            phase => {
                provocation.phase = phase;
                Action::Forward
            }
        };
        (action, delay)
    }

    /// Delivers a copy on a connection of its own: what the broker says.
    fn deliver(&self, copy: &[u8]) -> i16 {
        let mut broker = TcpStream::connect(&self.broker).unwrap();
        broker.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        broker.write_all(copy).unwrap();
        let answer = read_frame(&mut broker).unwrap().expect("an answer to the copy");
        error_code(&Request::parse(copy).expect("a request"), &answer).expect("an error code")
    }

    fn answers(&self, connection: &Connection) -> std::io::Result<()> {
        let (mut client, mut broker) = (&connection.client, &connection.broker);
        while let Some(mut frame) = read_frame(&mut broker)? {
            let correlation = i32::from_be_bytes(frame[4..8].try_into().expect("four bytes"));
            let request = connection.waiting.lock().unwrap().remove(&correlation);
            connection.answered.notify_all();
            if let Some((request, delay)) = request {
                if let Some(time) = delay {
                    std::thread::sleep(time);
                }
                if matches!(request.key, api::METADATA | api::FIND_COORDINATOR) {
                    readvertise(&mut frame, self.broker_port, self.port);
                }
            }
            client.write_all(&frame)?;
        }
        Ok(())
    }
}

/// Waits for `done`, a minute at most; whether it came.
pub fn within_a_minute(mut done: impl FnMut() -> bool) -> bool {
    let start = Instant::now();
    while !done() {
        if start.elapsed() > Duration::from_secs(60) {
            return false;
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    true
}
