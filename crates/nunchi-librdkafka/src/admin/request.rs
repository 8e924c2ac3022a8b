//! One administrative request of any kind, and its response.

use crate::{Error, ResponseError, ffi};
use rdkafka::bindings::{
    rd_kafka_AdminOptions_destroy, rd_kafka_AdminOptions_new,
    rd_kafka_AdminOptions_set_include_authorized_operations, rd_kafka_AdminOptions_set_request_timeout,
    rd_kafka_AdminOptions_t, rd_kafka_admin_op_t, rd_kafka_event_destroy, rd_kafka_event_error_string,
    rd_kafka_event_t, rd_kafka_queue_destroy, rd_kafka_queue_new, rd_kafka_queue_poll, rd_kafka_queue_t,
    rd_kafka_resp_err_t, rd_kafka_t,
};
use rdkafka::client::{Client, ClientContext};
use std::ptr::{self, NonNull};
use std::time::{Duration, Instant};

use rd_kafka_resp_err_t::{
    RD_KAFKA_RESP_ERR__BAD_MSG, RD_KAFKA_RESP_ERR__INVALID_ARG, RD_KAFKA_RESP_ERR__TIMED_OUT,
};

/// The longest and shortest timeouts that librdkafka takes for a request.
const MAX_TIMEOUT: Duration = Duration::from_secs(3600);
const MIN_TIMEOUT: Duration = Duration::from_millis(1);
/// librdkafka's own timeout error names what it waited for, so it gets this much longer to report it; its main thread
/// checks timers at least once a second.
const GRACE: Duration = Duration::from_millis(1_500);

/// Options of a request.
#[derive(Clone, Copy, Debug)]
pub struct DescribeOptions {
    /// How long the response may take, finding the right broker included; 1 ms to 1 hour. A call returns at the latest
    /// 1.5 s after that.
    pub timeout: Duration,
    /// Whether to request the operations that the client's principal may perform (KIP-430); needs brokers of Kafka 2.3 or newer.
    pub authorized_operations: bool,
}

/// A kind of request: its name for errors, and for which its options are.
pub(super) struct Request {
    pub(super) call: &'static str,
    pub(super) operation: rd_kafka_admin_op_t,
}

impl Request {
    /// Sends the request: `send` passes it to librdkafka, with options and with the queue for the response.
    ///
    /// `send` may rely on living pointers, and must not keep them.
    pub(super) fn send<C: ClientContext>(
        &self,
        client: &Client<C>,
        options: &DescribeOptions,
        send: impl FnOnce(*mut rd_kafka_t, *const rd_kafka_AdminOptions_t, *mut rd_kafka_queue_t),
    ) -> Result<Event, Error> {
        let timeout = options.timeout.clamp(MIN_TIMEOUT, MAX_TIMEOUT);
        let deadline = Instant::now() + timeout + GRACE;
        let native = self.options(client, timeout, options.authorized_operations)?;
        let queue = Queue::new(client);
        send(client.native_ptr(), native.0.as_ptr(), queue.0.as_ptr());
        let event = queue.poll(deadline).ok_or_else(|| {
            self.error(RD_KAFKA_RESP_ERR__TIMED_OUT, format!("no answer within {timeout:?}"))
        })?;
        event.error().map_or(Ok(event), |response| Err(self.refused(response)))
    }

    fn options<C: ClientContext>(
        &self,
        client: &Client<C>,
        timeout: Duration,
        authorized_operations: bool,
    ) -> Result<Options, Error> {
        // SAFETY: the client lives as long as it is borrowed.
        let options = unsafe { rd_kafka_AdminOptions_new(client.native_ptr(), self.operation) };
        let options = NonNull::new(options).map(Options).ok_or_else(|| {
            self.error(RD_KAFKA_RESP_ERR__INVALID_ARG, "librdkafka does not support this request")
        })?;
        // SAFETY: the options are ours; a missing buffer for the message is allowed.
        let code = unsafe {
            let ms = timeout.as_millis() as i32; // At most an hour.
            rd_kafka_AdminOptions_set_request_timeout(options.0.as_ptr(), ms, ptr::null_mut(), 0)
        };
        if code != rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR {
            return Err(self.error(code, "the timeout is refused"));
        }
        // SAFETY: the options are ours, and so is the error object.
        let refused = unsafe {
            ResponseError::take(rd_kafka_AdminOptions_set_include_authorized_operations(
                options.0.as_ptr(),
                authorized_operations.into(),
            ))
        };
        refused.map_or(Ok(options), |response| Err(self.refused(response)))
    }

    pub(super) fn refused(&self, response: ResponseError) -> Error {
        Error::Response { call: self.call, response }
    }

    /// The response lacks what librdkafka documents.
    pub(super) fn incomplete(&self) -> Error {
        self.error(RD_KAFKA_RESP_ERR__BAD_MSG, "the response does not contain what was requested")
    }

    fn error(&self, code: rd_kafka_resp_err_t, message: impl Into<String>) -> Error {
        self.refused(ResponseError::new(code, message))
    }
}

/// Options of a request, destroyed with it.
struct Options(NonNull<rd_kafka_AdminOptions_t>);

impl Drop for Options {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_AdminOptions_new`; librdkafka copied what it needs.
        unsafe { rd_kafka_AdminOptions_destroy(self.0.as_ptr()) };
    }
}

/// A queue for one response. librdkafka discards a response that arrives after the queue was destroyed.
struct Queue(NonNull<rd_kafka_queue_t>);

impl Queue {
    fn new<C: ClientContext>(client: &Client<C>) -> Self {
        // SAFETY: the client lives as long as it is borrowed, which is longer than the queue.
        let queue = unsafe { rd_kafka_queue_new(client.native_ptr()) };
        Queue(NonNull::new(queue).expect("librdkafka ends the process where there is no memory for a queue"))
    }

    fn poll(&self, deadline: Instant) -> Option<Event> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            // SAFETY: the queue is ours. The event becomes ours too.
            let event = unsafe { rd_kafka_queue_poll(self.0.as_ptr(), left.as_millis() as i32) };
            // The queue may wake up without an event.
            match NonNull::new(event) {
                Some(event) => return Some(Event(event)),
                None if left.is_zero() => return None,
                None => {}
            }
        }
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: made by `rd_kafka_queue_new`, and nobody else has it.
        unsafe { rd_kafka_queue_destroy(self.0.as_ptr()) };
    }
}

/// A response; what it lends out lives as long as it.
pub(super) struct Event(NonNull<rd_kafka_event_t>);

impl Event {
    pub(super) fn as_ptr(&self) -> *mut rd_kafka_event_t {
        self.0.as_ptr()
    }

    fn error(&self) -> Option<ResponseError> {
        // SAFETY: the event is ours; the string is its, and copied.
        unsafe {
            let code = ffi::rd_kafka_event_error(self.as_ptr());
            let message = || ffi::string(rd_kafka_event_error_string(self.as_ptr())).unwrap_or_default();
            (code != 0).then(|| ResponseError::from_raw(code, message()))
        }
    }
}

impl Drop for Event {
    fn drop(&mut self) {
        // SAFETY: taken from a queue, and nobody else has it.
        unsafe { rd_kafka_event_destroy(self.0.as_ptr()) };
    }
}

#[cfg(test)]
mod tests {
    use crate::{DescribeOptions, describe_cluster, describe_consumer_group, describe_topics};
    use rdkafka::ClientConfig;
    use rdkafka::error::RDKafkaErrorCode;
    use rdkafka::producer::{BaseProducer, Producer};
    use std::time::{Duration, Instant};

    #[test]
    fn where_no_broker_answers_every_request_ends_with_a_timeout() {
        // Bound and never accepted from: connections hang.
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let producer: BaseProducer = ClientConfig::new().set("bootstrap.servers", address).create().unwrap();
        let options = DescribeOptions { timeout: Duration::from_millis(50), authorized_operations: true };
        let start = Instant::now();
        for error in [
            describe_topics(producer.client(), &["comments"], &options).unwrap_err(),
            describe_cluster(producer.client(), &options).unwrap_err(),
            describe_consumer_group(producer.client(), "group", &options).unwrap_err(),
        ] {
            assert_eq!(error.code(), Some(RDKafkaErrorCode::OperationTimedOut), "{error}");
        }
        assert!(start.elapsed() < Duration::from_secs(30), "{:?}", start.elapsed());
    }
}
