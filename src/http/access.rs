//! Who may do what: tokens and their roles, and what keeps web pages of others away.
//!
//! A browser on a machine that reaches the server sends requests for any page that it shows. It cannot make a page's request
//! carry a token, nor `content-type: application/json` without asking first (CORS, which nothing here answers); and a name that
//! a page's owner lets point here (DNS rebinding) stands in `Host`.

use super::{Admin, HttpError, response};
use crate::config::{Http, Role, Value};
use axum::extract::{MatchedPath, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};
use std::net::IpAddr;

/// Fewest characters of a token: 16 random ones of base64 are 96 bits.
const MIN_TOKEN_CHARACTERS: usize = 16;

/// A token that is accepted.
#[derive(Clone)]
struct Token {
    name: String,
    role: Role,
    /// Hashes are compared: they have one length, and the token itself is not kept.
    sha256: [u8; 32],
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} ({:?})", self.name, self.role)
    }
}

/// What requests are checked against.
#[derive(Clone, Debug, Default)]
pub struct Access {
    tokens: Vec<Token>,
    /// Names that a request's `Host` may have, beside `localhost` and addresses; in lower case.
    hosts: Vec<String>,
}

impl Access {
    /// The access that `settings` describe.
    ///
    /// # Errors
    /// A token that cannot be read or is no good; an address that others reach, without a token.
    pub fn resolve(settings: &Http) -> Result<Self, HttpError> {
        let address = host_of(&settings.address);
        if !settings.insecure && settings.tokens.is_empty() && Access::is_exposed(settings) {
            return Err(HttpError::Open { address: settings.address.clone() });
        }
        let tokens = settings.tokens.iter().map(|token| {
            let wrong = |reason: String| HttpError::Token { name: token.name.clone(), reason };
            if matches!(token.token, Value::Literal(_)) {
                let reason = "write it as { env = \"NAME\" } or { file = \"PATH\" }: secrets do not belong into settings";
                return Err(wrong(reason.to_owned()));
            }
            let text = token.token.resolve().map_err(wrong)?;
            if text.len() < MIN_TOKEN_CHARACTERS || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
                return Err(wrong(format!(
                    "it must have at least {MIN_TOKEN_CHARACTERS} characters, visible ones of ASCII, for example the output \
                     of `openssl rand -hex 32`"
                )));
            }
            Ok(Token { name: token.name.clone(), role: token.role, sha256: Sha256::digest(text).into() })
        });
        let tokens = tokens.collect::<Result<Vec<Token>, HttpError>>()?;
        let named = settings.hosts.iter().map(String::as_str).chain([address]);
        let hosts = named.map(|host| host.trim_end_matches('.').to_ascii_lowercase()).collect();
        Ok(Access { tokens, hosts })
    }

    /// Whether others than this machine can reach the server. Without a port nobody can: binding that fails.
    pub fn is_exposed(settings: &Http) -> bool {
        settings.address.contains(':') && !is_loopback(host_of(&settings.address))
    }

    /// The token that `headers` carry, if it is a known one.
    fn token(&self, headers: &HeaderMap) -> Option<&Token> {
        let given = headers.get(header::AUTHORIZATION)?.as_bytes();
        let (scheme, given) = given.split_at_checked("Bearer ".len())?;
        if !scheme.eq_ignore_ascii_case(b"Bearer ") {
            return None;
        }
        let given: [u8; 32] = Sha256::digest(given.trim_ascii()).into();
        // All are compared, each in constant time: how long it takes says nothing about a token.
        let mut found = None;
        for token in &self.tokens {
            if openssl::memcmp::eq(&token.sha256, &given) {
                found = Some(token);
            }
        }
        found
    }

    /// Whether `host`, a name or an address with or without a port, can be this server's for a browser.
    fn is_ours(&self, host: &str) -> bool {
        let name = host_of(host).trim_end_matches('.').to_ascii_lowercase();
        // An address cannot be rebound: the browser connects to what the page's URL says.
        address(&name).is_some()
            || name == "localhost"
            || name.ends_with(".localhost")
            || self.hosts.contains(&name)
    }

    /// Why a request is refused.
    fn refusal(&self, request: &Request, path: Option<&str>) -> Option<Response> {
        let headers = request.headers();
        let refuse = |status, message: &str| Some(response::error(status, message).into_response());
        let host = headers.get(header::HOST).map(|host| host.to_str().unwrap_or("?"));
        let authority = request.uri().authority().map(axum::http::uri::Authority::as_str);
        if headers.get_all(header::HOST).iter().count() > 1
            || [host, authority].into_iter().flatten().any(|host| !self.is_ours(host))
        {
            return refuse(
                StatusCode::FORBIDDEN,
                "this server is not known by the name in the header `host`; names beside addresses and localhost are listed \
                 in `http.hosts`",
            );
        }
        if let Some(needed) = needed(path)
            && !self.tokens.is_empty()
        {
            match self.token(headers) {
                None => {
                    let message = "send a token: `authorization: Bearer TOKEN`; [[http.tokens]] lists those that are accepted";
                    let answer = response::error(StatusCode::UNAUTHORIZED, message);
                    return Some(([(header::WWW_AUTHENTICATE, "Bearer")], answer).into_response());
                }
                Some(token) if !token.role.includes(needed) => {
                    let message = format!(
                        "this needs the role {}; the token has the role {}",
                        needed.name(),
                        token.role.name()
                    );
                    return refuse(StatusCode::FORBIDDEN, &message);
                }
                Some(token) if needed == Role::Operate => {
                    tracing::info!(by = token.name, path, "an operator's request");
                }
                Some(_) => {}
            }
        }
        if [Method::GET, Method::HEAD].contains(request.method()) {
            return None;
        }
        if headers.get_all(header::ORIGIN).iter().any(|origin| !is_same(origin.to_str().unwrap_or("?"), host))
        {
            return refuse(
                StatusCode::FORBIDDEN,
                "requests of web pages of another origin are refused (header `origin`)",
            );
        }
        if request.method() == Method::POST && path.is_some_and(super::is_post) && !is_json(headers) {
            return refuse(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "send `content-type: application/json`, also without a body",
            );
        }
        None
    }
}

/// The role that a path needs where there are tokens. Probes need none: an orchestrator has no token, and they say little.
fn needed(path: Option<&str>) -> Option<Role> {
    match path {
        Some("/livez" | "/readyz") => None,
        Some("/v1/classify") => Some(Role::Classify),
        Some("/v1/model/reload") => Some(Role::Operate),
        _ => Some(Role::Read),
    }
}

/// Lets a request through, or answers it.
pub(super) async fn check(State(admin): State<Admin>, request: Request, next: Next) -> Response {
    let path = request.extensions().get::<MatchedPath>().map(|path| path.as_str().to_owned());
    match admin.access.refusal(&request, path.as_deref()) {
        Some(refusal) => refusal,
        None => next.run(request).await,
    }
}

/// The host of `HOST:PORT`, `HOST`, `[ADDRESS]:PORT`; without brackets.
fn host_of(text: &str) -> &str {
    if let Some(rest) = text.strip_prefix('[') {
        return rest.split(']').next().unwrap_or(rest);
    }
    match text.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') && port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        _ => text,
    }
}

fn address(host: &str) -> Option<IpAddr> {
    host.parse().ok()
}

/// Whether only this machine reaches a server at `host`. Names but `localhost` may mean anything.
fn is_loopback(host: &str) -> bool {
    match address(host) {
        Some(IpAddr::V6(v6)) => v6.to_ipv4_mapped().map_or(v6.is_loopback(), |v4| v4.is_loopback()),
        Some(v4) => v4.is_loopback(),
        None => host.eq_ignore_ascii_case("localhost"),
    }
}

/// Whether the page of `origin` came from the server that the request calls `host`.
fn is_same(origin: &str, host: Option<&str>) -> bool {
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    matches!((authority, host), (Some(authority), Some(host)) if authority.eq_ignore_ascii_case(host))
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(kind) = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()) else {
        return false;
    };
    let essence = kind.split(';').next().unwrap_or(kind).trim();
    essence.eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_apart() {
        let settings = Http { address: "Admin.Example:9600".into(), insecure: true, ..Http::default() };
        let access = Access::resolve(&settings).unwrap();
        for ours in [
            "127.0.0.1:9600",
            "10.1.2.3",
            "[::1]:9600",
            "[fe80::1]",
            "localhost:1",
            "LOCALHOST",
            "a.localhost",
            "admin.example.:9",
        ] {
            assert!(access.is_ours(ours), "{ours}");
        }
        for foreign in [
            "",
            "evil.example:9600",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "a b",
            "127.0.0.1:x",
            "?",
        ] {
            assert!(!access.is_ours(foreign), "{foreign}");
        }
    }

    #[test]
    fn only_loopback_is_open_to_everybody() {
        for closed in ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1", "[::ffff:127.0.0.1]:1"] {
            Access::resolve(&Http { address: closed.into(), ..Http::default() }).unwrap();
        }
        for open in ["0.0.0.0:1", "[::]:1", "10.0.0.1:1", "host:1", "localhost.example:1"] {
            let error =
                Access::resolve(&Http { address: open.into(), ..Http::default() }).unwrap_err().to_string();
            assert!(error.contains("http.insecure") && error.contains("http.tokens"), "{error}");
            Access::resolve(&Http { address: open.into(), insecure: true, ..Http::default() }).unwrap();
        }
    }
}
