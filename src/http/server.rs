//! Accepting connections and reading requests, with a bound for everything that a client decides.

use super::connections::{Connections, Ticket, max_connections};
use super::{Admin, BODY_LIMIT, DRAIN_TIMEOUT, Tls};
use axum::Router;
use axum::body::Body;
use axum::http::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service as _, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// Longest wait for a request's head, and for the next request of a connection. Longer than the usual interval of Prometheus,
/// which then keeps its connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// Longest wait for a TLS handshake.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Most bytes of a request's head, and of what is buffered of its body.
const MAX_HEAD_BYTES: usize = 16 << 10;
/// Most headers of a request.
const MAX_HEADERS: usize = 64;
/// How long nothing is accepted after the system refused a connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(20);

// A body is bounded, too, by `DefaultBodyLimit`.
const _: () = assert!(MAX_HEAD_BYTES < BODY_LIMIT);

/// Serves until `stop` is done, then lets open requests end for up to two seconds.
///
/// # Errors
/// None at present: what a single connection reports is its client's problem.
pub async fn serve(
    listener: TcpListener,
    admin: Admin,
    stop: impl Future<Output = ()> + Send + 'static,
) -> std::io::Result<()> {
    serve_and_drain(listener, admin, stop, DRAIN_TIMEOUT).await
}

/// As [`serve`], with another time for open requests.
pub(super) async fn serve_and_drain(
    listener: TcpListener,
    admin: Admin,
    stop: impl Future<Output = ()> + Send + 'static,
    drain: Duration,
) -> std::io::Result<()> {
    let connections = Connections::new(max_connections());
    let tls = admin.tls.clone();
    let router = TowerToHyperService::new(admin.router());
    let (stopping, stopped) = watch::channel(false);
    let mut stop = pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => open(stream, &connections, tls.as_ref(), &router, &stopped),
                // Mostly no descriptors: those of clients that wait are free sooner than those of Kafka's clients.
                Err(_) => {
                    connections.make_room();
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
    drop(listener);
    // The receiver lives as long as this function.
    let _ = stopping.send(true);
    // A client that keeps its connection open must not keep the process.
    let _ = tokio::time::timeout(drain, connections.all_closed()).await;
    connections.close_all();
    Ok(())
}

/// Starts the task of a connection; closes it where no other makes room.
fn open(
    stream: TcpStream,
    connections: &Arc<Connections>,
    tls: Option<&Arc<Tls>>,
    router: &TowerToHyperService<Router>,
    stopped: &watch::Receiver<bool>,
) {
    let Some(ticket) = connections.admit() else { return };
    // Answers are small: waiting for more would only delay them.
    let _ = stream.set_nodelay(true);
    let id = ticket.id;
    let (ticket, router, stopped) = (Arc::new(ticket), router.clone(), stopped.clone());
    let task = match tls.cloned() {
        None => tokio::spawn(answer(stream, ticket, router, stopped)),
        Some(tls) => tokio::spawn(async move {
            // Whoever does not speak TLS, or too slowly, is closed without an answer.
            if let Ok(Some(stream)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
                answer(stream, ticket, router, stopped).await;
            }
        }),
    };
    connections.set_task(id, task.abort_handle());
}

/// Reads and answers the requests of one connection until either side ends it.
async fn answer(
    stream: impl AsyncRead + AsyncWrite + Unpin,
    ticket: Arc<Ticket>,
    router: TowerToHyperService<Router>,
    mut stopped: watch::Receiver<bool>,
) {
    let service = service_fn(|request: Request<Incoming>| {
        let (router, busy) = (router.clone(), ticket.busy());
        async move {
            let response = router.call(request.map(Body::new)).await;
            drop(busy);
            response
        }
    });
    let mut connection = pin!(
        http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(HEAD_TIMEOUT)
            .max_headers(MAX_HEADERS)
            .max_buf_size(MAX_HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service)
    );
    tokio::select! {
        // An error is the client's: it went away, or did not speak HTTP.
        _ = connection.as_mut() => return,
        _ = stopped.wait_for(|stopped| *stopped) => connection.as_mut().graceful_shutdown(),
    }
    let _ = connection.await;
}
