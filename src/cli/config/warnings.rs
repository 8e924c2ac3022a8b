//! What `config check` warns of: settings that work, and that let others read or change what they should not.

use crate::cli::settings::Settings;
use crate::config::{Config, Http, Properties, Value};
use crate::http::Access;
use rdkafka::ClientConfig;

/// Every warning, each with the setting and what to do.
pub(super) fn warnings(settings: &Settings) -> Vec<String> {
    let config = settings.config();
    let mut found = Vec::new();
    for client in [settings.clients.consumer(0), settings.clients.producer(0)] {
        found.extend(of_client(&client));
    }
    found.extend(literal_secrets(config));
    found.extend(of_http(&config.http));
    // Mostly both clients have the same properties.
    let mut seen = std::collections::BTreeSet::new();
    found.retain(|warning| seen.insert(warning.clone()));
    found
}

/// The properties of a client as they are in effect, whatever section, variable or file they come from.
fn of_client(client: &ClientConfig) -> Vec<String> {
    let get = |name: &str| client.get(name).unwrap_or_default().to_ascii_lowercase();
    let mut found = Vec::new();
    let protocol = get("security.protocol");
    let tls = protocol.ends_with("ssl");
    // As librdkafka reads a boolean.
    if tls && ["false", "f", "0"].contains(&get("enable.ssl.certificate.verification").as_str()) {
        found.push(
            "`enable.ssl.certificate.verification` is false: the brokers' certificates are not checked, so that anybody on the way \
             can read and change records and take the password; name the authority in `ssl.ca.location` instead"
                .to_owned(),
        );
    } else if tls && get("ssl.endpoint.identification.algorithm") == "none" {
        found.push(
            "`ssl.endpoint.identification.algorithm` is none: a certificate of any other host of the same authority is accepted; \
             leave it out, and let the certificates name the brokers"
                .to_owned(),
        );
    }
    let plain = ["sasl.mechanisms", "sasl.mechanism"].iter().any(|name| get(name) == "plain");
    if plain && protocol == "sasl_plaintext" {
        found.push(
            "`sasl.mechanism` PLAIN with `security.protocol` SASL_PLAINTEXT: the password travels unencrypted; use SASL_SSL, or \
             SCRAM-SHA-512"
                .to_owned(),
        );
    }
    found
}

/// Secrets that stand in the settings themselves.
fn literal_secrets(config: &Config) -> Vec<String> {
    let kafka = &config.kafka;
    let sections: [(&str, &Properties); 3] =
        [("properties", &kafka.properties), ("consumer", &kafka.consumer), ("producer", &kafka.producer)];
    let is_secret = |name: &str| {
        name.contains("password")
            || name.ends_with("secret")
            || ["ssl.key.pem", "sasl.oauthbearer.config"].contains(&name)
    };
    let mut found = Vec::new();
    for (section, properties) in sections {
        let literal =
            properties.iter().filter(|(name, value)| is_secret(name) && matches!(value, Value::Literal(_)));
        found.extend(literal.map(|(name, _)| {
            format!(
                "`kafka.{section}.{name}` holds the secret itself: whoever can read the settings has it; write {{ env = \"NAME\" }} \
                 or {{ file = \"PATH\" }}"
            )
        }));
    }
    found
}

/// The admin server where others reach it.
fn of_http(http: &Http) -> Vec<String> {
    if !Access::is_exposed(http) {
        return Vec::new();
    }
    let address = &http.address;
    if http.tokens.is_empty() {
        return vec![format!(
            "`http.insecure`: whoever reaches {address} can classify, read metrics and reload the model; add [[http.tokens]]"
        )];
    }
    if http.tls_certificate.is_none() {
        return vec![format!(
            "`http.tokens` without `http.tls_certificate`: tokens travel unencrypted to {address}; set a certificate and its key, \
             or let a proxy speak TLS"
        )];
    }
    Vec::new()
}
