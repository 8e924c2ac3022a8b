//! TLS of the admin server: the certificate of two files, read again when they change.

use super::HttpError;
use crate::config::Http;
use openssl::ssl::{Ssl, SslAcceptor, SslFiletype, SslMethod};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};
use tokio::net::TcpStream;
use tokio_openssl::SslStream;

/// How often the files are looked at, at most: once a handshake otherwise.
const LOOK_INTERVAL: Duration = Duration::from_secs(1);

/// A certificate and its key.
pub struct Tls {
    certificate: PathBuf,
    key: PathBuf,
    current: Mutex<Current>,
}

/// What is in use, and the files that it was read from.
struct Current {
    acceptor: SslAcceptor,
    seen: Option<[FileState; 2]>,
    looked: Instant,
}

/// What changes when a file is replaced or written: renewals do either.
#[derive(Clone, Debug, PartialEq)]
struct FileState {
    modified: SystemTime,
    bytes: u64,
    inode: u64,
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("certificate", &self.certificate)
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

impl Tls {
    /// The certificate that `settings` name, if they name one.
    ///
    /// # Errors
    /// Only one of the two files is named; a file that cannot be read; a key that is another certificate's.
    pub fn load(settings: &Http) -> Result<Option<Self>, HttpError> {
        Tls::check(settings)?;
        let (Some(certificate), Some(key)) = (&settings.tls_certificate, &settings.tls_key) else {
            return Ok(None);
        };
        // Before the files are read: a change in between is noticed.
        let seen = state(certificate, key);
        let acceptor = acceptor(certificate, key)?;
        let current = Mutex::new(Current { acceptor, seen, looked: Instant::now() });
        Ok(Some(Tls { certificate: certificate.clone(), key: key.clone(), current }))
    }

    /// Whether both files are named, or none.
    ///
    /// # Errors
    /// Only one is named.
    pub fn check(settings: &Http) -> Result<(), HttpError> {
        let missing = |setting, other: &str| {
            Err(HttpError::Tls { setting, reason: format!("a certificate needs its key: set `{other}` too") })
        };
        match (&settings.tls_certificate, &settings.tls_key) {
            (Some(_), None) => missing("http.tls_certificate", "http.tls_key"),
            (None, Some(_)) => missing("http.tls_key", "http.tls_certificate"),
            _ => Ok(()),
        }
    }

    /// The handshake with a client; `None` if it fails.
    pub(super) async fn accept(&self, stream: TcpStream) -> Option<SslStream<TcpStream>> {
        let ssl = Ssl::new(self.acceptor().context()).ok()?;
        let mut stream = SslStream::new(ssl, stream).ok()?;
        Pin::new(&mut stream).accept().await.ok()?;
        Some(stream)
    }

    /// The acceptor of the files as they are; the one before if they cannot be used.
    fn acceptor(&self) -> SslAcceptor {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.looked.elapsed() >= LOOK_INTERVAL {
            current.looked = Instant::now();
            let seen = state(&self.certificate, &self.key);
            if seen.is_some() && seen != current.seen {
                match acceptor(&self.certificate, &self.key) {
                    Ok(acceptor) => {
                        tracing::info!(certificate = %self.certificate.display(), "the admin server has a new certificate");
                        current.acceptor = acceptor;
                    }
                    // A renewal may have written one of the two files by now: the next change is tried again.
                    Err(error) => tracing::warn!(%error, "the admin server keeps its certificate"),
                }
                current.seen = seen;
            }
        }
        current.acceptor.clone()
    }
}

/// The files' states; `None` if one is not there.
fn state(certificate: &Path, key: &Path) -> Option<[FileState; 2]> {
    let one = |path: &Path| {
        use std::os::unix::fs::MetadataExt as _;
        let metadata = std::fs::metadata(path).ok()?;
        Some(FileState { modified: metadata.modified().ok()?, bytes: metadata.len(), inode: metadata.ino() })
    };
    Some([one(certificate)?, one(key)?])
}

fn acceptor(certificate: &Path, key: &Path) -> Result<SslAcceptor, HttpError> {
    let wrong = |setting, path: &Path| {
        let path = path.display().to_string();
        move |error: openssl::error::ErrorStack| HttpError::Tls {
            setting,
            reason: format!("{path}: {error}"),
        }
    };
    // TLS 1.2 and 1.3 with Mozilla's intermediate list of ciphers.
    let mut builder = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls_server())
        .map_err(wrong("http.tls_certificate", certificate))?;
    builder.set_certificate_chain_file(certificate).map_err(wrong("http.tls_certificate", certificate))?;
    builder.set_private_key_file(key, SslFiletype::PEM).map_err(wrong("http.tls_key", key))?;
    builder.check_private_key().map_err(wrong("http.tls_key", key))?;
    Ok(builder.build())
}
