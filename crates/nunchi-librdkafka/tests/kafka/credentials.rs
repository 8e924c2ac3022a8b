//! New credentials on a client that is running.

use crate::common::{OPTIONS, TIMEOUT, kafka, needs, unique, wait_for};
use nunchi_librdkafka::{DescribeOptions, describe_cluster, set_sasl_credentials};
use rdkafka::ClientConfig;
use rdkafka::admin::AdminClient;
use rdkafka::client::{Client, ClientContext, DefaultClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::producer::{DefaultProducerContext, Producer, ThreadedProducer};
use std::time::Duration;

/// The broker's listener that requires a password, and the password.
fn secured() -> Option<(ClientConfig, String, String)> {
    kafka()?;
    let variable = |name: &str| {
        let value = std::env::var(name);
        if value.is_err() {
            needs::lacking("sasl", &format!("{name} is not set; this Kafka has no secured listener"));
        }
        value.ok()
    };
    let (user, password) = (variable("KAFKA_SASL_USER")?, variable("KAFKA_SASL_PASSWORD")?);
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", variable("KAFKA_SASL_BOOTSTRAP")?)
        .set("security.protocol", "SASL_SSL")
        .set("ssl.ca.location", variable("KAFKA_SASL_CA")?)
        .set("sasl.mechanism", "SCRAM-SHA-512")
        .set("sasl.username", &user)
        .set("reconnect.backoff.max.ms", "500")
        .set("log_level", "0");
    Some((config, user, password))
}

/// The client cannot connect; with the right password it can, without being made again.
fn recovers<C: ClientContext>(client: &Client<C>, user: &str, password: &str) {
    let soon = DescribeOptions { timeout: Duration::from_millis(1_500), ..OPTIONS };
    let refused = describe_cluster(client, &soon).expect_err("the password is wrong");
    assert!(refused.code().is_some(), "{refused}");
    set_sasl_credentials(client, user, "also wrong").unwrap();
    describe_cluster(client, &soon).expect_err("the password is wrong still");
    set_sasl_credentials(client, user, password).unwrap();
    wait_for("the client to connect", || describe_cluster(client, &soon).is_ok());
}

#[test]
fn a_client_with_a_wrong_password_connects_once_it_has_the_right_one() {
    let Some((mut config, user, password)) = secured() else { return };
    config.set("sasl.password", "wrong");
    let producer: ThreadedProducer<DefaultProducerContext> = config.create().unwrap();
    recovers(producer.client(), &user, &password);
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    recovers(admin.inner(), &user, &password);
    let consumer: BaseConsumer = config.set("group.id", unique("credentials")).create().unwrap();
    recovers(consumer.client(), &user, &password);
    assert!(consumer.client().fetch_metadata(None, TIMEOUT).is_ok());
}
