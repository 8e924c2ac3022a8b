//! New credentials for a client that is running.

use crate::ffi;
use crate::{Error, ResponseError};
use rdkafka::bindings::rd_kafka_sasl_set_credentials;
use rdkafka::client::{Client, ClientContext};

/// Gives `client` another user name and password for SASL/PLAIN and SASL/SCRAM.
///
/// Connections that exist stay as they are (until the broker requires re-authentication, KIP-368); those that are made
/// from now on, also after a refusal, use the new credentials. Waits for nothing: whether the credentials are right shows
/// at the next connection. Every rdkafka client has a [`Client`]: `Consumer::client`, `Producer::client`,
/// `AdminClient::inner`.
///
/// Wraps `rd_kafka_sasl_set_credentials`.
///
/// # Errors
/// A NUL in `username` or `password`.
pub fn set_sasl_credentials<C: ClientContext>(
    client: &Client<C>,
    username: &str,
    password: &str,
) -> Result<(), Error> {
    let username = ffi::c_string(username, "user name")?;
    let password = ffi::c_string(password, "password")?;
    // SAFETY: the client lives as long as it is borrowed; librdkafka copies both strings, under a lock of its own, so that
    // other threads may use the client. The error object is ours.
    let error = unsafe {
        ResponseError::take(rd_kafka_sasl_set_credentials(
            client.native_ptr(),
            username.as_ptr(),
            password.as_ptr(),
        ))
    };
    error.map_or(Ok(()), |response| Err(Error::Response { call: "sasl_set_credentials", response }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::ClientConfig;
    use rdkafka::producer::{BaseProducer, Producer};

    #[test]
    fn a_nul_is_refused_and_not_a_shorter_password() {
        let producer: BaseProducer = ClientConfig::new().create().unwrap();
        assert_eq!(
            set_sasl_credentials(producer.client(), "user", "pass\0word"),
            Err(Error::Nul { what: "password" })
        );
        assert_eq!(set_sasl_credentials(producer.client(), "user", "password"), Ok(()));
    }
}
