//! Why TLS fails, in words. librdkafka says only "certificate verify failed", and where the broker refuses our certificate
//! only that a connection was lost, so that it tries for ever. A handshake of our own, made when the brokers cannot be
//! reached, knows which of the causes it is.

use openssl::asn1::Asn1Time;
use openssl::pkcs12::Pkcs12;
use openssl::pkey::{PKey, Private};
use openssl::ssl::{HandshakeError, SslConnector, SslConnectorBuilder, SslMethod, SslRef, SslVerifyMode};
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::{X509, X509VerifyResult};
use rdkafka::ClientConfig;
use std::io::Read;
use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

/// Longest wait for each step of the handshake, and for the broker's objection behind it.
const STEP_TIMEOUT: Duration = Duration::from_secs(3);

/// What is wrong with TLS between this process and the first broker of `config` that takes connections, with what to do;
/// `None` if nothing is, if the connection is not TLS, or if no broker can be reached at all.
pub(super) fn diagnose(config: &ClientConfig) -> Option<String> {
    if !config.get("security.protocol")?.to_ascii_lowercase().ends_with("ssl") {
        return None;
    }
    config.get("bootstrap.servers")?.split(',').find_map(|broker| {
        let address = broker.trim().rsplit("://").next()?;
        let connection = connect(address)?;
        handshake(config, address, connection)
    })
}

fn connect(address: &str) -> Option<TcpStream> {
    let with_port = if port(address).is_some() { address.to_owned() } else { format!("{address}:9092") };
    let connection = with_port
        .to_socket_addrs()
        .ok()?
        .find_map(|address| TcpStream::connect_timeout(&address, STEP_TIMEOUT).ok())?;
    connection.set_read_timeout(Some(STEP_TIMEOUT)).ok()?;
    connection.set_write_timeout(Some(STEP_TIMEOUT)).ok()?;
    Some(connection)
}

fn port(address: &str) -> Option<&str> {
    address.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'))
}

fn host(address: &str) -> &str {
    let host = port(address).map_or(address, |port| &address[..address.len() - port.len() - 1]);
    host.trim_start_matches('[').trim_end_matches(']')
}

fn handshake(config: &ClientConfig, address: &str, connection: TcpStream) -> Option<String> {
    let certificate = client_certificate(config);
    let connector = connector(config, certificate.as_ref())?;
    let mut setup = connector.configure().ok()?;
    if config.get("ssl.endpoint.identification.algorithm") == Some("none") {
        setup = setup.verify_hostname(false);
    }
    let (reason, verified) = match setup.connect(host(address), connection) {
        Ok(mut stream) => {
            // With TLS 1.3 the broker looks at our certificate when the handshake is over for us.
            match stream.read(&mut [0]) {
                Ok(0) => ("closed".to_owned(), X509VerifyResult::OK),
                Ok(_) => return None,
                Err(error) => (error.to_string(), X509VerifyResult::OK),
            }
        }
        Err(HandshakeError::Failure(failed)) => (failed.error().to_string(), verify_result(failed.ssl())),
        Err(HandshakeError::SetupFailure(_) | HandshakeError::WouldBlock(_)) => return None,
    };
    if verified != X509VerifyResult::OK {
        return Some(broker_certificate(address, verified));
    }
    reason.contains("alert").then(|| our_certificate(address, &reason, certificate.as_ref()))
}

fn verify_result(ssl: &SslRef) -> X509VerifyResult {
    ssl.verify_result()
}

/// What is wrong with a broker's certificate.
fn broker_certificate(address: &str, result: X509VerifyResult) -> String {
    // X509_V_ERR_… of OpenSSL, which has no names for them in Rust.
    const NOT_YET_VALID: i32 = 9;
    const EXPIRED: i32 = 10;
    const HOSTNAME_MISMATCH: i32 = 62;
    const IP_ADDRESS_MISMATCH: i32 = 64;
    let reason = result.error_string();
    match result.as_raw() {
        EXPIRED => format!(
            "the certificate of the broker at {address} has expired ({reason}); renew it at the broker"
        ),
        NOT_YET_VALID => {
            format!(
                "the certificate of the broker at {address} is not valid yet ({reason}); compare the clocks"
            )
        }
        HOSTNAME_MISMATCH | IP_ADDRESS_MISMATCH => format!(
            "the certificate of the broker at {address} is for another host name ({reason}); use a name that is in it, \
             in `kafka.brokers` and in the brokers' advertised.listeners"
        ),
        _ => format!(
            "the certificate of the broker at {address} was issued by an authority that is not trusted here ({reason}); \
             set ssl.ca.location under [kafka.properties] to the certificate of that authority"
        ),
    }
}

/// Why the broker refuses our certificate, or the lack of one.
fn our_certificate(address: &str, alert: &str, certificate: Option<&Identity>) -> String {
    let Some(identity) = certificate else {
        return format!(
            "the broker at {address} requires a client certificate ({}); set ssl.certificate.location and \
             ssl.key.location under [kafka.properties]",
            short(alert)
        );
    };
    let end = identity.certificate.not_after();
    if Asn1Time::days_from_now(0).is_ok_and(|now| *end < now) {
        return format!(
            "the client certificate in ssl.certificate.location expired at {end}, and the broker at {address} refuses \
             it ({}); renew it",
            short(alert)
        );
    }
    let begin = identity.certificate.not_before();
    if Asn1Time::days_from_now(0).is_ok_and(|now| *begin > now) {
        return format!(
            "the client certificate in ssl.certificate.location is not valid before {begin}, and the broker at {address} \
             refuses it ({}); compare the clocks",
            short(alert)
        );
    }
    format!(
        "the broker at {address} refuses our client certificate ({}); it must be issued by an authority that the \
         broker trusts, and be valid by its clock",
        short(alert)
    )
}

/// The reason in OpenSSL's error line `error:CODE:library:function:reason:file:line:data`.
fn short(error: &str) -> &str {
    error.split(':').find(|part| part.contains("alert")).unwrap_or("TLS alert").trim()
}

/// Our own certificate with its key.
struct Identity {
    certificate: X509,
    key: PKey<Private>,
    chain: Vec<X509>,
}

fn client_certificate(config: &ClientConfig) -> Option<Identity> {
    if let Some(path) = config.get("ssl.keystore.location") {
        let password = config.get("ssl.keystore.password").unwrap_or_default();
        let store = Pkcs12::from_der(&std::fs::read(path).ok()?).ok()?.parse2(password).ok()?;
        let chain = store.ca.map(|stack| stack.into_iter().collect()).unwrap_or_default();
        return Some(Identity { certificate: store.cert?, key: store.pkey?, chain });
    }
    let mut certificates = X509::stack_from_pem(&pem(config, "ssl.certificate")?).ok()?.into_iter();
    let key = pem(config, "ssl.key")?;
    let key = match config.get("ssl.key.password") {
        Some(password) => PKey::private_key_from_pem_passphrase(&key, password.as_bytes()),
        None => PKey::private_key_from_pem(&key),
    };
    Some(Identity { certificate: certificates.next()?, key: key.ok()?, chain: certificates.collect() })
}

/// The text of `NAME.pem`, or of the file `NAME.location`.
fn pem(config: &ClientConfig, name: &str) -> Option<Vec<u8>> {
    match config.get(&format!("{name}.pem")) {
        Some(text) => Some(text.as_bytes().to_vec()),
        None => std::fs::read(config.get(&format!("{name}.location"))?).ok(),
    }
}

/// What librdkafka's own context has: the authorities and our certificate.
fn connector(config: &ClientConfig, identity: Option<&Identity>) -> Option<SslConnector> {
    let mut builder = SslConnector::builder(SslMethod::tls()).ok()?;
    trust(config, &mut builder)?;
    if config.get("enable.ssl.certificate.verification") == Some("false") {
        builder.set_verify(SslVerifyMode::NONE);
    }
    if let Some(Identity { certificate, key, chain }) = identity {
        builder.set_certificate(certificate).ok()?;
        builder.set_private_key(key).ok()?;
        for certificate in chain {
            builder.add_extra_chain_cert(certificate.clone()).ok()?;
        }
    }
    Some(builder.build())
}

fn trust(config: &ClientConfig, builder: &mut SslConnectorBuilder) -> Option<()> {
    let location = config.get("ssl.ca.location").filter(|&location| location != "probe");
    match (config.get("ssl.ca.pem"), location) {
        (None, None) => Some(()),
        (None, Some(folder)) if std::path::Path::new(folder).is_dir() => {
            builder.load_verify_locations(None, Some(folder.as_ref())).ok()
        }
        _ => {
            let mut store = X509StoreBuilder::new().ok()?;
            for authority in X509::stack_from_pem(&pem(config, "ssl.ca")?).ok()? {
                store.add_cert(authority).ok()?;
            }
            builder.set_verify_cert_store(store.build()).ok()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_and_ports_are_told_apart() {
        for (address, expected) in [("a:1", "a"), ("a", "a"), ("[::1]:9", "::1"), ("[::1]", "::1")] {
            assert_eq!(host(address), expected);
        }
    }

    #[test]
    fn without_tls_there_is_nothing_to_say() {
        let mut config = ClientConfig::new();
        assert_eq!(diagnose(&config), None);
        config.set("security.protocol", "SASL_PLAINTEXT").set("bootstrap.servers", "127.0.0.1:1");
        assert_eq!(diagnose(&config), None);
        config.set("security.protocol", "ssl");
        assert_eq!(diagnose(&config), None, "nobody listens there");
    }
}
