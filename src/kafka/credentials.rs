//! Credentials that change while the process runs. Where they are read from files (`{ file = "…" }`), the files are read
//! again when the brokers refuse, and the clients that run get what is in them now.

use super::ClientProperties;
use super::client_properties::Role;
use rdkafka::client::{Client, ClientContext};
use std::time::{Duration, Instant};
use tracing::{info, warn};

/// How long refused credentials are tried on by a process that had been let in: a secret reaches the brokers and the file
/// at different times, and a broker that restarts may refuse for a while.
pub(super) const REFUSED_TIMEOUT: Duration = Duration::from_secs(60);
/// Pause between two looks at the files.
const READ_INTERVAL: Duration = Duration::from_secs(1);

/// The credentials of one running client.
pub(super) struct Credentials {
    clients: ClientProperties,
    role: Role,
    refused_since: Option<Instant>,
    read_at: Option<Instant>,
    /// What the client has; unknown until the files were read again.
    applied: Option<(String, String)>,
}

impl Credentials {
    pub(super) fn new(clients: &ClientProperties, role: Role) -> Self {
        let applied = clients.credentials(role);
        Credentials { clients: clients.clone(), role, refused_since: None, read_at: None, applied }
    }

    /// The brokers refused.
    pub(super) fn refused(&mut self) {
        if self.refused_since.is_none() {
            self.refused_since = Some(Instant::now());
            warn!(
                seconds = REFUSED_TIMEOUT.as_secs(),
                "the brokers refuse the credentials; trying on for a while, with what the files of secrets hold"
            );
        }
    }

    /// The brokers let us in.
    pub(super) fn accepted(&mut self) {
        if self.refused_since.take().is_some() {
            info!("the brokers accept the credentials");
        }
    }

    /// Whether the brokers refuse.
    pub(super) fn are_refused(&self) -> bool {
        self.refused_since.is_some()
    }

    /// Looks at the files while the brokers refuse, and hands `client` what is new.
    ///
    /// # Errors
    /// How long the brokers have been refusing, if that is too long.
    pub(super) fn renew<C: ClientContext>(&mut self, client: &Client<C>) -> Result<(), Duration> {
        let Some(since) = self.refused_since else { return Ok(()) };
        if since.elapsed() > REFUSED_TIMEOUT {
            return Err(since.elapsed());
        }
        if self.read_at.is_some_and(|at| at.elapsed() < READ_INTERVAL) {
            return Ok(());
        }
        self.read_at = Some(Instant::now());
        let fresh = self.clients.credentials(self.role);
        if let Some((username, password)) = fresh.as_ref().filter(|_| fresh != self.applied) {
            match nunchi_librdkafka::set_sasl_credentials(client, username, password) {
                Ok(()) => info!("credentials were read again from their files"),
                Err(error) => warn!(%error, "the credentials in the files cannot be used"),
            }
            self.applied = fresh;
        }
        Ok(())
    }
}
