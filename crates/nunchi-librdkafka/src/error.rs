//! What may go wrong: what librdkafka or a broker refused, with its code.

use crate::ffi;
use rdkafka::bindings::{
    rd_kafka_error_destroy, rd_kafka_error_string, rd_kafka_error_t, rd_kafka_resp_err_t,
};
use rdkafka::error::RDKafkaErrorCode;
use std::fmt;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text for librdkafka, whose strings end at the first NUL.
    #[error("the {what} contains a NUL character")]
    Nul {
        /// Which text.
        what: &'static str,
    },
    /// A partition that a list does not contain.
    #[error("the list has no partition {partition} of topic `{topic}`")]
    NotListed {
        /// The requested topic.
        topic: String,
        /// The requested partition.
        partition: i32,
    },
    /// librdkafka or a broker refused.
    #[error("{call}: {response}")]
    Response {
        /// The librdkafka function without its prefix.
        call: &'static str,
        /// What it answered.
        response: ResponseError,
    },
}

impl Error {
    /// The code, where librdkafka or a broker refused.
    pub fn code(&self) -> Option<RDKafkaErrorCode> {
        match self {
            Error::Response { response, .. } => Some(response.code()),
            Error::Nul { .. } | Error::NotListed { .. } => None,
        }
    }
}

/// An error of librdkafka (`rd_kafka_resp_err_t`; negative) or of a broker (positive).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ResponseError {
    code: i32,
    message: String,
}

impl ResponseError {
    pub(crate) fn new(code: rd_kafka_resp_err_t, message: impl Into<String>) -> Self {
        Self::from_raw(code as i32, message.into())
    }

    pub(crate) fn from_raw(code: i32, message: String) -> Self {
        ResponseError { code, message }
    }

    /// A copy of `error`; `None` for null, which is librdkafka's "no error".
    ///
    /// # Safety
    /// `error` is null or a living error object.
    pub(crate) unsafe fn copy(error: *const rd_kafka_error_t) -> Option<Self> {
        if error.is_null() {
            return None;
        }
        // SAFETY: the caller promises a living error object; its string lives as long as it does and is copied here.
        unsafe {
            let message = ffi::string(rd_kafka_error_string(error)).unwrap_or_default();
            Some(Self::from_raw(ffi::rd_kafka_error_code(error), message))
        }
    }

    /// As [`ResponseError::copy`], and destroys `error`.
    ///
    /// # Safety
    /// `error` is null or a living error object that the caller owns and does not use any more.
    pub(crate) unsafe fn take(error: *mut rd_kafka_error_t) -> Option<Self> {
        // SAFETY: as the caller promises.
        let copy = unsafe { Self::copy(error) };
        if copy.is_some() {
            // SAFETY: not null, owned by the caller, and not used after this.
            unsafe { rd_kafka_error_destroy(error) };
        }
        copy
    }

    /// The code; [`RDKafkaErrorCode::Unknown`] for one that this librdkafka does not have.
    pub fn code(&self) -> RDKafkaErrorCode {
        rd_kafka_resp_err_t::try_from(self.code).map_or(RDKafkaErrorCode::Unknown, RDKafkaErrorCode::from)
    }

    /// The code as the broker or librdkafka wrote it.
    pub fn raw_code(&self) -> i32 {
        self.code
    }

    /// What librdkafka says about it.
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for ResponseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code() {
            RDKafkaErrorCode::Unknown => write!(f, "{} (error {})", self.message, self.code),
            code => write!(f, "{} ({code:?})", self.message),
        }
    }
}

impl std::error::Error for ResponseError {}

#[cfg(test)]
mod tests {
    use super::*;
    use rdkafka::bindings::rd_kafka_error_new;

    #[test]
    fn an_error_object_keeps_its_code_and_text() {
        // SAFETY: a format without arguments; the object is taken once.
        let error = unsafe {
            let code = rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
            ResponseError::take(rd_kafka_error_new(code, c"not for you".as_ptr()))
        };
        let error = error.expect("an error");
        assert_eq!((error.code(), error.raw_code()), (RDKafkaErrorCode::TopicAuthorizationFailed, 29));
        assert_eq!(error.to_string(), "not for you (TopicAuthorizationFailed)");
    }

    #[test]
    fn null_is_no_error() {
        // SAFETY: null is allowed.
        assert_eq!(unsafe { ResponseError::take(std::ptr::null_mut()) }, None);
    }

    #[test]
    fn a_code_of_a_newer_broker_is_kept() {
        let error = ResponseError::from_raw(9_999, "something new".to_owned());
        assert_eq!((error.code(), error.raw_code()), (RDKafkaErrorCode::Unknown, 9_999));
        assert_eq!(error.to_string(), "something new (error 9999)");
    }
}
