//! TLS that fails says which of its causes it is, and ends with 77: wrong authority, expired certificate, wrong host name,
//! missing, expired or unknown client certificate.

#![allow(clippy::unwrap_used)]

mod common;

use common::{Process, Write, comment, kafka, needs, wait_for};
use openssl::asn1::Asn1Time;
use openssl::bn::BigNum;
use openssl::hash::MessageDigest;
use openssl::pkey::{PKey, Private};
use openssl::rsa::Rsa;
use openssl::ssl::{SslAcceptor, SslMethod, SslVerifyMode, SslVersion};
use openssl::x509::extension::{BasicConstraints, SubjectAlternativeName};
use openssl::x509::store::X509StoreBuilder;
use openssl::x509::{X509, X509NameBuilder};
use std::io::Read;
use std::net::TcpListener;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

/// A key and its certificate.
struct Identity {
    key: PKey<Private>,
    certificate: X509,
}

const YEAR: i64 = 365 * 86_400;

impl Identity {
    /// A certificate that `issuer` signs (itself, without one), valid for a year that ends `ends` seconds from now.
    fn new(name: &str, host: &str, issuer: Option<&Identity>, ends: i64) -> Self {
        let key = PKey::from_rsa(Rsa::generate(2048).unwrap()).unwrap();
        let mut subject = X509NameBuilder::new().unwrap();
        subject.append_entry_by_text("CN", name).unwrap();
        let subject = subject.build();
        let mut builder = X509::builder().unwrap();
        builder.set_version(2).unwrap();
        let serial = BigNum::from_u32(rand::random::<u32>() >> 1).unwrap().to_asn1_integer().unwrap();
        builder.set_serial_number(&serial).unwrap();
        builder.set_subject_name(&subject).unwrap();
        builder.set_issuer_name(issuer.map_or(&subject, |issuer| issuer.certificate.subject_name())).unwrap();
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
        builder.set_not_before(&Asn1Time::from_unix(now + ends - YEAR).unwrap()).unwrap();
        builder.set_not_after(&Asn1Time::from_unix(now + ends).unwrap()).unwrap();
        builder.set_pubkey(&key).unwrap();
        match issuer {
            None => {
                builder.append_extension(BasicConstraints::new().critical().ca().build().unwrap()).unwrap()
            }
            Some(_) => {
                let mut names = SubjectAlternativeName::new();
                names.dns(host);
                if host == "localhost" {
                    names.ip("127.0.0.1");
                }
                let extension = names.build(&builder.x509v3_context(None, None)).unwrap();
                builder.append_extension(extension).unwrap();
            }
        }
        builder.sign(issuer.map_or(&key, |issuer| &issuer.key), MessageDigest::sha256()).unwrap();
        Identity { certificate: builder.build(), key }
    }

    /// The one in these files.
    fn read(certificate: &str, key: &str) -> Self {
        let read = |path: &str| std::fs::read(path).unwrap();
        Identity {
            key: PKey::private_key_from_pem(&read(key)).unwrap(),
            certificate: X509::from_pem(&read(certificate)).unwrap(),
        }
    }

    /// Its files in `folder`: certificate and key.
    fn write(&self, folder: &Path, name: &str) -> (String, String) {
        let path = |kind: &str| folder.join(format!("{name}.{kind}")).to_str().unwrap().to_owned();
        std::fs::write(path("pem"), self.certificate.to_pem().unwrap()).unwrap();
        std::fs::write(path("key"), self.key.private_key_to_pem_pkcs8().unwrap()).unwrap();
        (path("pem"), path("key"))
    }
}

/// A server that shakes hands and says nothing more; it wants a certificate of `clients` if that is given. Its address.
fn serve(identity: &Identity, clients: Option<&Identity>, version: SslVersion) -> String {
    let mut acceptor = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
    acceptor.set_max_proto_version(Some(version)).unwrap();
    acceptor.set_private_key(&identity.key).unwrap();
    acceptor.set_certificate(&identity.certificate).unwrap();
    if let Some(authority) = clients {
        let mut store = X509StoreBuilder::new().unwrap();
        store.add_cert(authority.certificate.clone()).unwrap();
        acceptor.set_verify_cert_store(store.build()).unwrap();
        acceptor.set_verify(SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT);
    }
    let acceptor = Arc::new(acceptor.build());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    std::thread::spawn(move || {
        for connection in listener.incoming().map_while(Result::ok) {
            let acceptor = Arc::clone(&acceptor);
            std::thread::spawn(move || {
                if let Ok(mut stream) = acceptor.accept(connection) {
                    let _ = stream.read_to_end(&mut Vec::new());
                }
            });
        }
    });
    address
}

/// How a run against `address` ends.
fn ends(folder: &Path, address: &str, properties: &[(&str, &str)]) -> (Option<i32>, String) {
    let model = folder.join("model.safetensors");
    if !model.exists() {
        let random = nunchi_model::testing::model(nunchi_model::rnn::Cell::Gru, 7);
        random.save(&model, nunchi_model::WeightFormat::F32).unwrap();
    }
    let mut command = Command::new(env!("CARGO_BIN_EXE_nunchi"));
    command.args(["run", "--http", "127.0.0.1:0", "--brokers", address, "--model", model.to_str().unwrap()]);
    for (name, value) in [("security.protocol", "ssl")].iter().chain(properties) {
        command.args(["--set", &format!("kafka.properties.{name}={value}")]);
    }
    let output = command.output().unwrap();
    (output.status.code(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn every_cause_has_its_own_message_and_status_77() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let authority = Identity::new("the authority", "", None, YEAR);
    let other = Identity::new("another authority", "", None, YEAR);
    let broker = |host: &str, ends: i64| Identity::new("broker", host, Some(&authority), ends);
    let good = broker("localhost", YEAR);
    let (known, _) = authority.write(folder, "authority");
    let (unknown, _) = other.write(folder, "other");
    let client = |name: &str, issuer: &Identity, ends: i64| {
        Identity::new("client", "client", Some(issuer), ends).write(folder, name)
    };
    let expired = client("expired", &authority, -86_400);
    let foreign = client("foreign", &other, YEAR);
    let identity = |(certificate, key): &(String, String)| {
        vec![("ssl.certificate.location", certificate.clone()), ("ssl.key.location", key.clone())]
    };
    let (tls13, tls12) = (SslVersion::TLS1_3, SslVersion::TLS1_2);
    let wants = |version| serve(&good, Some(&authority), version);

    let cases = [
        (serve(&good, None, tls13), &unknown, vec![], "was issued by an authority that is not trusted here"),
        (serve(&broker("localhost", -86_400), None, tls13), &known, vec![], "has expired"),
        (serve(&broker("other.example", YEAR), None, tls13), &known, vec![], "is for another host name"),
        (wants(tls13), &known, vec![], "requires a client certificate"),
        (wants(tls12), &known, vec![], "requires a client certificate"),
        (
            wants(tls13),
            &known,
            identity(&expired),
            "the client certificate in ssl.certificate.location expired at",
        ),
        (
            wants(tls12),
            &known,
            identity(&expired),
            "the client certificate in ssl.certificate.location expired at",
        ),
        (wants(tls13), &known, identity(&foreign), "refuses our client certificate"),
    ];
    let messages: Vec<&str> = cases.iter().map(|(.., message)| *message).collect();
    for (address, authority, properties, message) in &cases {
        let mut properties: Vec<(&str, &str)> =
            properties.iter().map(|(name, value)| (*name, value.as_str())).collect();
        properties.push(("ssl.ca.location", authority));
        let (status, log) = ends(folder, address, &properties);
        assert_eq!(status, Some(77), "{message}: {log}");
        let last = log.lines().last().unwrap();
        assert!(last.contains(message) && last.contains(address.as_str()), "{message}: {log}");
        let others = messages.iter().filter(|other| *other != message);
        assert!(others.clone().all(|other| !last.contains(other)), "{message}: {log}");
    }
}

#[test]
fn a_kafka_that_wants_client_certificates_is_used_with_one_and_said_to_want_one() {
    let Some(kafka) = kafka() else { return };
    let variable = |name: &str| {
        let value = std::env::var(name).ok();
        if value.is_none() {
            needs::lacking("sasl", &format!("{name} is not set; run scripts/kafka/with-kafka cargo test"));
        }
        value
    };
    let Some(address) = variable("KAFKA_TLS_BOOTSTRAP") else { return };
    let (Some(ca), Some(ca_key)) = (variable("KAFKA_SASL_CA"), variable("KAFKA_TLS_CA_KEY")) else { return };
    let folder = tempfile::tempdir().unwrap();
    let authority = Identity::read(&ca, &ca_key);
    let other = Identity::new("another authority", "", None, YEAR);
    let client = |name: &str, issuer: &Identity, ends: i64| {
        Identity::new(name, "client", Some(issuer), ends).write(folder.path(), name)
    };
    let [good, expired, future, foreign] = [
        client("good", &authority, YEAR),
        client("expired", &authority, -86_400),
        client("future", &authority, 2 * YEAR),
        client("foreign", &other, YEAR),
    ];
    let cases = [
        (None, "requires a client certificate"),
        (Some(&expired), "the client certificate in ssl.certificate.location expired at"),
        (Some(&future), "the client certificate in ssl.certificate.location is not valid before"),
        (Some(&foreign), "refuses our client certificate"),
    ];
    for (identity, message) in cases {
        let mut properties = vec![("ssl.ca.location", ca.as_str())];
        if let Some((certificate, key)) = identity {
            properties
                .extend([("ssl.certificate.location", certificate.as_str()), ("ssl.key.location", key)]);
        }
        let (status, log) = ends(folder.path(), &address, &properties);
        assert_eq!(status, Some(77), "{message}: {log}");
        let last = log.lines().last().unwrap();
        assert!(last.contains(message) && last.contains(&address), "{message}: {log}");
        let others = cases.iter().filter(|(_, other)| *other != message);
        assert!(others.clone().all(|(_, other)| !last.contains(other)), "{message}: {log}");
    }

    let topics = kafka.topics("tls-client", 1);
    kafka.write(&topics.input, (0..10).map(|id| Write::value(comment(id, "좋아요"))));
    let mut config = kafka.config(&topics);
    config.kafka.brokers = address;
    let settings = [
        ("security.protocol", "ssl"),
        ("ssl.ca.location", &ca),
        ("ssl.certificate.location", &good.0),
        ("ssl.key.location", &good.1),
    ]
    .map(|(name, value)| format!("kafka.properties.{name}={value}"));
    let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
    let process = Process::start(&config, folder.path(), &settings);
    wait_for("the verdicts", || kafka.read(&topics.output).len() == 10);
    process.signal("TERM");
    let (status, log) = process.end();
    assert_eq!(status, Some(0), "{log}");
}
